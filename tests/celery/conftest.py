"""One world for all tests here: Samba, the Genesys sandbox, and an Airflow with the Celery executor.

`make test-celery` runs them. `pytest tests` leaves them out (`norecursedirs` in pyproject.toml).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox import company, demo
from sandbox.active_directory import SandboxDirectory
from sandbox.celery_stack import CeleryStack, definition_keys, services
from sandbox.directory_objects import AddGroup
from sandbox.genesys_cloud import spawn
from sandbox.ports import reserve_port
from sandbox.tcp_proxy import TcpProxy
from tests.celery.world import (
    APPROVAL,
    GENESYS_WORKER,
    GROUPS,
    MISSED,
    TROUBLE,
    CeleryWorld,
)
from tests.support.stack import DEFAULT, MINUTE, ticks

HANGING_SECONDS = 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryWorld]:
    """Everything is running. Each definition but `default` has had its first run, and is not paused."""
    folder = tmp_path_factory.mktemp("celery")
    config = folder / "config"
    config.mkdir()
    with services() as parts, spawn(seed=_seed()) as genesys, SandboxDirectory.start() as directory:
        directory.apply([AddGroup(group) for group, _ in GROUPS.values()])
        _define(config, definition_keys(parts["bucket"]))
        journal = parts["journal_url"].set(drivername="postgresql")
        with TcpProxy(("127.0.0.1", journal.port), port=reserve_port()) as proxy:
            through_proxy = journal.set(host=proxy.host, port=proxy.port).render_as_string(hide_password=False)
            connections = {
                "active_directory_default": directory.connection(),
                "genesys_cloud_default": genesys.connection(),
            }
            airflow = CeleryStack(
                folder / "airflow", config, connections, journals={GENESYS_WORKER: through_proxy}, **parts
            )
            try:
                airflow.start()
                airflow.start_workers()
                made = CeleryWorld(directory, genesys, airflow, folder, proxy)
                for dag_id in (TROUBLE, APPROVAL, MISSED):
                    airflow.wait_for_dag(dag_id)
                    airflow.unpause(dag_id)
                for dag_id in (TROUBLE, APPROVAL, MISSED):
                    made.first_run(dag_id)
                airflow.wait_for_dag(DEFAULT)
                yield made
            finally:
                airflow.stop()


def _seed() -> dict[str, list[dict[str, Any]]]:
    seed = company.genesys_seed()
    for group, _ in GROUPS.values():
        seed["groups"].append({"id": company.genesys_id("group", group.cn), "name": group.cn, "individuals": []})
    return seed


def _define(config: Path, celery: dict[str, Any]) -> None:
    over = datetime.now(timezone.utc).replace(second=0, microsecond=0) - 4 * MINUTE
    definitions = {"default": {**celery, **ticks(over, 3)}}
    for dag_id in (TROUBLE, APPROVAL, MISSED):
        name = dag_id.partition("__")[2]
        definitions[name] = {
            **celery,
            "schedule": "@yearly",
            "full_schedule": "@yearly",
            "groups": [{"name": f"(?P<same>{name.title()} .+)", "genesys_name": "{same}"}],
            "limits": {"removals": 1 if dag_id == APPROVAL else 50, "removals_percent": 100},
        }
    for name, keys in definitions.items():
        (config / f"{name}.yaml").write_text(yaml.safe_dump(demo.definition(Path("/not/used"), **keys)))
