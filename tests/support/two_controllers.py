"""Two domain controllers of one domain that hear of each other only when a test says so, and a pipeline on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.journal.tables.columns import UtcDateTime
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, Enable, RemoveMember, SetAttributes
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.pipeline import Pipeline, set_connection
from tests.support.small_company import NAMES, connection_to, content, genesys_seed, members, pipeline_on


@pytest.fixture(scope="module")
def domain() -> Iterator[tuple[SandboxDirectory, SandboxDirectory]]:
    """Two domain controllers of one domain. They hear of each other only when a test says so."""
    dc1, dc2 = SandboxDirectory.start_two(content())
    with dc1, dc2:
        yield dc1, dc2


class TwoControllers:
    """A pipeline and its two domain controllers, both on the same state and the first run done by the first."""

    def __init__(
        self, pipeline: Pipeline, dc1: SandboxDirectory, dc2: SandboxDirectory, use: Callable[..., None]
    ) -> None:
        self.pipeline, self.dc1, self.dc2, self._use = pipeline, dc1, dc2, use
        self.last: dict[str, Any] = {}

    def run_on(self, dc: SandboxDirectory, **asked: Any) -> dict[str, Any]:
        self.use(dc)
        self.last = self.pipeline.run(**asked)
        return self.last

    def use(self, dc: SandboxDirectory) -> None:
        """Let later runs read this domain controller."""
        self._use(dc)

    def replicate(self) -> None:
        """Let both hear of everything."""
        self.dc2.replicate_from(self.dc1)
        self.dc1.replicate_from(self.dc2)

    def held(self) -> list[dict[str, Any]]:
        """Return the rows of the last report that are held."""
        return [row for row in self.last["details"] if row["status"] == "held"]


@pytest.fixture
def two(
    domain: tuple[SandboxDirectory, SandboxDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TwoControllers]:
    dc1, dc2 = domain
    for here, there in ((dc1, dc2), (dc2, dc1)):
        here.replicate_from(there)
    dc1.apply([Enable(name) for name in NAMES])
    dc1.apply([SetAttributes(name, {"mail": f"{name}@example.com"}) for name in NAMES])
    truth = dc1.truth_by_name()
    for group, wanted in {"voice": {"ann", "bob", "cid"}, "chat": {"dan", "eve"}}.items():  # as before the last test
        dc1.apply([AddMember(group, name) for name in sorted(wanted - truth[group])])
        dc1.apply([RemoveMember(group, name) for name in sorted(truth[group] - wanted)])
    dc2.replicate_from(dc1)

    def use(dc: SandboxDirectory) -> None:
        set_connection(monkeypatch, "active_directory_default", connection_to(dc))

    with (
        SandboxGenesys.start(genesys_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        Journal.open(f"sqlite:///{tmp_path / 'journal.db'}") as journal,
    ):
        set_connection(monkeypatch, "genesys_cloud_default", genesys.connection())
        one = TwoControllers(pipeline_on(dc1, genesys, tmp_path, journal), dc1, dc2, use)
        one.run_on(dc1)
        assert members(one.pipeline, "Voice") == {"ann", "bob", "cid", "mia"}
        yield one


def hours_pass(journal: Journal, hours: float) -> None:
    """Move everything that the journal noted of Active Directory into the past: Samba's clock is the real one."""
    by = timedelta(hours=hours)
    with journal._database.writing() as connection:
        for table in (tables.change, tables.cursor, tables.known_dc):
            times = [column for column in table.c if isinstance(column.type, UtcDateTime)]
            keys = list(table.primary_key.columns)
            for row in connection.execute(select(table)).all():
                stored = row._mapping
                earlier = {column.name: stored[column] - by for column in times if stored[column] is not None}
                if earlier:
                    same = (column == stored[column] for column in keys)
                    connection.execute(update(table).where(*same).values(earlier))
