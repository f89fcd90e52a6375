"""An invented company for `benchmarks.scale`: its Active Directory and its Genesys Cloud, worked out instead of kept.

Groups of 200 people, each person in twenty. What differs from the first state lies in a small file, so that each
measurement can be a process of its own. No server is asked: all the time and memory that is measured is the product's.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from genesys_ad_sync.directory.entries import DirSyncResult, Entry, RootDse
from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.paging import list_page, read_pages
from genesys_ad_sync.genesys.request_counts import RequestCounts
from genesys_ad_sync.model import Guid

MEMBERS = 200
GROUPS_OF_A_PERSON = 20
FIRST_RID = 100_000
"""Of the groups. Group 513 was everybody's primary group otherwise: a whole comparison found 50,000 members."""
_DOMAIN_SID = b"\x01\x05" + b"\0" * 5 + b"\x05\x15\0\0\0" + b"\1\0\0\0" * 3
DOMAIN = "DC=example,DC=com"
BASE = f"OU=Contact Center,{DOMAIN}"
# Neighbours get distant ids, as in life: an index is then not filled in order. The factor is odd, so it has an inverse.
_SPREAD, _SPACE = 0x9E37_79B9_7F4B, 2**48
_GATHER = pow(_SPREAD, -1, _SPACE)
_GUIDS = re.compile(r"objectGUID=((?:\\[0-9a-fA-F]{2}){16})")
_PEOPLE, _GROUPS, _GENESYS_PEOPLE, _GENESYS_GROUPS = range(4)


@lru_cache(maxsize=2_000)  # the benchmark measures the run, not the making of ids
def id_of(kind: int, number: int) -> str:
    """Return the id of the person or group ``number``."""
    return str(uuid.UUID(int=((number * _SPREAD) % _SPACE) << 80 | kind))


@lru_cache(maxsize=2_000)
def number_of(guid: str) -> tuple[int, int]:
    """Return (kind, number) of an id."""
    value = uuid.UUID(guid).int
    return value & 0xFF, ((value >> 80) * _GATHER) % _SPACE


def person(number: int) -> Guid:
    return id_of(_PEOPLE, number)


def group(number: int) -> Guid:
    return id_of(_GROUPS, number)


def genesys_person(number: int) -> str:
    return id_of(_GENESYS_PEOPLE, number)


def genesys_group(number: int) -> str:
    return id_of(_GENESYS_GROUPS, number)


def name_of(number: int) -> str:
    return f"Team {number:05d}"


@dataclass
class Memberships:
    """Who is in which group: the first state, with what came and went since."""

    company: Company
    came: dict[int, set[int]] = field(default_factory=dict)
    left: dict[int, set[int]] = field(default_factory=dict)

    def of(self, number: int) -> set[int]:
        return (self.company.first_members(number) | self.came.get(number, set())) - self.left.get(number, set())

    def change(self, number: int, came: Iterable[int] = (), left: Iterable[int] = ()) -> None:
        for people, into, out_of in ((came, self.came, self.left), (left, self.left, self.came)):
            for one in people:
                into.setdefault(number, set()).add(one)
                out_of.get(number, set()).discard(one)

    def stored(self) -> dict[str, Any]:
        return {
            name: {number: sorted(people) for number, people in kept.items()}
            for name, kept in (("came", self.came), ("left", self.left))
        }

    def restore(self, stored: Mapping[str, Mapping[str, list[int]]]) -> None:
        for name, kept in (("came", self.came), ("left", self.left)):
            kept.update({int(number): set(people) for number, people in stored[name].items()})


