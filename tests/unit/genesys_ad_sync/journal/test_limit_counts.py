"""What the limits count: by time, by definition, without what a person approved."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import importlib
from typing import Any

import pytest
from sqlalchemy import text

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.journal.limit_counts import LimitCounts, Written
from genesys_ad_sync.model import Action, Reason, Row, Status
from tests.support.journal import (
    DEFINITION,
    T0,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    recorded,
    row,
)

APPROVED = 100
"""Lanes from here on were approved."""


def counts_of(journal: Journal, definition: str = DEFINITION) -> LimitCounts:
    return journal.of(definition).limit_counts


def made(number: int, status: Status = Status.SUCCESS, **values: Any) -> Row:
    fields = {
        "action": Action.REMOVE,
        "genesys_group_id": "G",
        "user_guid": f"u{number}",
        "group_guids": ("g",),
        "lane": 0,
        **values,
    }
    return Row(status=status, **fields)


def written(journal: Journal, action: Action = Action.REMOVE, *, since: Any = T0, of: str = DEFINITION) -> dict:
    return dict(counts_of(journal, of).written_since(action, since, approved_from=APPROVED))


def test_what_runs_wrote_is_counted_by_group_action_time_and_definition(journal: Journal) -> None:
    run, other = begin(journal), begin(journal, "r2", definition="other")
    journal.rows.record_outcomes(run, [made(1)], at=T0 - minutes(1))
    rows = [made(2), made(3, Status.PLANNED), made(4, action=Action.ADD), made(5, genesys_group_id="H")]
    journal.rows.record_outcomes(run, rows, at=T0)
    journal.rows.record_outcomes(run, [made(6)], at=T0 + minutes(1))
    journal.rows.record_outcomes(other, [made(7)], at=T0)
    assert written(journal) == {"G": 2, "H": 1}
    assert written(journal, since=T0 - minutes(1)) == {"G": 3, "H": 1}
    assert written(journal, Action.ADD) == {"G": 1}
    assert written(journal, of="other") == {"G": 1}


def test_what_a_person_approved_is_not_counted(journal: Journal) -> None:
    run = begin(journal)
    journal.rows.record_outcomes(run, [made(1, lane=APPROVED), made(2, lane=APPROVED - 1)], at=T0)
    assert written(journal) == {"G": 1}


def test_a_dry_run_wrote_nothing(journal: Journal) -> None:
    journal.rows.record_outcomes(begin(journal, dry_run=True), [made(1)], at=T0)
    assert written(journal) == {}


def test_a_removal_that_was_sent_and_could_not_be_read_back_is_known(journal: Journal) -> None:
    run = begin(journal)
    rows = [made(number, Status.PLANNED) for number in (1, 2, 3)] + [made(4, Status.PLANNED, lane=APPROVED)]
    journal.rows.replace(run, rows)
    fence = journal.leases.acquire("org", run.key, "patch[0]", now=T0, ttl=minutes(5))
    journal.rows.mark_sending(run, [rows[0].key, rows[1].key, rows[3].key], fence, T0)
    failed = {"status": Status.FAILED, "reason": Reason.UNVERIFIED}
    outcomes = [made(1, **failed), made(2, Status.FAILED, reason=Reason.REFUSED), made(3, **failed)]
    journal.rows.record_outcomes(run, [*outcomes, made(4, **failed, lane=APPROVED)], at=T0)
    counts = counts_of(journal)
    assert counts.unverified_since(T0, approved_from=APPROVED) == {rows[0].key}
    assert counts.unverified_since(T0 + minutes(1), approved_from=APPROVED) == frozenset()


def test_the_history_of_groups_has_the_newest_first_and_no_other_groups(journal: Journal) -> None:
    run = begin(journal)
    journal.rows.record_outcomes(run, [made(1, action=Action.ADD)], at=T0)
    journal.rows.record_outcomes(run, [made(1, lane=APPROVED), made(2, genesys_group_id="G2")], at=T0 + minutes(1))
    journal.rows.record_outcomes(run, [made(3, Status.FAILED)], at=T0 + minutes(2))
    history = counts_of(journal).history
    added, removed = Written("G", Action.ADD, T0), Written("G", Action.REMOVE, T0 + minutes(1))
    assert history(["G"], T0) == [removed, added]
    assert history(["G"], T0 + minutes(1)) == [removed]
    assert history(["_", "%"], T0) == []
    assert history([], T0) == []


def test_rows_about_to_be_written_are_those_of_other_unfinished_live_runs(journal: Journal) -> None:
    mine, other, dry = begin(journal, "mine"), begin(journal, "other"), begin(journal, "dry", dry_run=True)
    over, foreign = begin(journal, "over"), begin(journal, "foreign", definition="other")
    for run, number in ((mine, 1), (other, 2), (dry, 3), (over, 4), (foreign, 5)):
        approved = made(number + 10, Status.PLANNED, lane=APPROVED)
        journal.rows.replace(run, [made(number, Status.PLANNED), made(number + 20, Status.HELD, lane=None)])
        journal.rows.record_outcomes(run, [approved], at=T0)
    journal.runs.finish(over, "success", T0)
    counts = counts_of(journal)
    waiting = {"exclude": mine.key, "approved_from": APPROVED}
    assert counts.about_to_be_written(since=T0, **waiting) == {"G:u2:remove"}
    assert counts.about_to_be_written(since=T0 + minutes(1), **waiting) == frozenset()
    assert counts.approved(since=T0, **waiting) == {"G:u12:remove": RunKey("dag", "other")}
    assert counts.approved(since=T0 + minutes(1), **waiting) == {}


# -- changes ------------------------------------------------------------------------------------------


def test_a_change_keeps_which_limits_it_went_over_until_it_is_told_otherwise(journal: Journal) -> None:
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    assert one.id is not None
    changes = journal.of(DEFINITION).changes
    changes.set_over_limit({one.id: "removals=50"})
    assert [found.over_limit for found in changes.unsettled()] == ["removals=50", None]
    changes.set_over_limit({one.id: None})
    assert [found.over_limit for found in changes.by_id([one.id, two.id or 0])] == [None, None]


def test_a_change_was_first_seen_when_a_run_first_listed_it(journal: Journal) -> None:
    one, two = recorded(journal, change("g", "u1"), change("g", "u2"))
    changes = journal.of(DEFINITION).changes
    ids = [one.id or 0, two.id or 0]
    assert changes.first_seen(ids) == {}
    dry, live = begin(journal, "dry", dry_run=True), begin(journal, "live")
    journal.rows.record_outcomes(dry, [row(one, Status.HELD)], at=T0)
    journal.rows.record_outcomes(live, [row(one, Status.HELD), row(two, Status.SUCCESS)], at=T0 + minutes(1))
    journal.rows.record_outcomes(begin(journal, "later"), [row(one, Status.SUCCESS)], at=T0 + minutes(2))
    assert changes.first_seen(ids) == {one.id: (T0, dry.key), two.id: (T0 + minutes(1), live.key)}


def test_a_journal_of_an_older_version_knows_since_when_its_changes_wait(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0002"))
    with Journal.open(journal_url) as old, old._database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO journal_change (id, definition, group_guid, user_guid, action, observed_at, origin, path, "
                "status, settled) VALUES (7, 'default', 'g', 'u', 'remove', :at, 'poll', '[]', 'held', false), "
                "(8, 'default', 'g', 'v', 'remove', :at, 'poll', '[]', NULL, false)"
            ),
            {"at": "2026-03-02 12:00:00"},
        )
        for number, run_id in ((1, "first"), (2, "second")):
            connection.execute(
                text(
                    "INSERT INTO journal_outcome (id, change_id, dag_id, run_id, attempt, status, at) "
                    "VALUES (:id, 7, 'dag', :run_id, 1, 'held', :at)"
                ),
                {"id": number, "run_id": run_id, "at": f"2026-03-02 12:0{number}:00"},
            )
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        changes = new.of("default").changes
        assert [found.over_limit for found in changes.unsettled()] == [None, None]
        seen = changes.first_seen([7, 8])
        assert {id_: (f"{at:%H:%M}", run) for id_, (at, run) in seen.items()} == {7: ("12:01", RunKey("dag", "first"))}
