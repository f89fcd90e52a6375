"""A stand-in for ldap3's Connection: answers searches from a function, in the shape of SAFE_SYNC."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from pyasn1.codec.ber import decoder

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.membership import domain_rid
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.model import DirectoryView

SUCCESS = {"result": 0, "description": "success", "message": "", "controls": {}}


def guid_of(number: int) -> str:
    return str(uuid.UUID(int=number))


def entry(number: int, **attributes: list[bytes]) -> dict[str, Any]:
    raw = {"objectGUID": [uuid.UUID(int=number).bytes_le]}
    raw.update({name.replace("__", ";range=").replace("_", "-"): values for name, values in attributes.items()})
    return {"type": "searchResEntry", "dn": f"<GUID={guid_of(number)}>;CN=x{number},DC=t", "raw_attributes": raw}


def value(number: int) -> bytes:
    """Return a member value in extended form."""
    return f"<GUID={guid_of(number)}>;CN=x{number},DC=t".encode()


def page_control(cookie: bytes) -> dict[str, Any]:
    return {ctl.PAGED_RESULTS: {"value": {"cookie": cookie, "size": 0}}}


def sync_control(cookie: bytes, *, more_results: bool) -> dict[str, Any]:
    return {ctl.DIRSYNC: {"value": {"cookie": cookie, "more_results": more_results}}}


class Stub:
    """``answer(base=…, ldap_filter=…, attributes=…, controls=…, paged_cookie=…)`` gives (result, entries) or raises."""

    def __init__(self, answer: Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
        self._answer = answer
        self.asked: list[dict[str, Any]] = []

    def search(self, base, ldap_filter, scope, *, attributes, controls, **paging):
        request = {
            "base": base,
            "ldap_filter": ldap_filter,
            "scope": scope,
            "attributes": attributes,
            "controls": controls,
            **paging,
        }
        self.asked.append(request)
        result, entries = self._answer(**request)
        return result["result"] == 0, result, entries, {}

    def unbind(self) -> None:
        """Do nothing, as there is no connection."""

    def session(self) -> LdapSession:
        return LdapSession(self, "dc1.test")


def dirsync_cookie(request: dict[str, Any]) -> bytes | None:
    """Return the cookie of the DirSync control that a request carries."""
    for control in request["controls"]:
        if str(control["controlType"]) == ctl.DIRSYNC:
            return bytes(decoder.decode(bytes(control["controlValue"]))[0][2])
    return None


class RangeServer:
    """Holds one multi-valued attribute and gives at most ``step`` values at a time, as Active Directory does.

    ``before_answer(n)`` is called before the n-th answer (from 1) and may change ``values``.
    """

    def __init__(self, values: list[bytes], step: int, before_answer: Callable[[int], None] = lambda n: None) -> None:
        self.values = values
        self.step = step
        self._before_answer = before_answer
        self.stub = Stub(self.answer)

    def answer(self, attributes, **_):
        self._before_answer(len(self.stub.asked))
        name, low_text, high_text = re.fullmatch(r"(.+);range=(\d+)-(\d+)", attributes[0]).groups()
        low, high = int(low_text), min(int(high_text), int(low_text) + self.step - 1)
        part = self.values[low : high + 1]
        if not part:
            return SUCCESS, [entry(1)]
        end = "*" if high >= len(self.values) - 1 else str(high)
        found = entry(1)
        found["raw_attributes"][name] = None
        found["raw_attributes"][f"{name};range={low}-{end}"] = part
        return SUCCESS, [found]


def part_of(view: DirectoryView, delta: Delta) -> DirectoryView:
    """Return the part of a view that `apply_delta` needs, by its docstring's rule."""
    mentioned, rids = delta.mentioned, set(delta.primary_groups.values())
    groups = {
        guid: group
        for guid, group in view.groups.items()
        if guid in mentioned or not delta.deleted.isdisjoint(view.members[guid]) or domain_rid(group.sid) in rids
    }
    return DirectoryView(
        groups=groups,
        users={guid: view.users[guid] for guid in mentioned & view.users.keys()},
        members={guid: view.members[guid] for guid in groups},
    )
