"""Where reports lie, what is kept of earlier attempts, what is removed, and which journal wrote there."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from genesys_ad_sync import this_machine
from genesys_ad_sync.errors import ReportPathError
from genesys_ad_sync.model import Status
from genesys_ad_sync.report import JournalStamp, ReportStore
from genesys_ad_sync.report.check_store import CheckStore
from tests.support.report_example import NOON, example, row

DAG = "genesys_ad_group_sync"
RUN = "manual__2026-03-02T12:00:00+00:00"


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    return ReportStore(tmp_path / "reports")


def small(**changes: Any) -> dict[str, Any]:
    return example(**{"rows": [row(1, Status.SUCCESS)], "groups": [], **changes})


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_path_is_dag_and_run_with_underscores_for_what_file_names_do_not_bear(store: ReportStore) -> None:
    path = store.write(small())
    assert path.parts[-3:] == ("reports", DAG, "manual__2026-03-02T12_00_00_00_00.json")
    assert json.loads(path.read_text(encoding="utf-8")) == small()
    assert path.with_suffix(".html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert store.path_for(DAG, RUN) == path
    assert store.read(DAG, RUN) == small()


def test_nothing_but_the_three_files_is_left_behind(store: ReportStore, tmp_path: Path) -> None:
    store.check_writable(DAG)
    path = store.write(small())
    assert names(tmp_path / "reports") == [f"{DAG}/{path.stem}{suffix}" for suffix in (".csv", ".html", ".json")]


def test_a_run_without_report_has_a_path_but_nothing_to_read(store: ReportStore) -> None:
    assert store.path_for(DAG, RUN).name == "manual__2026-03-02T12_00_00_00_00.json"
    assert store.read(DAG, RUN) is None


def test_the_same_attempt_replaces_its_report_and_a_later_one_keeps_it_under_its_number(
    store: ReportStore, tmp_path: Path
) -> None:
    store.write(small(notes=["draft"]))
    path = store.write(small(notes=["first"]))
    store.write(small(attempt=2, notes=["second"]))
    store.write(small(attempt=2, notes=["second, again"]))
    store.write(small(attempt=3, notes=["third"]))

    assert names(path.parent) == sorted(
        f"{path.stem}{number}{suffix}" for number in ("", ".1", ".2") for suffix in (".json", ".html", ".csv")
    )
    for number, note in (("", "third"), (".1", "first"), (".2", "second, again")):
        kept = path.with_name(f"{path.stem}{number}.json")
        assert json.loads(kept.read_text(encoding="utf-8"))["notes"] == [note]
        assert f"<li>{note}</li>" in kept.with_suffix(".html").read_text(encoding="utf-8")
        assert kept.with_suffix(".csv").read_bytes().startswith(b"\xef\xbb\xbfstatus,new,action,")


def test_a_straggler_of_an_earlier_attempt_does_not_displace_the_later_report(store: ReportStore) -> None:
    path = store.write(small(attempt=2))
    straggler = store.write(small(attempt=1))
    assert straggler.name == f"{path.stem}.1.json"
    assert json.loads(path.read_text(encoding="utf-8"))["attempt"] == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("a:b", "a/b"), ("a b", "a_b"), ("ä", "ö"), ("..", "__"), ("x" * 250, "x" * 251)],
)
def test_two_runs_whose_names_become_one_do_not_overwrite_each_other(store: ReportStore, one: str, other: str) -> None:
    for attempt in (1, 2):
        for run_id in (one, other):
            store.write(small(run_id=run_id, attempt=attempt))
    for run_id in (one, other):
        report = store.read(DAG, run_id)
        assert report is not None
        assert (report["run_id"], report["attempt"]) == (run_id, 2)
    assert len(list(store.path_for(DAG, one).parent.glob("*.json"))) == 4


def test_an_attempt_that_is_named_like_another_run_does_not_overwrite_it(store: ReportStore) -> None:
    store.write(small(run_id="a.1", notes=["the run a.1"]))
    store.write(small(run_id="a", attempt=1, notes=["a, first"]))
    path = store.write(small(run_id="a", attempt=2, notes=["a, second"]))
    kept = [json.loads(file.read_text(encoding="utf-8"))["notes"][0] for file in path.parent.glob("*.json")]
    assert sorted(kept) == ["a, first", "a, second", "the run a.1"]


def test_a_run_finds_its_report_also_after_the_one_that_had_the_plain_name_is_gone(store: ReportStore) -> None:
    first, second = store.write(small(run_id="a:b")), store.write(small(run_id="a/b"))
    assert re.fullmatch(r"a_b-[0-9a-f]{8}\.json", second.name)
    first.unlink()
    assert store.path_for(DAG, "a/b") == second


def test_no_name_leads_out_of_the_folder(store: ReportStore, tmp_path: Path) -> None:
    for dag_id, run_id in (("..", ".."), ("../../x", "/etc/passwd"), (".", "."), ("\x00", "a\nb")):
        path = store.write(small(dag_id=dag_id, run_id=run_id))
        assert path.resolve().parent.parent == (tmp_path / "reports").resolve()


def test_a_file_that_is_no_report_is_not_overwritten(store: ReportStore) -> None:
    path = store.path_for(DAG, RUN)
    path.parent.mkdir(parents=True)
    path.write_text("a note of somebody", encoding="utf-8")
    written = store.write(small())
    assert path.read_text(encoding="utf-8") == "a note of somebody"
    assert store.path_for(DAG, RUN) == written
    assert store.read(DAG, RUN) == small()


def test_a_name_that_is_no_valid_text_does_not_cost_the_report(store: ReportStore) -> None:
    report = small(rows=[row(1, Status.FAILED, error="half a surrogate: \udc80")])
    path = store.write(report)
    assert json.loads(path.read_text(encoding="utf-8")) == report


def test_a_write_that_breaks_off_leaves_the_old_report_whole(
    store: ReportStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.write(small(notes=["old"]))
    before = path.read_bytes()

    def disk_full(path: Path, content: bytes, mode: int) -> None:
        this_machine.write_file(path, content[:10], mode)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genesys_ad_sync.report.files.write_file", disk_full)
    with pytest.raises(ReportPathError, match="No space left on device"):
        store.write(small(notes=["new"]))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


def test_a_task_that_dies_between_page_and_report_does_not_mix_up_the_attempts(
    store: ReportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store.write(small(notes=["first"]))
    replace = Path.replace

    def die_before_the_report(self: Path, target: Path) -> Path:
        if target == path:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", die_before_the_report)
    with pytest.raises(KeyboardInterrupt):
        store.write(small(attempt=2, notes=["second"]))
    monkeypatch.undo()

    store.write(small(attempt=2, notes=["second"]))
    for file, note in ((path, "second"), (path.with_name(f"{path.stem}.1.json"), "first")):
        assert json.loads(file.read_text(encoding="utf-8"))["notes"] == [note]
        assert f"<li>{note}</li>" in file.with_suffix(".html").read_text(encoding="utf-8")


def test_tasks_that_write_the_same_new_attempt_at_the_same_time_keep_the_earlier_one(store: ReportStore) -> None:
    path = store.write(small(notes=["first"]))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: store.write(small(attempt=2, notes=["second"])), range(40)))
    for file, note in ((path, "second"), (path.with_name(f"{path.stem}.1.json"), "first")):
        assert json.loads(file.read_text(encoding="utf-8"))["notes"] == [note]
    assert len(list(path.parent.iterdir())) == 6


def test_a_folder_that_cannot_be_written_is_found_out_and_the_message_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ReportPathError, match=r"Set report\.path .* right to list, read and write there"):
            ReportStore(folder).check_writable()
        with pytest.raises(ReportPathError, match=r"Set report\.path"):
            ReportStore(folder).write(small())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_found_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ReportPathError, match="PermissionError"):
        ReportStore(tmp_path / "reports").check_writable()


def test_the_folder_of_the_dag_is_tried_too(tmp_path: Path) -> None:
    (tmp_path / DAG).write_text("in the way", encoding="utf-8")
    ReportStore(tmp_path).check_writable()
    with pytest.raises(ReportPathError):
        ReportStore(tmp_path).check_writable(DAG)


def test_trying_creates_the_folder_and_leaves_no_file(store: ReportStore, tmp_path: Path) -> None:
    store.check_writable(DAG)
    assert (tmp_path / "reports" / DAG).is_dir()
    assert names(tmp_path) == []


# -- pruning ------------------------------------------------------------------------------------------


def aged(store: ReportStore, days: int, **changes: Any) -> Path:
    """Return a report that was written ``days`` before NOON."""
    written = NOON - timedelta(days=days)
    path: Path = store.write(small(timestamp=written, run_id=f"run-{days}", **changes))
    for file in path.parent.glob(f"{path.stem}.*"):
        os.utime(file, (written.timestamp(), written.timestamp()))
    return path


def test_reports_older_than_keep_days_are_removed_with_their_pages_and_attempts(store: ReportStore) -> None:
    aged(store, 31)
    aged(store, 31, attempt=2)
    young = aged(store, 29)
    assert store.prune(30, NOON) == 2
    assert names(young.parent) == ["run-29.csv", "run-29.html", "run-29.json"]
    assert store.prune(30, NOON) == 0


def test_nothing_that_is_not_a_report_is_removed(store: ReportStore, tmp_path: Path) -> None:
    path = aged(store, 400)
    others = {
        path.with_name("notes.json"): '{"mine": true}',
        path.with_name("list.json"): "[1, 2]",
        path.with_name("broken.json"): '{"schema_version": 1,',
        path.with_name("page.html"): "<html>",
        path.with_name("timeless.json"): json.dumps({**small(), "timestamp": "long ago"}),
        tmp_path / "reports" / "report.json": path.read_text(encoding="utf-8"),
        path.parent / "deeper" / "report.json": path.read_text(encoding="utf-8"),
    }
    long_ago = datetime(2001, 1, 1, tzinfo=timezone.utc).timestamp()
    for file, content in others.items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")
        os.utime(file, (long_ago, long_ago))
    store.remember_journal("default", JournalStamp("j", 1))

    assert store.prune(30, NOON) == 1
    assert all(file.exists() for file in others)
    assert store.last_seen_journals() == {"default": JournalStamp("j", 1)}


def test_a_report_is_as_old_as_it_says_and_not_as_its_file_is(store: ReportStore) -> None:
    old_file = store.write(small(run_id="young", timestamp=NOON))
    os.utime(old_file, (0, 0))
    assert store.prune(30, NOON) == 0
    assert old_file.exists()


def test_only_the_reports_of_one_dag_are_removed_when_it_is_named(store: ReportStore) -> None:
    aged(store, 40)
    other = aged(store, 40, dag_id="genesys_ad_group_sync__other")
    assert store.prune(30, NOON, dag_id=DAG) == 1
    assert other.exists()


@pytest.mark.parametrize(("noted", "left"), [(40, None), (1, {"host": "anna"})])
def test_the_note_of_a_run_that_began_again_outlives_its_old_report(
    store: ReportStore, noted: int, left: dict[str, str] | None
) -> None:
    aged(store, 40)
    store.note_run(DAG, "run-40", {"host": "anna"})
    at = (NOON - timedelta(days=noted)).timestamp()
    os.utime(store._note_path(DAG, "run-40"), (at, at))
    assert store.prune(30, NOON) == 1
    assert store.noted_run(DAG, "run-40") == left


def test_dags_whose_names_become_one_folder_do_not_prune_each_other(store: ReportStore) -> None:
    mine, other = aged(store, 40, dag_id="a b"), aged(store, 41, dag_id="a_b")
    assert mine.parent == other.parent
    assert store.prune(30, NOON, dag_id="a b") == 1
    assert other.exists()


def test_two_runs_may_prune_at_the_same_time(store: ReportStore, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ReportStore._report_files

    def removed_meanwhile(self: ReportStore, dag_id: str | None) -> Iterator[Path]:
        for path in listed(self, dag_id):
            if path.stem == "run-41":
                path.unlink()
            yield path

    for age in (40, 41):
        aged(store, age)
    monkeypatch.setattr(ReportStore, "_report_files", removed_meanwhile)
    assert store.prune(30, NOON) == 1


def test_pruning_a_folder_that_does_not_exist_removes_nothing(store: ReportStore) -> None:
    assert store.prune(30, NOON) == 0
    assert store.prune(30, NOON, dag_id=DAG) == 0


def test_keeping_reports_for_no_day_is_refused(store: ReportStore) -> None:
    with pytest.raises(ValueError, match="keep_days"):
        store.prune(0, NOON)


# -- which journal wrote here -------------------------------------------------------------------------


def test_a_folder_in_which_no_journal_wrote_knows_none(store: ReportStore) -> None:
    assert store.last_seen_journals() == {}
    store.check_writable()
    assert store.last_seen_journals() == {}


@pytest.mark.parametrize("kind", ["path", "upath", "bucket", "object storage path"])
def test_a_folder_that_does_not_exist_knows_no_journal(tmp_path: Path, kind: str) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    made: dict[str, Callable[[], Any]] = {
        "path": lambda: tmp_path / "missing",
        "upath": lambda: UPath(f"file://{tmp_path}/missing"),
        "bucket": lambda: UPath("memory://no-such-bucket/missing"),
        "object storage path": lambda: sdk.ObjectStoragePath(f"file://{tmp_path}/missing"),
    }
    assert ReportStore(made[kind]()).last_seen_journals() == {}


def test_the_journal_is_remembered_and_its_counter_never_goes_back(store: ReportStore, tmp_path: Path) -> None:
    store.remember_journal("default", JournalStamp("one", 5))
    store.remember_journal("default", JournalStamp("one", 4))
    assert store.last_seen_journals() == {"default": JournalStamp("one", 5)}
    store.remember_journal("default", JournalStamp("two", 1))
    assert store.last_seen_journals() == {"default": JournalStamp("two", 1)}
    assert names(tmp_path) == ["reports/journal.default.json"]


def test_each_definition_has_its_own_memory_of_the_journal(store: ReportStore) -> None:
    mine, others = JournalStamp("one", 5, (DAG, RUN, 1), NOON), JournalStamp("two", 1, ("other", RUN, 2), NOON)
    store.remember_journal("default", mine)
    store.remember_journal("other", others)
    assert store.last_seen_journals() == {"default": mine, "other": others}


def former_version_wrote(store: ReportStore, content: str, name: str = "journal.json") -> None:
    store.check_writable()
    (store.path_for(DAG, RUN).parent.parent / name).write_text(content, encoding="utf-8")


def test_what_a_former_version_kept_for_all_stands_until_each_has_its_own(store: ReportStore) -> None:
    former_version_wrote(store, json.dumps({"journal_id": "one", "run_counter": 5, "run": [DAG, RUN, 1]}))
    assert store.last_seen_journals() == {None: JournalStamp("one", 5, (DAG, RUN, 1))}
    new = JournalStamp("two", 1)
    store.remember_journal("default", new)
    assert store.last_seen_journals() == {None: JournalStamp("one", 5), "default": new}
    store.remember_journal("default", new, definitions={"default", "other"})
    assert store.last_seen_journals() == {"default": new, "other": JournalStamp("one", 5)}


def test_a_definition_has_in_its_own_file_what_counts_instead_of_a_former_versions(store: ReportStore) -> None:
    former = {"journal_id": "one", "run_counter": 5}
    former_version_wrote(store, json.dumps({"definitions": {"default": former, "other": former}}))
    store.remember_journal("default", JournalStamp("one", 4))
    assert store.last_seen_journals() == {"default": JournalStamp("one", 5), "other": JournalStamp("one", 5)}
    store.remember_journal("default", JournalStamp("two", 1))
    assert store.last_seen_journals() == {"default": JournalStamp("two", 1), "other": JournalStamp("one", 5)}


def test_definitions_with_names_alike_have_files_of_their_own(store: ReportStore, tmp_path: Path) -> None:
    stamps = {name: JournalStamp(name, 1) for name in ("a b", "a_b", "a.b", ".", "Sales", "sales", "x" * 300)}
    for name, stamp in stamps.items():
        store.remember_journal(name, stamp)
    assert store.last_seen_journals() == stamps
    assert len({name.lower() for name in names(tmp_path)}) == len(stamps)


def test_a_copy_beside_the_file_does_not_count(store: ReportStore, tmp_path: Path) -> None:
    """An administrator keeps one before a restore."""
    former_version_wrote(store, json.dumps({"definitions": {"other": {"journal_id": "one", "run_counter": 3}}}))
    store.remember_journal("default", JournalStamp("one", 5))
    folder = tmp_path / "reports"
    for copy in ("journal.a.json", "journal.default.2026-03-01.json", "journal.zzz.json"):
        shutil.copy(folder / "journal.default.json", folder / copy)
    shutil.copy(folder / "journal.json", folder / "journal.old.json")
    (folder / "journal.folder.json").mkdir()
    store.remember_journal("default", JournalStamp("one", 20))
    assert store.last_seen_journals() == {"default": JournalStamp("one", 20), "other": JournalStamp("one", 3)}


def test_the_file_of_a_former_version_does_not_name_a_run_of_old_when_it_counts_again(
    store: ReportStore, tmp_path: Path
) -> None:
    """The journal has forgotten that run. So its own file may be removed, as the message says."""
    entry = {"journal_id": "one", "run_counter": 5, "run": [DAG, RUN, 1]}
    former_version_wrote(store, json.dumps({"definitions": {"default": entry, "other": entry}}))
    store.remember_journal("default", JournalStamp("one", 6, (DAG, "next", 1), NOON))
    (tmp_path / "reports" / "journal.default.json").unlink()
    seen = {"default": JournalStamp("one", 5), "other": JournalStamp("one", 5, (DAG, RUN, 1))}
    assert store.last_seen_journals() == seen


@pytest.mark.parametrize(("journal_id", "counter", "wins"), [("one", 20, True), ("one", 3, False), ("two", 20, False)])
def test_of_a_worker_of_a_former_version_and_this_one_the_later_counts(
    store: ReportStore, journal_id: str, counter: int, wins: bool
) -> None:
    mine, run = JournalStamp("one", 10, (DAG, RUN, 1), NOON), [DAG, "later", 1]
    store.remember_journal("default", mine)
    entry = {"journal_id": journal_id, "run_counter": counter, "run": run}
    former_version_wrote(store, json.dumps({"definitions": {"default": entry}}))
    later = JournalStamp(journal_id, counter, (DAG, "later", 1))
    assert store.last_seen_journals() == {"default": later if wins else mine}


def test_a_store_that_cannot_be_listed_is_not_taken_for_no_journal(
    store: ReportStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.remember_journal("default", JournalStamp("one", 5))

    def refused(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ReportPathError, match="right to list"):
        store.last_seen_journals()


def test_definitions_that_end_runs_at_one_moment_all_keep_their_journals(store: ReportStore) -> None:
    stamps = {f"definition-{number}": JournalStamp("one", number) for number in range(20)}
    with ThreadPoolExecutor(len(stamps)) as threads:
        list(threads.map(store.remember_journal, stamps, stamps.values()))
    assert store.last_seen_journals() == stamps


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", '{"journal_id": "j"}', '{"journal_id": "j", "run_counter": "x"}'),
        *('{"definitions": []}', '{"definitions": {"default": {}}}', '{"journal_id": "j", "definitions": {}}'),
        *('{"journal_id": "j", "run_counter": Infinity}', "[" * 100_000),
    ],
)
@pytest.mark.parametrize("name", ["journal.json", "journal.other.json"])
def test_a_file_that_cannot_be_understood_is_not_taken_for_no_journal(
    store: ReportStore, name: str, content: str
) -> None:
    former_version_wrote(store, content, name)
    with pytest.raises(ReportPathError, match=rf"reports/{name} cannot be understood.*Remove it"):
        store.last_seen_journals()


# -- stores that are no local disk --------------------------------------------------------------------


class Buckets(MemoryFileSystem):
    """Buckets as s3fs shows them: `mkdir` creates one, and writing to one that is missing fails."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    buckets: ClassVar[set[str]] = set()
    protocol = "s3"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("s3://"))).lstrip("/")

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        self.buckets.add(self._strip_protocol(path).strip("/").partition("/")[0])

    makedirs = mkdir

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        bucket = path.strip("/").partition("/")[0]
        if bucket not in self.buckets:
            raise FileNotFoundError("The specified bucket does not exist")
        return super()._open(path, mode, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with self.open(path, "wb") as file:
            file.write(value)


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    Buckets.buckets.clear()
    Buckets.store.clear()
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "s3", Buckets)
    return Buckets.buckets


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.check_writable(DAG),
        lambda store: store.write(small()),
        lambda store: store.hand_over(DAG, RUN, b"x"),
        lambda store: store.remember_journal("default", JournalStamp("one", 5)),
    ],
)
def test_a_bucket_that_does_not_exist_is_an_error_and_is_not_created(buckets: set[str], act: Any) -> None:
    with pytest.raises(ReportPathError) as caught:
        act(CheckStore(UPath("s3://bucket-that-does-not-exist/reports")))
    assert "The specified bucket does not exist" in str(caught.value)
    assert "to a bucket that exists" in str(caught.value)
    assert buckets == set()


