"""Part of `poll`: keeps the journal's view of AD up to date, and proves parts of it by reading them completely.

Cursor, view and changes move in one transaction, whatever happens in between. What may be doubted is held here, since
only here is known how a change was found; everything else is decided later.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.directory import trust
from genesys_ad_sync.directory.membership import closure, difference, effective_members, keep_invisible, left_out
from genesys_ad_sync.directory.metadata import MetadataReader, changes_hidden, guids_by_dn, time_of
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.reading import Delta, Proof
from genesys_ad_sync.directory.refresh import apply_delta, merged
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import CursorRejected, JournalConflict
from genesys_ad_sync.journal.records import StoredCursor
from genesys_ad_sync.model import Action, Change, Cursor, Guid, Reason, Scope, View
from genesys_ad_sync.polling import shrinkage as proof
from genesys_ad_sync.run.context import Sync

CONFLICTS_TOLERATED = 5


@contextmanager
def _nothing_is_garbage() -> Iterator[None]:
    """No search for cycles among what is read: all of it is kept, and each search would walk it and the whole of
    Airflow (a fifth of the time of `benchmarks/poll.py`). What is not kept goes by its reference count as ever."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True)
class Polled:
    """What the journal knows after this poll. ``complete``: groups read completely in this run."""

    poll: int
    polled_at: datetime
    complete: frozenset[Guid]
    notes: tuple[str, ...]
    whole: bool


