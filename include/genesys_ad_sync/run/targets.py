"""The Genesys groups on which a run acts: what feeds each, and who should be in it by the newest view.

Shared by `resolve_users` (whom must we know?), `plan` (what must change?) and `patch` (is it still so?).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from genesys_ad_sync.directory.membership import closure
from genesys_ad_sync.journal.records import RunRecord
from genesys_ad_sync.model import Change, Guid, Mode, Pair
from genesys_ad_sync.run.context import Sync, chosen
from genesys_ad_sync.run.undo import is_undo
from genesys_ad_sync.run.wanted import wanted_members
from genesys_ad_sync.stages.map_groups import mapped, retired_now
from genesys_ad_sync.stages.poll import changes_to_act_on


@dataclass
class TargetGroup:
    """A Genesys group with something to do. ``feeding``: AD groups of active pairs; ``retired``: of former ones.
    ``whole``: compare with Genesys as a whole; ``wanted``: who should be in it, and the feeding groups that say so."""

    genesys_group_id: str
    feeding: tuple[Guid, ...]
    retired: frozenset[Guid]
    whole: bool
    changes: list[Change] = field(default_factory=list)
    wanted: dict[Guid, tuple[Guid, ...]] = field(default_factory=dict)
    nested_below: frozenset[Guid] = frozenset()  # all AD groups that feed it, nested ones included


def collect(task: Sync) -> tuple[list[TargetGroup], dict[Guid, list[Change]]]:
    """All targets of the run, in a stable order, and the changes of AD groups that no rule maps (by AD group).

    A run compares a Genesys group as a whole if its mode is `full`, or `auto` and one of its pairs has no baseline.
    A bounded run never does: it takes the changes of its window and no others.
    """
    run = task.run
    name = task.definition.name
    if is_undo(task):
        return [], {}
    pairs = newest_pairs(task)
    _, _, genesys_groups = mapped(task)
    feeding: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        feeding[pair.genesys_group_id].append(pair)
    retired_pairs = _retired(task, pairs)
    # In a Genesys group that is no more nothing can be done: such a change is skipped for the reason of its AD group.
    by_ad_group = {
        pair.group_guid: pair.genesys_group_id for pair in retired_pairs if pair.genesys_group_id in genesys_groups
    }
    by_ad_group |= {pair.group_guid: pair.genesys_group_id for pair in pairs}

    changes: defaultdict[str, list[Change]] = defaultdict(list)
    unmapped: defaultdict[Guid, list[Change]] = defaultdict(list)
    for change in changes_to_act_on(task, run):
        target = by_ad_group.get(change.group_guid)
        if target is None:
            unmapped[change.group_guid].append(change)
        else:
            changes[target].append(change)

    allowed = {group.guid for group in chosen(task.journal.scope_groups(name), run.groups)}
    whole = {
        target
        for target, its_pairs in feeding.items()
        if any(pair.group_guid in allowed for pair in its_pairs) and _compare_whole(run.mode, run.bounded, its_pairs)
    }
    whole |= _left_behind(task, run, retired_pairs) & genesys_groups.keys()
    # A comparison finds everything that is unsettled there, so it has to know what speaks against it.
    listed = {change.id for target in whole for change in changes[target]}
    for change in task.journal.unsettled(name) if whole else ():
        target = by_ad_group.get(change.group_guid)
        if target in whole and change.id not in listed:
            changes[target].append(change)

    targets = []
    for target in sorted(whole | set(changes)):
        target_pairs = feeding.get(target, [])
        targets.append(
            TargetGroup(
                genesys_group_id=target,
                feeding=tuple(sorted(pair.group_guid for pair in target_pairs)),
                retired=frozenset(p.group_guid for p in retired_pairs if p.genesys_group_id == target),
                whole=target in whole,
                changes=changes.get(target, []),
            )
        )
    _fill_wanted(task, targets)
    return targets, dict(unmapped)


def _left_behind(task: Sync, run: RunRecord, retired: Sequence[Pair]) -> set[str]:
    """Genesys groups in which AD still owns memberships through a pair that is no more. They are compared so that the
    report says who is left there (nobody is removed for that): by the run that finds it out, and in mode full."""
    if run.bounded or run.mode is Mode.CHANGES:
        return set()
    name = task.definition.name
    known = task.journal.known_groups(name, {pair.group_guid for pair in retired})
    allowed = {group.guid for group in chosen(known.values(), run.groups)}
    ids = {pair.genesys_group_id for pair in retired if pair.group_guid in allowed}
    if run.mode is not Mode.FULL:
        ids &= retired_now(task)
    return {grant.genesys_group_id for grant in task.journal.grants(name, ids)}


def target_of(task: Sync, genesys_group_id: str) -> TargetGroup:
    """One Genesys group by the newest view, with nothing to act on: what `patch` asks again before it writes."""
    pairs = newest_pairs(task)
    target = TargetGroup(
        genesys_group_id=genesys_group_id,
        feeding=tuple(sorted(pair.group_guid for pair in pairs if pair.genesys_group_id == genesys_group_id)),
        retired=frozenset(p.group_guid for p in _retired(task, pairs) if p.genesys_group_id == genesys_group_id),
        whole=False,
    )
    _fill_wanted(task, [target])
    return target


def newest_pairs(task: Sync) -> list[Pair]:
    """What feeds what by the newest mapping: another run may have mapped anew since this one did, by edited rules. A
    dry run keeps no pairs in the journal; it goes by its own."""
    return mapped(task)[0] if task.run.dry_run else task.journal.pairs(task.definition.name)


def _compare_whole(mode: Mode, bounded: bool, pairs: Iterable[Pair]) -> bool:
    if mode is Mode.FULL:
        return True
    return mode is Mode.AUTO and not bounded and not all(pair.has_baseline for pair in pairs)


def _retired(task: Sync, pairs: Iterable[Pair]) -> list[Pair]:
    """Pairs under which something may have been granted and that no rule gives any more. A dry run, which keeps no
    pairs in the journal, works out the same."""
    today = {(pair.group_guid, pair.genesys_group_id) for pair in pairs}
    name = task.definition.name
    once = [*task.journal.inactive_pairs(name), *task.journal.pairs(name)]
    return [pair for pair in once if (pair.group_guid, pair.genesys_group_id) not in today]


def _fill_wanted(task: Sync, targets: Sequence[TargetGroup]) -> None:
    roots = {guid for target in targets for guid in target.feeding}
    view = task.journal.load_view(task.definition.name, roots)
    nested = task.definition.directory.nested_groups
    for target in targets:
        target.wanted = wanted_members(task, view, target.feeding)
        target.nested_below = frozenset().union(
            *(closure(view, guid, nested=nested) for guid in target.feeding if guid in view.groups)
        )