def test_a_bucket_that_exists_takes_reports_without_folders(buckets: set[str]) -> None:
    buckets.add("mine")
    store = ReportStore(UPath("s3://mine/reports"))
    store.check_writable(DAG)
    store.write(small())
    assert store.read(DAG, RUN) == small()
    assert buckets == {"mine"}


def test_the_store_works_on_an_object_store() -> None:
    store = ReportStore(UPath("memory://bucket/reports"))
    store.check_writable(DAG)
    store.write(small())
    path = store.write(small(attempt=2))
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        f"{path.stem}{number}{suffix}" for number in ("", ".1") for suffix in (".json", ".html", ".csv")
    )
    store.remember_journal("default", JournalStamp("one", 5))
    assert store.last_seen_journals() == {"default": JournalStamp("one", 5)}
    assert store.prune(30, NOON + timedelta(days=31)) == 2
    assert store.read(DAG, RUN) is None


def test_the_store_works_on_a_path_of_airflow(tmp_path: Path) -> None:
    sdk = pytest.importorskip("airflow.sdk")
    store = ReportStore(sdk.ObjectStoragePath(f"file://{tmp_path}/reports"))
    store.check_writable(DAG)
    store.write(small())
    store.write(small(attempt=2))
    store.remember_journal("default", JournalStamp("one", 5))
    store.remember_journal("default", JournalStamp("one", 6))
    assert store.last_seen_journals() == {"default": JournalStamp("one", 6)}
    assert store.read(DAG, RUN) == small(attempt=2)
    assert len(names(tmp_path)) == 7
    for file in (tmp_path / "reports" / DAG).iterdir():
        os.utime(file, (0, 0))
    assert store.prune(30, NOON + timedelta(days=31), dag_id=DAG) == 2
    assert names(tmp_path) == ["reports/journal.default.json"]
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ReportPathError, match=r"Set report\.path"):
        ReportStore(sdk.ObjectStoragePath(f"file://{tmp_path}/file/reports")).check_writable()


