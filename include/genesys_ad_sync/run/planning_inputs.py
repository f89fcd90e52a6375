"""The inputs of a plan: everything that it depends on.

All is read from Genesys and the journal before anything is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from genesys_ad_sync.matching import disabled_users, excluded_users
from genesys_ad_sync.model import (
    Action,
    Change,
    DirectoryGroup,
    Guid,
    Match,
    Mode,
    Objection,
    Reason,
    RefusalKind,
    RunRecord,
    SkippedGroup,
)
from genesys_ad_sync.planning import Plan, PlanContext, Target, UnmappedGroup, plan
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.planning.refusals import Waiting
from genesys_ad_sync.planning.sleeping import Sleepers, not_among_members
from genesys_ad_sync.planning.sleeping import sleepers as find_sleepers
from genesys_ad_sync.run import protection
from genesys_ad_sync.run.changes import groups_in_param
from genesys_ad_sync.run.claims import claimed_by_others
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import (
    HIDDEN_GROUPS,
    JOURNAL_RESTORED,
    LAST_CHANGE,
    MAPPING,
    MIRROR_ONCE,
    READING,
    PlanReading,
)
from genesys_ad_sync.run.limit_facts import gather_limit_facts
from genesys_ad_sync.run.losses import losses_of
from genesys_ad_sync.run.objections import Objections, objections
from genesys_ad_sync.run.owners import read_missing_owners
from genesys_ad_sync.run.planned_targets import Members, PlannedTargets, loses
from genesys_ad_sync.run.policy import mirrors
from genesys_ad_sync.run.present_members import read_present
from genesys_ad_sync.run.relink import LinkMoves, link_moves
from genesys_ad_sync.run.targets import Work, collect
from genesys_ad_sync.run.trial import scope_of_memberships
from genesys_ad_sync.run.users import look_up_absent, resolve_late_arrivals, states_of
from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class PlanInputs:
    """Everything that a plan depends on.

    ``fence``: under which this run writes if no other run has written since Genesys was read; None: one has, and
    ``context.in_flight`` says so to the planning.
    ``decisions``: what persons decided against changes; what of it has ended is to be deleted.
    """

    work: Work
    present: Members
    targets: PlannedTargets
    unmapped: tuple[UnmappedGroup, ...]
    matches: Mapping[Guid, Match]
    context: PlanContext
    fence: int | None
    decisions: Objections
    sleepers: Sleepers = field(default_factory=Sleepers)

    @property
    def compared_in_full(self) -> frozenset[str]:
        """The Genesys groups that are to be compared in full."""
        return frozenset(target.genesys_group.id for target in self.work.targets if target.full)

    @property
    def empty_sources(self) -> dict[str, tuple[Guid, ...]]:
        """AD groups that read as having nobody, by Genesys group."""
        return self.targets.empty_sources

    def decide(self, definition: SyncDefinition) -> Plan:
        """Return the plan. Pure."""
        waiting = Waiting(self.work.postponed, self.work.left_alone)
        return plan(self.targets, self.matches, self.unmapped, definition, self.context, waiting)

    def gather_again(self, task: TaskContext) -> PlanInputs:
        """Return the inputs after another run has written.

        Genesys is not read again. What that run wrote shows in the changes that it settled; the rest is left to
        `patch`, see `PlanContext.in_flight`.
        """
        return _inputs(task, with_newest_changes(task, self.work), self.matches, self.present, fence=None)


def gather_plan_inputs(task: TaskContext) -> PlanInputs:
    """Read everything that the plan depends on.

    Raises GenesysError if users cannot be looked up, or for an error that concerns all groups. A group whose members
    cannot be read has None as its present members, so that its changes are held.
    """
    work = collect(task)
    matches = resolve_late_arrivals(task, work.targets)
    fence = begin_reading(task)
    present = read_present(task, [target.genesys_group.id for target in work.targets if _needs_reading(target)])
    present |= dict.fromkeys(read_missing_owners(task, [id_ for id_, members in present.items() if members]))
    if fence is None:
        work = with_newest_changes(task, work)  # the run that is writing may have settled some by now
    matches = look_up_absent(task, _with_removals(task, work.targets, present), matches)
    return _inputs(task, work, matches, present, fence=fence)


def _with_removals(task: TaskContext, targets: Sequence[Target], present: Members) -> PlannedTargets:
    """Return the targets from which somebody is to be removed, with members and grants."""
    return PlannedTargets(task, [target for target in targets if loses(target)], present, {})


def begin_reading(task: TaskContext) -> int | None:
    """Note the newest change and the time; return the next fence.

    None while another run is writing.

    - A change that AD's polls bring after this moment is newer than what this run does.
    - `patch` may rely on members that are read from here on, if no other run has written since.
    """
    task.facts[LAST_CHANGE] = task.journal.changes.newest_id()
    fence = next_fence(task)
    task.facts[READING] = PlanReading(task.clock(), fence)
    return fence


def next_fence(task: TaskContext) -> int | None:
    """Return the fence under which this run will write; None while another run is writing."""
    return task.journal.leases.next_fence(task.organisation, task.key, now=task.clock())


def with_newest_changes(task: TaskContext, work: Work) -> Work:
    """Return the work with its changes as the journal knows them now."""
    lists = [*(target.changes for target in work.targets), *work.unmapped.values()]
    newest = {
        change.id: change for change in task.journal.changes.by_id({c.id for list_ in lists for c in list_ if c.id})
    }

    def renewed(changes: Iterable[Change]) -> tuple[Change, ...]:
        return tuple(newest.get(change.id, change) for change in changes)

    return replace(
        work,
        targets=tuple(replace(target, changes=renewed(target.changes)) for target in work.targets),
        unmapped={guid: renewed(changes) for guid, changes in work.unmapped.items()},
    )


def planning_context(
    task: TaskContext,
    run: RunRecord,
    groups: Collection[Guid],
    users: Collection[Guid],
    decisions: Mapping[str, Objection] | None = None,
    links: LinkMoves | None = None,
) -> PlanContext:
    """Return what the journal says beyond the targets.

    ``groups``, ``users``: those that the rows may name, and the accounts that may contest their Genesys users.
    ``decisions``: see `PlanContext.objections`. ``links``: see `link_moves`.
    """
    people = task.journal.views.users(users)
    assert run.polled_at is not None  # noqa: S101  for mypy
    return PlanContext(
        observed_at=run.polled_at,
        dry_run=run.dry_run,
        journal_restored=task.facts[JOURNAL_RESTORED],
        objections=decisions or {},
        excluded_users=excluded_users(people.values(), task.definition),
        disabled_users=disabled_users(people.values(), task.definition),
        moves=links.moves if links else {},
        relinks=links.relinks if links else {},
        remarks=links.remarks if links else {},
        groups=task.journal.views.groups(groups),
        users=people,
        deleted_users=task.journal.views.deleted_users(),
        mirror_once=task.facts[MIRROR_ONCE],
        protected_names=protection.former_names(task),
        groups_hidden=bool(task.facts[HIDDEN_GROUPS]),
    )


# -- decisions ----------------------------------------------------------------------------------------


def unmapped_groups(
    known: Mapping[Guid, DirectoryGroup],
    patterns: tuple[str, ...],
    skipped: Iterable[SkippedGroup],
    changes: Mapping[Guid, Sequence[Change]],
    *,
    full: bool,
) -> tuple[UnmappedGroup, ...]:
    """Return the AD groups that feed nothing, as far as param `groups` (``patterns``) allows.

    ``whole``: all of them, with one row each; else those with changes, with one row per changed membership.
    """
    reasons = {group.group_guid: group for group in skipped}
    allowed = {group.guid for group in groups_in_param(known.values(), patterns)}
    return tuple(
        UnmappedGroup(
            reasons.get(guid) or SkippedGroup(guid, Reason.UNMAPPED, "the AD group is gone, and no pair remembers it"),
            tuple(changes.get(guid, ())),
            full=full,
        )
        for guid in sorted(allowed)
        if full or guid in changes
    )


def _needs_reading(target: Target) -> bool:
    return target.full or any(
        change.settled_by is None and not _is_refused(change, target) for change in target.changes
    )


def _is_refused(change: Change, target: Target) -> bool:
    """Return True for an addition that only a rejected pair wants.

    It needs no look at Genesys.
    """
    return change.action is Action.ADD and change.user_guid in target.refused


# -- parts --------------------------------------------------------------------------------------------


def _inputs(
    task: TaskContext, work: Work, matches: Mapping[Guid, Match], present: Members, *, fence: int | None
) -> PlanInputs:
    """Read what the journal knows of the work. ``present``: what Genesys has."""
    run = task.run
    skipped = _skipped(task, run, work.unmapped)
    decisions = objections(task)
    targets = PlannedTargets(task, work.targets, present, claimed_by_others(task, run))
    sleepers, states = _wake_sleepers(task, work, targets, present, matches)
    unmapped = _unmapped(task, run, skipped, work.unmapped)
    groups = {s.group_guid for s in skipped} | set(work.unmapped)
    groups |= {guid for target in work.targets for guid in (*target.sources, *target.former_sources)}
    groups |= {change.group_guid for target in work.targets for change in target.changes}
    groups |= {guid for target in work.left_alone for guid in target.sources}
    waiting = [change for one in work.postponed if one.is_listed for change in one.changes]
    groups |= {change.group_guid for change in waiting}
    users = {change.user_guid for change in waiting if change.user_guid}
    users |= {change.user_guid for changes in work.unmapped.values() for change in changes if change.user_guid}
    # a comparison may find a user through a grant, without any change: to be left alone if excluded
    users |= targets.granted_users()
    if mirrors(task):
        users = users.union(*(target.wanted for target in work.targets))  # a row may name who is not identified
    losses = losses_of(task)
    groups |= {guid for loss in losses for guid in loss.group_guids}
    users |= {loss.user_guid for loss in losses}
    rivals = {rival.guid for match in matches.values() for rival in match.rivals if rival.guid}
    links = link_moves(task, matches)
    context = planning_context(task, run, groups, users | rivals | matches.keys(), decisions.standing, links)
    return PlanInputs(
        work=work,
        present=present,
        targets=targets,
        unmapped=unmapped,
        matches=matches,
        context=replace(
            context,
            in_flight=fence is None and not run.dry_run,
            scope=scope_of_memberships(task),
            user_states=states,
            limits=_limit_facts(task, run, work, targets),
            losses=losses,
            gone_users=frozenset(rivals - task.journal.lookups.groups_with_member(rivals).keys()),
            client_refused=any(one.kind is RefusalKind.CLIENT for one in task.journal.refusals.all()),
        ),
        fence=fence,
        decisions=decisions,
        sleepers=sleepers,
    )


def _wake_sleepers(
    task: TaskContext, work: Work, targets: PlannedTargets, present: Members, matches: Mapping[Guid, Match]
) -> tuple[Sleepers, dict[str, str]]:
    """Wake grants of the targets; return them and the states of absent users.

    Absent: not among the members, as far as it matters.
    Sleeping grants are looked at where a group is compared in full.
    """
    full = [target.genesys_group.id for target in work.targets if target.full]
    asleep = task.journal.grants.asleep_in(full)
    members: dict[str, Collection[str] | None] = {}
    for group_id in {grant.genesys_group_id for grant in asleep}:
        ids = present.get(group_id)
        members[group_id] = None if ids is None else frozenset(ids)
    absent = {g.genesys_user_id for g in asleep if g.genesys_user_id not in (members[g.genesys_group_id] or ())}
    states = states_of(task, absent | not_among_members(targets.losing, matches))
    found = find_sleepers(asleep, members, states)
    targets.wake(found.awake)
    return found, states


def _limit_facts(task: TaskContext, run: RunRecord, work: Work, targets: PlannedTargets) -> LimitFacts:
    changes = [change for target in work.targets for change in target.changes]
    compared = {target.genesys_group.id for target in work.targets if target.full}
    return gather_limit_facts(task, run, targets.owned_where_somebody_may_leave(), changes, compared)


def _skipped(task: TaskContext, run: RunRecord, changes: Collection[Guid]) -> list[SkippedGroup]:
    """Return the AD groups without a mapping that this run lists.

    ``changes``: those that have changes.
    """
    every = _lists_all(task, run)
    if not every and not changes:
        return []  # as in most runs: the mapping need not be read
    return [one for one in task.facts.required(MAPPING).skipped if every or one.group_guid in changes]


def _lists_all(task: TaskContext, run: RunRecord) -> bool:
    """Return True if the run lists all AD groups without a mapping."""
    return not run.bounded and (run.mode is Mode.FULL or not task.journal.pairs.any_baseline())


def _unmapped(
    task: TaskContext, run: RunRecord, skipped: Sequence[SkippedGroup], changes: Mapping[Guid, Sequence[Change]]
) -> tuple[UnmappedGroup, ...]:
    known = task.journal.views.groups({s.group_guid for s in skipped} | set(changes))
    return unmapped_groups(known, run.groups, skipped, changes, full=_lists_all(task, run))
