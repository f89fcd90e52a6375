"""One world for all tests here: Samba, the Genesys sandbox, and an Airflow with the Celery executor.

`make test-celery` runs them. `pytest tests` leaves them out (`norecursedirs` in pyproject.toml).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import company, demo
from sandbox.active_directory import SandboxDirectory
from sandbox.airflow_stack import PROJECT
from sandbox.celery_stack import CeleryStack, definition_keys, services
from sandbox.directory_objects import AddGroup
from sandbox.genesys_cloud import spawn
from sandbox.ports import reserve_port
from sandbox.tcp_proxy import TcpProxy
from tests.celery.world import FIGURES, GENESYS_WORKER, GROUPS, MISSED, OTHER, TROUBLE, CeleryWorld, table
from tests.support.stack import DEFAULT, MINUTE, ticks

HANGING_SECONDS = 3600
ANSWER_SECONDS = 900
"""How long a client waits for Genesys Cloud: a test holds an answer back until something has happened."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("what was killed, and what it cost")
        for line in table(FIGURES):
            terminalreporter.write_line(line)


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryWorld]:
    with everything_running(tmp_path_factory.mktemp("celery")) as world:
        yield world


@contextmanager
def everything_running(folder: Path) -> Iterator[CeleryWorld]:
    """Start all systems. Each definition has had its first run; the first one of `default` was a scheduled one."""
    config = folder / "config"
    config.mkdir(parents=True)
    with services() as parts, spawn(seed=_seed()) as genesys, SandboxDirectory.start() as directory:
        directory.apply([AddGroup(group) for group, _ in GROUPS.values()])
        _define(config, definition_keys(parts["bucket"]))
        journal = parts["journal_url"].set(drivername="postgresql")
        with TcpProxy(("127.0.0.1", journal.port), port=reserve_port()) as proxy:
            through_proxy = journal.set(host=proxy.host, port=proxy.port).render_as_string(hide_password=False)
            connections = {
                "active_directory_default": directory.connection(),
                "genesys_cloud_default": _patient(genesys.connection()),
            }
            airflow = CeleryStack(
                folder / "airflow", config, connections, journals={GENESYS_WORKER: through_proxy}, **parts
            )
            try:
                airflow.start()
                airflow.start_workers()
                world = CeleryWorld(
                    directory, genesys, airflow, folder, PROJECT / "dags", proxy, directory.truth_by_name()
                )
                for dag_id in (DEFAULT, TROUBLE, OTHER, MISSED):
                    airflow.wait_for_dag(dag_id)
                    airflow.unpause(dag_id)
                for dag_id in (TROUBLE, OTHER, MISSED, DEFAULT):
                    world.first_run(dag_id)
                yield world
            finally:
                airflow.stop()


def _patient(connection: dict[str, Any]) -> dict[str, Any]:
    return {**connection, "extra": {**connection["extra"], "timeout": ANSWER_SECONDS}}


def _seed() -> dict[str, list[dict[str, Any]]]:
    seed = company.genesys_seed()
    for group, _ in GROUPS.values():
        seed["groups"].append({"id": company.genesys_id("group", group.cn), "name": group.cn, "individuals": []})
    return seed


def _define(config: Path, celery: dict[str, Any]) -> None:
    # its last window is over: Airflow runs that one, and no other for a year
    over = datetime.now(timezone.utc).replace(second=0, microsecond=0) - 4 * MINUTE
    definitions = {"default": {**celery, **ticks(over, 3)}}
    for dag_id in (TROUBLE, OTHER, MISSED):
        definitions[dag_id.partition("__")[2]] = definition_of(dag_id, celery, schedule="@yearly")
    for name, keys in definitions.items():
        (config / f"{name}.yaml").write_text(yaml.safe_dump(demo.definition(Path("/not/used"), **keys)))


def definition_of(dag_id: str, celery: dict[str, Any], **schedule: str) -> dict[str, Any]:
    """Return what is otherwise in one of the definitions here than in the company's."""
    name = dag_id.partition("__")[2]
    keys: dict[str, Any] = {
        **celery,
        **schedule,
        "full_schedule": "@yearly",
        "groups": [{"name": f"(?P<same>{name.title()} .+)", "genesys_name": "{same}"}],
        "limits": {"removals": 1 if dag_id == OTHER else 50, "removals_percent": 100},
        "genesys": {"workers": 1},  # one write after the other: a lane has a middle
    }
    if dag_id == MISSED:
        # a view of its own: no run of another definition sees the changes before the windows are over
        directory = company.sync_definition()["directory"]
        keys["directory"] = {**directory, "group_filter": "(&(objectClass=group)(cn=Missed*))"}
    return keys