# -- rights of files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "of_folder"), [(0o600, 0o700), (0o640, 0o750), (0o644, 0o755)])
@pytest.mark.parametrize("kind", ["path", "object storage path"])
def test_every_file_and_folder_of_the_reports_gets_the_mode(
    tmp_path: Path, mode: int, of_folder: int, kind: str
) -> None:
    folder = tmp_path / "new" / "reports"
    sdk = pytest.importorskip("airflow.sdk")
    store = ReportStore(folder if kind == "path" else sdk.ObjectStoragePath(f"file://{folder}"), mode=mode)
    old = os.umask(0o022)
    try:
        store.check_writable(DAG)
        store.write(small())
        store.write(small(attempt=2))
        store.remember_journal("default", JournalStamp("j", 1))
    finally:
        os.umask(old)
    made = [*(tmp_path / "new").rglob("*"), tmp_path / "new"]
    assert len([path for path in made if path.is_file()]) == 7
    assert {path.stat().st_mode & 0o777 for path in made if path.is_file()} == {mode}
    assert {path.stat().st_mode & 0o777 for path in made if path.is_dir()} == {of_folder}


def test_a_report_of_an_earlier_version_gets_the_mode_when_it_is_written_again(store: ReportStore) -> None:
    path = store.write(small())
    path.chmod(0o644)
    store.write(small(attempt=2))
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


@pytest.fixture
def open_reports() -> Iterator[Path]:
    """Make a folder of reports that every account may enter (``tmp_path`` is ours alone)."""
    base = Path(tempfile.mkdtemp(prefix="reports-"))
    for folder in (base, base / "reports", base / "reports" / DAG):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    yield base / "reports"
    shutil.rmtree(base)


def test_reports_that_everybody_may_read_are_warned_of(open_reports: Path) -> None:
    warning = ReportStore(open_reports).warning(DAG)
    assert warning is not None
    assert f"chmod -R o-rwx '{open_reports}'" in warning
    assert ReportStore(open_reports, mode=0o644).warning(DAG) is None
    assert ReportStore(UPath("memory://bucket/reports")).warning(DAG) is None


@pytest.mark.parametrize("closed", ["", DAG])
def test_reports_that_others_cannot_reach_are_not_warned_of(open_reports: Path, closed: str) -> None:
    (open_reports / closed).chmod(0o700)
    assert ReportStore(open_reports).warning(DAG) is None
