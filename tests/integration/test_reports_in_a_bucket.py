"""Reports in an S3-compatible store, by s3fs: files that another worker replaces or adds meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from genesys_ad_sync.model import Status
from genesys_ad_sync.report import JournalStamp
from genesys_ad_sync.report.check_store import CheckStore
from sandbox.bucket import Bucket
from tests.support.report_example import example, row

CONNECTION = "bucket_of_reports"
DAG, RUN = "genesys_ad_group_sync", "manual__2026-03-02T12:00:00+00:00"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with Bucket() as started:
        yield started


@pytest.fixture
def folder(bucket: Bucket, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectStoragePath:
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION.upper()}", json.dumps(bucket.connection()))
    return ObjectStoragePath(f"s3://{CONNECTION}@{bucket.name}/{request.node.name}")


def replace_whatever_is_read(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each file replaced after s3fs has asked for its version."""
    asked = files.info

    def info(path: str, *args: Any, **kwargs: Any) -> Any:
        answer = asked(path, *args, **kwargs)
        if answer["type"] == "file":
            files.pipe_file(path, files.cat_file(path) + b" ")
        return answer

    monkeypatch.setattr(files, "info", info)


def test_a_file_that_is_replaced_while_it_is_read_is_read_all_the_same(
    folder: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckStore(folder)
    report = example(rows=[row(1, Status.SUCCESS)], groups=[])
    store.write(report)
    store.note_run(DAG, RUN, {"host": "anna"})
    store.hand_over(DAG, RUN, b"{}")
    store.remember_journal("default", JournalStamp("one", 5))
    replace_whatever_is_read(folder.fs, monkeypatch)
    assert store.read(DAG, RUN) == report
    assert store.noted_run(DAG, RUN) == {"host": "anna"}
    assert (store.handed_over(DAG, RUN) or b"").strip() == b"{}"
    assert store.last_seen_journals() == {"default": JournalStamp("one", 5)}


def test_the_journal_of_a_definition_that_another_worker_ran_is_seen(folder: ObjectStoragePath) -> None:
    mine, another = CheckStore(folder), CheckStore(folder)
    assert mine.last_seen_journals() == {}
    mine.remember_journal("default", JournalStamp("one", 5))
    assert mine.last_seen_journals() == {"default": JournalStamp("one", 5)}
    assert len(folder.fs.ls(folder.path)) == 1  # s3fs keeps what it listed
    folder.fs.call_s3(
        "put_object",
        Bucket=folder.bucket,
        Key=f"{folder.key}/journal.other.json",
        Body=b'{"definition": "other", "journal_id": "one", "run_counter": 7}',
    )
    assert len(folder.fs.ls(folder.path)) == 1
    stamps = {"default": JournalStamp("one", 5), "other": JournalStamp("one", 7)}
    assert another.last_seen_journals() == stamps
