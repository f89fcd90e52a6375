"""Removals that rest only on what dry runs saw.

One of them may go. Several need a person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from genesys_ad_sync.model import Action, Row
from genesys_ad_sync.planning.facts import TargetFacts
from genesys_ad_sync.planning.pending import is_to_be_written


def asked_after_trial(rows: Iterable[Row], facts: TargetFacts) -> frozenset[str]:
    """Return the keys of several removals of a target that rest on dry runs.

    They rest on dry runs alone. If there is only one, it is not returned. A dry run shows them as planned.
    """
    resting = frozenset(row.key for row in rows if _rests_on_trial(row, facts))
    return frozenset() if facts.context.dry_run or len(resting) <= 1 else resting


def with_trial_limit(rows: Iterable[Row], asked: Collection[str], facts: TargetFacts) -> tuple[Row, ...]:
    """Return the rows of a target, with the limit named on those that `asked_after_trial` returns."""
    text = (
        f"{len(asked)} removals in {facts.target.genesys_group.name!r} are based only on what dry runs saw: more "
        f"than one in a group needs approval"
    )
    return tuple(
        dataclasses.replace(row, about={**row.about, "limit": text}) if row.key in asked else row for row in rows
    )


def _rests_on_trial(row: Row, facts: TargetFacts) -> bool:
    return is_to_be_written(row) and row.action is Action.REMOVE and facts.rests_on_trial(row.genesys_user_id)
