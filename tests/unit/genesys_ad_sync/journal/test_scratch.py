"""A copy of the journal to try out what a run would do: the source is only read."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.scratch import scratch_journal
from genesys_ad_sync.model import Action, RunKey, Status
from tests.support.journal import T0, begin, change, journal, journal_url, minutes  # noqa: F401 (fixtures)
from tests.support.view_examples import grant, map_groups, poll, run_with

NOW = T0 + timedelta(days=400)


def content(journal: Journal) -> dict[str, list[tuple[Any, ...]]]:
    with journal.database.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in tables.metadata.sorted_tables
        }


def filled(journal: Journal) -> None:
    poll(journal, {"voice": "ann bob"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann")
    run_with(journal, "long-ago", change("voice", "ann"), Status.SUCCESS)
    run_with(journal, "waits", change("voice", "bob"), Status.ORPHANED)
    journal.leases.acquire("https://api", RunKey("dag", "waits"), "patch", now=NOW, ttl=minutes(5))
    journal.secrets.put("token", b"encrypted", renew_at=NOW)


OF_OLD_RUNS = {table.name for table in (tables.outcome, tables.row, tables.group_result, tables.fact, tables.request)}
"""A copy of PostgreSQL has less of these."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


def test_the_copy_has_everything_and_the_source_never_sees_what_happens_there(journal: Journal, folder: Path) -> None:
    filled(journal)
    before, identity = content(journal), journal.identity()
    with scratch_journal(journal, folder, now=NOW) as copy:
        assert copy.identity() == identity
        copied = content(copy)
        assert [name for name in before if name not in OF_OLD_RUNS and copied[name] != before[name]] == []
        mine = copy.of("default")
        [waits] = mine.changes.unsettled()
        assert mine.changes.last_outcomes([waits.id or 0])[waits.id or 0].status is Status.ORPHANED
        begin(copy, "new")
        mine.changes.add_compared([change("voice", "cid", Action.REMOVE)])
        poll(copy, {"voice": ""})
        assert content(copy) != copied
    assert (content(journal), journal.identity()) == (before, identity)


def test_rows_of_the_last_runs_are_copied(journal: Journal, folder: Path) -> None:
    filled(journal)
    with scratch_journal(journal, folder, now=NOW) as copy:
        for run_id in ("long-ago", "waits"):
            run = copy.runs.get(RunKey("dag", run_id))
            assert copy.rows.of_run(run) == journal.rows.of_run(run) != []


def test_ids_that_the_source_gave_out_are_not_given_out_again_in_the_copy(journal: Journal, folder: Path) -> None:
    filled(journal)
    newest = journal.of("default").changes.newest_id()
    with scratch_journal(journal, folder, now=NOW) as copy:
        [added] = copy.of("default").changes.add_compared([change("voice", "cid")])
        assert added.id == newest + 1
