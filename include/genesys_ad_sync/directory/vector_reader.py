"""Asks a domain controller which changes of the others it has received."""

from __future__ import annotations

import logging
from dataclasses import replace

from genesys_ad_sync.directory import up_to_dateness
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError
from genesys_ad_sync.model import Cursor, Vector

log = logging.getLogger(__name__)


class VectorReader:
    """Finds the up-to-dateness vector that belongs to one reading of Active Directory.

    The DirSync cookie carries it for nothing. Where it does not, the naming context is asked before and after the
    reading: what was heard in between may be in the data or not, so both answers must be the same.
    """

    def __init__(self, session: LdapSession, naming_context: str) -> None:
        self._session = session
        self._naming_context = naming_context
        self._before: Vector | None = None

    def begin(self, cookie: bytes | None) -> None:
        """Note what was heard before the reading, if the cookie does not say it."""
        self._before = None if up_to_dateness.of_cookie(cookie) is not None else self._asked()

    def complete(self, cursor: Cursor) -> Cursor:
        """Return the cursor at the end of the reading, with its vector if known."""
        vector = up_to_dateness.of_cookie(cursor.cookie)
        if vector is None and self._before is not None and self._before == self._asked():
            vector = self._before
        if vector is not None and cursor.invocation_id not in vector:  # its own changes, up to now
            usn = self._session.root_dse().highest_committed_usn
            vector = up_to_dateness.merged(vector, {cursor.invocation_id: usn})
        return replace(cursor, vector=vector)

    def _asked(self) -> Vector | None:
        attributes = ["msDS-NCReplCursors", "replUpToDateVector"]
        try:
            found = self._session.search(self._naming_context, "(objectClass=*)", attributes, "BASE")
        except DirectoryError as error:
            log.debug("the up-to-dateness vector cannot be read: %s", error)
            return None
        if len(found) != 1:
            return None
        values = found[0].attributes
        vector = up_to_dateness.of_cursors(values.get("msds-ncreplcursors", ()))
        stored = values.get("repluptodatevector", ())
        return vector or (up_to_dateness.of_attribute(stored[0]) if stored else None)
