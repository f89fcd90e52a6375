"""A real Airflow on this machine: API server, scheduler and DAG processor, on SQLite.

For the demo, for `make up` and for the system tests. Knows nothing of Active Directory or Genesys Cloud beyond the
connections that it is given.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from cryptography.fernet import Fernet

from sandbox.ports import reserve_port
from sandbox.processes import end_process, start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[1]
ADMIN = "admin"
USERS = {ADMIN: "admin", "viewer": "viewer", "operator": "user", "approver": "user"}
"""Airflow users with their roles. An operator may trigger runs; `approvers:` says who may approve."""
SERVICES = ("api-server", "scheduler", "dag-processor")
# Bounds against waiting for ever, not expectations: a slow and busy machine stays far below them.
API_START_SECONDS = 600
DAG_SECONDS = 600
RUN_SECONDS = 1800
FINISHED = frozenset({"success", "failed"})


class StackError(RuntimeError):
    """Airflow did not start, or a run did not end in time.

    The text names the log file to read.
    """


# Airflow imports this file in each of its processes. A task is a fork of the scheduler, or of a Celery worker: what
# that process has imported is there already. Without it, two fifths of a task's CPU time go into importing the
# libraries. The product's own modules are left out, unless `preload` has them: a task imports them as everywhere.
_LOCAL_SETTINGS = """
import sys

if {"scheduler", "worker"} & set(sys.argv):
    import airflow.providers.http.hooks.http
    import airflow.providers.standard.operators.hitl
    import airflow.sdk
    import authlib.integrations.requests_client
    import jinja2
    import ldap3
    import requests
    import upath
