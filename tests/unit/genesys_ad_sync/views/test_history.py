"""Thirty days in numbers, and what is remembered of them."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import date, timedelta

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.views.history import Day, History
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, Reason, Status, change, poll, run_with

DAY = timedelta(days=1)


def test_each_day_has_the_memberships_that_live_runs_recorded(journal: Journal) -> None:
    poll(journal, {"support": "ada bob cyd dan"})
    run_with(journal, "r1", change("support", "ada"), Status.SUCCESS)
    run_with(journal, "r2", change("support", "bob", Action.REMOVE), Status.SUCCESS, at=T0 + DAY)
    run_with(journal, "r3", change("support", "cyd"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER, at=T0 + DAY)
    run_with(journal, "r4", change("support", "cyd"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER, at=T0 + DAY)
    run_with(journal, "r5", change("support", "dan"), Status.HELD, reason=Reason.OVER_LIMIT, at=T0 + DAY)
    run_with(journal, "dry", change("support", "ada"), Status.HELD, dry_run=True, at=T0 + DAY)

    days = History().days(journal, DEFINITION, T0 + DAY)
    assert len(days) == 30
    assert days[-2:] == [Day(date(2024, 5, 1), 1, 0, 0, 0), Day(date(2024, 5, 2), 0, 1, 1, 1)]
    assert not any(day.most for day in days[:-2])
    assert not any(day.most for day in History().days(journal, "other", T0 + DAY))


def test_a_past_day_is_counted_once_and_today_each_time(journal: Journal) -> None:
    poll(journal, {"support": "ada bob"})
    history = History()
    run_with(journal, "r1", change("support", "ada"), Status.SUCCESS)
    assert history.days(journal, DEFINITION, T0)[-1].added == 1
    run_with(journal, "r2", change("support", "bob"), Status.SUCCESS)
    assert history.days(journal, DEFINITION, T0)[-1].added == 2
    assert history.days(journal, DEFINITION, T0 + DAY)[-2].added == 2
    journal.runs.forget(DEFINITION, T0 + DAY)
    assert history.days(journal, DEFINITION, T0 + DAY)[-2].added == 2
    assert history.days(journal, DEFINITION, T0)[-1].added == 2


def test_the_rows_of_a_run_are_remembered_an_hour_after_its_end(journal: Journal) -> None:
    poll(journal, {"support": "ada bob"})
    run, _ = run_with(journal, "r1", change("support", "ada"), Status.SUCCESS)
    run = journal.runs.get(RunKey("dag", "r1"))
    history = History()
    early, late = T0 + timedelta(minutes=5), T0 + timedelta(hours=2)
    assert history.listed(journal, [run], early)[0].counts == {"success": 1}
    journal.rows.replace(run, [])
    assert history.listed(journal, [run], late)[0].counts == {}
    run_with(journal, "r2", change("support", "bob"), Status.SUCCESS)
    other = journal.runs.get(RunKey("dag", "r2"))
    assert history.listed(journal, [other], late)[0].counts == {"success": 1}
    journal.rows.replace(other, [])
    assert history.listed(journal, [other, run], late)[0].counts == {"success": 1}
