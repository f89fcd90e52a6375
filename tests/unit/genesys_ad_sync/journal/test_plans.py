"""SQLite finds what is of one person, waits, or ran last by the index for it, not by reading all of a definition."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, text

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.listings import RunFilter
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)

QUESTIONS: dict[str, tuple[Callable[[Journal], Any], set[str]]] = {
    "what waits": (
        lambda journal: journal.lookups.waiting(DEFINITION),
        {"journal_change_unsettled", "journal_outcome_by_change"},
    ),
    "a cause": (
        lambda journal: journal.listings.waiting_changes(DEFINITION, "held", None, limit=5),
        {"journal_change_unsettled", "journal_outcome_by_change"},
    ),
    "what a group waits for": (
        lambda journal: journal.of(DEFINITION).group_members.last_changes(["g"], 5, only_open=True),
        {"journal_change_unsettled"},
    ),
    "the history of a group": (
        lambda journal: journal.of(DEFINITION).group_members.last_changes(["g"], 5),
        {"journal_change_by_group"},
    ),
    "grants of a person": (
        lambda journal: journal.of(DEFINITION).lookups.grants_of_account("u"),
        {"journal_grant_by_user"},
    ),
    "changes of a person": (lambda journal: journal.of(DEFINITION).lookups.changes_of("u"), {"journal_change_by_user"}),
    "questions about a person": (
        lambda journal: journal.of(DEFINITION).lookups.questions_about(["G:u:add"]),
        {"journal_question_by_subject"},
    ),
    "contradicted links": (
        lambda journal: journal.listings.contradicted(DEFINITION, limit=5),
        {"journal_link_contradicted"},
    ),
    "the last runs of a DAG": (lambda journal: journal.lookups.last_runs(1, dag_id="dag"), {"journal_run_by_dag"}),
    "the members of a group": (
        lambda journal: journal.of(DEFINITION).group_members.holders("G"),
        {"PRIMARY KEY (definition=? AND genesys_group_id=?)"},
    ),
    "announced ends of objects": (
        lambda journal: journal.of(DEFINITION).announced.objects(T0),
        {"journal_group_by_end", "journal_user_by_end"},
    ),
    "announced ends of memberships": (
        lambda journal: journal.of(DEFINITION).announced.links(T0),
        {"journal_membership_by_end", "sqlite_autoindex_journal_group_1"},
    ),
    "accounts that have expired": (
        lambda journal: journal.of(DEFINITION).views.users_expired_at(T0),
        {"journal_user_by_expiry"},
    ),
    "pairs without a baseline": (
        lambda journal: journal.of(DEFINITION).pairs.without_baseline(),
        {"journal_pair_without_baseline"},
    ),
    "pairs without a decision": (
        lambda journal: journal.of(DEFINITION).pairs.confirm([], T0),
        {"journal_pair_undecided", "journal_meta"},
    ),
    "what was written in a day": (
        lambda journal: journal.listings.written(DEFINITION, T0, approved_from=3, genesys_group_id="G"),
        {"journal_run_row_by_time", "journal_run_by_start"},
    ),
}


@pytest.fixture
def plans(journal: Journal) -> list[str]:
    """Return a list to which each statement that is sent adds the lines of its plan."""
    lines: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            lines.extend(row[3] for row in rows)

    event.listen(journal.database.engine, "before_cursor_execute", explain)
    return lines


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_its_own_index(journal: Journal, plans: list[str], question: str) -> None:
    ask, wanted = QUESTIONS[question]
    ask(journal)
    looks = [line for line in plans if line.startswith(("SEARCH", "SCAN"))]
    assert looks
    assert [line for line in looks if not any(name in line for name in wanted)] == []
    assert all(any(name in line for line in looks) for name in wanted)


def test_the_newest_runs_are_read_from_the_end(journal: Journal, plans: list[str]) -> None:
    for dag_ids in (["dag"], ["dag", "dag_full"]):
        journal.listings.runs(RunFilter([DEFINITION], dag_ids), limit=5)
    journal.lookups.last_runs(5, DEFINITION)
    assert len(plans) == 3, "nothing is sorted"


def test_statistics_are_those_of_the_version_whatever_the_journal_holds(journal_url: str) -> None:
    with Journal.open(journal_url) as opened, opened.database.engine.connect() as connection:
        known = {row.idx for row in connection.execute(text("SELECT idx FROM sqlite_stat1"))}
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type IN ('index', 'table')"))
        assert known <= {name for (name,) in names}, "an index of that name"
        assert len(known) > 20
