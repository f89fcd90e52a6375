"""A request and its answer as JSON, with pseudonyms.

The answer is kept as it came from the LDAP library, before the product reads anything into it. Binds, passwords and
what the account is called are in none of them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from ldap3.utils.conv import escape_bytes, escape_filter_chars
from pyasn1.codec.ber import decoder

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.recording.pseudonyms import Pseudonyms
from genesys_ad_sync.directory.recording.values import Values

Json = dict[str, Any]

_ITEM = re.compile(r"\(([^()&|!=<>~:*\\]+)([<>~]?=|:[0-9.]+:=)([^()]*)\)")
_FRAME = re.compile(r"[()&|!\s]*")
_ESCAPED = re.compile(rb"\\([0-9a-fA-F]{2})")
_BINARY = frozenset({"objectguid", "objectsid", "ms-ds-consistencyguid", "msexchmailboxguid", "invocationid"})
_URI = re.compile(r"(ldaps?://)([^/]*)(?:/(.*))?", re.IGNORECASE | re.DOTALL)
_SCOPE = re.compile(r"\?(?:base|one|sub)")
# The fixed parts of what Windows says: number, kind, place in its source, codes. The rest may hold names.
_SAID = re.compile(
    r"\A[0-9A-Fa-f]{8}(?=:)|\b\w+Err(?=:)|\bDSID-[0-9A-Fa-f]+|\bproblem \d+ \([A-Z_]+\)|\bdata [0-9a-fA-F]+\b"
    r"|comment: (?:Error processing control|Error processing filter|AcceptSecurityContext error)"
)
_EXTENDED_DN = "1.2.840.113556.1.4.529"  # its value is a number


class Exchanges:
    """Turns requests and answers into JSON."""

    def __init__(self, pseudonyms: Pseudonyms, values: Values) -> None:
        self._pseudonyms = pseudonyms
        self._values = values

    # -- requests -------------------------------------------------------------------------------------

    def request(self, base: str, ldap_filter: str, scope: str, options: Mapping[str, Any]) -> Json:
        """Return a search. ``options``: the keywords of ldap3's ``Connection.search``."""
        found: Json = {
            "operation": "search",
            "base": self._pseudonyms.dn(base),
            "scope": scope,
            "filter": self.filter(ldap_filter),
            "attributes": list(options.get("attributes") or ()),
            "controls": [self._control(control) for control in options.get("controls") or ()],
        }
        if options.get("paged_size") is not None:
            found["page"] = {"size": options["paged_size"], "cookie": self._opaque(options.get("paged_cookie"))}
        if options.get("size_limit"):
            found["size_limit"] = options["size_limit"]
        return found

    def filter(self, text: str) -> str:
        """Replace the values in an LDAP filter, and a filter that cannot be taken apart."""
        if not _FRAME.fullmatch(_ITEM.sub("", text)):
            return f"({self._pseudonyms.name(text)}=*)"
        return _ITEM.sub(self._filter_item, text)

    def _filter_item(self, item: re.Match[str]) -> str:
        return f"({item[1]}{item[2]}{self._filter_value(item[1], item[3])})"

    def _filter_value(self, attribute: str, text: str) -> str:
        return "*".join(self._filter_part(attribute, part) for part in text.split("*"))

    def _filter_part(self, attribute: str, text: str) -> str:
        raw = _ESCAPED.sub(lambda pair: bytes([int(pair[1], 16)]), text.encode())
        (instead,) = self._values.replaced(attribute.strip(), [raw])
        if attribute.strip().lower() in _BINARY:
            return str(escape_bytes(instead)) if instead else ""
        return str(escape_filter_chars(instead.decode("utf-8", "backslashreplace")))

    def _control(self, control: Any) -> Json:
        """Return an encoded control of ldap3."""
        oid = str(control["controlType"])
        value = bytes(control["controlValue"]) if control["controlValue"].isValue else None
        found: Json = {"oid": oid, "critical": bool(control["criticality"])}
        if oid == ctl.DIRSYNC and value is not None:
            decoded = decoder.decode(value)[0]
            numbers = {"flags": int(decoded[0]), "max_bytes": int(decoded[1])}
            return {**found, **numbers, "cookie": self._cookie(bytes(decoded[2]))}
        if oid == _EXTENDED_DN and value is not None:
            return {**found, "value": as_json(value)}
        return found if not value else {**found, "value": self._opaque(value)}

    # -- answers --------------------------------------------------------------------------------------

    def answer(self, result: Mapping[str, Any], response: Sequence[Mapping[str, Any]] | None) -> Json:
        """Return the answer to a search: ldap3's result and response."""
        controls = result.get("controls") or {}
        return {
            "result": result["result"],
            "description": result["description"],
            "message": said(result.get("message")),
            "matched": self._pseudonyms.dn(str(result.get("dn") or "")),
            "referrals": [self._uri(uri) for uri in result.get("referrals") or ()],
            "controls": {oid: self._answered_control(oid, control) for oid, control in controls.items()},
            "entries": [self._entry(item) for item in response or ()],
        }

    def _entry(self, item: Mapping[str, Any]) -> Json:
        if item["type"] == "searchResRef":
            return {"references": [self._uri(uri) for uri in item["uri"]]}
        raw: Mapping[str, Iterable[bytes] | None] = item["raw_attributes"]
        attributes = {
            name: None if values is None else [as_json(value) for value in self._values.replaced(name, values)]
            for name, values in raw.items()
        }
        return {"dn": self._pseudonyms.dn(item["dn"]), "attributes": attributes}

    def _answered_control(self, oid: str, control: Mapping[str, Any]) -> Json:
        value = control.get("value")
        if oid == ctl.DIRSYNC and isinstance(value, Mapping):
            return {"more_results": value["more_results"], "cookie": self._cookie(bytes(value["cookie"] or b""))}
        if oid == ctl.PAGED_RESULTS and isinstance(value, Mapping):
            return {"size": value["size"], "cookie": self._opaque(value["cookie"])}
        return {}

    def _cookie(self, value: bytes) -> Any:
        return as_json(self._pseudonyms.cookie(value) if value else b"")

    def _opaque(self, value: Any) -> Any:
        return None if value is None else as_json(self._pseudonyms.opaque(bytes(value)))

    def _uri(self, uri: str) -> str:
        found = _URI.fullmatch(uri)
        if found is None:
            return self._pseudonyms.name(uri)
        dn, question, rest = (found[3] or "").partition("?")
        host, colon, port = found[2].partition(":")
        number = colon + port if port.isdigit() else ""
        path = quote(self._pseudonyms.dn(unquote(dn)), safe="=,")
        scope = question + rest if _SCOPE.fullmatch(rest) else ""
        return f"{found[1]}{self._pseudonyms.dns_name(host)}{number}/{path}{scope}"


def said(message: Any) -> str:
    """Return what a server says about a refusal, without names."""
    return ", ".join(found.group() for found in _SAID.finditer(str(message or "")))


def as_json(value: bytes) -> Any:
    """Return bytes as text where they are printable, else ``{"base64": …}``."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and all(character.isprintable() or character in "\n\t" for character in text):
        return text
    return {"base64": base64.b64encode(value).decode("ascii")}


def from_json(value: Any) -> bytes:
    """Return the bytes that `as_json` has written."""
    return value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value["base64"])
