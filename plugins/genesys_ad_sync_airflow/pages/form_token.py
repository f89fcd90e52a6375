"""The token of a form, which proves that its page came from here.

It is of one viewer. A cookie alone would not prove it: the browser also sends it with a form of another site.
"""

from __future__ import annotations

import hmac

from airflow.configuration import conf
from itsdangerous import BadData, URLSafeTimedSerializer

from genesys_ad_sync_airflow.pages.access import Viewer

VALID_SECONDS = 8 * 3600


def make_token(viewer: Viewer) -> str:
    """Return a token for a form of this viewer."""
    return str(_serializer().dumps(_name(viewer)))


def is_valid(token: str, viewer: Viewer) -> bool:
    """Return whether this viewer opened the page of a form with this token.

    A page counts for `VALID_SECONDS`.
    """
    try:
        name = _serializer().loads(token, max_age=VALID_SECONDS)
    except BadData:
        return False
    return hmac.compare_digest(str(name).encode(), _name(viewer).encode())


def _name(viewer: Viewer) -> str:
    return f"{viewer.user.get_id()}:{viewer.user.get_name()}"


def _serializer() -> URLSafeTimedSerializer:
    # All API servers of an Airflow share the key: a form may be answered by another one than has sent it.
    return URLSafeTimedSerializer(conf.get_mandatory_value("api", "secret_key"), salt="genesys-ad-sync form")
