"""What the limits count beside the rows of a plan, read from the journal.

A run may choose groups or a window. The limits must not depend on that choice, so what is pending elsewhere is counted
here, without asking Genesys Cloud: by AD's newest view, the grants, and the last outcome of each change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from genesys_ad_sync.directory.membership import wanted_members
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import (
    Action,
    Change,
    Guid,
    Outcome,
    PairState,
    Reason,
    Refusal,
    RowKey,
    RunRecord,
    Status,
)
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.planning.limits import still_over
from genesys_ad_sync.planning.refusals import divide
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import JOURNAL_RESTORED, MAPPING, UNDO
from genesys_ad_sync.run.targets import newest_pairs
from genesys_ad_sync.settings import SyncDefinition

DAY = timedelta(days=1)
PLAN_LIFETIME = timedelta(hours=2)
"""A run writes its plan within that time, or it has died."""

_ONLY_A_PERSON_OR_TIME = frozenset(
    {
        Reason.OVER_LIMIT,
        Reason.EMPTY_GROUP,
        Reason.OVER_ADDITIONS,
        Reason.FIRST_MIRROR,
        Reason.UNIDENTIFIED_MEMBERS,
        Reason.PROTECTED,
        Reason.JOURNAL_RESTORED,
        Reason.IN_FLIGHT,
        Reason.GENESYS_UNREADABLE,
    }
)
"""Reasons of held changes that no guard forbids: they are pending. All others are held for something else."""


def gather_limit_facts(
    task: TaskContext,
    run: RunRecord,
    owned: Iterable[tuple[str, str]],
    changes: Iterable[Change],
    compared: Collection[str] = (),
) -> LimitFacts:
    """Read what the limits count.

    ``owned``: (Genesys group, Genesys user) of the grants in the Genesys groups on which the run acts; ``changes``: on
    which it acts. ``compared``: the Genesys groups that it compares in full.
    """
    limits, now = task.definition.limits, task.clock()
    since, counts = now - DAY, task.journal.limit_counts
    approved = counts.approved(since=now - PLAN_LIFETIME, exclude=run.key, approved_from=FIRST_APPROVED_LANE)
    elsewhere: dict[str, tuple[str, ...]] = dict.fromkeys(_of_other_runs(task, run, now), ())
    elsewhere.update(_never_compared(task, compared))
    elsewhere.update(_not_chosen(task, run))
    return LimitFacts(
        removed=counts.written_since(Action.REMOVE, since, approved_from=FIRST_APPROVED_LANE),
        added=counts.written_since(Action.ADD, since, approved_from=FIRST_APPROVED_LANE)
        if limits.additions_percent is not None
        else {},
        unverified=counts.unverified_since(since, approved_from=FIRST_APPROVED_LANE),
        most_owned=_most_owned(task, owned, since),
        elsewhere={key: before for key, before in elsewhere.items() if key not in approved},
        went_over={
            change.id: still_over(change.over_limit, limits) for change in changes if change.id and change.over_limit
        },
        approved={key: str(asked) for key, asked in approved.items()},
        first_comparison=not task.facts[JOURNAL_RESTORED] and not task.journal.pairs.any_baseline(),
    )


# -- decisions ----------------------------------------------------------------------------------------


def is_pending(change: Change, outcome: Outcome | None) -> bool:
    """Return True if no guard is known to forbid an unsettled change.

    ``outcome``: its last one.
    """
    if change.held_reason is not None:
        return False
    if outcome is None or outcome.status in {Status.PLANNED, Status.FAILED}:
        return True
    return outcome.status is Status.HELD and outcome.reason in _ONLY_A_PERSON_OR_TIME


def is_owed(
    change: Change,
    wanted: Collection[Guid],
    owners: Collection[str],
    definition: SyncDefinition,
) -> bool:
    """Return True if AD's newest view asks for a change not made yet.

    The grants show that it is not made yet. ``wanted``: AD users who belong in the Genesys group. ``owners``: AD and
    Genesys users with a grant there.
    """
    person = change.user_guid or change.genesys_user_id or ""
    if change.action is Action.ADD:
        return person in wanted and person not in owners
    if definition.removals == "never" or person in wanted:
        return False
    return person in owners or definition.removals == "mirror"


def most_owned_at_once(owned_now: int, newest_first: Iterable[Action]) -> int:
    """Return the most members that AD owned at one time.

    The function walks back through what was written.
    """
    owned = most = owned_now
    for action in newest_first:
        owned += 1 if action is Action.REMOVE else -1
        most = max(most, owned)
    return most


# -- parts --------------------------------------------------------------------------------------------


def _of_other_runs(task: TaskContext, run: RunRecord, now: datetime) -> set[str]:
    """Return the keys of rows that other runs ask about, or are about to write.

    What `mirror_once` asks about counts in no limit, neither there nor here.
    """
    asked = task.journal.questions.open_elsewhere(now, exclude=run.key).keys()
    return {
        *(asked - task.journal.limit_counts.held_for(Reason.MIRROR_ONCE, exclude=run.key)),
        *task.journal.limit_counts.about_to_be_written(
            since=now - PLAN_LIFETIME, exclude=run.key, approved_from=FIRST_APPROVED_LANE
        ),
    }


def _not_chosen(task: TaskContext, run: RunRecord) -> dict[str, tuple[str, ...]]:
    """Return the keys of pending changes that this run may not act on.

    Each comes with the limits that it went over. A live run without a choice of groups acts on everything that is
    unsettled.
    """
    if not (run.bounded or run.groups or task.facts[UNDO] is not None):
        return {}
    pairs = task.facts.required(MAPPING).pairs  # a new pair is held for a person, whatever the limits say
    target_of = {p.group_guid: p.genesys_group_id for p in pairs if p.state is PairState.CONFIRMED}
    unsettled = [change for change in task.journal.changes.unsettled() if change.group_guid in target_of]
    unsettled = _without_refused(task, unsettled, target_of)
    outcomes = task.journal.changes.last_outcomes({change.id for change in unsettled if change.id})
    pending = [change for change in unsettled if is_pending(change, outcomes.get(change.id or 0))]
    if not pending:
        return {}
    wanted, owners = _wanted_and_owners(task, target_of, {target_of[change.group_guid] for change in pending})
    people = task.journal.views.users({change.user_guid for change in pending if change.user_guid})
    excluded = excluded_users(people.values(), task.definition)
    found: dict[str, tuple[str, ...]] = {}
    for change in pending:
        group_id = target_of[change.group_guid]
        if change.user_guid in excluded or not is_owed(change, wanted[group_id], owners[group_id], task.definition):
            continue
        key = RowKey(group_id, change.user_guid or change.genesys_user_id or "", change.action)
        found[str(key)] = (*found.get(str(key), ()), *still_over(change.over_limit, task.definition.limits))
    return found


def _never_compared(task: TaskContext, compared: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the keys of additions that first comparisons may find outside this run.

    This run does not make the additions of these first comparisons of pairs. Genesys Cloud is not asked who is a member
    already, so these are the most that there can be. Otherwise a large company could be added group by group, and no
    limit would ever count the whole of it. A group that waits for its next try is left out: it counts in no limit.
    """
    new = newest_pairs(task) if task.run.dry_run else task.journal.pairs.without_baseline()
    waiting = {p.genesys_group_id for p in new if p.state is PairState.CONFIRMED and not p.has_baseline}
    of_groups = (one for one in task.journal.refusals.all() if not one.person and one.action is not Action.REMOVE)
    waiting -= {*compared, *(one.genesys_group_id for one in of_groups if one.waits(task.clock()))}
    if not waiting:
        return {}
    target_of = {
        p.group_guid: p.genesys_group_id
        for p in newest_pairs(task)
        if p.state is PairState.CONFIRMED and p.genesys_group_id in waiting
    }
    wanted, owners = _wanted_and_owners(task, target_of, waiting)
    people = set().union(*wanted.values())
    excluded = excluded_users(task.journal.views.users(people).values(), task.definition)
    return {
        str(RowKey(group_id, guid, Action.ADD)): ()
        for group_id, of_group in wanted.items()
        for guid in set(of_group) - owners[group_id] - excluded
    }


