"""Removals that rest on what dry runs saw, and on nothing else: one may go, several need a person."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from genesys_ad_sync.model import Action, Row
from genesys_ad_sync.planning.facts import TargetFacts
from genesys_ad_sync.planning.pending import is_to_be_written

_LIMIT = "rest on what dry runs saw only: more than one in a group needs a person"


def with_trial_limit(rows: Iterable[Row], facts: TargetFacts) -> list[Row]:
    """Return the rows of a target, with the limit named where several removals rest on dry runs alone.

    A dry run shows them as planned.
    """
    rows = list(rows)
    resting = [row for row in rows if _rests_on_trial(row, facts)]
    if facts.context.dry_run or len(resting) < 2:  # noqa: PLR2004 (more than one)
        return rows
    text = f"{len(resting)} removals in {facts.target.genesys_group.name!r} {_LIMIT}"
    keys = {row.key for row in resting}
    return [dataclasses.replace(row, about={**row.about, "limit": text}) if row.key in keys else row for row in rows]


def needs_person_after_trial(row: Row) -> bool:
    """Return True for a row that `with_trial_limit` has marked."""
    return row.about.get("limit", "").endswith(_LIMIT)


def _rests_on_trial(row: Row, facts: TargetFacts) -> bool:
    return is_to_be_written(row) and row.action is Action.REMOVE and facts.rests_on_trial(row.genesys_user_id)
