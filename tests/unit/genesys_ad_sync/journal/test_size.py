"""What the journal does for a large company, counted: rows that are read, rows of a statement, what is forgotten."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from genesys_ad_sync.journal import Journal, ViewUpdate, views
from genesys_ad_sync.journal.database import ROWS_AT_A_TIME
from genesys_ad_sync.journal.facts import LARGE
from genesys_ad_sync.journal.figures import FULL_RUNS_SEARCHED
from genesys_ad_sync.journal.housekeeping import CHANGES_KEPT, FACTS_OF_A_LISTING, LARGE_VALUES_KEPT
from genesys_ad_sync.model import Action, DirectoryView, Grant, GroupPair, GroupResult, Mode, Status
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    cursor,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    row,
    view,
)

MANY_GROUPS = 600  # more than one statement asks for
DAY = timedelta(days=1)


@contextmanager
def statements(of: Journal) -> Iterator[list[tuple[str, Any]]]:
    """Collect the statements of the block with their parameters; a list of them if it is for many rows."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    event.listen(of.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(of.database.engine, "before_cursor_execute", note)


# -- the view --


def test_a_person_in_many_groups_is_read_once(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    company = view({f"g{number}": "u1 u2 u3" for number in range(MANY_GROUPS)})
    advance(journal, company)
    read, as_user = [], views.as_user
    monkeypatch.setattr(views, "as_user", lambda row: read.append(row.guid) or as_user(row))
    assert journal.of(DEFINITION).views.load(company.groups.keys()) == company
    assert sorted(read) == ["u1", "u2", "u3"]


def test_a_part_of_the_view_is_found_by_its_groups_alone(journal: Journal) -> None:
    advance(journal, view({"a": "u1 b", "b": "u2", "c": "u1 u2"}))
    with statements(journal) as seen:
        journal.of(DEFINITION).views.load({"a", "c"})
    with journal.database.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            return  # the plan depends on statistics there
        steps = [
            step[3]
            for statement, parameters in seen
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    of_members = [step for step in steps if "journal_membership" in step]
    assert of_members
    assert all("group_guid=?" in step for step in of_members), of_members


def test_no_statement_writes_more_rows_of_a_large_view_than_fit(journal: Journal) -> None:
    people = " ".join(f"u{number}" for number in range(2 * ROWS_AT_A_TIME + 1))
    with statements(journal) as seen:
        advance(journal, view({"g": people}))
    assert max(len(parameters) for _, parameters in seen if isinstance(parameters, list)) <= ROWS_AT_A_TIME
    assert journal.of(DEFINITION).views.count_memberships() == 2 * ROWS_AT_A_TIME + 1


def test_a_view_that_was_loaded_is_not_loaded_again(journal: Journal) -> None:
    advance(journal, view({"a": "u1 u2"}))
    of = journal.of(DEFINITION).views
    stored, before = of.cursor(), of.load()
    assert stored is not None
    after = view({"a": "u1", "b": "u3"})
    with statements(journal) as seen:
        of.advance(ViewUpdate(before, after, full=True), cursor=cursor(), scope="scope", expected_poll=stored.poll)
    assert not [statement for statement, _ in seen if statement.startswith("SELECT journal_user.")]
    assert of.load() == after


def test_many_grants_are_stored_in_parts(journal: Journal) -> None:
    grants = [Grant("G", f"x{number}", f"u{number}", "g") for number in range(2 * ROWS_AT_A_TIME + 1)]
    with statements(journal) as seen:
        journal.of(DEFINITION).grants.add(grants, T0)
    assert max(len(parameters) for _, parameters in seen if isinstance(parameters, list)) <= ROWS_AT_A_TIME
    assert set(journal.of(DEFINITION).grants.of_groups(["G"])) == set(grants)


def test_the_ids_of_many_grants_are_there_once(journal: Journal) -> None:
    journal.of(DEFINITION).grants.add(
        [Grant(f"G{number}", "genesys-user", "person", "group") for number in range(20)], T0
    )
    found = journal.of(DEFINITION).grants.of_groups([f"G{number}" for number in range(20)])
    assert len(found) == 20
    assert len({id(grant.user_guid) for grant in found}) == len({id(grant.genesys_user_id) for grant in found}) == 1


# -- pairs --


def test_the_pairs_of_one_genesys_group_are_found_without_the_others(journal: Journal) -> None:
    of = journal.of(DEFINITION).pairs
    first, second, other = (GroupPair(f"g{number}", genesys, genesys, rule=0) for number, genesys in enumerate("AAB"))
    of.replace([first, second, other], T0)
    of.replace([first, other], T0)
    assert [pair.group_guid for pair in of.active("A")] == ["g0"]
    assert [pair.group_guid for pair in of.former("A")] == ["g1"]
    assert {pair.group_guid for pair in of.active()} == {"g0", "g2"}


# -- what is forgotten --


def settled(of: Journal, *people: str, at: Any = T0, group: str = "g") -> None:
    """Record an addition of each person at that time, and a run that carried them out."""
    run = begin(of, f"run {at} {people}", started_at=at)
    additions = [change(group, person, observed_at=at) for person in people]
    rows = [row(one, Status.SUCCESS) for one in of.of(DEFINITION).changes.add_compared(additions)]
    of.rows.replace(run, rows)
    of.rows.record_outcomes(run, rows, at=at)
    of.runs.finish(run, "success", at)


def people_of_changes(of: Journal) -> set[str]:
    with of.database.engine.connect() as connection:
        return set(connection.execute(text("SELECT user_guid FROM journal_change")).scalars())


def test_settled_changes_are_forgotten_after_their_time_with_their_outcomes(journal: Journal) -> None:
    now = T0 + CHANGES_KEPT + 2 * DAY
    settled(journal, "old")
    settled(journal, "new", at=now - CHANGES_KEPT)
    journal.of(DEFINITION).changes.add_compared([change("g", "open", observed_at=T0)])
    assert journal.of(DEFINITION).housekeeping.forget_changes(now - DAY, now) == 1  # kept longer than reports are
    assert people_of_changes(journal) == {"new", "open"}
    with journal.database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM journal_outcome")).scalar() == 1
    assert journal.of(DEFINITION).housekeeping.forget_changes(now - DAY, now) == 0


def test_a_change_that_was_settled_lately_stays_however_old_it_is(journal: Journal) -> None:
    now = T0 + CHANGES_KEPT + 2 * DAY
    run = begin(journal, "late", started_at=now - DAY)
    [late] = journal.of(DEFINITION).changes.add_compared([change("g", "late", observed_at=T0)])
    journal.rows.replace(run, [row(late, Status.SUCCESS)])
    journal.rows.record_outcomes(run, [row(late, Status.SUCCESS)], at=now - DAY)
    assert journal.of(DEFINITION).housekeeping.forget_changes(now, now) == 0
    assert people_of_changes(journal) == {"late"}


def test_changes_of_a_group_whose_emptiness_a_person_confirmed_stay(journal: Journal) -> None:
    of = journal.of(DEFINITION)
    settled(journal, "u1")
    settled(journal, "u2", group="h")
    of.pairs.replace([GroupPair("g", "G", "G", rule=0), GroupPair("h", "H", "H", rule=0)], T0)
    of.pairs.confirm_empty("G", ["g"], 1)
    now = T0 + CHANGES_KEPT + DAY
    assert of.housekeeping.forget_changes(now, now) == 1
    assert people_of_changes(journal) == {"u1"}


def test_large_values_of_ended_runs_are_dropped_but_since_the_last_full_run(journal: Journal) -> None:
    of = journal.of(DEFINITION)
    large = {"pairs": ["x" * 40] * 100}
    runs = []
    for number, mode in enumerate((Mode.AUTO, Mode.FULL, Mode.AUTO)):
        run = begin(journal, f"r{number}", mode=mode)
        journal.facts.put(run, "mapping", {**large, "number": number})
        journal.facts.put(run, "notes", ["small"])
        journal.facts.put(run, "plan", {"hash": "small"})
        journal.facts.put(run, "question", {"asked by": number, **large})  # a report is made of it
        journal.runs.finish(run, "success", T0)
        runs.append(run)
    assert of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT) == 0
    assert of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT + minutes(1)) == 1
    assert journal.facts.of_attempts([run.id for run in runs], "mapping").keys() == {runs[1].id, runs[2].id}
    assert len(journal.facts.of_attempts([run.id for run in runs], "notes")) == 3
    assert len(journal.facts.of_attempts([run.id for run in runs], "question")) == 3
    with journal.database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM journal_content")).scalar() == 2 + 3
    assert [value["number"] for value in of.lookups.facts_since(runs[1], "mapping")] == [1, 2]


