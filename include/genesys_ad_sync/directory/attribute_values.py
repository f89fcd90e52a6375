"""Values of attributes as the text that rules compare. Pure.

Bytes that are no text are never turned into something like it: two people could become one.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def _mail_address(addresses: Sequence[str]) -> str | None:
    """Return the address to which mail is sent from, as Exchange marks it by the case of the prefix."""
    for prefix in (_PRIMARY, _OTHER):
        found = sorted(address[len(prefix) :] for address in addresses if address.startswith(prefix))
        if found:
            return found[0]
    return None
