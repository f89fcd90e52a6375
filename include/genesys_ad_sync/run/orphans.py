"""Known orphans: their next look-up, and the words about orphans left alone.

A run looks for their Genesys users again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import (
    Action,
    Change,
    Guid,
    Match,
    MatchStatus,
    OpenChanges,
    OpenCount,
    Reason,
    Row,
    RunRecord,
    Status,
)
from genesys_ad_sync.planning import Target
from genesys_ad_sync.planning.refusals import Postponed
from genesys_ad_sync.run.changes import leaves_alone
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import OPEN
from genesys_ad_sync.run.targets import Work
from genesys_ad_sync.run.users import users_of_targets

ORPHANS_PER_RUN = 50
"""People that may be in turn although nothing has changed: as many as one search carries, see `turn_of`."""

REFUSED_LOOKUP_AFTER = timedelta(hours=24)
"""When a value that Genesys refuses to look up is tried again. Each costs several requests."""


def people_to_look_at(task: TaskContext) -> list[Guid]:
    """Return the known orphans in turn, longest without a look-up first.

    If the number of Genesys users has moved, everybody's turn has come: their changes are taken up like new ones.
    Raises GenesysError.
    """
    run, waiting = task.run, task.journal.waiting
    if not leaves_alone(task, run) or not waiting.has_any():
        return []
    if waiting.note_users_total(task.genesys.count_active_users()):
        task.log("the number of Genesys users has changed: everybody without a Genesys user is looked up again")
        return []
    return waiting.people_to_look_at(ORPHANS_PER_RUN, task.clock() - REFUSED_LOOKUP_AFTER)


def let_rest(
    task: TaskContext, work: Work, matches: Mapping[Guid, Match], in_turn: Sequence[Guid]
) -> dict[Guid, Match]:
    """Let known orphans without news rest; return the matches of the others.

    The run takes up the others. A change that the run has taken up rests again only if AD still wants it. ``in_turn``:
    see `turn_of`.
    """
    run = task.run
    known = task.journal.waiting.of_people(matches.keys()) if leaves_alone(task, run) else []
    if not known:
        return dict(matches)
    people = task.journal.views.users({change.user_guid for change in known})
    excluded = excluded_users(people.values(), task.definition)
    wanted = {change.id for target in work.targets for change in target.changes if _is_wanted(change, target)}
    taken = {change.id for target in work.targets for change in target.changes}
    taken |= {change.id for changes in work.unmapped.values() for change in changes}
    outcomes = task.journal.changes.last_outcomes([change.id for change in known])
    seen_here = task.journal.changes.first_seen([change.id for change in known])
    resting, awake, found = [], set(), set()
    for change in known:
        outcome = outcomes.get(change.id)
        if outcome is None or seen_here.get(change.id, (None, None))[1] == run.key:
            awake.add(change.user_guid)
            continue
        same = _says_the_same(matches[change.user_guid], outcome.status, outcome.reason)
        if same and change.user_guid not in excluded and (change.id in wanted or change.id not in taken):
            if change.looked_at is None or outcome.status is Status.HELD:
                resting.append(change.id)
            continue
        awake.add(change.user_guid)
        if not same and (outcome.status is Status.ORPHANED or outcome.reason is Reason.NOT_LOOKED_UP):
            found.add(change.user_guid)
    with task.journal.together():
        task.journal.waiting.looked_at(resting, task.clock())
        task.journal.waiting.wake(found)
    needed = users_of_targets(task, work.targets) | awake
    return {guid: match for guid, match in matches.items() if guid in needed or guid not in in_turn}


def _is_wanted(change: Change, target: Target) -> bool:
    return change.user_guid in target.wanted and bool(target.sources) and not target.full


def _says_the_same(match: Match, status: Status, reason: Reason | None) -> bool:
    if status is Status.ORPHANED:
        return match.status in {MatchStatus.ORPHANED, MatchStatus.INACTIVE} and match.reason is reason
    return match.status is MatchStatus.NOT_LOOKED_UP and reason is Reason.NOT_LOOKED_UP


# -- what is left alone -------------------------------------------------------------------------------


def note_open(task: TaskContext, run: RunRecord, rows: Iterable[Row], unlisted: Sequence[Postponed]) -> None:
    """Note what waits and has no row in the report.

    Must be called before the rows are recorded.
    """
    if run.dry_run or run.bounded or run.groups:
        return
    if not leaves_alone(task, run):
        task.facts[OPEN] = None
        return
    listed = {id_ for row in rows if row.action is Action.ADD for id_ in row.change_ids}
    counts = task.journal.waiting.open_counts(listed)
    ids = {change.id for one in unlisted for change in one.changes if change.id is not None}
    first_seen = task.journal.changes.first_seen(ids)
    for one in unlisted:
        times = [first_seen[change.id][0] for change in one.changes if change.id in first_seen]
        counts[one.status] = _plus(counts.get(one.status, OpenCount()), min(times, default=None))
    if not any(one.count for one in counts.values()):
        task.facts[OPEN] = None
        return
    of = {status: counts.get(status, OpenCount()) for status in (Status.ORPHANED, Status.HELD, Status.FAILED)}
    listed_in = task.journal.waiting.listed_in()
    task.facts[OPEN] = OpenChanges(
        of[Status.ORPHANED], of[Status.HELD], of[Status.FAILED], str(listed_in) if listed_in else None
    )


def _plus(count: OpenCount, first_seen_at: datetime | None) -> OpenCount:
    times = [time for time in (count.oldest_first_seen_at, first_seen_at) if time is not None]
    return OpenCount(count.count + 1, min(times, default=None))


def note_listed(task: TaskContext, run: RunRecord) -> None:
    """Note that the report of this run lists everything that waits, if it does."""
    if not (run.dry_run or run.bounded or run.groups) and task.facts[OPEN] is None:
        task.journal.waiting.note_listed(run.key)
