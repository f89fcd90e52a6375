"""A search whose answer is looked at as it came, refusals included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ldap3.core.results import RESULT_SUCCESS

from genesys_ad_sync.directory import answers
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.ldap_library import LIBRARY_ERRORS, result_without_name
from genesys_ad_sync.directory.searches import SearchScope
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryIncomplete


@dataclass(frozen=True)
class RawAnswer:
    """An answer. ``entries``: (DN, attributes) as they came; names of attributes in lower case."""

    result: Mapping[str, Any]
    entries: Sequence[tuple[str, Mapping[str, Sequence[bytes] | None]]]
    references: Sequence[str]

    @property
    def succeeded(self) -> bool:
        return bool(self.result["result"] == RESULT_SUCCESS)

    @property
    def refusal(self) -> str:
        """Return code, description and Windows' own number."""
        return answers.error_text(self.result)


def raw_search(
    session: LdapSession,
    base: str,
    ldap_filter: str,
    attributes: Sequence[str],
    scope: SearchScope = "BASE",
    controls: Sequence[Any] = (),
    **options: Any,
) -> RawAnswer:
    """Search with the extended-DN control, as the product does. Raises DirectoryIncomplete if the connection breaks."""
    try:
        _, result, response, _ = session.connection.search(
            base, ldap_filter, scope, attributes=list(attributes), controls=[*controls, ctl.extended_dn()], **options
        )
    except LIBRARY_ERRORS as error:
        if without_name := result_without_name(error):
            return RawAnswer(without_name, [], [])
        raise DirectoryIncomplete(
            f"The connection to {session.host} broke ({type(error).__name__}). Try again."
        ) from error
    items = response or []
    return RawAnswer(
        result,
        [
            (item["dn"], {name.lower(): values for name, values in item["raw_attributes"].items()})
            for item in items
            if item["type"] == "searchResEntry"
        ],
        [uri for item in items if item["type"] == "searchResRef" for uri in item["uri"]],
    )