"""


@dataclass
class AirflowStack:
    """One Airflow with its services.

    ``home`` becomes AIRFLOW_HOME. ``connections``: Airflow connection dicts by id, written to Airflow's own database so
    that a person sees them in the UI. ``base_path``: below which Airflow is reached, such as "/airflow". ``scripts``:
    the folder of the command `airflow`; default: that of this environment. ``preload``: more modules that tasks find
    imported.
    """

    home: Path
    config_dir: Path
    connections: Mapping[str, Mapping[str, Any]]
    port: int = field(default_factory=reserve_port)
    log_port: int = field(default_factory=reserve_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    extra_env: Mapping[str, str] = field(default_factory=dict)
    base_path: str = ""
    scripts: Path = Path(sys.executable).parent
    preload: tuple[str, ...] = ()
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)
    _token: str | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base_path}"

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of every Airflow process of this stack."""
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")},
            # Each task is a new process: without compiled modules, half of its time would go into compiling them.
            "PYTHONDONTWRITEBYTECODE": "",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__FERNET_KEY": self._secret("fernet", _fernet_key),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret("api", lambda: secrets.token_hex(32)),
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret("jwt", lambda: secrets.token_hex(64)),
            # Several processes write: each waits for the others a little longer than the usual five seconds. Not much
            # longer: when a task starts while somebody posts, the API server of 3.3.2 waits for itself until then.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}?timeout=10",
            # Reading the DAG file takes a process of its own each time. Where a test waits for a DAG, it asks for it.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.log_port),
            "GENESYS_AD_SYNC_CONFIG_DIR": str(self.config_dir),
            "PATH": f"{self.scripts}{os.pathsep}{os.environ.get('PATH', '')}",
            **self.extra_env,
        }

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        """Return a secret that is made once per AIRFLOW_HOME, for all its processes."""
        file = self.home / f".{name}.secret"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(make())
        return file.read_text()

    # -- life ------------------------------------------------------------------------------------------

    def start(self, services: tuple[str, ...] = SERVICES) -> AirflowStack:
        """Migrate the database and start the services.

        Raises StackError if the API does not answer.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps(dict.fromkeys(USERS, self.password)))
        local_settings = self.home / "config" / "airflow_local_settings.py"
        local_settings.parent.mkdir(exist_ok=True)
        local_settings.write_text(_LOCAL_SETTINGS + "".join(f"    import {module}\n" for module in self.preload))
        self.airflow("db", "migrate")
        for service in services:
            self.start_service(service)
        self._wait_for_api()
        for connection_id, connection in self.connections.items():
            self.save_connection(connection_id, connection)
        return self

    def start_service(self, service: str) -> None:
        log = (self.home / f"{service}.log").open("ab")
        self._processes[service] = start_process(["airflow", service], env=self.env, stdout=log, stderr=log)

    def stop_service(self, service: str) -> None:
        if process := self._processes.pop(service, None):
            end_process(process)

    def stop(self) -> None:
        for service in list(self._processes):
            self.stop_service(service)

    def airflow(self, *args: str, timeout: float = 1200) -> str:
        """Run the `airflow` command of this stack and return what it prints.

        Raises StackError if it fails.
        """
        done = subprocess.run(
            ["airflow", *args], env=self.env, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise StackError(f"airflow {' '.join(args)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def _wait_for_api(self) -> None:
        deadline = time.monotonic() + API_START_SECONDS
        while time.monotonic() < deadline:
            for service, process in self._processes.items():
                if process.poll() is not None:
                    raise StackError(f"airflow {service} ended at once: see {self.home / f'{service}.log'}")
            try:
                if requests.get(f"{self.url}/api/v2/version", timeout=60).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.5)
        raise StackError(f"the API server did not answer: see {self.home / 'api-server.log'}")

    # -- REST ------------------------------------------------------------------------------------------

    def login(self, user: str = ADMIN) -> str:
        """Return a token for the REST API and for the UI's cookie `_token`."""
        answer = requests.post(
            f"{self.url}/auth/token", json={"username": user, "password": self.password}, timeout=300
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def api(self, method: str, path: str, *, expect: int | None = None, **kwargs: Any) -> Any:
        """Call /api/v2/{path} as admin and return the JSON of the answer.

        Raises StackError unless the answer is 2xx (or what is expected).
        """
        return self.request(method, f"/api/v2/{path}", expect=expect, **kwargs)

    def request(self, method: str, path: str, *, expect: int | None = None, **kwargs: Any) -> Any:
        """Call any path of the API server as admin. Returns and raises as `api` does."""
        self._token = self._token or self.login()
        for _ in range(3):
            answer = requests.request(
                method,
                f"{self.url}{path}",
                headers={"Authorization": f"Bearer {self._token}"},
                timeout=300,
                **kwargs,
            )
            if answer.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:  # "database is locked": it was rolled back
                break
        if answer.status_code != expect if expect else not answer.ok:
            raise StackError(f"{method} {path}: {answer.status_code} {answer.text[:1000]}")
        return answer.json() if answer.content else None

    def save_connection(self, connection_id: str, connection: Mapping[str, Any]) -> None:
        body = {**connection, "connection_id": connection_id}
        if isinstance(body.get("extra"), dict):
            body["extra"] = json.dumps(body["extra"])
        self.api("POST", "connections", json=body)

    def wait_for_dag(self, dag_id: str, timeout: float = DAG_SECONDS) -> dict[str, Any]:
        """Wait until the DAG processor has brought the DAG in. Raises StackError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            with contextlib.suppress(StackError):  # not there yet
                return dict(self.api("GET", f"dags/{dag_id}"))
            self.read_dags_again()
            time.sleep(1)
        errors = self.api("GET", "importErrors")["import_errors"]
        raise StackError(
            f"DAG {dag_id} did not appear; import errors: {errors}; log: {self.home / 'dag-processor.log'}"
        )

    def read_dags_again(self) -> None:
        """Ask the DAG processor to read the files of all DAGs that it knows, now."""
        for token in {dag["file_token"] for dag in self.api("GET", "dags?limit=100")["dags"]}:
            with contextlib.suppress(StackError):  # asked for already
                self.api("PUT", f"parseDagFile/{token}")

    def unpause(self, dag_id: str, *, paused: bool = False) -> None:
        self.api("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a manual run and return its run_id."""
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.api("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        return list(self.api("GET", f"dags/{dag_id}/dagRuns?limit=100&order_by=run_after")["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=200")["task_instances"])

    def wait_for_run(
        self, dag_id: str, run_id: str, timeout: float = RUN_SECONDS, progress: Callable[[str], None] | None = None
    ) -> str:
        """Wait for the run's end and return its state.

        ``progress`` is called with a line for each task that ends. Raises StackError after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        seen: dict[str, str] = {}
        while time.monotonic() < deadline:
            state = self.run(dag_id, run_id)["state"]
            if progress:
                for line in self._news(dag_id, run_id, seen):
                    progress(line)
            if state in FINISHED:
                return str(state)
            time.sleep(0.7)
        states = [(task["task_id"], task["state"]) for task in self.tasks(dag_id, run_id)]
        raise StackError(
            f"run {run_id} of {dag_id} did not end in {timeout:.0f} s: {states}; see {self.home / 'scheduler.log'}"
        )

    def _news(self, dag_id: str, run_id: str, seen: dict[str, str]) -> Iterator[str]:
        instances = self.tasks(dag_id, run_id)
        for task in sorted(instances, key=lambda task: task.get("start_date") or "9"):
            label = task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else "")
            state = task["state"] or "waiting"
            if (
                state in ("success", "failed", "skipped", "upstream_failed", "up_for_retry")
                and seen.get(label) != state
            ):
                seen[label] = state
                detail = task.get("rendered_map_index") if task["map_index"] >= 0 else None
                yield f"{label:<18}{state:<16}{detail or ''}".rstrip()

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the text of a task instance's log."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self.api("GET", path, params={"map_index": map_index, "full_content": "true"})["content"]
        lines = []
        for entry in content:
            if isinstance(entry, dict):
                lines.append(" ".join(str(value) for key, value in entry.items() if key != "timestamp"))
            else:
                lines.append(str(entry))
        return "\n".join(lines)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        return self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}")["value"]


def _fernet_key() -> str:
    return Fernet.generate_key().decode()
