"""Parts of answers that need reading: error texts, references, the root DSE. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.errors import DirectoryIncomplete

# Parts of the forest below a domain's DN that hold none of its groups and users. AD refers to them in every search
# of the whole domain.
_HARMLESS_REFERENCES = ("cn=configuration,", "cn=schema,", "dc=domaindnszones,", "dc=forestdnszones,")
_WINDOWS_ERROR = re.compile(r"([0-9A-Fa-f]{8})(?![0-9A-Za-z])")  # "0000203D: LdapErr: DSID-…, comment: …"


def error_text(result: Mapping[str, Any]) -> str:
    """Return the result code, and Windows' own error number if the server sends one.

    The rest of the server's text is left out: it may contain names, and this text is logged.
    """
    number = _WINDOWS_ERROR.match(str(result.get("message") or ""))
    return f"{result['description']}, code {result['result']}" + (f", {number.group(1)}" if number else "")


def harmless(uris: Sequence[str]) -> bool:
    """Return True if AD names these parts of the forest in every search of the whole domain."""
    return all(dn_of_reference(uri).lower().startswith(_HARMLESS_REFERENCES) for uri in uris)


def dn_of_reference(uri: str) -> str:
    """Return the DN of an LDAP URL (RFC 4516)."""
    return unquote(uri.split("/", 3)[-1].partition("?")[0])


def need(entry: Entry, name: str) -> str:
    """Return an attribute that every domain controller has in its root DSE. Raises DirectoryIncomplete without it."""
    value = entry.text(name)
    if value is None:
        raise DirectoryIncomplete(
            f"The root DSE has no {name}: this server is not a domain controller of Active Directory."
        )
    return value
