"""One name for several domain controllers, such as the domain's own.

Each connection may reach another one. What another one shows is doubted until it is known to have received everything.
So the one that was read last goes first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from genesys_ad_sync.directory.session import LdapSession

log = logging.getLogger(__name__)


@contextmanager
def on_known_controller(session: LdapSession, name: str | None) -> Iterator[LdapSession]:
    """Use a session with the domain controller ``name``, if the host names several.

    Otherwise, and where that one does not answer, use ``session``. A name outside of the domain is not followed, nor
    one that the connection has itself: then its order decides.
    """
    other = None if name is None else _other(session, name)
    if other is None:
        yield session
        return
    with other:
        yield other


def _other(session: LdapSession, name: str) -> LdapSession | None:
    if session.elsewhere is None or is_name_of(session.host, name):
        return None
    root = session.root_dse()
    answered = root.domain_controller.casefold()
    if name.casefold() == answered or is_name_of(session.host, answered):
        return None
    if not name.casefold().endswith("." + _dns_name(root.naming_context)):
        return None
    other = session.elsewhere(name)
    if other is None:
        return None
    if other.root_dse().domain_controller.casefold() != name.casefold():
        log.warning("another domain controller answers under the name of the one that was read last")
        other.close()
        return None
    return other


def is_name_of(host: str, controller: str) -> bool:
    """Return True if a host of the connection names this domain controller.

    It does by the whole DNS name, or by the first part of it.
    """
    full = controller.casefold().rstrip(".")
    return host.casefold().rstrip(".") in (full, full.partition(".")[0])


def _dns_name(naming_context: str) -> str:
    """Return the DNS name of a domain: ``DC=example,DC=com`` is ``example.com``."""
    parts = (part.strip().partition("=") for part in naming_context.split(","))
    return ".".join(value.strip() for key, _, value in parts if key.strip().casefold() == "dc").casefold()