class Follower:
    """One run's reading of AD into the journal, over one session."""

    def __init__(self, task: Sync, session: LdapSession) -> None:
        self._task = task
        self._journal = task.journal
        self._name = task.definition.name
        self.scope = task.definition.scope(session.root_dse().naming_context)
        self.reader = DirectoryReader(session, self.scope)
        self.metadata = MetadataReader(session, self.scope.naming_context)
        self._hidden = 0  # changes that AD counts and does not tell
        self._limits = task.definition.limits
        self._blind = proof.canary_is_missing(session, task.definition.directory.canary)

    def bring_up_to_date(self, *, whole: bool) -> Polled:
        """Reads what is new; everything, if asked for or if the cursor cannot be trusted."""
        polled = self._repeated(lambda: self._poll(whole=whole))
        return replace(polled, notes=(*polled.notes, *self._note_on_deleted_objects()))

    def prove(self, polled: Polled, groups: Collection[Guid]) -> Polled:
        """Reads these groups and all below them completely. What that shows and the view did not becomes changes."""
        proven = self._repeated(lambda: self._poll(whole=False, groups=groups))
        return replace(
            proven,
            complete=polled.complete | proven.complete,
            notes=(*polled.notes, *proven.notes),
            whole=proven.whole or polled.whole,
        )

    def _repeated(self, read: Callable[[], Polled]) -> Polled:
        for _ in range(CONFLICTS_TOLERATED):
            try:
                return read()
            except JournalConflict:
                self._task.say("another run moved the view meanwhile: reading again")
        raise JournalConflict("other runs kept moving the view while this one read it: try again later")

    def _poll(self, *, whole: bool, groups: Collection[Guid] = ()) -> Polled:
        stored = self._journal.stored_cursor(self._name)
        reason = _why_whole(stored, self.scope, asked_for=whole)
        if reason is None:
            assert stored is not None
            try:
                return self._incremental(stored, groups)
            except CursorRejected as rejected:
                reason = f"the whole view was taken again: {rejected}"
        return self._whole_view(stored, reason)

    # -- what changed ---------------------------------------------------------------------------------

    def _incremental(self, stored: StoredCursor, groups: Collection[Guid]) -> Polled:
        """DirSync since the cookie. Only the part of the view that the answer touches is loaded and compared.

        ``groups`` are read completely *before* it: like this, what changed while they were read comes after it, and
        nobody who was moved between two of them is missed in both.
        """
        reading = self.reader.read_groups(groups) if groups else None
        delta = self.reader.changes_since(stored.cursor, stored.known_dcs)
        cursor = trust.following(stored.cursor, stored.known_dcs, delta.cursor)
        touched = set(delta.mentioned)
        if delta.primary_groups:
            touched |= self._journal.groups_with_rids(self._name, set(delta.primary_groups.values()))
        wanted = touched | set(groups)
        roots = self._journal.roots_above(self._name, wanted) if wanted else set()
        before = self._journal.load_view(self._name, roots | set(groups)) if wanted else View()
        start, kept = _as_read(before, reading, self.scope) if reading is not None else (before, set())
        after = apply_delta(start, delta, self.reader) if touched else start
        roots |= {guid for guid, group in after.groups.items() if group.in_scope}
        before, after, roots = self._with_others_above(before, after, roots)
        complete = reading.complete - kept if reading is not None else frozenset()
        # not only what was read to prove it: a group that was touched is read again, too
        doubt = proof.disbelieve_shrinking(before, after, after.groups, delta, self._limits, whole=False)
        complete = self._unless_blind(complete - doubt.groups)

        observed_at = max(delta.read_until, reading.read_until) if reading is not None else delta.read_until
        changes = self._difference(before, after, roots, stored, observed_at)
        if cursor.doubted_since is not None:
            told = self._difference(before, trust.only_what_was_told(before, after, delta), roots, stored, observed_at)
            changes = trust.doubted(changes, told, Reason.OTHER_DOMAIN_CONTROLLER, cursor)
        changes = self._with_times(changes, before, after, delta)
        self._forget_links(delta.deleted)
        poll = self._advance(stored, cursor, before, after, changes, complete, delta.deleted, whole=False)
        self._confirm(cursor, complete, delta)
        if changes:
            self._task.say(f"{len(changes)} membership changes since {stored.cursor.polled_at.isoformat()}")
        notes = (*_note_on_invisible(kept), *doubt.notes, *self._note_on_blindness())
        return Polled(poll, cursor.polled_at, complete, notes, whole=False)

    def _with_others_above(self, before: View, after: View, roots: set[Guid]) -> tuple[View, View, set[Guid]]:
        """What was read differently than it was known may concern groups that nobody asked for: a nested group that
        several contain, say. They are compared as well, since afterwards the view shows no difference any more."""
        altered = {
            guid
            for known, now in (
                (before.groups, after.groups),
                (before.members, after.members),
                (before.users, after.users),
            )
            for guid in now
            if known.get(guid) != now[guid]
        }
        others = self._journal.roots_above(self._name, altered) - roots if altered else set()
        if not others:
            return before, after, roots
        more = self._journal.load_view(self._name, others)
        return merged(more, View(), before), merged(more, before, after), roots | others

    # -- everything -----------------------------------------------------------------------------------

    @_nothing_is_garbage()
    def _whole_view(self, stored: StoredCursor | None, reason: str) -> Polled:
        reading = self.reader.snapshot()
        delta = self._delta_as_evidence(stored)  # afterwards: what went while it was read shall not seem unexplained
        view = reading.view
        others = _note_on_left_out(view, nested=self.scope.nested_groups)
        self._task.say(f"read {len(view.groups)} groups and {len(view.users)} members as a whole")
        if stored is None:
            cursor = trust.first(reading.cursor)
            complete = self._unless_blind(reading.complete)
            poll = self._advance(None, cursor, View(), view, [], complete, (), whole=True)
            notes = (reason, *reading.warnings, *others, *self._note_on_blindness())
            return Polled(poll, cursor.polled_at, complete, notes, whole=True)

        cursor = trust.following(stored.cursor, stored.known_dcs, reading.cursor)
        before = self._journal.load_view(self._name)
        kept = keep_invisible(before, view, reading.unresolved, nested=self.scope.nested_groups)
        shrinking = proof.disbelieve_shrinking(
            before, view, reading.complete, delta, self._limits, whole=stored.scope == self.scope.fingerprint
        )
        complete = self._unless_blind(reading.complete - kept - shrinking.groups)
        roots = {g.guid for v in (before, view) for g in v.groups.values() if g.in_scope}
        changes = self._difference(before, view, roots, stored, reading.read_until)
        doubt = _doubt(stored, self.scope, cursor)
        if doubt is not None:
            told = trust.only_what_was_told(before, view, delta, believe_people=doubt is Reason.SCOPE_CHANGED)
            changes = trust.doubted(
                changes, self._difference(before, told, roots, stored, reading.read_until, as_now=True), doubt, cursor
            )
        changes = self._with_times(changes, before, view, None)
        gone = before.users.keys() - view.users.keys()
        deleted = delta.deleted if delta is not None else self.reader.tombstones(gone)
        self._forget_links(deleted)
        poll = self._advance(stored, cursor, before, view, changes, complete, deleted, whole=True)
        self._confirm(cursor, complete, delta)
        notes = (reason, *reading.warnings, *others, *_note_on_invisible(kept), *shrinking.notes)
        notes = (*notes, *self._note_on_blindness())
        return Polled(poll, cursor.polled_at, complete, notes, whole=True)

    def _delta_as_evidence(self, stored: StoredCursor | None) -> Delta | None:
        """What DirSync says since the old cookie: it makes sure what a whole view merely lacks."""
        if stored is None or stored.cursor.cookie is None:
            return None
        try:
            return self.reader.changes_since(stored.cursor, stored.known_dcs, even_if_moved=True)
        except CursorRejected:
            return None

    # -- both -----------------------------------------------------------------------------------------

    def _difference(
        self,
        before: View,
        after: View,
        roots: Iterable[Guid],
        stored: StoredCursor,
        observed_at: datetime,
        *,
        as_now: bool = False,
    ) -> list[Change]:
        was = self.scope if as_now else Scope.of_fingerprint(stored.scope)
        return difference(
            before,
            after,
            roots,
            nested=self.scope.nested_groups,
            disabled_users=self.scope.disabled_users,
            # Clocks of two domain controllers may differ.
            observed_after=min(stored.cursor.polled_at, observed_at),
            observed_at=observed_at,
            was_nested=was.nested_groups,
            was_disabled_users=was.disabled_users,
        )

    def _with_times(self, changes: list[Change], before: View, after: View, delta: Delta | None) -> list[Change]:
        """The changes with AD's own times, where it tells them. With a ``delta``, only by links that it names: a person
        who was enabled came in today, however old the membership is."""
        groups = {group for change in changes for group in change.path}
        if delta is not None:
            groups &= delta.member_changes.keys()
        if not groups or self.metadata.supported is False:
            return changes
        history = self.metadata.history(groups, guids_by_dn(before, after))
        if not self.metadata.supported:
            return changes
        self._hidden += sum(changes_hidden(change, history) for change in changes)
        return [_timed(change, time_of(change, history, delta)) for change in changes]

    def _advance(
        self,
        stored: StoredCursor | None,
        cursor: Cursor,
        before: View,
        after: View,
        changes: Sequence[Change],
        complete: Collection[Guid],
        deleted: Collection[Guid],
        *,
        whole: bool,
    ) -> int:
        return self._journal.advance(
            self._name,
            expected_poll=stored.poll if stored else None,
            scope=self.scope.fingerprint,
            cursor=cursor,
            before=before,
            after=after,
            changes=changes,
            complete=complete,
            whole=whole,
            deleted=deleted,
        )

    def _forget_links(self, deleted: Collection[Guid]) -> None:
        """A tombstone is for good: the Genesys user may belong to a new account of the same person from now on."""
        if deleted:
            self._journal.drop_links(self._name, deleted)

    def _confirm(self, cursor: Cursor, complete: Collection[Guid], delta: Delta | None) -> None:
        """Lets go of held removals that this poll has shown again in a way that may be believed: of those that another
        domain controller had made doubtful, and of those of a group that was gone and is in scope again."""
        held = [change for change in self._journal.unsettled(self._name) if change.action is Action.REMOVE]
        elsewhere = [change for change in held if change.held_reason is Reason.OTHER_DOMAIN_CONTROLLER]
        told = [change for change in elsewhere if delta is not None and trust.is_told(change, delta)]
        asked = [change for change in elsewhere if change not in told and trust.may_confirm(change, cursor)]
        if cursor.doubted_since is None:
            asked += [change for change in held if change.held_reason is Reason.MAPPING_CHANGED]
        asked = [change for change in asked if change.group_guid in complete]
        view = self._journal.load_view(self._name, {change.group_guid for change in asked}) if asked else View()
        confirmed = told + [change for change in asked if self._is_out(change, view, complete)]
        if confirmed:
            self._journal.confirm([change.id for change in confirmed if change.id is not None])
            self._task.say(f"{len(confirmed)} removals that were held as doubtful are confirmed")

    def _is_out(self, change: Change, view: View, complete: Collection[Guid]) -> bool:
        """The group is in scope, all below it was read completely, and the person is not in it."""
        group, nested = change.group_guid, self.scope.nested_groups
        if group not in view.groups or not view.groups[group].in_scope:
            return False
        if not closure(view, group, nested=nested) <= set(complete):
            return False
        return change.user_guid not in effective_members(
            view, group, nested=nested, disabled_users=self.scope.disabled_users
        )

    def _unless_blind(self, complete: frozenset[Guid]) -> frozenset[Guid]:
        return frozenset() if self._blind else complete

    def _note_on_blindness(self) -> list[str]:
        return [proof.CANARY_NOTE] if self._blind else []

    def notes_at_the_end(self) -> list[str]:
        """What only the whole reading shows."""
        if not self._hidden:
            return []
        return [
            f"there were {self._hidden} more changes of the same memberships since the last poll than are listed: "
            "Active Directory tells the last one of each, and counts the others"
        ]

    def _note_on_deleted_objects(self) -> list[str]:
        if self.reader.session.sees_deleted_objects(self.scope.naming_context):
            return []
        container = f"CN=Deleted Objects,{self.scope.naming_context}"
        return [
            "The account may not see deleted objects: that a member was deleted is only found when the group is read "
            "completely (each `full` run reads all). To find it at once, let a domain administrator run, with your "
            f'DOMAIN\\account: dsacls "{container}" /takeownership && dsacls "{container}" /g "DOMAIN\\account:LCRP"'
        ]


