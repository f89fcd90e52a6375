"""Values, kind and times of an object, from its entry.

Values are the text that rules compare. Pure. Bytes that are not text are never turned into something like it: two
people could become one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone

from ldap3.utils.conv import escape_bytes, escape_filter_chars

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import Entry, generalized_time
from genesys_ad_sync.model import PrincipalKind, RankedValues

DIES_AT = "msDS-Entry-Time-To-Die"
"""Of a dynamic object: when it goes, without a tombstone."""

_WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
_GUIDS = frozenset({"objectguid", "ms-ds-consistencyguid", "msexchmailboxguid", "msexcharchiveguid"})
_SIDS = frozenset({"objectsid", "sidhistory", "msexchmasteraccountsid"})
_GUID_LENGTH = 16
_PRIMARY, _OTHER = "SMTP:", "smtp:"
_MAIL_PREFIX = re.compile(r"smtp:\s*", re.IGNORECASE)


def ranked_values(name: str, values: Sequence[bytes]) -> RankedValues:
    """Return the comparable values of an attribute, by rank; () if there are none.

    The name of the attribute must be in lower case.

    - A GUID has the usual form ``xxxxxxxx-…``, a SID ``S-1-…``.
    - ``proxyAddresses``: the mail addresses without their prefix. The primary one (``SMTP:``) has a rank of its own.
      The prefix of another one may have any other case, since people also write it by hand.
    - Of several other values, none goes before another: AD keeps them in no order.
    """
    if name == "proxyaddresses":
        mails = [text for text in _texts_of(values) if _MAIL_PREFIX.match(text)]
        primary = [text for text in mails if text.startswith(_PRIMARY)]
        others = [text for text in mails if not text.startswith(_PRIMARY)]
        ranks = [[_MAIL_PREFIX.sub("", text, count=1) for text in rank] for rank in (primary, others)]
    elif name in _GUIDS:
        ranks = [[ctl.guid_of_bytes(value) for value in values if len(value) == _GUID_LENGTH]]
    elif name in _SIDS:
        ranks = [[ctl.sid_of_bytes(value) for value in values if ctl.is_sid(value)]]
    else:
        ranks = [[ctl.plain_dn(text) for text in _texts_of(values)]]
    filled = [{text for text in rank if text} for rank in ranks]
    return tuple(tuple(sorted(rank)) for rank in filled if rank)


def _texts_of(values: Iterable[bytes]) -> list[str]:
    texts = []
    for value in values:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # binary values may happen to be UTF-8
            texts.append(text)
    return texts


def first_values(ranks_of: Mapping[str, RankedValues]) -> dict[str, str]:
    """Return the first value of each attribute."""
    return {name: ranks[0][0] for name, ranks in ranks_of.items()}


def several_values(ranks_of: Mapping[str, RankedValues]) -> dict[str, RankedValues]:
    """Return all values of the attributes that have more than one."""
    return {name: ranks for name, ranks in ranks_of.items() if sum(map(len, ranks)) > 1}


def values_by_rank(entry: Entry, names: Iterable[str]) -> Mapping[str, RankedValues]:
    """Return the comparable values of these attributes, as far as the entry has any."""
    lower = (name.lower() for name in names)
    found = {name: ranked_values(name, entry.attributes.get(name, ())) for name in lower}
    return {name: ranks for name, ranks in found.items() if ranks}


# -- kind and times -----------------------------------------------------------------------------------


def kind_of(classes: frozenset[str]) -> PrincipalKind:
    """Return what an object is, by its lower-case classes."""
    # A managed service account is a computer, and a computer is a user, by objectClass: the narrow ones first.
    if classes & {"msds-groupmanagedserviceaccount", "msds-managedserviceaccount"}:
        return PrincipalKind.OTHER
    if "computer" in classes:
        return PrincipalKind.COMPUTER
    if classes & {"user", "inetorgperson"}:
        return PrincipalKind.USER
    return PrincipalKind.CONTACT if "contact" in classes else PrincipalKind.OTHER


def account_expires(ticks: int | None) -> datetime | None:
    """Return the time of ``accountExpires`` (100 ns since 1601); None: never.

    AD writes 0 or the largest number for "never".
    An absent attribute means never as well: the right to read it is that of ``userAccountControl``.
    """
    if not ticks or ticks < 0:
        return None
    try:
        return _WINDOWS_EPOCH + timedelta(microseconds=ticks // 10)
    except OverflowError:
        return None


def dies_at(entry: Entry) -> datetime | None:
    """Return the end of a dynamic object; None if it has none.

    None also if its time has another form.
    """
    text = entry.text(DIES_AT)
    try:
        return generalized_time(text) if text else None
    except ValueError:
        return None


def can_have(name: str, text: str) -> bool:
    """Return False for a text that no value of the attribute (lower-case name) can be."""
    if name in _SIDS:
        return text.upper().startswith("S-1-")
    if name not in _GUIDS:
        return True
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def equality_filter(name: str, text: str) -> str:
    """Return the filter for objects with this value of an attribute (lower-case name)."""
    if name in _GUIDS:
        return f"({name}={escape_bytes(uuid.UUID(text).bytes_le)})"
    return f"({name}={escape_filter_chars(f'{_OTHER}{text}' if name == 'proxyaddresses' else text)})"
