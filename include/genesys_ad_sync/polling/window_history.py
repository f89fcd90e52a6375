"""A window before the journal began, rebuilt from AD's own records.

This is possible only where AD keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from genesys_ad_sync.directory.link_metadata import LinkHistory, MetadataReader, guids_by_dn
from genesys_ad_sync.directory.membership import nested_groups
from genesys_ad_sync.directory.past import rebuild_changes
from genesys_ad_sync.errors import WindowError
from genesys_ad_sync.model import DirectoryView, Guid, RunRecord
from genesys_ad_sync.polling.poller import DirectoryPoller
from genesys_ad_sync.run.changes import groups_in_param
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import HISTORY


def rebuild_window(task: TaskContext, poller: DirectoryPoller, run: RunRecord, polled_at: datetime) -> list[str]:
    """Rebuild the part of the window that precedes the journal. Return notes for the report.

    Only groups that this run may act on are added, because a live run later picks up whatever stays unsettled. A dry
    run stores the changes with the run instead, see `run.changes.dry_run_history`.
    Raises WindowError if the whole window precedes the journal and AD keeps no records.
    """
    window = run.window
    assert window is not None  # noqa: S101  for mypy
    notes = []
    if window.end is not None and window.end > polled_at:
        notes.append(
            f"the window ends after this poll ({polled_at.isoformat()}): later changes are not in it. The next live "
            f"run takes them, or this window run again later"
        )
    stored = task.journal.views.cursor()
    assert stored is not None  # noqa: S101  for mypy
    began = stored.began_at
    if window.start is None or window.start >= began:
        if window.end is not None and window.end <= began:
            raise WindowError(_nothing_known(began, "the window ends before that"))
        return notes
    end = began if window.end is None else min(window.end, began)
    rebuilt_notes = _rebuild(task, poller, run, window.start, end)
    if rebuilt_notes is not None:
        return notes + rebuilt_notes
    if window.end is not None and window.end <= began:
        raise WindowError(
            _nothing_known(began, "and this domain controller does not keep the times of memberships either")
        )
    return [
        *notes,
        f"the journal began at {began.isoformat()}: nothing is known about the part of the window before that. Run "
        f"in mode `full` to correct the memberships.",
    ]


def _nothing_known(began: datetime, why: str) -> str:
    return (
        f"This window cannot be replayed: the journal began at {began.isoformat()}, {why}. "
        "Run in mode `full` instead: it compares every mapped group completely, whatever happened before."
    )


def _not_understood(metadata: MetadataReader) -> str:
    total = metadata.understood + metadata.unknown
    return (
        f"This window cannot be replayed: {metadata.understood} of {total} records about times of memberships have a "
        f"known form, and those of {len(metadata.unreadable)} AD groups could not all be read. Run in mode `full` "
        "instead: it compares every mapped group completely, whatever happened before."
    )


def _rebuild(
    task: TaskContext, poller: DirectoryPoller, run: RunRecord, start: datetime, end: datetime
) -> list[str] | None:
    """Store the changes of [start, end) that AD recorded; return notes, None without records."""
    view = task.journal.views.load()
    in_scope = [group for group in view.groups.values() if group.in_scope]
    roots = sorted(group.guid for group in groups_in_param(in_scope, run.groups))
    # The first group that has members shows whether there are records at all.
    for guid in sorted(view.groups, key=lambda guid: -len(view.members[guid])):
        poller.metadata.records(guid)
        if poller.metadata.supported is not None:
            break
    if not poller.metadata.supported:
        return None
    unknown = poller.metadata.unknown
    history = _history_below(poller, view, roots)
    if poller.metadata.unreadable & history.members.keys() or poller.metadata.unknown > unknown:
        raise WindowError(_not_understood(poller.metadata))
    changes = rebuild_changes(
        view,
        history,
        roots,
        start=start,
        end=end,
        policy=poller.scope.policy,
    )
    if run.dry_run:
        task.facts[HISTORY] = changes
    else:
        new = task.journal.changes.add_history(changes)
        task.log(f"{len(changes)} changes from before the journal, {new} of them new to it")
    return [
        f"{len(changes)} changes from before the journal began were rebuilt from what Active Directory keeps",
        *_what_is_missing(history, start, end),
    ]


def _history_below(poller: DirectoryPoller, view: DirectoryView, roots: Sequence[Guid]) -> LinkHistory:
    """Return the records of all groups that are, or once were, below the roots.

    Groups and users that ``view`` lacks are put there.
    """
    history = LinkHistory()
    waiting = set().union(*(nested_groups(view, root) for root in roots))
    while waiting:
        found = poller.metadata.whole_history(waiting, guids_by_dn(view))
        history.members |= found.members
        history.unknown += found.unknown
        strangers = {guid for members in found.members.values() for guid in members}
        strangers -= view.groups.keys() | view.users.keys()
        fetched = poller.reader.fetch(strangers, known=frozenset(view.groups.keys() | view.users.keys())).view
        view.groups.update(fetched.groups)
        view.users.update(fetched.users)
        view.members.update(fetched.members)
        former = {guid for members in found.members.values() for guid in members if guid in view.groups}
        waiting = (former if poller.scope.nested_groups else set()) | fetched.groups.keys()
        waiting -= history.members.keys()
    return history


def _what_is_missing(history: LinkHistory, start: datetime, end: datetime) -> list[str]:
    hidden = sum(
        record.changes_hidden
        for members in history.members.values()
        for record in members.values()
        if start <= record.changed_at < end
    )
    notes = []
    if hidden:
        notes.append(
            f"there were {hidden} more changes of the same memberships, in the window or before, than Active "
            f"Directory keeps times for: it keeps the last one of each"
        )
    if history.unknown:
        notes.append(f"{history.unknown} records are of members that were deleted since: they cannot be listed")
    return notes
