"""A directory session that answers what a test gives it: entries, DirSync answers, exceptions."""

import dataclasses
import datetime
import uuid

from genesys_ad_sync.directory.entries import DirSyncResult, Entry, RootDse
from genesys_ad_sync.model import Cursor, Scope

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
SCOPE = Scope("DC=t", "OU=cc,DC=t", "(objectClass=group)", True, "remove", (), ())
ROOT = RootDse("dc1.t", "DC=t", 100, "inv-1", NOW, frozenset())
CURSOR = Cursor("dc1.t", "inv-1", 90, b"cookie", NOW)


def entry(number, **attributes):
    """``member_added=…`` is ``member;range=1-1``, ``member_removed=…`` is ``member;range=0-0``."""
    names = {"member_added": "member;range=1-1", "member_removed": "member;range=0-0"}
    raw = {"objectguid": [uuid.UUID(int=number).bytes_le]}
    raw.update({names.get(name, name.lower()): values for name, values in attributes.items()})
    return Entry(f"CN=x{number},DC=t", raw)


@dataclasses.dataclass
class FakeSession:
    """Answers what it was told. ``syncs``: DirSync answers, or exceptions, in turn."""

    syncs: list = dataclasses.field(default_factory=list)
    found: list = dataclasses.field(default_factory=list)
    root: RootDse = ROOT
    host: str = "dc1"
    lifetime: datetime.timedelta = datetime.timedelta(days=180)
    requests: int = 0
    tells_ends: bool = False
    parts_elsewhere: set = dataclasses.field(default_factory=set)

    def root_dse(self):
        return self.root

    def tombstone_lifetime(self):
        return self.lifetime

    def current_time(self):
        return self.root.current_time

    def dirsync(self, naming_context, ldap_filter, attributes, cookie):
        answer = self.syncs.pop(0)
        if isinstance(answer, Exception):
            raise answer
        self.watched = attributes
        return DirSyncResult(answer, b"next")

    def search(self, *_, **__):
        return self.found

    def search_paged(self, *_, **__):
        yield from self.found
