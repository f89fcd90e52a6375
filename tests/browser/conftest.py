"""Two real API servers of Airflow with the pages, over journals that tell of a month. No Samba, and no scheduler.

The package is a wheel (WHEEL names it) in an environment of its own. Airflow has no plugins folder: it finds the pages
by their entry point. `served` is an Airflow as it comes. `company` has what a company may have: another auth manager,
and a path below which Airflow is reached.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from sandbox.airflow_stack import PROJECT, AirflowStack
from sandbox.bucket import Bucket
from tests.browser.roles import make_people
from tests.support import pages_story
from tests.support.browser import Browser, browser  # noqa: F401 (fixture)
from tests.support.pages_world import fill
from tests.support.view_examples import DEFINITION_TEXT
from tests.wheel.environments import Environment, named_wheel

HANGING_SECONDS = 3600  # against waiting for ever, no more
LOCKED = PROJECT / "requirements-dev.lock"
JOURNAL, BUCKET = "group_sync_journal", "aws_reports"


@dataclass(frozen=True)
class World:
    """What the pages read. ``journal``: of two syncs, one made up, one with runs. ``empty``: a journal without runs."""

    config: Path
    journal: Path
    empty: Path
    reports: Path


@dataclass(frozen=True)
class Served:
    """The pages at `url`, and Airflow around them."""

    airflow: AirflowStack
    world: World
    _tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.airflow.url}/genesys-ad-sync"

    def token(self, user: str) -> str:
        """Return what proves a login. FAB takes most of a second to check a password."""
        if user not in self._tokens:
            self._tokens[user] = self.airflow.login(user)
        return self._tokens[user]

    def log_in(self, browser: Browser, user: str = "admin") -> None:  # noqa: F811  not the fixture
        """Log in as a user, and leave whatever page was open."""
        browser.open(f"{self.airflow.url}/api/v2/version")
        browser.forget_cookies()
        browser.set_cookie("_token", self.token(user))

    @contextmanager
    def reading(self, journal: Path) -> Iterator[None]:
        """Let the API server read another journal, as a person does it in the UI: by the connection."""
        self._point_at(journal)
        try:
            yield
        finally:
            self._point_at(self.world.journal)

    def _point_at(self, journal: Path) -> None:
        body = {"connection_id": JOURNAL, **_sqlite(journal)}
        self.airflow.api("PATCH", f"connections/{JOURNAL}?update_mask=host", json=body)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("pages"))
            item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    now = datetime.now(timezone.utc)
    pages_story.live_through(folder, now)
    made = World(folder / "config", folder / "journal.db", folder / "empty.db", folder / "reports")
    with Journal.open(f"sqlite:///{made.journal}") as journal:
        fill(journal, now)
    Journal.open(f"sqlite:///{made.empty}").close()
    made.config.mkdir()
    (made.config / "default.yaml").write_text(f"{DEFINITION_TEXT}\ndry_run: false\nlimits: {{per_day: 50}}\n")
    text = pages_story.definition_text(f"s3://{BUCKET}@{Bucket().name}/reports")
    (made.config / f"{pages_story.NAME}.yaml").write_text(text)
    return made


@pytest.fixture(scope="package")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Install the wheel, the Airflow of the lock file, and FAB's auth manager, which the lock file does not have."""
    made = Environment.make(tmp_path_factory.mktemp("installed"))
    wheel = f"genesys-ad-sync[s3] @ {named_wheel().as_uri()}"
    made.install("-q", wheel, "apache-airflow-providers-fab>=3,<4", "-c", str(LOCKED))
    yield made
    shutil.rmtree(made.folder)


@pytest.fixture(scope="package")
def bucket() -> Iterator[Bucket]:
    with Bucket() as store:
        yield store


@pytest.fixture(scope="package")
def served(installed: Environment, world: World, bucket: Bucket) -> Iterator[Served]:
    connections = {JOURNAL: _sqlite(world.journal), BUCKET: bucket.connection()}
    airflow = _airflow(installed, world, "airflow", connections)
    try:
        airflow.start(("api-server",))
        yield Served(airflow, world)
    finally:
        airflow.stop()


@pytest.fixture(scope="package")
def company(installed: Environment, world: World) -> Iterator[Served]:
    fab = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        f"AIRFLOW_CONN_{JOURNAL.upper()}": json.dumps(_sqlite(world.journal)),
    }
    airflow = _airflow(installed, world, "company", {}, extra=fab, base_path="/airflow")
    try:
        airflow.start(("api-server",))
        make_people(installed, airflow)
        yield Served(airflow, world)
    finally:
        airflow.stop()


def _airflow(
    installed: Environment,
    world: World,
    name: str,
    connections: Mapping[str, Mapping[str, Any]],
    *,
    extra: Mapping[str, str] | None = None,
    base_path: str = "",
) -> AirflowStack:
    folder = installed.folder / name
    environment = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder / "no-plugins"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "no-dags"),
        "PYTHONPATH": "",
        **(extra or {}),
    }
    return AirflowStack(
        folder, world.config, connections, extra_env=environment, base_path=base_path, scripts=installed.venv / "bin"
    )


def _sqlite(file: Path) -> dict[str, Any]:
    return {"conn_type": "sqlite", "host": str(file)}
