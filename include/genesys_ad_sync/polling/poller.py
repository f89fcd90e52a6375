"""Keeps the journal's view of AD up to date, and proves parts of it.

A part is proven by reading it completely. Cursor, view and changes move in one transaction, whatever happens in
between. Doubtful changes are held here, since only here is known how a change was found; everything else is decided
later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.apply_delta import merged
from genesys_ad_sync.directory.link_metadata import MetadataReader
from genesys_ad_sync.directory.membership import difference, retain_unreadable
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.results import Delta, Snapshot
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import CursorRejected, JournalConflict
from genesys_ad_sync.journal import ViewUpdate
from genesys_ad_sync.model import Change, Cursor, DirectoryView, Guid, Reason, Scope, StoredCursor
from genesys_ad_sync.polling.abilities import notes_on_abilities
from genesys_ad_sync.polling.announced import (
    as_expired_then,
    expires_otherwise,
    groups_to_read,
    learn_ends,
    nothing_listed,
    with_due_ends,
)
from genesys_ad_sync.polling.compared_part import compared_part
from genesys_ad_sync.polling.confirmation import confirm_held_changes
from genesys_ad_sync.polling.doubts import Step, hold_doubtful, why_doubted, without_hold_if_told
from genesys_ad_sync.polling.evidence import with_evidence
from genesys_ad_sync.polling.garbage import gc_paused
from genesys_ad_sync.polling.notes import (
    CANARY_NOTE,
    note_on_deleted_objects,
    note_on_non_users,
    note_on_unreadable,
    why_whole,
)
from genesys_ad_sync.polling.shrinkage import canary_missing, restore_unexplained_losses
from genesys_ad_sync.polling.times import ChangeTimes
from genesys_ad_sync.run.context import TaskContext

CONFLICTS_TOLERATED = 5


@dataclass(frozen=True)
class PollResult:
    """The result of a poll.

    ``poll``, ``polled_at``: number of the view, and AD's time. ``complete``: groups read completely in this run, each
    with the newest poll that did. ``full``: everything was read. ``losses``: see `Shrinkage`.
    """

    poll: int
    polled_at: datetime
    complete: Mapping[Guid, int]
    notes: tuple[str, ...]
    full: bool
    losses: Mapping[Guid, frozenset[Guid]] = field(default_factory=dict)


class DirectoryPoller:
    """Reads AD into the journal for one run, over one session."""

    def __init__(self, task: TaskContext, session: LdapSession) -> None:
        self._task = task
        self._journal = task.journal
        self._name = task.definition.name
        self._root = session.root_dse()
        self.scope = task.definition.scope(self._root.naming_context)
        self.reader = DirectoryReader(session, self.scope)
        self.metadata = MetadataReader(session, self.scope.naming_context)
        self.sees_deleted_objects = True  # not known before the first poll
        self._read_everything = False
        self._times = ChangeTimes(self.metadata, task.definition, task.run.window)
        self._limits = task.definition.limits
        self._replication_time = task.definition.directory.replication_time
        self._canary_missing = canary_missing(session, task.definition.directory.canary)

    def poll(self, *, full: bool) -> PollResult:
        """Read what is new; everything, if asked for or if the cursor cannot be trusted."""
        polled = self._retry_on_conflict(lambda: self._poll(full=full))
        self.sees_deleted_objects = self.reader.session.sees_deleted_objects(self.scope.naming_context)
        self._read_everything = polled.full
        notes = [] if self.sees_deleted_objects else note_on_deleted_objects(self.scope.naming_context)
        return replace(polled, notes=(*polled.notes, *notes))

    def read_completely(self, polled: PollResult, groups: Collection[Guid]) -> PollResult:
        """Read these groups and all below them completely; return the result of both readings.

        What that shows and the view did not becomes changes.
        """
        proven = self._retry_on_conflict(lambda: self._poll(full=False, groups=groups))
        return replace(
            proven,
            complete={**polled.complete, **proven.complete},
            notes=(*polled.notes, *proven.notes),
            full=proven.full or polled.full,
            losses={**polled.losses, **proven.losses},
        )

    def final_notes(self) -> list[str]:
        """Return the notes that only the whole reading shows."""
        abilities = notes_on_abilities(
            self._journal,
            self.reader.session,
            self._root,
            self.metadata,
            tombstones=self.sees_deleted_objects,
            full=self._read_everything,
        )
        return [*abilities, *self._times.notes()]

    def _retry_on_conflict(self, read: Callable[[], PollResult]) -> PollResult:
        for _ in range(CONFLICTS_TOLERATED):
            try:
                return read()
            except JournalConflict:
                self._task.log("another run moved the view meanwhile: reading again")
        raise JournalConflict("other runs kept moving the view while this one read it: try again later")

    def _poll(self, *, full: bool, groups: Collection[Guid] = ()) -> PollResult:
        stored = self._journal.views.cursor()
        reason = why_whole(stored, self.scope, asked_for=full)
        if reason is None:
            assert stored is not None  # noqa: S101  for mypy
            try:
                return self._incremental(stored, groups)
            except CursorRejected as rejected:
                reason = f"Active Directory was read completely again: {rejected}"
        return self._first_view(reason) if stored is None else self._whole_view(stored, reason)

    # -- what changed ---------------------------------------------------------------------------------

    def _incremental(self, stored: StoredCursor, groups: Collection[Guid]) -> PollResult:
        """Read DirSync since the cookie.

        Only the part of the view that the answer touches is loaded and compared. ``groups`` are read completely
        *before* it: like this, what changed while they were read comes after it, and a user who was moved between two
        of them is not missed in both.
        """
        reading = self.reader.read_groups(groups) if groups else None
        delta = self._with_due_ends(stored, self.reader.changes_since(stored.cursor, stored.known_dcs))
        more = groups_to_read(self._journal, delta) - set(groups)
        if more:
            return self._incremental(stored, {*groups, *more})
        observed_at = max(delta.read_until, reading.read_until) if reading is not None else delta.read_until
        step = self._step(stored, delta.cursor, delta, delta.deleted, observed_at)
        part = compared_part(self._journal, self.reader.objects, self.scope, delta, reading, groups)
        before, after, roots, kept = part.before, part.after, part.roots, part.unreadable
        learn_ends(self.reader.objects, delta, after.groups)
        read = reading.complete - kept if reading is not None else frozenset()
        # not only what was read to prove it: a group that was touched is read again, too
        known = self._with_returning(before, after)
        doubt = restore_unexplained_losses(known, after, after.groups, delta, self._limits, whole=False)
        complete = self._unless_canary_missing(read - doubt.groups)
        changes = self._times.of(self._changes(step, before, after, roots), before, after, delta)
        self._forget_links(delta.deleted)
        poll = self._advance(step, ViewUpdate(before, after, changes=changes, complete=complete, full=False))
        self._confirm(step, complete)
        if changes:
            self._task.log(f"{len(changes)} membership changes since {stored.cursor.polled_at.isoformat()}")
        notes = (*note_on_unreadable(kept), *doubt.notes, *self._note_on_canary())
        return PollResult(
            poll, step.cursor.polled_at, dict.fromkeys(complete, poll), notes, full=False, losses=doubt.losses
        )

    # -- everything -----------------------------------------------------------------------------------

    @gc_paused()
    def _first_view(self, reason: str) -> PollResult:
        """Read everything for the first time: there is nothing to compare it with."""
        reading = self._snapshot()
        cursor = replica_trust.trusted_cursor(reading.cursor)
        complete = self._unless_canary_missing(reading.complete)
        ends = self.reader.objects.take_ends()
        update = ViewUpdate(None, reading.view, complete=complete, full=True, ends=ends)
        poll = self._journal.views.advance(update, cursor=cursor, scope=self.scope.fingerprint, expected_poll=None)
        notes = (reason, *reading.warnings, *self._note_on_non_users(reading.view), *self._note_on_canary())
        return PollResult(poll, cursor.polled_at, dict.fromkeys(complete, poll), notes, full=True)

    @gc_paused()
    def _whole_view(self, stored: StoredCursor, reason: str) -> PollResult:
        """Read everything and compare it with the stored view."""
        reading = self._snapshot()
        delta = self._delta_as_evidence(stored)  # afterwards: what went while it was read shall not seem unexplained
        view = reading.view
        others = self._note_on_non_users(view)
        before = self._journal.views.load()
        if delta is not None:
            deleted = delta.deleted
        else:
            deleted = self.reader.tombstones(_objects(before) - _objects(view))
            delta = self._with_due_ends(stored, nothing_listed(reading.cursor, reading.read_until))
            deleted |= delta.deleted
        step = self._step(stored, reading.cursor, delta, deleted, reading.read_until)
        kept = retain_unreadable(before, view, reading.unresolved, nested=self.scope.nested_groups)
        shrinking = restore_unexplained_losses(
            self._with_returning(before, view),
            view,
            reading.complete,
            delta,
            self._limits,
            whole=stored.scope == self.scope.fingerprint,
            deleted=deleted,
        )
        complete = self._unless_canary_missing(reading.complete - kept - shrinking.groups)
        unsure = kept or (self.scope.expired_users == "remove" and expires_otherwise(before, view, delta))
        if complete >= reading.complete and not unsure and step.fresh.vector is not None:
            # The view is now what this domain controller knows, and what speaks against it is held.
            step = replace(step, cursor=replace(step.cursor, vector=step.fresh.vector))
        roots = {g.guid for v in (before, view) for g in v.groups.values() if g.in_scope}
        changes = self._times.of(self._changes(step, before, view, roots), before, view, None)
        self._forget_links(deleted)
        poll = self._advance(step, ViewUpdate(before, view, changes=changes, complete=complete, full=True))
        self._confirm(step, complete)
        notes = (reason, *reading.warnings, *others, *note_on_unreadable(kept), *shrinking.notes)
        notes = (*notes, *self._note_on_canary())
        return PollResult(
            poll, step.cursor.polled_at, dict.fromkeys(complete, poll), notes, full=True, losses=shrinking.losses
        )

    def _snapshot(self) -> Snapshot:
        reading = self.reader.snapshot()
        view = reading.view
        self._task.log(f"read everything: {len(view.groups)} groups and {len(view.users)} members")
        return reading

    def _delta_as_evidence(self, stored: StoredCursor) -> Delta | None:
        """Return DirSync's answer since the old cookie: it confirms what a whole view lacks."""
        if stored.cursor.cookie is None:
            return None
        try:
            delta = self.reader.changes_since(stored.cursor, stored.known_dcs, even_if_moved=True)
        except CursorRejected:
            return None
        return self._with_due_ends(stored, delta)

    def _with_due_ends(self, stored: StoredCursor, delta: Delta) -> Delta:
        return with_due_ends(self._journal, self.scope, self.reader.objects, stored, delta)

    # -- both -----------------------------------------------------------------------------------------

    def _step(
        self,
        stored: StoredCursor,
        fresh: Cursor,
        delta: Delta | None,
        deleted: frozenset[Guid],
        observed_at: datetime,
    ) -> Step:
        cursor = replica_trust.next_cursor(stored, fresh, self._replication_time)
        return Step(stored, fresh, cursor, delta, deleted, observed_at)

    def _changes(
        self, step: Step, before: DirectoryView, after: DirectoryView, roots: Collection[Guid]
    ) -> list[Change]:
        """Return the changes from one view to the next.

        Changes that AD only shows may be held.
        """
        changes = self._difference(step, before, after, roots, Scope.of_fingerprint(step.stored.scope))
        reason = why_doubted(step, self.scope)
        if reason is not None:
            new_scope = reason is Reason.SCOPE_CHANGED
            edited = {"new_scope": new_scope, "doubted": step.cursor.doubted_since is not None}
            told = replica_trust.as_told(before, after, step.delta, deleted=step.deleted, **edited)
            then = as_expired_then(before, after, step.stored.cursor.polled_at)
            untold = replica_trust.not_told(changes, self._difference(step, then, told, roots, self.scope))
            shown = self._difference(step, then, after, roots, self.scope)  # what no edit of the scope explains
            changes = hold_doubtful(self._journal, self.scope, step, changes, untold, shown)
        changes = without_hold_if_told(changes, step.delta)
        return with_evidence(
            self._journal, self.scope, (step.stored.cursor, step.cursor), changes, before, after, step.delta
        )

    def _difference(
        self, step: Step, before: DirectoryView, after: DirectoryView, roots: Iterable[Guid], was: Scope
    ) -> list[Change]:
        return difference(
            before,
            after,
            roots,
            self.scope.policy,
            # Clocks of two domain controllers may differ.
            observed_after=min(step.stored.cursor.polled_at, step.observed_at),
            observed_at=step.observed_at,
            before_policy=was.policy,
        )

    def _with_returning(self, before: DirectoryView, after: DirectoryView) -> DirectoryView:
        """Return ``before`` with the groups that come into view again.

        They are as they were when they were last in view.
        """
        new = after.groups.keys() - before.groups.keys()
        return merged(self._journal.views.load_with_gone(new), DirectoryView(), before) if new else before

    def _advance(self, step: Step, update: ViewUpdate) -> int:
        told = step.delta.member_changes if step.delta is not None else {}
        left = {group: removed for group, (_, removed) in told.items() if removed}
        told_ends = step.delta.ends if step.delta is not None else {}
        update = replace(
            update,
            deleted=step.deleted,
            left=left,
            ends=self.reader.objects.take_ends(),
            told_ends=told_ends,
            ends_doubt=step.stored.cursor.doubted_since is not None and step.cursor.doubted_since is None,
        )
        return self._journal.views.advance(
            update, cursor=step.cursor, scope=self.scope.fingerprint, expected_poll=step.stored.poll
        )

    def _forget_links(self, deleted: Collection[Guid]) -> None:
        """Drop links of deleted accounts: a new account may have the Genesys user now."""
        if deleted:
            self._journal.links.remove(deleted)

    def _confirm(self, step: Step, complete: Collection[Guid]) -> None:
        confirmed = confirm_held_changes(self._journal, self.scope, step, complete, self._replication_time)
        if confirmed:
            self._task.log(f"{confirmed} changes that were held as doubtful are confirmed")

    def _unless_canary_missing(self, complete: frozenset[Guid]) -> frozenset[Guid]:
        return frozenset() if self._canary_missing else complete

    def _note_on_canary(self) -> list[str]:
        return [CANARY_NOTE] if self._canary_missing else []

    def _note_on_non_users(self, view: DirectoryView) -> list[str]:
        return note_on_non_users(view, nested=self.scope.nested_groups)


def _objects(view: DirectoryView) -> set[Guid]:
    return view.groups.keys() | view.users.keys()
