"""One measurement of `benchmarks.scale`: one kind of run, in this process."""

from __future__ import annotations

import gc
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event, text

from benchmarks import scale_company
from benchmarks.scale_company import BASE, Company, CompanyClient, CompanySession
from benchmarks.synthetic import DAG_ID, be_quiet, definition_for
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.journal import Journal, ViewUpdate
from genesys_ad_sync.journal.database import WRITERS_LOCK
from genesys_ad_sync.model import Action, Change, DirectoryView, Mode, Row, RunKey, RunRequest, Status
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.report import write_report
from genesys_ad_sync.stages.resolve_users import resolve_users

MANY = 10**8
LIMITS = {
    **dict.fromkeys(("removals", "per_run", "per_day", "additions", "additions_per_run"), MANY),
    "removals_percent": 100,
    "new_pairs": "allow",
    "empty_group": "allow",
}
CHANGES_OF_A_RUN = 50
EVERY = timedelta(minutes=15)


@dataclass(frozen=True)
class Options:
    """What is measured. ``kind``: see `measure`. ``changed``: groups, people or runs, as the kind needs."""

    kind: str
    url: str
    folder: str
    memberships: int
    changed: int = 0
    orphans: float = 0.0


@dataclass
class Measured:
    """Seconds and CPU seconds by stage, memory in MB, bytes by which the journal grew, and counts."""

    kind: str
    memberships: int
    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    base_mb: float = 0.0
    peak_mb: float = 0.0
    peak_after: dict[str, float] = field(default_factory=dict)
    journal_bytes: int = 0
    statements: int = 0
    longest_write: float = 0.0  # seconds in which nobody else may write
    rows: dict[str, int] = field(default_factory=dict)
    xcom_bytes: dict[str, int] = field(default_factory=dict)
    report_bytes: int = 0
    groups_written: int = 0


def measure(options: Options) -> Measured:
    """Make one run, and return what it cost.

    - ``first``, ``full``: everything is compared.
    - ``idle``: nothing has changed.
    - ``few``, ``patch``: in ``changed`` groups, one person left and another one came.
    - ``touched``: the HR feed wrote the mails of ``changed`` people.
    - ``history``: ``changed`` runs are written into the journal.
    """
    be_quiet()
    return _Measurement(options).run()


