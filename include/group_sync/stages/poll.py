"""First task: bring the journal up to date with AD, and choose what this run acts on.

Everything that AD has to say is read here, so that the later tasks work on one view. Nothing is decided here
about Genesys Cloud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from include.group_sync.directory.membership import closure, difference, keep_invisible
from include.group_sync.directory.reader import DirectoryReader
from include.group_sync.directory.refresh import apply_delta
from include.group_sync.directory.session import LdapSession
from include.group_sync.errors import CursorRejected, JournalConflict, WindowError
from include.group_sync.journal.records import RunRecord, StoredCursor
from include.group_sync.model import Action, Change, Cursor, Guid, Mode, Reason, Scope, View, Window
from include.group_sync.stages.context import RunRequest, Sync, chosen

CONFLICTS_TOLERATED = 5
PROOF_ROUNDS = 3


@dataclass(frozen=True)
class Polled:
    """What the journal knows after this poll. ``complete``: groups read completely in this run; None: all."""

    poll: int
    polled_at: datetime
    complete: frozenset[Guid]
    notes: tuple[str, ...]
    whole: bool


def poll(sync: Sync, request: RunRequest) -> dict[str, Any]:
    """Reads AD, moves the journal's view and cursor, and says what the run acts on.

    Returns ids and counts for the XCom. Raises DirectoryError if AD cannot be read, ReportPathError if the report could
    not be written later, WindowError for a window that ends before it begins, SettingsError or GenesysError for a
    connection to Genesys Cloud that is filled in wrongly.
    """
    check_window(request)
    sync.reports.check_writable(sync.key.dag_id)
    sync.say(f"Genesys Cloud is at {sync.organisation}")  # a connection that makes no sense is found out here
    run = sync.journal.begin_run(
        sync.key,
        sync.definition.name,
        clear_number=request.clear_number,
        run_type=request.run_type,
        mode=request.mode,
        dry_run=request.dry_run,
        window=request.window,
        groups=request.groups,
        started_at=sync.clock(),
    )
    with sync.directory() as session:
        polled = _bring_up_to_date(sync, session, whole=request.mode is Mode.FULL)
        sync.journal.set_polled(run, polled.poll, polled.polled_at)
        changes = changes_to_act_on(sync, run)
        if not polled.whole:
            polled = _prove(sync, session, polled, changes, run)
            changes = changes_to_act_on(sync, run)

    groups = Counter(change.group_guid for change in changes)
    sync.journal.put_fact(run, "complete", sorted(polled.complete))
    sync.journal.put_fact(run, "notes", list(polled.notes))
    sync.journal.put_fact(run, "polled", {"poll": polled.poll, "whole": polled.whole})
    for note in polled.notes:
        sync.say(note)
    sync.say(f"{len(changes)} changes in {len(groups)} AD groups to act on; view number {polled.poll}")
    return {
        "attempt": run.attempt,
        "mode": request.mode.value,
        "dry_run": request.dry_run,
        "bounded": run.bounded,
        "poll": polled.poll,
        "polled_at": polled.polled_at.isoformat(),
        "whole_view": polled.whole,
        "groups_read_completely": len(polled.complete),
        "changes": {
            guid: Counter(change.action.value for change in changes if change.group_guid == guid) for guid in groups
        },
    }


def check_window(request: RunRequest) -> None:
    """A window that cannot be meant is refused before anything is read."""
    window = request.window
    if window is None:
        return
    if request.mode is Mode.FULL and request.run_type != "backfill":
        raise WindowError("mode `full` compares everything and takes no window: leave window_start and window_end out")
    if window.start is not None and window.end is not None and window.end <= window.start:
        raise WindowError(
            f"window_end {window.end.isoformat()} is not after window_start {window.start.isoformat()}: mend them"
        )


def changes_to_act_on(sync: Sync, run: RunRecord) -> list[Change]:
    """What the run takes up: its window if it is bounded, else everything unsettled; only the groups it may touch."""
    definition = sync.definition.name
    if run.bounded:
        assert run.window is not None
        changes = sync.journal.changes_in(definition, run.window)
    else:
        changes = sync.journal.unsettled(definition)
    if not run.groups:
        return changes
    known = sync.journal.known_groups(definition, {change.group_guid for change in changes})
    allowed = {group.guid for group in chosen(known.values(), run.groups)}
    return [change for change in changes if change.group_guid in allowed]


def _bring_up_to_date(sync: Sync, session: LdapSession, *, whole: bool) -> Polled:
    """Reads what is new and moves cursor and view in one transaction. Repeats when another run was faster."""
    for _ in range(CONFLICTS_TOLERATED):
        try:
            return _poll_once(sync, session, whole=whole)
        except JournalConflict:
            sync.say("another run moved the view meanwhile: reading again")
    raise JournalConflict("other runs kept moving the view while this one read it: try again later")


def _poll_once(sync: Sync, session: LdapSession, *, whole: bool) -> Polled:
    scope = sync.definition.scope(session.root_dse().naming_context)
    stored = sync.journal.stored_cursor(sync.definition.name)
    reader = DirectoryReader(session, scope)
    reason = _why_whole(stored, scope, asked_for=whole)
    if reason is None:
        assert stored is not None
        try:
            return _incremental(sync, reader, scope, stored)
        except CursorRejected as rejected:
            reason = f"the whole view was taken again: {rejected}"
    return _whole_view(sync, reader, scope, stored, reason)


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


def _whole_view(sync: Sync, reader: DirectoryReader, scope: Scope, stored: StoredCursor | None, reason: str) -> Polled:
    name = sync.definition.name
    reading = reader.snapshot()
    sync.say(f"read {len(reading.view.groups)} groups and {len(reading.view.users)} members as a whole")
    changes: list[Change] = []
    before = View()
    notes = [reason, *reading.warnings]
    complete = reading.complete
    if stored is not None:
        before = sync.journal.load_view(name)
        kept = keep_invisible(before, reading.view, reading.unresolved)
        complete -= kept
        notes += _note_on(kept)
        roots = {g.guid for v in (before, reading.view) for g in v.groups.values() if g.in_scope}
        changes = _with_whole_view_doubts(
            _difference(scope, before, reading.view, roots, stored.cursor.polled_at, reading.read_until),
            scope,
            stored,
            reading.cursor,
        )
    poll = sync.journal.advance(
        name,
        expected_poll=stored.poll if stored else None,
        scope=scope.fingerprint,
        cursor=reading.cursor,
        before=before,
        after=reading.view,
        changes=changes,
        complete=complete,
        whole=True,
    )
    return Polled(poll, reading.cursor.polled_at, complete, tuple(notes), whole=True)


def _with_whole_view_doubts(
    changes: Sequence[Change], scope: Scope, stored: StoredCursor, cursor: Cursor
) -> list[Change]:
    """A removal that only a whole view shows is doubted where the view itself may be the reason for it."""
    doubt: Reason | None = None
    if stored.scope != scope.fingerprint:
        doubt = Reason.SCOPE_CHANGED
    elif stored.cursor.domain_controller.casefold() != cursor.domain_controller.casefold():
        doubt = Reason.OTHER_DOMAIN_CONTROLLER
    if doubt is None:
        return list(changes)
    return [
        replace(change, held_reason=change.held_reason or doubt) if change.action is Action.REMOVE else change
        for change in changes
    ]


def _incremental(sync: Sync, reader: DirectoryReader, scope: Scope, stored: StoredCursor) -> Polled:
    """DirSync since the cookie. Only the part of the view that the answer touches is loaded and compared."""
    name = sync.definition.name
    delta = reader.changes_since(stored.cursor, stored.known_dcs)
    touched = delta.mentioned
    if delta.primary_groups:
        touched |= sync.journal.groups_with_rids(name, set(delta.primary_groups.values()))
    roots = sync.journal.roots_above(name, touched) if touched else set()
    before = sync.journal.load_view(name, roots) if roots else View()
    after = apply_delta(before, delta, reader) if touched else before
    roots |= {guid for guid, group in after.groups.items() if group.in_scope}
    changes = _difference(scope, before, after, roots, stored.cursor.polled_at, delta.read_until)
    poll = sync.journal.advance(
        name,
        expected_poll=stored.poll,
        scope=scope.fingerprint,
        cursor=delta.cursor,
        before=before,
        after=after,
        changes=changes,
        complete=(),
        whole=False,
    )
    if changes:
        sync.say(f"{len(changes)} membership changes since {stored.cursor.polled_at.isoformat()}")
    return Polled(poll, delta.cursor.polled_at, frozenset(), (), whole=False)


def _difference(
    scope: Scope, before: View, after: View, roots: Collection[Guid], observed_after: datetime, observed_at: datetime
) -> list[Change]:
    return difference(
        before,
        after,
        roots,
        nested=scope.nested_groups,
        disabled_users=scope.disabled_users,
        observed_after=observed_after,
        observed_at=observed_at,
    )


def _prove(sync: Sync, session: LdapSession, polled: Polled, changes: Sequence[Change], run: RunRecord) -> Polled:
    """Reads completely every AD group that feeds a Genesys group with a pending removal, and every group whose pair
    has no baseline yet. DirSync tells of changes but proves nothing about the whole.

    What the complete reading shows and the view did not is written into the view as changes of its own; these may
    concern further groups, so it is repeated a few times. What is still not proven then is held by the guard.
    """
    name = sync.definition.name
    scope = sync.definition.scope(session.root_dse().naming_context)
    reader = DirectoryReader(session, scope)
    complete: set[Guid] = set()
    tried: set[Guid] = set()
    notes = list(polled.notes)
    for _ in range(PROOF_ROUNDS):
        wanted = _groups_to_prove(sync, changes) - tried
        if not wanted:
            break
        stored = sync.journal.stored_cursor(name)
        assert stored is not None
        reading = reader.read_groups(wanted)
        before = sync.journal.load_view(name, wanted)
        kept = keep_invisible(before, reading.view, reading.unresolved)
        found = _difference(
            scope, before, reading.view, wanted - reading.missing, stored.cursor.polled_at, reading.read_until
        )
        if found:
            notes.append(f"a complete reading of {len(wanted)} groups showed {len(found)} changes that DirSync had not")
        before = _without(before, reading.missing)
        poll = sync.journal.advance(
            name,
            expected_poll=stored.poll,
            scope=scope.fingerprint,
            cursor=stored.cursor,
            before=before,
            after=reading.view,
            changes=found,
            complete=reading.complete - kept,
            whole=False,
        )
        polled = replace(polled, poll=poll)
        notes += _note_on(kept)
        complete |= reading.complete - kept
        tried |= wanted
        changes = changes_to_act_on(sync, run)
    return replace(polled, complete=frozenset(complete), notes=tuple(notes))


def _groups_to_prove(sync: Sync, changes: Sequence[Change]) -> set[Guid]:
    """The in-scope AD groups that feed the same Genesys group as one with a pending removal, and those of pairs that
    are still to be compared as a whole."""
    name = sync.definition.name
    pairs = sync.journal.pairs(name)
    losing = {change.group_guid for change in changes if change.action is Action.REMOVE and not _is_settled(change)}
    targets = {pair.genesys_group_id for pair in pairs if pair.group_guid in losing}
    feeding = {pair.group_guid for pair in pairs if pair.genesys_group_id in targets}
    in_scope = {group.guid for group in sync.journal.scope_groups(name)}
    without_baseline = {pair.group_guid for pair in pairs if not pair.has_baseline}
    return (feeding | without_baseline) & in_scope


def _note_on(invisible: Collection[Guid]) -> list[str]:
    if not invisible:
        return []
    return [
        f"{len(invisible)} members that were known are still listed in their groups but cannot be seen any more: they "
        "count as what they were. Give the account read access to them again."
    ]


def _is_settled(change: Change) -> bool:
    return change.settled_by is not None


def _without(view: View, missing: Collection[Guid]) -> View:
    """The part of the view that a complete reading can be compared with: groups that it did not find are left to
    DirSync and the whole view, which know whether they were deleted or only cannot be seen."""
    keep: set[Guid] = set()
    for root in view.groups:
        if root not in missing:
            keep |= closure(view, root)
    keep -= set(missing)
    members = {guid: view.members[guid] for guid in keep if guid in view.members}
    people = {guid for found in members.values() for guid in found}
    return View(
        groups={guid: view.groups[guid] for guid in keep},
        users={guid: user for guid, user in view.users.items() if guid in people},
        members=members,
    )


def window_of(sync: Sync, run: RunRecord) -> Window | None:
    """What the report calls the run's window: null for full, the bounds, or previous live poll to this poll."""
    if run.mode is Mode.FULL:
        return None
    if run.bounded:
        return run.window
    return Window(sync.journal.previous_live_poll(sync.definition.name, run), run.polled_at)
