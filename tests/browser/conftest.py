"""A real API server of Airflow with the pages, over a journal that tells of a month. No Samba, and no scheduler.

The package is installed (`make install`, or a wheel); Airflow finds the pages by their entry point: its plugins folder
is empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from genesys_ad_sync.journal import Journal
from sandbox.airflow_stack import AirflowStack
from tests.support.browser import browser  # noqa: F401 (fixture)
from tests.support.pages_world import fill
from tests.support.view_examples import DEFINITION_TEXT

HANGING_SECONDS = 3600  # against waiting for ever, no more


@dataclass(frozen=True)
class Served:
    """The pages at `url`, and Airflow around them."""

    airflow: AirflowStack

    @property
    def url(self) -> str:
        return f"{self.airflow.url}/genesys-ad-sync"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("pages"))
            item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    config, plugins, journal = folder / "config", folder / "plugins", folder / "journal.db"
    config.mkdir()
    plugins.mkdir()
    (config / "default.yaml").write_text(f"{DEFINITION_TEXT}\ndry_run: false\nlimits: {{per_day: 50}}\n")
    with Journal.open(f"sqlite:///{journal}") as opened:
        fill(opened, datetime.now(timezone.utc))
    environment = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
        "AIRFLOW_CONN_GROUP_SYNC_JOURNAL": f"sqlite:///{journal}",
    }
    airflow = AirflowStack(folder / "airflow", config, {}, extra_env=environment)
    try:
        airflow.start(("api-server",))
        yield Served(airflow)
    finally:
        airflow.stop()
