"""Changes one after the other in a test OU, each followed by a poll.

Each keeps the answer of the domain controller to the poll.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from genesys_ad_sync.directory.apply_delta import apply_delta
from genesys_ad_sync.directory.dirsync import CHANGES_FILTER
from genesys_ad_sync.directory.membership import prune
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.results import Snapshot
from genesys_ad_sync.errors import CursorRejected, DirectoryError
from genesys_ad_sync.model import Cursor, DirectoryView, Guid
from genesys_ad_sync.probe.findings import Finding, Verdict, compared
from genesys_ad_sync.probe.probe_ou import ChangeRefused, ProbeOu
from genesys_ad_sync.probe.reading import about_group

MANY_MEMBERS = 1501  # one more than a range
_WATCHED = ("objectGUID", "member", "isDeleted", "name", "objectClass", "cn", "sAMAccountName", "userAccountControl")

Answered = Mapping[str, frozenset[str]]
"""What DirSync named of each known object: attribute names, lower-case; "deleted" and "no DN" among them."""


@dataclass
class Walk:
    """``begin_step``: called with the name of each step before its first request."""

    reader: DirectoryReader
    ou: ProbeOu
    begin_step: Callable[[str], None]
    say: Callable[[str], None]
    _labels: dict[Guid, str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)

    def run(self) -> Iterator[Finding]:
        """Make the changes and yield a finding for each. The caller cleans up."""
        self.say(f"creating objects whose names begin with {self.ou.prefix}")
        users = {name: self._labelled(name, self.ou.create_user(name)) for name in ("u1", "u2", "u3")}
        groups = {name: self._labelled(name, self.ou.create_group(name)) for name in ("group", "nested")}
        self.ou.add_members(groups["group"], [self.ou.dn_of("u1"), self.ou.dn_of("u2")])
        snapshot = self._first_view(groups["group"])
        yield snapshot[0]
        self._cursor, self._view = snapshot[1].cursor, snapshot[1].view
        yield self._step("idle", lambda: None, "nothing about the test OU", {})
        yield self._step(
            "add a member", lambda: self.ou.add_members(groups["group"], [self.ou.dn_of("u3")]),
            "the group with member;range=1-1", {"group": {"member;range=1-1"}},
        )  # fmt: skip
        yield self._step(
            "remove a member", lambda: self.ou.remove_member(groups["group"], users["u1"]),
            "the group with member;range=0-0", {"group": {"member;range=0-0"}},
        )  # fmt: skip
        yield self._step(
            "disable an account", lambda: self.ou.disable(users["u2"]),
            "the account with userAccountControl, not the group", {"u2": {"useraccountcontrol"}},
        )  # fmt: skip
        yield self._step(
            "delete an account", lambda: self.ou.delete("u3"),
            "the tombstone of the account, not the group", {"u3": {"deleted"}},
        )  # fmt: skip
        yield self._step(
            "restore it", lambda: self.ou.restore(users["u3"], "u3"),
            "the account with isDeleted without value: a whole view", {"u3": {"isdeleted"}},
        )  # fmt: skip
        yield self._step(
            "rename an account", lambda: self.ou.rename("u2", "u2 renamed"),
            "the account with name, not the group", {"u2": {"name"}},
        )  # fmt: skip
        yield self._step(
            "rename a group", lambda: self.ou.rename("group", "group renamed"),
            "the group with name", {"group": {"name"}},
        )  # fmt: skip
        yield from self._many_members(groups["nested"])
        yield self._step(
            "nest a group", lambda: self.ou.add_members(groups["group"], [self.ou.dn_of("nested")]),
            "the outer group with member;range=1-1", {"group": {"member;range=1-1"}},
        )  # fmt: skip

    def _labelled(self, label: str, guid: Guid) -> Guid:
        self._labels[guid] = label
        return guid

    # -- steps ----------------------------------------------------------------------------------------

    def _first_view(self, group: Guid) -> tuple[Finding, Snapshot]:
        self.begin_step("first view")
        snapshot = self.reader.snapshot()
        members = {self._labels.get(guid, "another object") for guid in snapshot.view.members.get(group, ())}
        answer = f"the group has {', '.join(sorted(members)) or 'no member'}"
        assumed = "the group has u1, u2; later changes can be followed"
        same = members == {"u1", "u2"} and snapshot.cursor.cookie is not None
        return compared("first view", answer, assumed, same=same), snapshot

    def _step(self, name: str, change: Callable[[], None], assumed: str, expected: Mapping[str, set[str]]) -> Finding:
        """Make a change, poll as the product does, and compare what DirSync named with ``expected``."""
        self.say(name)
        try:
            change()
        except ChangeRefused as refused:
            return Finding(name, str(refused), assumed, Verdict.UNKNOWN)
        self.begin_step(name)
        before = self._cursor
        try:
            how = self._follow()
            answered = self._named(before)
            agrees = self._view_is_complete()
        except DirectoryError as error:
            return Finding(name, str(error), assumed, Verdict.UNKNOWN)
        named = {label for label, attributes in answered.items() if attributes}
        same = named == set(expected) and all(wanted <= answered[label] for label, wanted in expected.items())
        view = "" if agrees else "; THE VIEW IS NOT WHAT A COMPLETE READING SHOWS"
        return compared(name, f"{_in_words(answered, self._counts)}{how}{view}", assumed, same=same and agrees)

    def _follow(self) -> str:
        """Bring the view up to date as a poll does."""
        try:
            delta = self.reader.changes_since(self._cursor)
        except CursorRejected as rejected:
            snapshot = self.reader.snapshot()
            self._cursor, self._view = snapshot.cursor, snapshot.view
            return f"; whole view: {rejected}"
        view = apply_delta(self._view, delta, self.reader.objects)
        self._cursor, self._view = delta.cursor, prune(view, nested=True)
        return ""

    def _named(self, cursor: Cursor) -> Answered:
        """Ask DirSync once more, and return what it names of the objects of this walk."""
        found: dict[str, set[str]] = {label: set() for label in self._labels.values()}
        self._counts = Counter()
        answer = self.reader.session.dirsync(
            self.reader.scope.naming_context, CHANGES_FILTER, _WATCHED, cursor.cookie or b""
        )
        for entry in answer.entries:
            label = self._labels.get(entry.guid)
            if label is None:
                continue
            names = {name for name in entry.attributes if name not in ("objectguid", "instancetype", "parentguid")}
            if entry.text("isDeleted") == "TRUE":
                names = {"deleted"}
            found[label] |= names | (set() if entry.dn else {"no DN"})
            self._counts.update({f"{label} {name}": len(entry.attributes.get(name, ())) for name in names})
        return {label: frozenset(names) for label, names in found.items()}

    def _view_is_complete(self) -> bool:
        """Compare the view with a complete reading of its groups."""
        reading = self.reader.read_groups(self._view.groups)
        return _essence(reading.view) == _essence(self._view)

    # -- a large group --------------------------------------------------------------------------------

    def _many_members(self, group: Guid) -> Iterator[Finding]:
        self.say(f"creating {MANY_MEMBERS} contacts")
        assumed = f"the group with member;range=1-1, {MANY_MEMBERS} values"
        try:
            contacts = [self.ou.create_contact(f"c{number}") for number in range(MANY_MEMBERS)]
        except ChangeRefused as refused:
            yield Finding(f"add {MANY_MEMBERS} members", str(refused), assumed, Verdict.UNKNOWN)
            return
        yield self._step(
            f"add {MANY_MEMBERS} members", lambda: self.ou.add_members(group, contacts),
            assumed, {"nested": {"member;range=1-1"}},
        )  # fmt: skip
        yield from about_group(self.reader.session, self.reader.scope.naming_context, group, MANY_MEMBERS)


def _essence(view: DirectoryView) -> tuple[object, ...]:
    """Return what decides about memberships."""
    members = {guid: frozenset(found) for guid, found in view.members.items()}
    return members, {guid: (user.kind, user.disabled, user.dn) for guid, user in view.users.items()}


def _in_words(answered: Answered, counts: Counter[str]) -> str:
    said = []
    for label, attributes in answered.items():
        if attributes:
            shown = ", ".join(
                f"{name} ({count} values)" if (count := counts[f"{label} {name}"]) > 1 else name
                for name in sorted(attributes)
            )
            said.append(f"{label}: {shown}")
    return "; ".join(said) or "nothing"
