"""A run as a difference per Genesys group, in pieces."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Decision, GroupResult, RunRecord
from genesys_ad_sync.views.history import History
from genesys_ad_sync.views.run_plan import Piece, RunPlan, run_plan
from tests.support.journal import (  # noqa: F401 (fixtures)
    DEFINITION,
    T0,
    begin,
    journal,
    journal_url,
    minutes,
    recorded,
    row,
)
from tests.support.view_examples import Action, Reason, Status, change, key_of

GROUPS = ("billing", "sales", "support")


@pytest.fixture
def run(journal: Journal) -> RunRecord:
    """Return a run with three people in each of three groups."""
    changes = recorded(journal, *(change(group, f"p{number}") for group in GROUPS for number in range(3)))
    begun = begin(journal, "r1")
    rows = [row(of, Status.HELD, reason=Reason.OVER_LIMIT) for of in changes]
    rows[4] = row(changes[4], Status.SUCCESS)
    journal.rows.replace(begun, rows)
    figures = GroupResult("G-sales", "Sales", ("sales",), True, 7, 8, 1, 0, 0)
    journal.figures.save_groups(begun, [figures])
    journal.facts.put(begun, "notes", ["Mind the gap."])
    return begun


def piece(journal: Journal, run: RunRecord, **asked: Any) -> RunPlan:
    limit = asked.pop("limit", 100)
    return run_plan(journal, run, History(), now=T0, limit=limit, piece=Piece(**asked))


def people(plan: RunPlan) -> list[tuple[str | None, list[str]]]:
    return [(group.group_id, [line.row.person for line in group.lines]) for group in plan.groups]


def test_the_plan_is_by_genesys_group_with_its_figures(journal: Journal, run: RunRecord) -> None:
    plan = piece(journal, run)
    assert people(plan) == [(f"G-{group}", ["p0", "p1", "p2"]) for group in GROUPS]
    assert [group.name for group in plan.groups] == ["G-billing", "Sales", "G-support"]
    assert [bool(group.figures) for group in plan.groups] == [False, True, False]
    assert (plan.notes, plan.after) == (("Mind the gap.",), None)
    assert plan.run.counts == {"success": 1, "held": 8}


def test_pieces_follow_each_other_without_a_gap(journal: Journal, run: RunRecord) -> None:
    found, after = [], ""
    for _ in range(3):
        plan = piece(journal, run, limit=4, after=after)
        found += [(group, person) for group, persons in people(plan) for person in persons]
        after = plan.after or ""
    assert found == [(f"G-{group}", f"p{number}") for group in GROUPS for number in range(3)]
    assert after == ""


def test_rows_are_chosen_by_status_and_by_group(journal: Journal, run: RunRecord) -> None:
    assert people(piece(journal, run, status="success")) == [("G-sales", ["p1"])]
    assert people(piece(journal, run, group="G-sales", status="held")) == [("G-sales", ["p0", "p2"])]
    assert people(piece(journal, run, group="G-sale")) == []


def test_a_held_row_says_where_it_can_be_answered(journal: Journal, run: RunRecord) -> None:
    [group] = piece(journal, run, group="G-billing").groups
    assert group.lines[0].remedy == "Answer in the task approve_removals of this run."
    journal.runs.finish(run, "success", T0 + minutes(3))
    [group] = piece(journal, journal.runs.get(run.key), group="G-billing").groups
    assert group.lines[0].remedy == "A later run asks again: answer in its task approve_removals."


def test_the_answers_of_people_are_counted(journal: Journal, run: RunRecord) -> None:
    keys = [key_of("billing", f"p{number}", Action.ADD) for number in range(3)]
    questions = journal.of(DEFINITION).questions
    questions.open(run.key, {key: [1] for key in keys}, last_change=9, at=T0, until=T0 + minutes(60))
    [waiting] = piece(journal, run).answers
    assert (waiting.decision, waiting.count, waiting.until) == (None, 3, T0 + minutes(60))
    decisions = {keys[0]: Decision.APPROVED, keys[1]: Decision.APPROVED, keys[2]: Decision.REJECTED}
    questions.close(run.key, decisions, by="lee", at=T0 + minutes(5))
    approved, rejected = piece(journal, run).answers
    assert (approved.decision, approved.by, approved.count, approved.closed_at) == (
        "approved",
        "lee",
        2,
        T0 + minutes(5),
    )
    assert (rejected.decision, rejected.count) == ("rejected", 1)
