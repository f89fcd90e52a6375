"""Replays a recording of a real domain controller: the answers of the directory stub, byte for byte.

A recording is a folder with a file for each step, as `genesys-ad-sync probe --record` writes it. The product need not
ask exactly what it asked then: attributes and harmless controls may differ, and requests may come in another order.
A request that has no recorded answer fails the test.
"""

from __future__ import annotations

import json
import lzma
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from genesys_ad_sync import names
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.recording.exchange import from_json
from tests.support.directory_stubs import SUCCESS, Stub, dirsync_cookie

RECORDINGS = Path(__file__).parents[1] / "recordings"

Key = tuple[Any, ...]
Cookies = tuple["bytes | None", "bytes | None"]  # of DirSync, of pages
Entry = dict[str, Any]

_GUID_TERM = re.compile(r"\(objectGUID=((?:\\[0-9a-fA-F]{2}){16})\)")
_TERMS = re.compile(r"(?:\([^()]+\)){2,}")
_NO_GUID = str(uuid.UUID(int=0))


def recordings() -> list[Path]:
    """Return the folders of all committed recordings."""
    return sorted(path for path in RECORDINGS.iterdir() if path.is_dir())


def steps(folder: Path) -> dict[str, Transcript]:
    """Return the steps of a recording in order, by name (``add-a-member``)."""
    paths = sorted(path for path in folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.xz")))
    return {re.sub(r"^\d+-", "", path.name.split(".")[0]): Transcript(list(_lines(path))) for path in paths}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    data = path.read_bytes()
    text = (lzma.decompress(data) if path.suffix == ".xz" else data).decode()
    for line in text.split("\n")[:-1]:  # a crash may have cut the last one off
        yield json.loads(line)


@dataclass
class Transcript:
    """The exchanges of one step. Reads that search for GUIDs are answered from all such reads of the step."""

    exchanges: list[dict[str, Any]]
    _used: set[int] = field(default_factory=set)

    def stub(self) -> Stub:
        """Return a connection that answers as the recorded server did."""
        return Stub(self.answer)

    @property
    def naming_context(self) -> str:
        return self._root("defaultNamingContext")

    @cached_property
    def group_base(self) -> str:
        """Return the base of the search for groups. Only steps with a whole view have it."""
        for exchange in self.exchanges:
            if exchange["request"]["filter"].startswith("(&(objectClass=group)"):
                return str(exchange["request"]["base"])
        raise AssertionError("this step reads no groups")

    def _root(self, attribute: str) -> str:
        for exchange in self.exchanges:
            if exchange["request"]["base"] == "":
                return ctl.plain_dn(exchange["answer"]["entries"][0]["attributes"][attribute][0])
        raise AssertionError("this step does not read the root DSE")

    def answer(self, **request: Any) -> tuple[dict[str, Any], list[Entry]]:
        """Answer a search as `Stub` asks for it."""
        if request.get("paged_size") == 0:  # the end of a search that is not read on
            return SUCCESS, []
        wanted = _guids(request["ldap_filter"])
        if wanted:
            return self._by_guid(request, wanted)
        number = self._best(request)
        self._used.add(number)
        return _as_ldap3(self.exchanges[number])

    def _best(self, request: dict[str, Any]) -> int:
        """Return the next unused exchange that has every attribute, else one that was used, else any."""
        key, attributes = _key_of(request), {name.lower() for name in request["attributes"]}
        same = [number for number in range(len(self.exchanges)) if self._keys[number] == key]
        if not same:
            raise AssertionError(f"the recording has no answer to {request}")
        fresh = [number for number in same if number not in self._used]
        full = [number for number in same if attributes <= self._attributes[number]]
        return ([number for number in fresh if number in full] or full[-1:] or fresh or same[-1:])[0]

    @cached_property
    def _keys(self) -> list[Key]:
        return [_recorded_key(exchange) for exchange in self.exchanges]

    @cached_property
    def _attributes(self) -> list[set[str]]:
        return [{name.lower() for name in exchange["request"]["attributes"]} for exchange in self.exchanges]

    def _by_guid(self, request: dict[str, Any], wanted: set[str]) -> tuple[dict[str, Any], list[Entry]]:
        """Answer from all recorded searches of this kind: another batch may have had these objects."""
        key = _key_of(request)
        pool: dict[str, Entry] = {}
        asked: set[str] = set()
        for recorded_key, exchange in zip(self._keys, self.exchanges, strict=True):
            if recorded_key != key:
                continue
            asked |= _guids(exchange["request"]["filter"])
            for entry in _as_ldap3(exchange)[1]:
                if entry["type"] == "searchResEntry":
                    pool.setdefault(str(uuid.UUID(bytes_le=entry["raw_attributes"]["objectGUID"][0])), entry)
        if not wanted <= asked:
            raise AssertionError(f"the recording has no answer about {len(wanted - asked)} of the objects of {request}")
        controls = {ctl.PAGED_RESULTS: {"value": {"size": 0, "cookie": b""}}} if request.get("paged_size") else {}
        return {**SUCCESS, "controls": controls}, [pool[guid] for guid in sorted(wanted & pool.keys())]


def _guids(ldap_filter: str) -> set[str]:
    found = {
        str(uuid.UUID(bytes_le=bytes.fromhex(value.replace("\\", "")))) for value in _GUID_TERM.findall(ldap_filter)
    }
    return found - {_NO_GUID}


def _key(base: str, scope: str, ldap_filter: str, attributes: list[str], cookies: Cookies) -> Key:
    """Return what makes two requests the same. A poll by a DirSync cookie is the same whatever its filter is."""
    if cookies[0]:
        return ("poll", cookies[0])
    skeleton = _GUID_TERM.sub("(one of the objects)", ldap_filter) if _guids(ldap_filter) else ldap_filter
    skeleton = _TERMS.sub(_in_order, re.sub(r"(\(one of the objects\))+", "(objects)", skeleton))
    ranges = tuple(sorted(name.lower() for name in attributes if ";range=" in name))
    is_object = ranges if scope == "BASE" else ()
    pages = () if "(objects)" in skeleton else cookies
    return names.dn_key(base), scope, skeleton, is_object, tuple(pages)


def _in_order(terms: re.Match[str]) -> str:
    """Sort comparisons side by side: the product sorts by values that have pseudonyms here."""
    return "".join(sorted(re.findall(r"\([^()]+\)", terms.group())))


def _key_of(request: dict[str, Any]) -> Key:
    page = request.get("paged_cookie") or (b"" if request.get("paged_size") is not None else None)
    return _key(
        request["base"],
        request["scope"],
        request["ldap_filter"],
        request["attributes"],
        (dirsync_cookie(request), page),
    )


def _recorded_key(exchange: dict[str, Any]) -> Key:
    request = exchange["request"]
    sync = next((control["cookie"] for control in request["controls"] if control["oid"] == ctl.DIRSYNC), None)
    page = request.get("page")
    return _key(
        request["base"],
        request["scope"],
        request["filter"],
        request["attributes"],
        (None if sync is None else from_json(sync), None if page is None else from_json(page["cookie"] or "")),
    )


def _as_ldap3(exchange: dict[str, Any]) -> tuple[dict[str, Any], list[Entry]]:
    return _result(exchange["answer"]), [_entry(entry) for entry in exchange["answer"]["entries"]]


def _result(answer: dict[str, Any]) -> dict[str, Any]:
    controls = {
        oid: {"value": {name: _control_value(name, found) for name, found in value.items()}}
        for oid, value in answer["controls"].items()
    }
    return {**{name: answer[name] for name in ("result", "description", "message")}, "controls": controls}


def _control_value(name: str, value: Any) -> Any:
    return from_json(value or "") if name == "cookie" else value


def _entry(entry: dict[str, Any]) -> Entry:
    if "references" in entry:
        return {"type": "searchResRef", "uri": entry["references"]}
    raw = {
        name: None if values is None else [from_json(value) for value in values]
        for name, values in entry["attributes"].items()
    }
    return {"type": "searchResEntry", "dn": entry["dn"], "raw_attributes": raw}
