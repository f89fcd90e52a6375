"""Tasks of one run on two hosts: what they must share, and what a host is answered that does not share it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalOfOtherHost, RunElsewhere
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.journal.hosts import STILL_IN_USE
from genesys_ad_sync.model import RunRequest
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.whereabouts import note_host, refuse_elsewhere
from genesys_ad_sync.this_machine import Host, this_host
from tests.support.journal import T0, minutes
from tests.support.sync_examples import definition

KEY = RunKey("genesys_ad_group_sync", "scheduled__1")
ANNA, BERTA = Host("anna", "boot-of-anna"), Host("berta", "boot-of-berta")


@dataclass
class Hosts:
    """Two hosts, each with folders of its own and one that is shared."""

    folder: Path
    shared_journal: bool = False
    shared_reports: bool = False

    def place(self, host: Host, *, shared: bool) -> Path:
        place = self.folder / ("shared" if shared else host.name)
        place.mkdir(exist_ok=True)
        return place

    def journal(self, host: Host) -> Journal:
        return Journal.open(f"sqlite:///{self.place(host, shared=self.shared_journal) / 'journal.db'}")

    def task(self, host: Host, task_key: str = "map_groups") -> TaskContext:
        def unused(*_: object) -> Any:
            raise AssertionError("nothing else is needed for it")

        return TaskContext(
            definition=definition(),
            journal=self.journal(host).of("default"),
            key=KEY,
            task_key=task_key,
            directory=unused,
            client=unused,
            api_url=unused,
            client_id=unused,
            reports=ReportStore(self.place(host, shared=self.shared_reports) / "reports"),
            clock=lambda: T0,
            sleep=unused,
            log=unused,
            host=host,
        )

    def poll(self, host: Host, clear_number: int = 0) -> None:
        """Do what `poll` does about it."""
        task = self.task(host, "poll")
        task.journal.runs.begin(KEY, "default", RunRequest("scheduled", clear_number), T0, host=task.host)
        note_host(task)


def nowhere() -> None:
    return None


def test_hosts_that_share_nothing_are_told_by_xcom_which_one_has_the_run_and_what_to_share(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    hosts.poll(ANNA)
    with pytest.raises(RunElsewhere) as refusal:
        refuse_elsewhere(hosts.task(BERTA), lambda: "anna")
    text = str(refusal.value)
    assert "runs on host berta" in text
    assert "Task 'poll' ran on host anna" in text
    assert "group_sync_journal to one PostgreSQL database" in text
    assert "The reports are not shared either" in text


def test_a_host_without_the_journal_is_told_its_place_by_the_file_beside_the_reports(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_reports=True)
    hosts.poll(ANNA)
    with pytest.raises(RunElsewhere, match="host anna, which has it, in its journal") as refusal:
        refuse_elsewhere(hosts.task(BERTA), nowhere)
    assert str(tmp_path / "anna" / "journal.db") in str(refusal.value)
    assert "not shared either" not in str(refusal.value)


def test_a_host_without_the_reports_is_told_to_share_them(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    container = Host("container-2", ANNA.boot)  # the same machine, so that both may use one SQLite file
    hosts.poll(ANNA)
    with pytest.raises(RunElsewhere, match="on host anna") as refusal:
        refuse_elsewhere(hosts.task(container), nowhere)
    assert "Set report.path of the sync definition to a bucket" in str(refusal.value)


def test_the_file_of_an_earlier_attempt_does_not_count(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    container = Host("container-2", ANNA.boot)
    hosts.poll(container)
    hosts.poll(ANNA, clear_number=1)
    with pytest.raises(RunElsewhere, match="does not have the file that task 'poll' put there on host anna"):
        refuse_elsewhere(hosts.task(container), nowhere)


def test_a_host_looks_for_the_file_beside_the_reports_once_per_run(tmp_path: Path) -> None:
    """In a bucket, each look is two requests."""
    hosts = Hosts(tmp_path, shared_journal=True, shared_reports=True)
    here, third = Host("container-2", ANNA.boot), Host("container-3", ANNA.boot)
    hosts.poll(ANNA)
    refuse_elsewhere(hosts.task(here), nowhere)
    (note,) = (tmp_path / "shared" / "reports").rglob("*.run")
    note.unlink()
    refuse_elsewhere(hosts.task(ANNA), nowhere)  # `poll` wrote it there
    refuse_elsewhere(hosts.task(here, "plan"), nowhere)
    with pytest.raises(RunElsewhere, match="runs on host container-3"):
        refuse_elsewhere(hosts.task(third), nowhere)


def test_a_host_whose_folder_of_reports_has_changed_looks_again(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True, shared_reports=True)
    container = Host("container-2", ANNA.boot)
    hosts.poll(ANNA)
    refuse_elsewhere(hosts.task(container), nowhere)
    hosts.shared_reports = False  # report.path of the definition is another one there now
    with pytest.raises(RunElsewhere, match="do not share the reports"):
        refuse_elsewhere(hosts.task(container), nowhere)


def test_hosts_that_share_journal_and_reports_are_accepted_whatever_their_names(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True, shared_reports=True)
    hosts.poll(ANNA)
    refuse_elsewhere(hosts.task(ANNA), nowhere)
    refuse_elsewhere(hosts.task(Host("container-2", ANNA.boot)), nowhere)


def test_a_sqlite_file_that_another_machine_polled_into_is_refused(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True, shared_reports=True)
    hosts.poll(ANNA)
    with pytest.raises(JournalOfOtherHost, match="SQLite file that host anna uses"):
        refuse_elsewhere(hosts.task(BERTA), nowhere)


def test_a_run_that_no_host_has_begun_is_left_to_the_stage(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    refuse_elsewhere(hosts.task(BERTA), nowhere)
    refuse_elsewhere(hosts.task(BERTA), lambda: "berta")  # its own journal was replaced


def test_a_run_that_an_earlier_version_began_goes_on(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    task = hosts.task(BERTA)
    task.journal.runs.begin(KEY, "default", RunRequest("scheduled"), T0)
    refuse_elsewhere(task, nowhere)


def test_the_file_beside_the_reports_goes_with_the_report(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path)
    hosts.poll(ANNA)
    reports = hosts.task(ANNA).reports
    assert reports.noted_run(KEY.dag_id, KEY.run_id) == {
        "dag_id": KEY.dag_id,
        "run_id": KEY.run_id,
        "attempt": 1,
        "host": "anna",
        "journal": str(tmp_path / "anna" / "journal.db"),
    }


# -- opening a SQLite file ----------------------------------------------------------------------------


def test_a_sqlite_journal_is_refused_at_once_on_a_second_machine(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    hosts.poll(ANNA)
    journal = hosts.journal(BERTA)
    with pytest.raises(JournalOfOtherHost, match=r"host anna uses, and this is host berta.* 12:10:00 UTC"):
        journal.refuse_other_host(BERTA, T0 + minutes(1))
    journal.refuse_other_host(ANNA, T0 + minutes(1))
    journal.refuse_other_host(Host("anna", "boot after a restart"), T0 + minutes(1))
    journal.refuse_other_host(Host("container-2", ANNA.boot), T0 + minutes(1))


def test_a_pod_that_was_moved_with_its_volume_takes_the_file_over_after_a_while(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    hosts.poll(ANNA)
    journal, run = hosts.journal(BERTA), hosts.task(ANNA).run
    journal.runs.finish(run, "success", T0 + minutes(5))
    with pytest.raises(JournalOfOtherHost):
        journal.refuse_other_host(BERTA, T0 + minutes(5) + STILL_IN_USE - timedelta(seconds=1))
    journal.refuse_other_host(BERTA, T0 + minutes(5) + STILL_IN_USE)


def test_a_time_in_the_future_is_no_sign_of_life(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    hosts.poll(ANNA)
    journal, run = hosts.journal(BERTA), hosts.task(ANNA).run
    journal.runs.finish(run, "success", T0 + minutes(600))
    journal.refuse_other_host(BERTA, T0 + STILL_IN_USE)


def test_a_host_that_writes_for_long_keeps_the_file(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    hosts.poll(ANNA)
    journal, run = hosts.journal(BERTA), hosts.task(ANNA).run
    later = T0 + STILL_IN_USE
    journal.leases.acquire("org", run.key, "patch", now=later, ttl=minutes(5))
    with pytest.raises(JournalOfOtherHost):
        journal.refuse_other_host(BERTA, later + minutes(1))


def test_a_retry_on_another_host_takes_the_run_there(tmp_path: Path) -> None:
    hosts = Hosts(tmp_path, shared_journal=True)
    hosts.poll(ANNA)
    hosts.poll(BERTA)
    assert hosts.task(BERTA).run.host == BERTA
    assert hosts.task(BERTA).run.attempt == 1


def test_two_hosts_without_a_known_boot_are_told_apart_by_their_names() -> None:
    assert not Host("a").shares_memory_with(Host("b"))
    assert this_host().shares_memory_with(this_host())