class Company:
    """As many groups of 200 people as the memberships need. ``orphans``: percent of people unknown to Genesys."""

    def __init__(self, memberships: int, orphans: float = 0.0) -> None:
        self.groups = max(1, memberships // MEMBERS)
        self.people = max(MEMBERS, memberships // GROUPS_OF_A_PERSON)
        self._orphans = orphans
        self.directory = Memberships(self)
        self.genesys = Memberships(self)
        self.renamed = 0  # how often the HR feed wrote the mails
        self.written: dict[int, int] = {}  # how often a Genesys group was written

    def first_members(self, number: int) -> set[int]:
        step = self.people // MEMBERS
        return {(number * 131 + i * step + (i // 7 if step > 1 else 0)) % self.people for i in range(MEMBERS)}

    def is_orphan(self, number: int) -> bool:
        return number % 1000 < self._orphans * 10

    def mail(self, number: int) -> str:
        """Return the mail in AD. The HR feed writes every second one in other letters, the others as they were."""
        text = f"user{number:06d}@example.com"
        return text.replace("user", "User") if self.renamed % 2 and number % 2 else text

    def swap(self, groups: int, begin: int) -> list[Entry]:
        """Let one member leave, and another person join, in each of so many groups; return DirSync's entries."""
        entries = []
        for position in range(min(groups, self.groups)):
            number = (begin + position * 37) % self.groups if groups < self.groups else position
            present = self.directory.of(number)
            out = min(one for one in present if not self.is_orphan(one))
            new = next(
                one for one in range(begin, begin + self.people)
                if one % self.people not in present and not self.is_orphan(one % self.people)
            ) % self.people  # fmt: skip
            self.directory.change(number, came=[new], left=[out])
            attributes = {"member;range=1-1": [link(new)], "member;range=0-0": [link(out)]}
            entries.append(self._changed(group(number), attributes))
        return entries

    def touch(self, people: int) -> list[Entry]:
        """Let the HR feed write the mail of so many people; return DirSync's entries."""
        self.renamed += 1
        step = max(1, self.people // people)
        return [
            self._changed(person(number), {"mail": [self.mail(number).encode()]})
            for number in range(0, min(self.people, people * step), step)
        ]

    @staticmethod
    def _changed(guid: Guid, attributes: dict[str, list[bytes]]) -> Entry:
        return Entry(f"CN={guid},{DOMAIN}", {"objectguid": [uuid.UUID(guid).bytes_le], **attributes})

    def save(self, file: Path) -> None:
        state = {"ad": self.directory.stored(), "genesys": self.genesys.stored(), "renamed": self.renamed,
                 "written": self.written}  # fmt: skip
        file.write_text(json.dumps(state))

    def load(self, file: Path) -> None:
        if file.exists():
            state = json.loads(file.read_text())
            self.directory.restore(state["ad"])
            self.genesys.restore(state["genesys"])
            self.renamed = state["renamed"]
            self.written = {int(number): times for number, times in state["written"].items()}


def link(number: int) -> bytes:
    """Return a value of `member`, in the extended form."""
    return f"<GUID={person(number)}>;<SID=S-1-5-21-1-1-1-{number}>;CN=User {number:06d},OU=Users,{DOMAIN}".encode()


class CompanySession:
    """Answers what `LdapSession` would. ``changes``: what DirSync has since the last poll."""

    host = "dc1.example.com"
    tells_ends = False
    elsewhere = None

    def __init__(self, company: Company, changes: list[Entry]) -> None:
        self._company = company
        self._changes = changes
        self.requests = 0
        self.parts_elsewhere: set[str] = set()

    def __enter__(self) -> CompanySession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def root_dse(self) -> RootDse:
        return RootDse("dc1.example.com", DOMAIN, 100, "i1", self.current_time(), frozenset())

    def current_time(self) -> datetime:
        return datetime.now(timezone.utc).replace(microsecond=0)

    def tombstone_lifetime(self) -> timedelta:
        return timedelta(days=180)

    def sees_deleted_objects(self, _naming_context: str) -> bool:
        return True

    def deletion_controls(self) -> tuple[Any, ...]:
        return ()

    def read_ranges(self, *_: object) -> Iterator[list[bytes]]:
        """Return no times of memberships, as Samba does."""
        yield []

    def dirsync(self, _base: str, ldap_filter: str, _attributes: object, cookie: bytes) -> DirSyncResult:
        nothing = not cookie or "\\00\\00" in ldap_filter
        return DirSyncResult([] if nothing else self._changes, b"cookie")

    def search(self, *_: object, **__: object) -> list[Entry]:
        return []

    def search_paged(self, _base: str, ldap_filter: str, attributes: Collection[str], *_: object, **__: object) -> Any:
        self.requests += 1
        asked = [number_of(_guid(text)) for text in _GUIDS.findall(ldap_filter)]
        only_groups = ldap_filter.startswith("(&(objectClass=group)")
        if asked:
            for kind, number in asked:
                if kind == _GROUPS:
                    yield self._group(number, attributes)
                elif not only_groups:
                    yield self._person(number)
        elif only_groups:
            yield from (self._group(number, attributes) for number in range(self._company.groups))
        elif ldap_filter.startswith("(|(objectClass=user)"):
            yield from (self._person(number) for number in range(self._company.people))

    def _group(self, number: int, attributes: Collection[str]) -> Entry:
        values: dict[str, list[bytes]] = {
            "objectguid": [uuid.UUID(group(number)).bytes_le],
            "objectclass": [b"top", b"group"],
            "cn": [name_of(number).encode()],
            "samaccountname": [name_of(number).encode()],
            "objectsid": [_DOMAIN_SID + (FIRST_RID + number).to_bytes(4, "little")],
        }
        if any(name.startswith("member") for name in attributes):
            values["member;range=0-*"] = [link(one) for one in self._company.directory.of(number)]
        return Entry(f"CN={name_of(number)},{BASE}", values)

    def _person(self, number: int) -> Entry:
        return Entry(
            f"CN=User {number:06d},OU=Users,{DOMAIN}",
            {
                "objectguid": [uuid.UUID(person(number)).bytes_le],
                "objectclass": [b"top", b"person", b"organizationalPerson", b"user"],
                "cn": [b"User %06d" % number],
                "samaccountname": [b"user%06d" % number],
                "useraccountcontrol": [b"512"],
                "mail": [self._company.mail(number).encode()],
                "userprincipalname": [b"user%06d@example.com" % number],
                "primarygroupid": [b"513"],
            },
        )


def _guid(escaped: str) -> Guid:
    return str(uuid.UUID(bytes_le=bytes.fromhex(escaped.replace("\\", ""))))


class CompanyClient:
    """Answers what Genesys Cloud would, as a `GenesysClient`, and carries SCIM patches out."""

    def __init__(self, company: Company) -> None:
        self._company = company
        # made here, so that the time of a run does not include it
        self._groups = [_listed_group(number, 1 + company.written.get(number, 0)) for number in range(company.groups)]
        self.request_counts = RequestCounts()

    def listed_groups(self) -> list[dict[str, Any]]:
        """Return all groups, as the listing shows them."""
        return self._groups

    def share_ceiling(self, instances: int) -> None:
        pass

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002  the signature of all clients
        idempotent: bool | None = None,  # noqa: ARG002
        before_attempt: Callable[[], None] | None = None,
    ) -> ApiResponse:
        if before_attempt:
            before_attempt()
        self.request_counts.sent(method, path)
        return ApiResponse(200, self._answer(method, path.split("/")[3:], params or {}, json), "correlation")

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        return read_pages(lambda number: list_page(self, path, number, params=params, page_size=page_size), path)

    def _answer(self, method: str, path: list[str], params: Mapping[str, Any], body: Any) -> Any:
        if method == "PATCH":
            return self._patch(number_of(path[-1])[1], body)
        if path[-1] == "individuals":
            people = self._company.genesys.of(number_of(path[-2])[1])
            return _page([self._user(one) for one in people if not self._company.is_orphan(one)], {}, "entities")
        if path[-1] == "search":
            values = body["query"][0].get("values") or [body["query"][0]["value"]]
            numbers = {int(value.lower().removeprefix("user")[:6]) for value in values}
            return _page(
                [self._user(one) for one in sorted(numbers) if not self._company.is_orphan(one)], {}, "results"
            )
        if path[-1] == "groups":
            return _page(self.listed_groups(), params, "entities")
        if "id" in params:
            return _page([self._user(number_of(one)[1]) for one in params["id"]], {}, "entities")
        return _listed([] if params.get("state") == "inactive" else self._known, params, self._user)

    @cached_property
    def _known(self) -> list[int]:
        return [number for number in range(self._company.people) if not self._company.is_orphan(number)]

    def _patch(self, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        for operation in body["Operations"]:
            if operation["op"] == "add":
                added = [number_of(value["value"])[1] for value in operation["value"]]
                self._company.genesys.change(number, came=added)
            else:
                self._company.genesys.change(number, left=[number_of(operation["path"].split('"')[1])[1]])
        self._company.written[number] = self._company.written.get(number, 0) + 1
        return {}

    def _user(self, number: int) -> dict[str, Any]:
        mail = f"user{number:06d}@example.com"
        return {"id": genesys_person(number), "name": f"User {number:06d}", "email": mail, "username": mail,
                "state": "active"}  # fmt: skip


def _listed_group(number: int, version: int) -> dict[str, Any]:
    return {"id": genesys_group(number), "name": name_of(number), "state": "active", "version": version,
            "memberCount": MEMBERS}  # fmt: skip


def _listed(numbers: Sequence[int], params: Mapping[str, Any], make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Return a page, and make only what it shows.

    A listing would cost the square of its length otherwise.
    """
    page = _page(numbers, params, "entities")
    return {**page, "entities": [make(number) for number in page["entities"]]}


def _page(entities: Sequence[Any], params: Mapping[str, Any], key: str) -> dict[str, Any]:
    size, number = params.get("pageSize", max(1, len(entities))), params.get("pageNumber", 1)
    return {
        key: entities[(number - 1) * size : number * size],
        "total": len(entities),
        "pageNumber": number,
        "pageCount": -(-len(entities) // size),
    }