@pytest.mark.parametrize("key", FACTS_OF_A_LISTING)
def test_what_a_listing_of_genesys_showed_goes_after_a_day_also_since_the_last_full_run(
    journal: Journal, key: str
) -> None:
    of = journal.of(DEFINITION)
    runs = [begin(journal, f"r{number}", mode=mode) for number, mode in enumerate((Mode.FULL, Mode.AUTO))]
    for number, run in enumerate(runs):
        journal.facts.put(run, "plan", {})
        journal.facts.put(run, key, {"number": number, "large": "x" * LARGE})
        journal.runs.finish(run, "success", T0)
    small = begin(journal, "small")
    journal.facts.put(small, key, {})
    journal.runs.finish(small, "success", T0)
    assert of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT) == 0
    assert of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT + minutes(1)) == 2
    assert journal.facts.of_attempts([run.id for run in (*runs, small)], key).keys() == {small.id}


def test_results_by_group_go_with_the_mapping_but_those_of_the_newest_full_runs(journal: Journal) -> None:
    of = journal.of(DEFINITION)
    result = GroupResult(
        "G", "Sales", ("g",), complete=True, before=1, after=None, added=0, removed=0, manual_members=0
    )
    runs = []
    for number in range(FULL_RUNS_SEARCHED + 3):
        run = begin(journal, f"full{number}", mode=Mode.FULL)
        # the mapping of a small company is kept in the run itself, and its report can be written again
        journal.facts.put(run, "mapping", {"number": number, "pairs": ["x" if number == 0 else "x" * LARGE]})
        journal.facts.put(run, "plan", {})  # a run without one looked at nothing
        journal.figures.save_groups(run, [result])
        journal.runs.finish(run, "success", T0)
        runs.append(run)
    of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT)
    assert all(journal.figures.groups(run) == [result] for run in runs)
    of.housekeeping.forget_large_values(T0 + LARGE_VALUES_KEPT + minutes(1))
    assert [number for number, run in enumerate(runs) if not journal.figures.groups(run)] == [1, 2]


