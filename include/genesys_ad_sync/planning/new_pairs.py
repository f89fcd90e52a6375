"""Pairs that no person has confirmed: their limits, and the question about them.

Who may name an AD group, or write the attribute of a rule, can make it feed any Genesys group. So a pair that appears
after the first live run grants nothing, and takes nothing over, until a person has confirmed it. It protects all the
same: a member that such a pair wants is not removed before the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from genesys_ad_sync.model import GroupPair, Guid, Match, MatchStatus, PairState
from genesys_ad_sync.planning.facts import TargetFacts
from genesys_ad_sync.settings import GroupRule, SyncDefinition

PairKey = tuple[Guid, str]
"""AD group, Genesys group."""


def key_of(pair: GroupPair) -> PairKey:
    """Return what identifies a pair."""
    return pair.group_guid, pair.genesys_group_id


def need_nobody(
    pairs: Iterable[GroupPair],
    definition: SyncDefinition,
    *,
    fed_before: Mapping[Guid, Collection[str]],
    first_run: bool,
    listed: Collection[PairKey],
) -> frozenset[PairKey]:
    """Return the pairs that no person has to confirm.

    ``fed_before``: AD group -> Genesys groups that it feeds or fed. ``first_run``: no live run has mapped groups yet.
    ``listed``: pairs that reports of dry runs listed; none: there were no such reports by these rules.
    """
    return frozenset(
        key_of(pair)
        for pair in pairs
        if definition.limits.new_pairs == "allow"
        or _is_named_by_the_definition(definition.groups[pair.rule], set(fed_before.get(pair.group_guid, ())), pair)
        or (first_run and (not listed or key_of(pair) in listed))
    )


def _is_named_by_the_definition(rule: GroupRule, fed_before: Collection[str], pair: GroupPair) -> bool:
    """Return True if the definition names both groups in a fixed way.

    Nobody else can change that way. A Genesys group that is named by its name or external id is another one when the
    name moves.
    """
    if rule.source not in ("guid", "sid"):
        return False
    return rule.target == "genesys_id" or set(fed_before) <= {pair.genesys_group_id}


def with_states(
    pairs: Iterable[GroupPair], stored: Mapping[PairKey, PairState], confirmed: Collection[PairKey]
) -> list[GroupPair]:
    """Return the pairs as a dry run sees them, which stores none."""
    known = {PairState.CONFIRMED: PairState.CONFIRMED, PairState.REJECTED: PairState.REJECTED}

    def state(pair: GroupPair) -> PairState:
        decided = known.get(stored.get(key_of(pair), PairState.NEW))
        return decided or (PairState.CONFIRMED if key_of(pair) in confirmed else PairState.NEW)

    return [
        GroupPair(p.group_guid, p.genesys_group_id, p.genesys_group_name, p.rule, p.has_baseline, state(p))
        for p in pairs
    ]


# -- what happens to a change ------------------------------------------------------------------------


def must_wait(match: Match, changed: Collection[Guid], facts: TargetFacts) -> bool:
    """Return True if an add needs the answer about a new pair.

    ``changed``: AD groups of its changes.

    - Only new pairs want the membership. An inactive user who is not a member could not be added anyway.
    - Or only new pairs mention it now. Then the person is a member already, and the pair would take that over.
    """
    target, guid = facts.target, match.user_guid
    is_member = match.genesys_user_id in facts.members
    if not target.waiting(guid):
        return False
    if not target.granting(guid):
        return is_member or match.status is not MatchStatus.INACTIVE
    return is_member and target.unconfirmed.issuperset(changed)


def may_not_grant(changed: Collection[Guid], facts: TargetFacts) -> bool:
    """Return True if no AD group of these changes may grant anything."""
    return bool(changed) and set(changed) <= facts.target.unconfirmed | facts.target.refusals.keys()


def refusal(user_guid: Guid | None, facts: TargetFacts) -> dict[str, str] | None:
    """Return the rejection of the pair for which alone AD wants a membership.

    It says who rejected it. None: no person did.
    """
    for group_guid in facts.target.refused.get(user_guid or "", ()):
        said = facts.target.refusals.get(group_guid)
        if said is not None:
            return {**said.about, **about(group_guid, facts)}
    return None


# -- words --------------------------------------------------------------------------------------------


def about(group_guid: Guid, facts: TargetFacts) -> dict[str, str]:
    """Return the facts about a new pair that a person must know.

    These are the AD group, its rule, and what it fed before.
    """
    group = facts.context.groups.get(group_guid)
    texts = {"group": f"{group.name} ({group.dn})" if group else group_guid}
    rule = facts.target.new_rules.get(group_guid)
    if rule:
        texts["rule"] = rule
    before = facts.target.fed_before.get(group_guid)
    if before:
        texts["former_group"] = before
    return texts
