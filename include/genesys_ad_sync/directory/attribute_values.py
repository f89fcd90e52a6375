"""Values of attributes as the text that rules compare. Pure.

Bytes that are no text are never turned into something like it: two people could become one.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ldap3.utils.conv import escape_bytes, escape_filter_chars

from genesys_ad_sync.directory import ldap_controls as ctl

_GUIDS = frozenset({"objectguid", "ms-ds-consistencyguid", "msexchmailboxguid", "msexcharchiveguid"})
_SIDS = frozenset({"objectsid"})
_GUID_LENGTH = 16
_PRIMARY, _OTHER = "SMTP:", "smtp:"


def value_as_text(name: str, values: Sequence[bytes]) -> str | None:
    """Return the value of an attribute (lower-case name); None if it has none that can be compared.

    - A GUID has the usual form ``xxxxxxxx-…``, a SID ``S-1-…``.
    - ``proxyAddresses``: the primary mail address (``SMTP:``), else the first other one, without the prefix.
    - Of several other values, the first.
    """
    if not values:
        return None
    if name in _GUIDS:
        return ctl.guid_of_bytes(values[0]) if len(values[0]) == _GUID_LENGTH else None
    if name in _SIDS:
        return ctl.sid_of_bytes(values[0])
    try:
        texts = [value.decode("utf-8") for value in values]
    except UnicodeDecodeError:
        return None
    if name == "proxyaddresses":
        return _mail_address(texts)
    return ctl.plain_dn(texts[0])


def all_texts(name: str, values: Sequence[bytes]) -> tuple[str, ...]:
    """Return every value of an attribute (lower-case name) as `value_as_text` would, mail addresses of all kinds."""
    if name != "proxyaddresses":
        return tuple(text for value in values if (text := value_as_text(name, [value])) is not None)
    texts = (value.decode("utf-8", errors="replace") for value in values)
    return tuple(text.partition(":")[2] for text in texts if text[: len(_OTHER)].lower() == _OTHER)


def equality_filter(name: str, text: str) -> str:
    """Return the filter for objects with this value (`value_as_text`) of an attribute (lower-case name)."""
    if name in _GUIDS:
        return f"({name}={escape_bytes(uuid.UUID(text).bytes_le)})"
    return f"({name}={escape_filter_chars(f'{_OTHER}{text}' if name == 'proxyaddresses' else text)})"


def _mail_address(addresses: Sequence[str]) -> str | None:
    """Return the address to which mail is sent from, as Exchange marks it by the case of the prefix."""
    for prefix in (_PRIMARY, _OTHER):
        found = sorted(address[len(prefix) :] for address in addresses if address.startswith(prefix))
        if found:
            return found[0]
    return None
