"""The Genesys groups of a run, with their AD groups and wanted members.

The newest view says which members are wanted. Shared by `resolve_users` (which users matter?), `plan` (what must
change?) and `patch` (is it still so?).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from genesys_ad_sync.directory.membership import (
    effective_members,
    nested_groups,
    unreadable_members,
    wanted_members,
)
from genesys_ad_sync.model import Change, DirectoryView, GenesysGroup, GroupPair, Guid, Mode, PairState, RunRecord
from genesys_ad_sync.planning import Target
from genesys_ad_sync.planning.refusals import Postponed
from genesys_ad_sync.run.changes import changes_to_act_on, groups_in_param
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPLETE, MAPPING, RELINK_REQUESTS, UNDO
from genesys_ad_sync.run.mapped import mapping_in_short, names_of_groups
from genesys_ad_sync.run.refusals import postpone
from genesys_ad_sync.run.relink import groups_concerned

Changes = dict[str, list[Change]]
"""By Genesys group id, or by the guid of the AD group."""


@dataclass(frozen=True)
class Work:
    """What a run acts on.

    ``targets``: in a stable order, as AD's view says. What Genesys has, grants and claims are added when `plan` has
    read Genesys, see `PlannedTargets`.
    ``unmapped``: changes of AD groups that no rule maps, by AD group.
    ``postponed``: changes that are not tried yet. ``left_alone``: targets of which all changes are postponed.
    """

    targets: tuple[Target, ...] = ()
    unmapped: Mapping[Guid, Sequence[Change]] = field(default_factory=dict)
    postponed: tuple[Postponed, ...] = ()
    left_alone: tuple[Target, ...] = ()


def collect(task: TaskContext) -> Work:
    """Return all targets of the run, and the changes of unmapped AD groups.

    A run compares a Genesys group in full if its mode is `full`, or `auto` and one of its pairs has no baseline, or if
    `relink` concerns a membership in it.
    Not one whose changes all wait for their next try, see `postpone`.
    A bounded run never does: it takes the changes of its window and no others. An undo run has no targets.
    """
    run = task.run
    if task.facts[UNDO] is not None:
        return Work()
    changes_of_run = changes_to_act_on(task, run)
    pairs, former = _pairs_of(task, run, changes_of_run)
    # In a Genesys group that is no more nothing can be done: such a change is skipped for the reason of its AD group.
    reachable = [pair for pair in former if pair.genesys_group_id in _existing(task)]
    changes, unmapped = assign_changes(changes_of_run, pairs, reachable)
    allowed = _allowed(task, run, {pair.group_guid for pair in pairs})
    full = groups_to_compare(run.mode, pairs, allowed, bounded=run.bounded)
    concerned = _still_owned(task, run, former) | groups_concerned(task, pairs)
    full |= concerned & _existing(task) if concerned else set()
    if full:
        # A comparison finds everything that is unsettled there, so it has to know what speaks against it.
        unsettled, _ = assign_changes(task.journal.changes.unsettled(), pairs, reachable)
        changes = with_unsettled(changes, {id_: unsettled.get(id_, []) for id_ in full})
    taken, postponed = postpone(task, run, changes)
    left_alone = {id_: list[Change]() for id_ in changes.keys() - taken.keys()}
    return Work(
        _targets(task, taken, pairs, former, full & taken.keys()),
        unmapped,
        tuple(postponed),
        _targets(task, left_alone, pairs, former, ()) if left_alone else (),
    )


def target_of(task: TaskContext, genesys_group_id: str) -> Target:
    """Return one Genesys group by the newest view, without changes, for the check before writing.

    No other pair is read: `patch` asks for thousands of groups, one by one.
    """
    pairs = newest_pairs(task, genesys_group_id)
    former = _former_pairs(task, pairs, genesys_group_id)
    [target] = _targets(task, {genesys_group_id: []}, pairs, former, frozenset())
    return target


def newest_pairs(task: TaskContext, genesys_group_id: str | None = None) -> Sequence[GroupPair]:
    """Return the newest mapping, or its pairs of one Genesys group.

    Another run may have mapped by edited rules since this one did. A dry run stores no pairs in the journal; it goes by
    its own.
    """
    if not task.run.dry_run:
        return task.journal.pairs.active(genesys_group_id)
    mapped = task.facts.required(MAPPING).pairs
    return [pair for pair in mapped if genesys_group_id in (None, pair.genesys_group_id)]


def pairs_of(task: TaskContext, targets: Sequence[Target]) -> list[GroupPair]:
    """Return the pairs of these targets by the newest mapping."""
    ids = {target.genesys_group.id for target in targets}
    return [pair for pair in newest_pairs(task, *(ids if len(ids) == 1 else ())) if pair.genesys_group_id in ids]


# -- decisions ----------------------------------------------------------------------------------------


def assign_changes(
    changes: Iterable[Change], pairs: Iterable[GroupPair], former: Iterable[GroupPair]
) -> tuple[Changes, dict[Guid, list[Change]]]:
    """Return the changes by Genesys group, and those of unmapped AD groups by AD group.

    ``former``: pairs that no rule makes any more; a present pair of the same AD group takes precedence.
    """
    target_of_group = {pair.group_guid: pair.genesys_group_id for pair in (*former, *pairs)}
    assigned: Changes = {}
    unmapped: dict[Guid, list[Change]] = {}
    for change in changes:
        target = target_of_group.get(change.group_guid)
        if target is None:
            unmapped.setdefault(change.group_guid, []).append(change)
        else:
            assigned.setdefault(target, []).append(change)
    return assigned, unmapped


def groups_to_compare(mode: Mode, pairs: Iterable[GroupPair], allowed: Collection[Guid], *, bounded: bool) -> set[str]:
    """Return the mapped Genesys groups to compare in full.

    ``allowed``: the AD groups on which the run may act; one of them is enough for a Genesys group.
    """
    if mode is not Mode.FULL and (mode is not Mode.AUTO or bounded):
        return set()
    pairs = list(pairs)
    compared = {
        pair.genesys_group_id
        for pair in pairs
        if mode is Mode.FULL or not (pair.has_baseline or pair.state is PairState.REJECTED)
    }
    return {pair.genesys_group_id for pair in pairs if pair.group_guid in allowed} & compared


def left_behind(
    mode: Mode, former: Iterable[GroupPair], allowed: Collection[Guid], retired_now: Collection[str], *, bounded: bool
) -> set[str]:
    """Return the Genesys groups of former pairs that are to be compared.

    So the report lists the members that are left there; nobody is removed for that. The run that finds it out compares
    them (``retired_now``), and each run in mode full.
    """
    if bounded or mode is Mode.CHANGES:
        return set()
    group_ids = {pair.genesys_group_id for pair in former if pair.group_guid in allowed}
    return group_ids if mode is Mode.FULL else group_ids & set(retired_now)


def with_unsettled(changes: Mapping[str, Sequence[Change]], unsettled: Mapping[str, Sequence[Change]]) -> Changes:
    """Return the changes with the unsettled ones of their Genesys groups, each once."""
    together = {group_id: list(of_group) for group_id, of_group in changes.items()}
    for group_id, of_group in unsettled.items():
        listed = {change.id for change in together.setdefault(group_id, [])}
        together[group_id] += [change for change in of_group if change.id not in listed]
    return together


# -- parts --------------------------------------------------------------------------------------------


def _pairs_of(
    task: TaskContext, run: RunRecord, changes: Iterable[Change]
) -> tuple[Sequence[GroupPair], Sequence[GroupPair]]:
    """Return the newest pairs that matter to the run, and the former ones.

    A live run that compares nothing beyond pairs without a baseline needs the pairs of the Genesys groups with changes
    alone: most runs find none.
    """
    everything = run.dry_run or run.mode is Mode.FULL or task.facts[RELINK_REQUESTS]
    if everything or mapping_in_short(task).retired:
        pairs = newest_pairs(task)
        return pairs, _former_pairs(task, pairs)
    new = {pair.group_guid for pair in task.journal.pairs.without_baseline()}
    return task.journal.pairs.sharing_a_target(new | {change.group_guid for change in changes})


def _existing(task: TaskContext) -> Set[str]:
    """Return the Genesys groups that there are."""
    return names_of_groups(task).keys()


def _allowed(task: TaskContext, run: RunRecord, guids: Set[Guid]) -> Set[Guid]:
    """Return the AD groups of these on which the run may act.

    They are in scope, and param `groups` allows them.
    """
    if not run.groups:
        return task.journal.views.guids_in_scope(guids)
    return guids & {group.guid for group in groups_in_param(task.journal.views.groups_in_scope(), run.groups)}


def _former_pairs(
    task: TaskContext, pairs: Iterable[GroupPair], genesys_group_id: str | None = None
) -> list[GroupPair]:
    """Return pairs that no rule makes any more and that may have granted something.

    A dry run, which stores no pairs in the journal, works out the same.
    """
    today = {(pair.group_guid, pair.genesys_group_id) for pair in pairs}
    stored = task.journal.pairs
    once = [*stored.former(genesys_group_id), *(stored.active(genesys_group_id) if task.run.dry_run else ())]
    return [pair for pair in once if (pair.group_guid, pair.genesys_group_id) not in today]


def _still_owned(task: TaskContext, run: RunRecord, former: Sequence[GroupPair]) -> set[str]:
    """Return Genesys groups in which AD still owns memberships through a former pair."""
    known = task.journal.views.groups({pair.group_guid for pair in former})
    allowed = {group.guid for group in groups_in_param(known.values(), run.groups)}
    group_ids = left_behind(run.mode, former, allowed, mapping_in_short(task).retired, bounded=run.bounded)
    return {grant.genesys_group_id for grant in task.journal.grants.of_groups(group_ids)}


def _targets(
    task: TaskContext,
    changes: Mapping[str, Sequence[Change]],
    pairs: Sequence[GroupPair],
    former: Sequence[GroupPair],
    full: Collection[str],
) -> tuple[Target, ...]:
    """Return one target for each key of ``changes``, as the newest view shows it."""
    if not changes:
        return ()
    rejected = [pair for pair in pairs if pair.state is PairState.REJECTED]
    sources = _sources(pair for pair in pairs if pair.state is not PairState.REJECTED)
    former_sources, refused_sources = _sources([*former, *rejected]), _sources(rejected)
    unconfirmed = _sources(pair for pair in pairs if pair.state is PairState.NEW)
    feeding = {guid for id_ in changes for of in (sources, refused_sources) for guid in of.get(id_, ())}
    view = task.journal.views.load_members(feeding)
    nested, policy = task.definition.directory.nested_groups, task.definition.directory.policy
    unreadable = Unreadable(task, view, nested=nested)
    out_of_view = OutOfView(task, {guid for id_ in changes for guid in former_sources.get(id_, ())})
    complete = task.facts[COMPLETE]
    names = names_of_groups(task)
    targets = []
    for group_id in sorted(changes):
        guids = sources.get(group_id, ())
        below = set().union(*(nested_groups(view, guid, nested=nested) for guid in guids if guid in view.groups))
        wanted = wanted_members(view, guids, policy)
        refused = wanted_members(view, refused_sources.get(group_id, ()), policy)
        proofs = [complete[guid] for guid in below if guid in complete]
        targets.append(
            Target(
                genesys_group=GenesysGroup(group_id, names[group_id])
                if group_id in names
                else GenesysGroup(group_id, group_id, state="deleted"),
                sources=guids,
                full=group_id in full,
                wanted=wanted,
                # nothing to prove where nothing feeds it any more: its removals are held for that
                complete=not guids or set(guids) <= below <= complete.keys(),
                members=None,
                changes=tuple(changes[group_id]),
                former_sources=frozenset(former_sources.get(group_id, ())),
                unreadable=unreadable.below(guids),
                listed_last=out_of_view.listed_in(former_sources.get(group_id, ())),
                proven_by=min(proofs, default=None),
                unconfirmed=frozenset(unconfirmed.get(group_id, ())),
                refused={guid: of for guid, of in refused.items() if guid not in wanted},
            )
        )
    return tuple(targets)


class Unreadable:
    """The members below AD groups that AD lists and that cannot be read."""

    def __init__(self, task: TaskContext, view: DirectoryView, *, nested: bool) -> None:
        self._view = view
        self._nested = nested
        self._known_groups = task.journal.views.known_groups() if not nested else frozenset()

    def below(self, guids: Collection[Guid]) -> frozenset[Guid]:
        """Return the unreadable members below these AD groups.

        A nested group that does not count is none of them.
        """
        return unreadable_members(self._view, guids, nested=self._nested) - self._known_groups


class OutOfView:
    """The AD groups among some that the journal knows, and that nothing shows any more.

    A deleted AD group lists nobody: its tombstone was seen. What AD has reported of the others since is applied.
    """

    def __init__(self, task: TaskContext, guids: Collection[Guid]) -> None:
        in_scope = task.journal.views.guids_in_scope(guids)
        self._view = task.journal.views.load_with_gone(set(guids) - in_scope)
        self._policy = task.definition.directory.policy

    def listed_in(self, guids: Collection[Guid]) -> frozenset[Guid]:
        """Return the AD users that these AD groups listed last."""
        known = self._view.groups.keys() & set(guids)
        return frozenset().union(*(effective_members(self._view, guid, self._policy) for guid in known))


def _sources(pairs: Iterable[GroupPair]) -> dict[str, tuple[Guid, ...]]:
    """Return the AD groups of each Genesys group, sorted."""
    sources: dict[str, list[Guid]] = {}
    for pair in pairs:
        sources.setdefault(pair.genesys_group_id, []).append(pair.group_guid)
    return {group_id: tuple(sorted(guids)) for group_id, guids in sources.items()}