def _without_refused(task: TaskContext, changes: Sequence[Change], target_of: Mapping[Guid, str]) -> list[Change]:
    """Leave out what is refused and not tried yet: it counts in no limit."""
    of_group: dict[str, list[Change]] = {}
    for change in changes:
        of_group.setdefault(target_of[change.group_guid], []).append(change)
    refusals: dict[str, list[Refusal]] = {}
    for refusal in task.journal.refusals.all():
        refusals.setdefault(refusal.genesys_group_id, []).append(refusal)
    return [
        change
        for group_id, of_it in of_group.items()
        for change in divide(group_id, of_it, refusals.get(group_id, ()), task.clock())[0]
    ]


def _wanted_and_owners(
    task: TaskContext, target_of: Mapping[Guid, str], group_ids: Collection[str]
) -> tuple[dict[str, Collection[Guid]], dict[str, set[str]]]:
    """Return by Genesys group who belongs in it, and who has a grant there."""
    sources: dict[str, list[Guid]] = {group_id: [] for group_id in group_ids}
    for guid, group_id in target_of.items():
        if group_id in sources:
            sources[group_id].append(guid)
    view = task.journal.views.load({guid for guids in sources.values() for guid in guids})
    policy = task.definition.directory.policy
    owners: dict[str, set[str]] = {group_id: set() for group_id in group_ids}
    for grant in task.journal.grants.of_groups(sorted(group_ids)):
        owners[grant.genesys_group_id] |= {grant.user_guid, grant.genesys_user_id}
    return {group_id: wanted_members(view, guids, policy) for group_id, guids in sources.items()}, owners


def _most_owned(task: TaskContext, owned: Iterable[tuple[str, str]], since: datetime) -> dict[str, int]:
    """Return the most members that AD owned at one time since ``since``.

    Only groups in which AD owns a member now are among them. Where it owns more than one, that is all that
    `limits.empty_group` needs to know.
    """
    only: dict[str, str | None] = {}  # by Genesys group; None: several
    for group_id, user_id in owned:
        if only.setdefault(group_id, user_id) != user_id:
            only[group_id] = None
    single = sorted(group_id for group_id, user_id in only.items() if user_id is not None)
    if task.definition.limits.empty_group == "allow" or not single:
        return {}
    written: dict[str, list[Action]] = {}
    for one in task.journal.limit_counts.history(single, since):
        written.setdefault(one.genesys_group_id, []).append(one.action)
    return {group_id: most_owned_at_once(1, actions) for group_id, actions in written.items()}