def test_cleaning_up_is_due_once_a_day_for_each_dag(journal: Journal) -> None:
    of = journal.of(DEFINITION).housekeeping
    assert of.is_due("dag", T0)
    of.note_done("dag", T0)
    assert not of.is_due("dag", T0 + DAY - minutes(1))
    assert of.is_due("dag", T0 + DAY)
    assert of.is_due("dag", T0 - minutes(1))  # the clock was ahead
    assert of.is_due("dag_full", T0)


def test_the_index_of_deleted_users_answers_for_them_alone(journal: Journal) -> None:
    advance(journal, view({"a": "u1 u2"}))
    advance(journal, view({"a": "u1"}), deleted=["u2"])
    with statements(journal) as seen:
        assert journal.of(DEFINITION).views.deleted_users() == {"u2"}
    with journal.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            [(statement, parameters)] = [one for one in seen if "journal_user" in one[0]]
            [step] = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            assert "journal_user_deleted" in step[3]


def test_the_end_of_a_membership_elsewhere_walks_no_grants(journal: Journal) -> None:
    at = {name: journal.of(name).grants for name in ("a", DEFINITION, "z")}
    mine, others = Grant("G", "x1", "u1", "g"), [Grant("G", "x1", "u1", "g"), Grant("G", "x2", "u2", "g")]
    for name, of in at.items():
        of.add([mine] if name == DEFINITION else others, T0)
    with statements(journal) as seen:
        at[DEFINITION].end_elsewhere({("G", "x1")})
    assert [at[name].of_groups(["G"]) for name in ("a", DEFINITION, "z")] == [others[1:], [mine], others[1:]]
    with journal.database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            asked = [one for one in seen if "journal_grant" in one[0]]
            plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in asked]
            steps = [step[3] for plan in plans for step in plan]
            assert len(asked) == 4 + 2  # each definition and the end of them; a deletion for each of the others
            assert all(step.startswith("SEARCH journal_grant USING") for step in steps), steps


def test_an_empty_view_of_the_first_poll_is_written_over_what_a_former_one_left(journal: Journal) -> None:
    advance(journal, DirectoryView())
    assert journal.of(DEFINITION).views.load() == DirectoryView()
    assert advance(journal, view({"a": "u1"}), changes=[change("a", "u1", Action.ADD)]) == 2
