"""A real Airflow with the Celery executor on this machine: two workers, each with a queue of its own.

PostgreSQL holds Airflow's database and the journal, Redis is the broker, and the reports are in a bucket.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.airflow_stack import AirflowStack
from sandbox.bucket import Bucket
from sandbox.postgresql import PostgresqlServer
from sandbox.processes import start_process
from sandbox.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL

AD_QUEUE = "ad"
"""Of the tasks that talk to Active Directory: `airflow.ad_queue` of a definition."""
DEFAULT_QUEUE = "default"
WORKERS = {"near-ad": AD_QUEUE, "near-genesys": DEFAULT_QUEUE}
"""Celery workers by name, with their queues."""
BUCKET_CONNECTION = "aws_reports"
_JOURNAL_VARIABLE = "AIRFLOW_CONN_GROUP_SYNC_JOURNAL"
_LOST_AFTER_SECONDS = 30  # the time without a sign of a task after which Airflow gives it up


@dataclass
class CeleryStack(AirflowStack):
    """An Airflow whose tasks run in Celery workers.

    ``journals``: the URL of the journal for single workers, by their names; the others get the plain one.
    """

    journals: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    postgresql: PostgresqlServer = field(kw_only=True)
    redis: RedisServer = field(kw_only=True)
    bucket: Bucket = field(kw_only=True)
    airflow_url: URL = field(kw_only=True)
    journal_url: URL = field(kw_only=True)

    @property
    def env(self) -> dict[str, str]:
        database = self.airflow_url.render_as_string(hide_password=False)
        return {
            **super().env,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # no DNS knows the names of `on_host`
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            # One API server for all tasks: on a busy machine it may not answer within the usual five seconds.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # As short as a slow machine allows: what a killed worker had is to be found soon.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(_LOST_AFTER_SECONDS),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
            _JOURNAL_VARIABLE: _connection_url(self.journal_url),
            f"AIRFLOW_CONN_{BUCKET_CONNECTION.upper()}": json.dumps(self.bucket.connection()),
        }

    def start_workers(self) -> None:
        for name in WORKERS:
            self.start_worker(name)

    def start_worker(self, name: str) -> None:
        """Start a worker, in a process group of its own."""
        env = self.env
        if name in self.journals:
            env[_JOURNAL_VARIABLE] = self.journals[name]
        pid_file = self.home / f"{name}.pid"
        pid_file.unlink(missing_ok=True)  # of one that was killed
        command = ["airflow", "celery", "worker", "--queues", WORKERS[name], "--celery-hostname", f"{name}@%h"]
        command += ["--pid", str(pid_file), "--skip-serve-logs"]  # the logs are in AIRFLOW_HOME
        with (self.home / f"{name}.log").open("ab") as log:
            self._processes[name] = start_process([*on_host(name), *command], env=env, stdout=log, stderr=log)

    def busy_workers(self) -> list[str]:
        """Return the workers that run a task: a process of their pool has a child then."""
        import psutil

        def is_busy(worker: int) -> bool:
            with contextlib.suppress(psutil.NoSuchProcess):
                return any(in_pool.children() for in_pool in psutil.Process(worker).children())
            return False

        return [name for name in WORKERS if name in self._processes and is_busy(self._processes[name].pid)]

    def revive(self) -> list[str]:
        """Start again what has ended, as each platform does it; return the names."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            self.stop_service(name)
            if name in WORKERS:
                self.start_worker(name)
            else:
                self.start_service(name)
        return ended

    def kill_worker(self, name: str) -> None:
        """Kill a worker and all its tasks with SIGKILL, as the death of its machine does."""
        process = self._processes.pop(name)
        for group in _groups_below(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        process.wait()


def on_host(name: str) -> list[str]:
    """Return the command that gives a process a host name of its own; empty where that is not allowed.

    So the workers are two hosts to the product, which takes the second one's word for nothing.
    """
    if shutil.which("unshare") is None:
        return []
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    return named if subprocess.run([*named, "true"], capture_output=True, check=False).returncode == 0 else []


def _connection_url(url: URL) -> str:
    """Return the URL as Airflow understands it in a variable."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _groups_below(pid: int) -> set[int]:
    """Return the process groups of a process and of all that it started."""
    import psutil

    head = psutil.Process(pid)
    return {os.getpgid(process.pid) for process in (head, *head.children(recursive=True))}


@contextmanager
def services() -> Iterator[dict[str, Any]]:
    """Start PostgreSQL, Redis and the bucket; yield them as arguments of `CeleryStack`."""
    with PostgresqlServer("max_connections=300") as postgresql, RedisServer() as redis, Bucket() as bucket:
        yield {
            "postgresql": postgresql,
            "redis": redis,
            "bucket": bucket,
            "airflow_url": postgresql.create_database("airflow"),
            "journal_url": postgresql.create_database("group_sync"),
        }


def definition_keys(bucket: Bucket) -> dict[str, Any]:
    """Return the keys of a sync definition that are otherwise than with the LocalExecutor."""
    return {
        "report": {"path": f"s3://{BUCKET_CONNECTION}@{bucket.name}/reports"},
        "airflow": {"ad_queue": AD_QUEUE},
    }
