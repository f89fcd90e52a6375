"""What a run of a large company reads and writes, counted."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal, RunKey, pairs
from genesys_ad_sync.journal.pairs import StoredPairs
from genesys_ad_sync.model import Grant, GroupPair, Objection, Reason, SkippedGroup, Status
from genesys_ad_sync.planning import Plan
from genesys_ad_sync.planning.sleeping import Sleepers
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING, StoredMapping
from genesys_ad_sync.run.mapped import MappingInShort
from genesys_ad_sync.run.objections import objections
from genesys_ad_sync.run.targets import target_of
from genesys_ad_sync.run.undo import UndoInputs
from genesys_ad_sync.stages import map_groups, plan, report
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    row,
    view,
)
from tests.support.sync_examples import definition

MANY = 40
COMPANY = [GroupPair(f"g{number}", f"G{number}", f"Team {number}", rule=0) for number in range(MANY)]


@pytest.fixture
def task(journal: Journal, tmp_path: Path) -> TaskContext:
    """Return the task of a run in a company of many mapped groups."""
    advance(journal, view({pair.group_guid: f"u{pair.group_guid}" for pair in COMPANY}))
    journal.of(DEFINITION).pairs.replace(COMPANY, T0)
    run = begin(journal)

    def unused(*_: object) -> Any:
        raise AssertionError("nothing else is needed for it")

    made = TaskContext(
        definition=definition(),
        journal=journal.of(DEFINITION),
        key=run.key,
        task_key="patch[0]",
        directory=unused,
        client=unused,
        api_url=lambda: "org",
        client_id=unused,
        reports=ReportStore(tmp_path),
        clock=lambda: T0,
        sleep=unused,
        log=lambda _: None,
    )
    made.facts[MAPPING] = StoredMapping(
        pairs=tuple(COMPANY), names={pair.genesys_group_id: pair.genesys_group_name for pair in COMPANY}
    )
    return made


@pytest.fixture
def read_pairs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the AD groups of the pairs that are read from the journal, as they are read."""
    read: list[str] = []

    def counted(guid: str, *values: Any) -> GroupPair:
        read.append(guid)
        return GroupPair(guid, *values)

    monkeypatch.setattr(pairs, "GroupPair", counted)
    return read


# -- `patch`, for each Genesys group --


def test_the_check_before_writing_reads_the_pairs_of_its_group_alone(task: TaskContext, read_pairs: list[str]) -> None:
    assert target_of(task, "G7").wanted == {"ug7": ("g7",)}
    assert set(read_pairs) == {"g7"}


def test_a_decision_about_another_group_costs_nothing(task: TaskContext, read_pairs: list[str]) -> None:
    pin = Objection(Reason.UNDONE, RunKey("dag", "undo"), T0, last_change=0)
    task.journal.pins.add({("G3", "ug3"): pin}, undoes=RunKey("dag", "r0"))
    assert objections(task, "G7").standing == {}
    assert not read_pairs
    assert objections(task, "G3").standing == objections(task).standing != {}


# -- the grants of a first comparison --


def first_comparison(fence: int | None, grants: int) -> tuple[UndoInputs, Plan]:
    inputs = object.__new__(_Inputs)
    inputs.fence = fence
    made = tuple(Grant("G1", f"x{number}", f"u{number}", "g1") for number in range(grants))
    return inputs, Plan((), (), (), made, "hash")  # type: ignore[return-value]


class _Inputs:
    """What the plan was made of, as far as its grants need it."""

    fence: int | None
    sleepers = Sleepers(ended=(Grant("G1", "x0", "u0", "g1"),))


def test_many_new_grants_are_stored_in_several_transactions_before_the_plan(
    task: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "GRANTS_AT_A_TIME", 3)
    inputs, decided = first_comparison(plan.next_fence(task), 8)
    left = plan._with_grants_stored(task, inputs, decided)
    assert left.new_grants == decided.new_grants[:1]  # it must end first
    assert set(task.journal.grants.of_groups(["G1"])) == set(decided.new_grants[1:])


def test_nothing_is_stored_ahead_once_another_run_has_written(
    task: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "GRANTS_AT_A_TIME", 3)
    inputs, decided = first_comparison(plan.next_fence(task), 8)
    other = RunKey("dag_full", "other")
    task.journal.leases.acquire("org", other, "patch[0]", now=T0, ttl=timedelta(minutes=5))
    task.journal.leases.release("org", other, "patch[0]")
    assert plan._with_grants_stored(task, inputs, decided) is decided
    assert task.journal.grants.of_groups(["G1"]) == []


# -- XCom --


def test_the_xcom_of_the_mapping_has_counts_and_what_changed() -> None:
    skipped = tuple(SkippedGroup(f"s{number}", Reason.UNMAPPED) for number in range(MANY))
    short = MappingInShort.of(StoredMapping(pairs=tuple(COMPANY), skipped=skipped))
    before = StoredPairs.of([*COMPANY[1:], GroupPair("gone", "G", "Gone", rule=0)])
    summary = map_groups._summary(short, StoredPairs.of(COMPANY), before)
    assert summary == {"pairs": MANY, "skipped": {"unmapped": MANY}, "new": {"g0": "G0"}, "gone": {"gone": "G"}}


def test_the_xcom_of_a_first_mapping_lists_some_pairs_and_counts_all() -> None:
    many = 3 * map_groups.PAIRS_SHOWN
    pairs = [GroupPair(f"g{number}", "G", "G", rule=0) for number in range(many)]
    short = MappingInShort.of(StoredMapping(pairs=tuple(pairs)))
    summary = map_groups._summary(short, StoredPairs.of(pairs), StoredPairs.of([]))
    assert (summary["pairs"], len(summary["new"]), summary["gone"]) == (many, map_groups.PAIRS_SHOWN, {})


# -- the rows of a large plan --


def test_the_rows_of_a_large_plan_are_stored_before_others_wait(
    task: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "ROWS_AHEAD_AT_A_TIME", 3)
    changes = [replace(change("g0", f"u{number}"), id=number) for number in range(4)]
    rows = tuple(row(one, Status.PLANNED) for one in changes)
    assert plan._rows_stored_ahead(task, Plan(rows[:3], (), (), (), "hash")) is None
    found = ((rows[0].key, changes[0]),)
    assert plan._rows_stored_ahead(task, Plan(rows, (), found, (), "hash")) is None
    ahead = plan._rows_stored_ahead(task, Plan(rows, (), (), (), "hash"))
    assert ahead is not None
    task.journal.rows.replace(task.run, rows, ahead)
    assert task.journal.rows.of_run(task.run) == list(rows)


# -- after a run --


class CountingReports(ReportStore):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.looked_at: list[datetime] = []

    def prune(self, keep_days: int, now: datetime, *, dag_id: str | None = None) -> int:
        self.looked_at.append(now)
        return super().prune(keep_days, now, dag_id=dag_id)


def test_old_reports_are_looked_for_once_a_day(task: TaskContext, tmp_path: Path) -> None:
    task.reports = reports = CountingReports(tmp_path)
    for hours in (0, 1, 23, 24, 25):
        now = T0 + timedelta(hours=hours)
        task.clock = lambda now=now: now  # type: ignore[misc]
        report._close(task, task.run, [])
    assert reports.looked_at == [T0, T0 + timedelta(hours=24)]
