"""Parts of answers that need reading: error texts, references, the root DSE. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import unquote

from ldap3.core.results import (
    RESULT_INVALID_DN_SYNTAX,
    RESULT_NO_SUCH_OBJECT,
    RESULT_REFERRAL,
    RESULT_SUCCESS,
)

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import Entry, InvalidDn
from genesys_ad_sync.errors import DirectoryIncomplete, DirectoryNotFound, DirectoryRefused

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


def require_success(result: Mapping[str, Any], base: str, host: str) -> None:
    """Raise the error that the result code of a search means; None for success."""
    code = result["result"]
    if code == RESULT_SUCCESS:
        return
    if code == RESULT_NO_SUCH_OBJECT:
        raise DirectoryNotFound(f"{base} does not exist, or the account may not see it.")
    if code == RESULT_INVALID_DN_SYNTAX:
        raise InvalidDn(
            f"{host} does not accept {base} as a distinguished name. Correct it in the settings "
            f"(`directory.canary`, `directory.group_base`, or `base_dn` of the connection)."
        )
    if code == RESULT_REFERRAL:
        raise DirectoryIncomplete(
            f"{base} is in a domain that {host} does not hold. Connect to a domain controller of that domain."
        )
    _refuse(result, host)


def _refuse(result: Mapping[str, Any], host: str) -> NoReturn:
    raise DirectoryRefused(
        f"{host} broke off a search: {error_text(result)}. The partial result was discarded. Run again."
    )


def entries_of(response: Sequence[Mapping[str, Any]]) -> tuple[list[Entry], list[str]]:
    """Return the entries of an answer, and the references to other servers that matter."""
    entries: list[Entry] = []
    references: list[str] = []
    for item in response:
        if item["type"] == "searchResEntry":
            raw: Mapping[str, list[bytes] | None] = item["raw_attributes"]
            # ldap3 returns None for an attribute without values.
            attributes = {name.lower(): list(values or ()) for name, values in raw.items()}
            entries.append(Entry(ctl.plain_dn(item["dn"]), attributes))
        elif item["type"] == "searchResRef" and not harmless(item["uri"]):
            references += item["uri"]
    return entries, references


def harmless(uris: Sequence[str]) -> bool:
    """Return True if AD names these forest parts in every search of the whole domain."""
    return all(dn_of_reference(uri).lower().startswith(_HARMLESS_REFERENCES) for uri in uris)


def dn_of_reference(uri: str) -> str:
    """Return the DN of an LDAP URL (RFC 4516)."""
    return unquote(uri.split("/", 3)[-1].partition("?")[0])


def need(entry: Entry, name: str) -> str:
    """Return an attribute that every root DSE has.

    Raises DirectoryIncomplete without it.
    """
    value = entry.text(name)
    if value is None:
        raise DirectoryIncomplete(
            f"The root DSE has no {name}: this server is not a domain controller of Active Directory."
        )
    return value
