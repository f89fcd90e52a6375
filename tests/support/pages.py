"""The pages, served over a journal in a SQLite file, with an auth manager that knows a few people.

A test module imports `journal`, `journal_url` (tests.support.journal), `people` and `pages`. Routes, login and checks
of rights are the real ones: only what Airflow's auth manager would say is written here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from airflow.api_fastapi import app as airflow_app
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from jwt import InvalidTokenError
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow.pages.app import Secured, create_app
from genesys_ad_sync_airflow.pages.sources import Sources
from tests.support.journal import T0, minutes
from tests.support.view_examples import definition

AN_HOUR_LATER = T0 + minutes(60)
SEE, NAMES, EDIT = ("GET", None), ("GET", DagAccessEntity.RUN), ("PUT", None)
DAG = "genesys_ad_group_sync"
OTHER = f"{DAG}__other"

PEOPLE: dict[str, dict[str, set[tuple[str, DagAccessEntity | None]]]] = {
    "admin": {"*": {SEE, NAMES, EDIT}},
    "lead": {"*": {SEE, NAMES}},
    "counts": {"*": {SEE}},  # may read the DAGs, but not their runs
    "other": {OTHER: {SEE, NAMES, EDIT}},
    "nobody": {},
}
"""Name, which is also the token -> DAG id -> what the person may do with it. "*": with every DAG."""


class People(SimpleAuthManager):
    """Says who somebody is by the token, and what the person may do by `PEOPLE`."""

    async def get_user_from_token(self, token: str) -> SimpleAuthManagerUser:
        if token not in PEOPLE:
            raise InvalidTokenError("Forbidden")
        return SimpleAuthManagerUser(username=token, role=None)

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        rights = PEOPLE[user.username]
        dag_id = (details.id if details else None) or ""
        return (method, access_entity) in rights.get(dag_id, rights.get("*", set()))


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow ask `People`."""
    monkeypatch.setattr(airflow_app._AuthManagerState, "instance", People())


class _WithSources:
    """The app with these sources. There is one app for all tests: FastAPI takes long to make one."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = _app()
        app.inner.state.sources = self._sources
        await app(scope, receive, send)


@functools.cache
def _app() -> Secured:
    return create_app()


@pytest.fixture
def pages(journal: Journal, people: None) -> Iterator[Callable[..., TestClient]]:
    """Return a browser of somebody: ``pages("lead").get("/runs")``. None: nobody is logged in.

    ``now``: the time of the requests. ``definitions``: by name; default: that of the view examples.
    """
    opened: list[TestClient] = []

    def browse(
        name: str | None,
        *,
        now: datetime = AN_HOUR_LATER,
        definitions: dict[str, Any] | None = None,
        base: str = "",
        reports: Any = None,
        accept: str = "text/html",
    ) -> TestClient:
        known = {"default": definition()} if definitions is None else definitions
        sources = Sources(journal=lambda: journal, definitions=lambda: known, clock=lambda: now)
        app = _WithSources(replace(sources, reports=reports) if reports else sources)
        cookies = {"_token": name} if name else {}
        # As Airflow's own app mounts it: the path below which it is reached is in `root_path`.
        client = TestClient(app, cookies=cookies, root_path=base)
        client.follow_redirects = False
        client.headers["accept"] = accept
        opened.append(client)
        return client

    yield browse
    for client in opened:
        client.close()