def _why_whole(stored: StoredCursor | None, scope: Scope, *, asked_for: bool) -> str | None:
    if stored is None:
        return "the whole view was taken: nothing was known yet"
    if stored.scope != scope.fingerprint:
        return "the whole view was taken again: group base, group filter or attributes of the definition changed"
    if asked_for:
        return "the whole view was taken again: mode full"
    if stored.cursor.cookie is None:
        return "the whole view was taken again: Active Directory cannot tell what changed (see the other notes)"
    return None


def _doubt(stored: StoredCursor, scope: Scope, cursor: Cursor) -> Reason | None:
    """Why a removal may show in the whole view although nobody was removed."""
    if _membership_rules(Scope.of_fingerprint(stored.scope)) != _membership_rules(scope):
        return Reason.SCOPE_CHANGED
    return Reason.OTHER_DOMAIN_CONTROLLER if cursor.doubted_since is not None else None


def _membership_rules(scope: Scope) -> Scope:
    """The part of a scope that decides who is a member: all but the attributes that are read."""
    return replace(scope, group_attributes=(), user_attributes=())


def _as_read(before: View, reading: Proof, scope: Scope) -> tuple[View, set[Guid]]:
    """``before`` with what was read completely in its place, and who is still listed but could not be read. Groups that
    were not found stay: DirSync and the whole view know whether they were deleted or merely cannot be seen."""
    fresh = View(
        dict(reading.view.groups),
        dict(reading.view.users),
        {guid: set(members) for guid, members in reading.view.members.items()},
    )
    kept = keep_invisible(before, fresh, reading.unresolved, nested=scope.nested_groups)
    as_read = View(
        {**before.groups, **fresh.groups}, {**before.users, **fresh.users}, {**before.members, **fresh.members}
    )
    return as_read, kept


def _timed(change: Change, at: datetime | None) -> Change:
    return change if at is None else replace(change, changed_at=at)


def _note_on_left_out(view: View, *, nested: bool) -> list[str]:
    counts = left_out(view, *(guid for guid, group in view.groups.items() if group.in_scope), nested=nested)
    if not counts:
        return []
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    return [
        f"members that are no users of this domain get no membership: {told}"
        + (" (of another domain, or not visible to the account)" if counts["unresolved"] else "")
    ]


def _note_on_invisible(invisible: Collection[Guid]) -> list[str]:
    if not invisible:
        return []
    return [
        f"{len(invisible)} members that were known are still listed in their groups but cannot be seen any more: they "
        "count as what they were. Give the account read access to them again."
    ]
