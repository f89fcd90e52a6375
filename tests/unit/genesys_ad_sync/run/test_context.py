"""A task's access to its run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalError, RunUnknown
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.journal.runs import Runs
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import JOURNAL_RESTORED, MAPPING, NOTES, PLAN, WHOLE, StoredMapping, StoredPlan
from genesys_ad_sync.run.forgotten import refuse_if_forgotten
from genesys_ad_sync.settings import parse_definition
from tests.support.journal import T0, begin, journal, journal_url  # noqa: F401 (fixtures)

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)


def _task(journal: Journal, folder: Path, key: RunKey) -> TaskContext:
    def unused(*_: object) -> Any:
        raise AssertionError("nothing else is needed for it")

    keys = "directory: {group_base: 'OU=x,DC=example,DC=com'}\ngroups: [{name: '(?P<same>.+)', genesys_name: '{same}'}]"
    return TaskContext(
        definition=parse_definition(keys, name="default"),
        journal=journal.of("default"),
        key=key,
        task_key="poll",
        directory=unused,
        client=unused,
        api_url=unused,
        client_id=unused,
        reports=ReportStore(folder),
        clock=lambda: T0,
        sleep=unused,
        log=lambda _: None,
    )


def test_a_task_reads_its_run_once_however_many_facts_it_needs(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = _task(journal, tmp_path, begin(journal).key)
    reads: list[RunKey] = []
    get = Runs.get
    monkeypatch.setattr(Runs, "get", lambda self, key: reads.append(key) or get(self, key))  # type: ignore[func-returns-value]
    task.facts[NOTES] = ("one",)
    assert (task.facts[NOTES], task.facts[WHOLE], task.facts[JOURNAL_RESTORED]) == (("one",), frozenset(), False)
    task.note("two")
    assert not task.run.dry_run
    assert reads == [task.key]


def test_a_task_that_changes_its_run_reads_it_again(journal: Journal, tmp_path: Path) -> None:
    run = begin(journal)
    task = _task(journal, tmp_path, run.key)
    assert task.run.poll is None
    journal.runs.set_polled(run, 7, T0)
    task.read_run_again()
    assert task.run.poll == 7


def test_a_run_that_has_not_begun_is_asked_for_again(journal: Journal, tmp_path: Path) -> None:
    task = _task(journal, tmp_path, RunKey("dag", "r1"))
    with pytest.raises(RunUnknown):
        assert task.run
    assert begin(journal) == task.run


# -- what the journal has forgotten -------------------------------------------------------------------


def test_a_report_is_not_replaced_by_a_poorer_one(journal: Journal, tmp_path: Path) -> None:
    """A day after a run's end its mapping is forgotten; the task `report` may be cleared later."""
    run = begin(journal)
    _task(journal, tmp_path, run.key).facts[PLAN] = StoredPlan("hash", None, T0)
    refuse_if_forgotten(_task(journal, tmp_path, run.key), run)  # under way: a later stage says what is missing
    journal.runs.finish(run, "success", T0)
    task = _task(journal, tmp_path, run.key)
    with pytest.raises(JournalError, match=r"Its report stays.* clear the task `poll`"):
        refuse_if_forgotten(task, task.run)
    task.facts[MAPPING] = StoredMapping()
    refuse_if_forgotten(task, task.run)
