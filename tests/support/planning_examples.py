"""Plans of a few words for the tests of `planning`: an add, a removal, a complete comparison."""

from __future__ import annotations

from typing import Any

from genesys_ad_sync.model import Match, MatchStatus, Reason
from genesys_ad_sync.planning import Plan
from tests.support.sync_examples import change, definition, grant, matches, planned, target


def ambiguous(user: str, *candidates: str) -> Match:
    return Match(user, MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=candidates)


def inactive(user: str) -> Match:
    return Match(user, MatchStatus.INACTIVE, f"x-{user}", "mail=email", Reason.INACTIVE)


def orphan(user: str, reason: Reason = Reason.NO_GENESYS_USER) -> Match:
    return Match(user, MatchStatus.ORPHANED, reason=reason)


def added(known: dict[str, Match] | None = None, **changed: Any) -> Plan:
    """Return the plan for one add of ann to g1, listed there by the newest view."""
    facts = {"wanted": {"ann": ("g1",)}, "changes": (change("add", "ann"),), **changed}
    return planned(target(**facts), known=matches("ann") if known is None else known)


def removed(
    known: dict[str, Match] | None = None,
    policy: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    **changed: Any,
) -> Plan:
    """Return the plan for one removal of ann, who is a member by a grant through g1."""
    facts = {
        "members": frozenset({"x-ann"}),
        "grants": (grant("ann"),),
        "changes": (change("remove", "ann"),),
        **changed,
    }
    known = matches("ann") if known is None else known
    return planned(target(**facts), known=known, policy=definition(**(policy or {})), **(context or {}))


def whole(policy: dict[str, Any] | None = None, known: dict[str, Match] | None = None, **changed: Any) -> Plan:
    """ann and bob belong in it; bob is a member, carl was granted it once and dora came by hand."""
    facts = {
        "full": True,
        "wanted": {"ann": ("g1",), "bob": ("g1",)},
        "members": frozenset({"x-bob", "x-carl", "x-dora"}),
        "grants": (grant("carl"),),
        **changed,
    }
    context = {name: facts.pop(name) for name in ("moves", "relinks") if name in facts}
    return planned(
        target(**facts), known=known or matches("ann", "bob"), policy=definition(**(policy or {})), **context
    )
