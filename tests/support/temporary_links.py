"""A domain controller with temporary memberships and objects, as documented, before a real Samba.

Samba knows no LDAP_SERVER_LINK_TTL and no dynamic objects. This stands between ldap3 and the product and adds to
Samba's answers what Microsoft documents (MS-ADTS, LDAP_SERVER_LINK_TTL_OID and 3.1.1.9.2; [MS-ADA2],
msDS-Entry-Time-To-Die): the control in the root DSE, TTL-DNs where a search carries it, and members and objects that
are gone once their time has passed, without a word of DirSync and without a tombstone. Its clock is Samba's, moved at
will.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.attribute_values import DIES_AT
from genesys_ad_sync.directory.entries import generalized_time
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook

_CN = re.compile(rb"CN=([^,]+),")


def before(value: bytes, seconds: int) -> bytes:
    return b"<TTL=%d>,%s" % (seconds, value)


def around(value: bytes, seconds: int) -> bytes:
    return b"<TTL=%d,%s>" % (seconds, value)


def behind_the_guid(value: bytes, seconds: int) -> bytes:
    *extended, dn = value.split(b";", 2)
    return b";".join([*extended, b"<TTL=%d>" % seconds]) + b"," + dn


def instead_of_the_guid(value: bytes, seconds: int) -> bytes:
    return b"<TTL=%d>,%s" % (seconds, value.split(b";", 2)[2])


def _name_of(dn: bytes) -> str | None:
    found = _CN.search(dn)
    return found.group(1).decode() if found else None


@dataclass
class TemporaryLinks:
    """What the domain controller does.

    ``ends``: common name of a member -> when it leaves. ``dynamic``: common name of an object -> when it goes.
    ``form``: how a TTL-DN looks. ``in_dirsync``: DirSync has TTL-DNs, too.
    """

    form: Callable[[bytes, int], bytes] = before
    in_dirsync: bool = True
    supported: bool = True
    refused_in_dirsync: bool = False
    ends: dict[str, datetime] = field(default_factory=dict)
    dynamic: dict[str, datetime] = field(default_factory=dict)
    later: timedelta = timedelta(0)
    answered: int = 0  # searches with the control

    @contextmanager
    def session(self, connection_id: str = "active_directory_default") -> Iterator[LdapSession]:
        with ActiveDirectoryHook(connection_id).get_conn() as opened:
            opened._connection = _Connection(opened._connection, self)
            yield opened


class _Connection:
    def __init__(self, connection: Any, links: TemporaryLinks) -> None:
        self._connection, self._links = connection, links
        self._now: datetime | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def search(self, base: str, ldap_filter: str, scope: str, **asked: Any) -> Any:
        carried = {str(control["controlType"]) for control in asked["controls"]}
        with_ttls = ctl.LINK_TTL in carried
        self._links.answered += with_ttls
        if with_ttls and ctl.DIRSYNC in carried:
            if self._links.refused_in_dirsync:
                return False, {"result": 12, "description": "unavailableCriticalExtension", "message": ""}, [], {}
            with_ttls = self._links.in_dirsync
        done, result, response, request = self._connection.search(base, ldap_filter, scope, **asked)
        gone = {name for name, end in self._links.dynamic.items() if end <= self._clock()}
        response = [item for item in response or [] if _name_of(item.get("dn", "").encode()) not in gone]
        for item in response:
            raw = item.get("raw_attributes") or {}
            end = self._links.dynamic.get(_name_of(item.get("dn", "").encode()) or "")
            if end is not None and DIES_AT in asked["attributes"]:
                raw[DIES_AT] = [end.strftime("%Y%m%d%H%M%S.0Z").encode()]
            for name, values in list(raw.items()):
                if name.partition(";")[0] == "member" and values:
                    raw[name] = self._members(values, with_ttls=with_ttls)
                    if name == "member;range=0-0":
                        raw[name] = [value for value in values if not self._has_end(value)]
            if raw.get("currentTime"):
                moved = generalized_time(raw["currentTime"][0].decode()) + self._links.later
                raw["currentTime"] = [moved.strftime("%Y%m%d%H%M%S.0Z").encode()]
                if raw.get("supportedControl") and self._links.supported:
                    raw["supportedControl"] = [*raw["supportedControl"], ctl.LINK_TTL.encode()]
        return done, result, response, request

    def _has_end(self, value: bytes) -> bool:
        return _name_of(value) in self._links.ends

    def _members(self, values: list[bytes], *, with_ttls: bool) -> list[bytes]:
        now, found = self._clock(), []
        for value in values:
            name = _name_of(value) or ""
            end = self._links.ends.get(name)
            if self._links.dynamic.get(name, now + timedelta(1)) <= now:
                continue
            if end is None:
                found.append(value)
            elif end > now:
                found.append(self._links.form(value, int((end - now).total_seconds())) if with_ttls else value)
        return found

    def _clock(self) -> datetime:
        _, _, response, _ = self._connection.search("", "(objectClass=*)", "BASE", attributes=["currentTime"])
        return generalized_time(response[0]["raw_attributes"]["currentTime"][0].decode()) + self._links.later
