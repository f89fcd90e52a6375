"""One run: what it decided per Genesys group, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.listings import Answered
from genesys_ad_sync.model import GroupResult, Row, RunRecord
from genesys_ad_sync.report.remedies import Answer, remedy
from genesys_ad_sync.run.facts import NOTES
from genesys_ad_sync.views.claims import as_far_as_named
from genesys_ad_sync.views.history import History
from genesys_ad_sync.views.runs import ListedRun


@dataclass(frozen=True)
class Line:
    """A row of the plan. ``remedy`` None: there is nothing to do."""

    row: Row
    remedy: str | None


@dataclass(frozen=True)
class GroupDifference:
    """The rows of one Genesys group.

    ``group_id`` None: no rule maps the AD groups of these rows.
    """

    group_id: str | None
    name: str
    figures: GroupResult | None
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Piece:
    """Which rows are shown. None: whatever it is.

    ``group``: a Genesys group. ``after``: `RunPlan.after` of the piece before.
    """

    status: str | None = None
    group: str | None = None
    after: str = ""


@dataclass(frozen=True)
class RunPlan:
    """A piece of a run's plan.

    ``after``: where the next piece begins; None: this is the last one.
    """

    run: ListedRun
    answers: tuple[Answered, ...]
    notes: tuple[str, ...]
    groups: tuple[GroupDifference, ...]
    after: str | None


def run_plan(
    journal: Journal,
    run: RunRecord,
    history: History,
    *,
    now: datetime,
    limit: int,
    piece: Piece | None = None,
    named: Collection[str] | None = None,
) -> RunPlan:
    """Return a piece of the last attempt of a run.

    ``piece`` None: the first rows, whatever they are. ``named``: the sync definitions that may be named; default: all.
    """
    piece = piece or Piece()
    rows = journal.listings.rows(run, status=piece.status, group=piece.group, after=piece.after, limit=limit + 1)
    shown = [as_far_as_named(row, named) for row in rows[:limit]]
    [listed] = history.listed(journal, [run], now)
    notes = NOTES.adapter.validate_python(journal.facts.get(run, NOTES.key, default=NOTES.default))
    results = journal.listings.results(run, {row.genesys_group_id for row in shown if row.genesys_group_id})
    is_asking = run.finished_at is None
    return RunPlan(
        listed,
        tuple(journal.listings.answers(run.definition, run.key)),
        tuple(notes),
        tuple(_differences(shown, results, Answer.NOW if is_asking else Answer.LATER)),
        shown[-1].key if len(rows) > limit else None,
    )


def _differences(rows: Sequence[Row], results: dict[str, GroupResult], answer: Answer) -> list[GroupDifference]:
    """Return rows, which come in the order of their keys, by Genesys group."""
    return [
        GroupDifference(
            target if lines[0].genesys_group_id else None,
            _name(lines[0], results.get(target)),
            results.get(target),
            tuple(Line(row, remedy(row, answer)) for row in lines),
        )
        for target, lines in ((target, list(found)) for target, found in groupby(rows, lambda row: row.row_key.target))
    ]


def _name(row: Row, figures: GroupResult | None) -> str:
    if figures:
        return figures.genesys_group_name
    if row.genesys_group_id:
        return row.group_name
    return ", ".join(group.get("name") or group.get("guid") or "" for group in row.directory_groups) or "not mapped"
