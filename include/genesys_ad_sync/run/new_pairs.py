"""Pairs of AD and Genesys groups that a person must confirm.

`map_groups` finds them; the answer decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from genesys_ad_sync.model import Decision, GroupPair, Guid, PairState, Row
from genesys_ad_sync.planning import Plan, Target
from genesys_ad_sync.planning.new_pairs import PairKey, key_of, need_nobody, with_states
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import StoredApproval
from genesys_ad_sync.run.targets import newest_pairs, pairs_of
from genesys_ad_sync.settings import SyncDefinition

# -- for `map_groups` ---------------------------------------------------------------------------------


def store(task: TaskContext, pairs: Sequence[GroupPair]) -> list[GroupPair]:
    """Store the mapping of a live run; return it with baselines and states."""
    with task.journal.together():
        confirmed = _need_nobody(task, pairs, first_run=not task.journal.new_pairs.has_mapped())
        task.journal.new_pairs.note_mapped(task.clock())
        return task.journal.pairs.replace(pairs, task.clock(), confirmed)


def as_dry_run_sees(task: TaskContext, pairs: Sequence[GroupPair]) -> list[GroupPair]:
    """Return the mapping with the states that the journal knows.

    Before the first live run nothing is new.
    """
    stored = {key_of(pair): pair.state for pair in _stored(task)}
    if not task.journal.new_pairs.has_mapped():
        return with_states(pairs, stored, {key_of(pair) for pair in pairs})
    return with_states(pairs, stored, _need_nobody(task, pairs, first_run=False))


def _need_nobody(task: TaskContext, pairs: Sequence[GroupPair], *, first_run: bool) -> frozenset[PairKey]:
    fed_before: dict[Guid, set[str]] = {}
    fixed = any(rule.source in ("guid", "sid") for rule in task.definition.groups)
    for pair in _stored(task) if fixed else ():  # only of these rules it matters
        fed_before.setdefault(pair.group_guid, set()).add(pair.genesys_group_id)
    listed = task.journal.new_pairs.listed(rules_digest(task.definition)) if first_run else ()
    return need_nobody(pairs, task.definition, fed_before=fed_before, first_run=first_run, listed=listed)


def _stored(task: TaskContext) -> list[GroupPair]:
    return [*task.journal.pairs.active(), *task.journal.pairs.former()]


def rules_digest(definition: SyncDefinition) -> str:
    """Return a digest of what the owner of the definition says about pairs.

    A trial by other rules says nothing about the pairs of today's.
    """
    rules = [rule.model_dump(mode="json", exclude_defaults=True) for rule in definition.groups]
    directory = definition.directory
    said = [rules, list(directory.group_base), directory.group_filter, list(definition.exclude.groups)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


# -- for `plan` ---------------------------------------------------------------------------------------


def list_pairs(task: TaskContext, decided: Plan) -> None:
    """Note the pairs that the report of a dry run lists.

    After the first live run it does not matter.
    """
    if not task.run.dry_run or task.journal.new_pairs.has_mapped():
        return
    shown = [key_of(pair) for pair in newest_pairs(task) if pair.genesys_group_id in decided.compared_groups]
    task.journal.new_pairs.list_pairs(shown, rules_digest(task.definition))


def with_decisions(task: TaskContext, targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return the targets with the decisions about their new pairs.

    A decision is what a person must know, or has said.
    """
    targets = tuple(targets)
    if not any(target.unconfirmed or target.former_sources for target in targets):  # rejected pairs are among these
        return targets
    pairs = {key_of(pair): pair for pair in pairs_of(task, targets)}
    rejections = task.journal.pairs.rejections()
    before = _fed_before(task, pairs)

    def with_decision(target: Target) -> Target:
        group_id = target.genesys_group.id
        return replace(
            target,
            new_rules={guid: _rule(task, pairs[guid, group_id]) for guid in target.unconfirmed},
            fed_before={guid: before[guid] for guid in target.unconfirmed & before.keys()},
            refusals={guid: said for (guid, id_), said in rejections.items() if id_ == group_id},
        )

    return tuple(map(with_decision, targets))


def _rule(task: TaskContext, pair: GroupPair) -> str:
    rules = task.definition.groups
    if pair.rule >= len(rules):  # mapped by another version of the definition
        return ""
    return json.dumps(rules[pair.rule].model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)


def _fed_before(task: TaskContext, pairs: Collection[PairKey]) -> dict[Guid, str]:
    """Return AD group -> name of another Genesys group that it fed before."""
    today = {guid for guid, _ in pairs}
    former = [pair for pair in task.journal.pairs.former() if pair.group_guid in today and key_of(pair) not in pairs]
    confirmed = [pair for pair in former if pair.state is PairState.CONFIRMED]
    return {pair.group_guid: pair.genesys_group_name for pair in (*former, *confirmed)}


# -- after the answer ---------------------------------------------------------------------------------


def apply_decisions(
    task: TaskContext, rows: Iterable[Row], given: Mapping[str, Decision], approval: StoredApproval
) -> None:
    """Confirm or reject the pairs that the rows ask about.

    Must be called in one transaction with the rows.
    """
    decided: dict[Decision, set[PairKey]] = {}
    for row in rows:
        if row.new_pair is not None:
            decided.setdefault(given[row.key], set()).add(row.new_pair)
    approved = decided.get(Decision.APPROVED, set())
    rejected = decided.get(Decision.REJECTED, set()) - approved
    task.journal.pairs.confirm(approved, approval.at)
    task.journal.pairs.reject(rejected, run=task.key, by=approval.by, at=approval.at)
