"""Does the sync run, and what waits since when."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.errors import RunAmbiguous, RunUnknown
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.run.silence import silence_of
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.runs import find_run, list_runs
from genesys_ad_sync.views.status import DefinitionStatus, status
from tests.support.journal import T0, begin, journal, journal_url, user  # noqa: F401 (fixtures)
from tests.support.view_examples import (
    Action,
    Reason,
    Status,
    change,
    definition,
    finish,
    key_of,
    map_groups,
    poll,
    run_with,
)

DAG, FULL = "genesys_ad_group_sync", "genesys_ad_group_sync_full"


def ended(journal: Journal, dag_id: str, run_id: str, hours: float, *, planned: bool = True, **asked: Any) -> None:
    """Make a run that ended so many hours after T0."""
    at = T0 + timedelta(hours=hours)
    run = begin(journal, key=RunKey(dag_id, run_id), started_at=at, **asked)
    finish(journal, run, at=at, planned=planned)


def at(journal: Journal, hours: float, of: SyncDefinition | None = None, **asked: Any) -> DefinitionStatus:
    definitions = {} if of is None else {"default": of}
    [found] = status(journal, definitions, now=T0 + timedelta(hours=hours), **asked)
    return found


def stale(found: DefinitionStatus) -> dict[str, bool]:
    return {dag.dag_id: dag.stale for dag in found.dags}


def test_a_dag_is_silent_when_no_live_run_was_carried_through_for_too_long(journal: Journal) -> None:
    ended(journal, DAG, "r1", 0)
    ended(journal, FULL, "f1", 0)
    mine = definition(dry_run="false")
    assert stale(at(journal, 1.9, mine)) == {DAG: False, FULL: False}
    assert stale(at(journal, 2.1, mine)) == {DAG: True, FULL: False}
    assert stale(at(journal, 73, mine)) == {DAG: True, FULL: True}
    assert at(journal, 73, mine).stale
    assert stale(at(journal, 1, mine, silent_after=timedelta(minutes=30))) == {DAG: True, FULL: True}


@pytest.mark.parametrize(
    ("what", "run"),
    [
        ("ended before a plan, as when AD cannot be read", {"planned": False}),
        ("was dry", {"dry_run": True}),
    ],
)
def test_a_run_that_wrote_nothing_is_no_sign_of_life(journal: Journal, what: str, run: dict[str, Any]) -> None:
    ended(journal, DAG, "r1", 0)
    ended(journal, DAG, "r2", 5, **run)
    assert stale(at(journal, 5, definition(dry_run="false")))[DAG], what


def test_a_dry_definition_lives_by_its_dry_runs(journal: Journal) -> None:
    ended(journal, DAG, "r1", 5, dry_run=True)
    assert not stale(at(journal, 5, definition(dry_run="true")))[DAG]


def test_a_run_with_failed_rows_is_a_sign_of_life(journal: Journal) -> None:
    run = begin(journal, key=RunKey(DAG, "r1"))
    finish(journal, run)
    journal.runs.finish(run, "failed", T0)
    assert not stale(at(journal, 1, definition(dry_run="false")))[DAG]


def test_a_definition_that_never_ran_is_stale_and_one_without_a_file_is_judged_by_its_runs(journal: Journal) -> None:
    assert stale(at(journal, 0, definition())) == {DAG: True, FULL: True}
    ended(journal, DAG, "r1", 0)
    assert stale(at(journal, 1)) == {DAG: False}
    assert stale(at(journal, 3)) == {DAG: True}


def test_a_dag_that_has_not_come_to_its_first_run_yet_is_waited_for(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})  # the journal began at T0
    assert stale(at(journal, 1, definition())) == {DAG: False, FULL: False}
    assert stale(at(journal, 3, definition())) == {DAG: True, FULL: False}
    assert stale(at(journal, 73, definition())) == {DAG: True, FULL: True}


@pytest.mark.parametrize(
    ("schedule", "hours"), [("*/15 * * * *", 2), ("0 * * * *", 3), ("0 3 * * *", 72), ("0 6-18 * * 1-5", 180)]
)
def test_silence_begins_after_three_of_the_longest_pauses_of_a_schedule(schedule: str, hours: int) -> None:
    assert silence_of(schedule) == timedelta(hours=hours)


def test_what_waits_is_counted_by_reason_with_the_oldest(journal: Journal) -> None:
    poll(journal, {"voice": "ann bob"})
    map_groups(journal, "voice")
    run_with(journal, "r1", change("voice", "ann"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    run_with(journal, "r2", change("voice", "bob"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    run_with(journal, "r3", change("voice", "cid", Action.REMOVE), Status.HELD, reason=Reason.PROTECTED)
    run_with(journal, "r4", change("voice", "dan"), Status.SUCCESS)
    journal.of("default").changes.add_compared([change("voice", "eve")])
    found = {(wait.status, wait.reason): (wait.count, wait.words) for wait in at(journal, 1).waits}
    assert found == {
        ("orphaned", "no_genesys_user"): (2, "No Genesys Cloud user matches this person."),
        ("held", "protected"): (1, "The Genesys group is protected; each change needs approval."),
        ("new", None): (1, "No live run has acted on it yet."),
    }


def test_open_questions_are_named_until_nobody_can_answer_any_more(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    subjects = {key_of("voice", person, Action.REMOVE): [1] for person in ("ann", "bob")}
    until = T0 + timedelta(hours=8)
    journal.of("default").questions.open(RunKey(DAG, "r1"), subjects, last_change=1, at=T0, until=until)
    [question] = at(journal, 1).questions
    assert (question.run, question.changes, question.until) == (f"{DAG}/r1", 2, until)
    assert at(journal, 9).questions == ()


def test_runs_are_listed_newest_first_and_found_by_either_name(journal: Journal) -> None:
    run_with(journal, "r1", change("voice", "ann"), Status.SUCCESS)
    begin(journal, "r2", key=RunKey("other", "same"))
    begin(journal, "r3", key=RunKey("dag", "same"))
    listed = list_runs(journal, limit=2)
    assert [run.key for run in listed] == ["dag/same", "other/same"]
    assert list_runs(journal, limit=9)[-1].counts == {"success": 1}
    assert find_run(journal, "r1").key == find_run(journal, "dag/r1").key == RunKey("dag", "r1")
    assert find_run(journal, "other/same").key == RunKey("other", "same")
    with pytest.raises(RunAmbiguous, match=r"dag/same.*other/same|other/same.*dag/same"):
        find_run(journal, "same")
    with pytest.raises(RunUnknown, match="knows no run 'r9'"):
        find_run(journal, "r9")
