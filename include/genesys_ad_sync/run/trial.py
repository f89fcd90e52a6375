"""Evidence from dry runs of pairs that no live run has compared.

The first live comparison makes grants of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from genesys_ad_sync.model import DryEvidence, Guid, Scope
from genesys_ad_sync.planning import Plan, Target
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.targets import newest_pairs


@dataclass(frozen=True)
class Trial:
    """The evidence that still counts, by Genesys group, with the rules.

    Each rule is that of an AD group whose pair has no baseline.
    """

    evidence: Mapping[str, Sequence[DryEvidence]] = field(default_factory=dict)
    rules: Mapping[str, Mapping[Guid, str]] = field(default_factory=dict)


def read_trial(task: TaskContext, targets: Sequence[Target]) -> Trial:
    """Return what dry runs saw of the targets that are compared in full.

    Evidence counts if its pair is mapped and has no baseline, its scope is today's, and the rule that found the Genesys
    user is still there.
    """
    whole = {target.genesys_group.id for target in targets if target.full}
    if not whole:
        return Trial()
    rules = _rules(task, whole)
    finders = {"link", *(rule.label for rule in task.definition.users)}
    scope = scope_of_memberships(task)
    evidence: dict[str, list[DryEvidence]] = {}
    for one in task.journal.dry_evidence.of_groups(whole):
        group_id = one.grant.genesys_group_id
        is_trial = one.grant.group_guid in rules.get(group_id, {})
        if is_trial and one.scope == scope and one.matched_by in finders:
            evidence.setdefault(group_id, []).append(one)
    return Trial(evidence, rules)


def _rules(task: TaskContext, group_ids: Collection[str]) -> dict[str, dict[Guid, str]]:
    """Return the rules of pairs without a baseline.

    Genesys group id -> AD group of such a pair -> its rule, as it is written.
    """
    rules: dict[str, dict[Guid, str]] = {}
    written = [rule.model_dump_json(exclude_none=True) for rule in task.definition.groups]
    for pair in newest_pairs(task):
        if pair.genesys_group_id in group_ids and not pair.has_baseline and pair.rule < len(written):
            rules.setdefault(pair.genesys_group_id, {})[pair.group_guid] = written[pair.rule]
    return rules


def scope_of_memberships(task: TaskContext) -> str:
    """Return what the definition reads of AD, without the attributes: they decide no membership."""
    stored = task.journal.views.cursor()
    if stored is None:
        return ""
    try:
        scope = Scope.of_fingerprint(stored.scope)
    except ValueError:  # written by another version: compared as it is
        return stored.scope
    return replace(scope, group_attributes=(), user_attributes=()).fingerprint


def record_trial(task: TaskContext, decided: Plan) -> None:
    """Replace the evidence of what this run has compared.

    Evidence of former pairs and scopes is dropped. After a live comparison it is dropped, too: what is left of it are
    grants.
    """
    evidence = task.journal.dry_evidence
    if evidence.has_any():
        mapped = [(pair.group_guid, pair.genesys_group_id) for pair in newest_pairs(task)]
        evidence.keep_only(mapped, scope_of_memberships(task))
    evidence.replace(decided.compared_groups, decided.trial, task.clock())