class _Measurement:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder = Path(options.folder)
        self._definition = definition_for(
            self._folder, limits=LIMITS, directory={"group_base": BASE}, genesys={"rate_reserve": 10}
        )
        self._company = Company(options.memberships, options.orphans)
        self._company.load(self._state)
        self._client = CompanyClient(self._company)
        self._changes: list[Entry] = []
        self.measured = Measured(options.kind, options.memberships, base_mb=_peak_mb())

    @property
    def _state(self) -> Path:
        return self._folder / "company.json"

    def run(self) -> Measured:
        options, company = self._options, self._company
        gc.freeze()  # as each task of the DAG does, see `genesys_ad_sync_airflow.tasks`
        if options.kind in ("few", "patch"):
            self._changes = company.swap(options.changed, begin=int(time.time()) % company.people)
        elif options.kind == "touched":
            self._changes = company.touch(options.changed)
        with Journal.open(options.url) as journal:
            before = journal_bytes(journal)
            self._watch(journal)
            if options.kind == "history":
                with self._timed("history"):
                    write_history(journal, self._definition.name, company, options.changed)
            else:
                self._pipeline(journal, Mode.FULL if options.kind == "full" else Mode.AUTO)
            self.measured.journal_bytes = journal_bytes(journal) - before
        self.measured.peak_mb = _peak_mb()
        company.save(self._state)
        return self.measured

    def _pipeline(self, journal: Journal, mode: Mode) -> None:
        measured, run_id = self.measured, f"{self._options.kind}-{time.time_ns()}"
        request = RunRequest(run_type="scheduled", mode=mode)

        def task(name: str) -> TaskContext:
            return self._task(journal, run_id, name)

        with self._timed("poll"):
            measured.xcom_bytes["poll"] = _size(poll(task("poll"), request))
        with self._timed("map_groups"):
            measured.xcom_bytes["map_groups"] = _size(map_groups(task("map_groups")))
        with self._timed("resolve_users"):
            measured.xcom_bytes["resolve_users"] = _size(resolve_users(task("resolve_users")))
        with self._timed("plan"):
            planned = plan(task("plan"))
            measured.xcom_bytes["plan"] = _size(planned)
        measured.rows = {status: count for status, count in planned["counts"].items() if count}
        with self._timed("patch"):
            for batch in planned["batches"]:
                patch(task(f"patch[{batch['lane']}]"), batch["lane"])
        measured.groups_written = self._client.request_counts.as_dict()["by_endpoint"].get(
            "PATCH /api/v2/scim/v2/groups/{id}", 0
        )
        with self._timed("report"):
            document, path = write_report(task("report"), request)
        measured.report_bytes = Path(path.removeprefix("file://")).stat().st_size
        if document["failures"] or document["held"]:
            raise AssertionError(f"{document['failures']} failed, {document['held']} held: nothing should")

    def _task(self, journal: Journal, run_id: str, name: str) -> TaskContext:
        return TaskContext(
            definition=self._definition,
            journal=journal.of(self._definition.name),
            key=RunKey(DAG_ID, run_id),
            task_key=name,
            directory=cast("Any", lambda: CompanySession(self._company, self._changes)),
            client=lambda: self._client,
            api_url=lambda: "https://api.example.com",
            client_id=lambda: "client",
            reports=ReportStore(self._folder / "reports"),
            clock=lambda: datetime.now(timezone.utc),
            sleep=time.sleep,
            log=lambda _: None,
            lease_wait=timedelta(0),
        )

    def _watch(self, journal: Journal) -> None:
        """Count statements, and time the transactions that keep others from writing."""
        measured = self.measured
        since: dict[int, float] = {}

        @event.listens_for(journal.database.engine, "after_cursor_execute")
        def count(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            measured.statements += 1
            locks = "pg_advisory_xact_lock" in statement and parameters["lock"] == WRITERS_LOCK
            if locks or statement == "BEGIN IMMEDIATE":  # it has the lock now
                since[id(connection.connection.dbapi_connection)] = time.perf_counter()

        def ended(connection: Any) -> None:
            began = since.pop(id(connection.connection.dbapi_connection), None)
            if began is not None:
                measured.longest_write = max(measured.longest_write, time.perf_counter() - began)

        event.listen(journal.database.engine, "commit", ended)
        event.listen(journal.database.engine, "rollback", ended)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began, cpu = time.perf_counter(), time.process_time()
        yield
        self.measured.seconds[stage] = time.perf_counter() - began
        self.measured.cpu[stage] = time.process_time() - cpu
        self.measured.peak_after[stage] = _peak_mb()


def write_history(journal: Journal, definition: str, company: Company, runs: int) -> None:
    """Write so many finished runs with 50 changes each, a run every 15 minutes until now."""
    begin = datetime.now(timezone.utc) - EVERY * runs
    of = journal.of(definition)
    for number in range(runs):
        at = begin + EVERY * number
        key = RunKey(DAG_ID, f"history-{time.time_ns()}-{number}")
        run = journal.runs.begin(key, definition, RunRequest(run_type="scheduled", mode=Mode.AUTO), at)
        stored = of.views.cursor()
        assert stored is not None
        guid = scale_company.group(number * 11 % company.groups)
        changes = [
            Change(
                guid,
                scale_company.person((number * CHANGES_OF_A_RUN + i) % company.people),
                Action.ADD if (number + i) % 2 else Action.REMOVE,
                observed_at=at,
                observed_after=at - EVERY,
                path=(guid,),
            )
            for i in range(CHANGES_OF_A_RUN)
        ]
        nothing = ViewUpdate(DirectoryView(), DirectoryView(), changes=changes)
        poll_number = of.views.advance(nothing, cursor=stored.cursor, scope=stored.scope, expected_poll=stored.poll)
        journal.runs.set_polled(run, poll_number, at)
        rows = [_settled(change, number, company) for change in of.changes.unsettled({guid})]
        journal.rows.replace(run, rows)
        journal.rows.record_outcomes(run, rows, at=at)
        journal.runs.finish(run, "success", at)


def _settled(change: Change, number: int, company: Company) -> Row:
    return Row(
        action=change.action,
        status=Status.SUCCESS,
        genesys_group_id=scale_company.genesys_group(number * 11 % company.groups),
        user_guid=change.user_guid,
        group_guids=(change.group_guid,),
        genesys_user_id=scale_company.genesys_person(scale_company.number_of(change.user_guid or "")[1]),
        change_ids=(change.id or 0,),
        observed_at=change.observed_at,
    )


def journal_bytes(journal: Journal) -> int:
    """Return the bytes of the journal in use, without what lies in a write-ahead log."""
    with journal.database.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        raw = connection.connection.cursor()
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.fetchall()
        pages, free, size = (
            raw.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _size(value: Any) -> int:
    return len(json.dumps(value))
