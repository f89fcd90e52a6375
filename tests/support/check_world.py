"""A small company in which everything that `check` tries works, so that a test can take one thing away."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from genesys_ad_sync.doctor import Line, Outcome
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync_airflow.check_all import check_all
from genesys_ad_sync_airflow.journal_connection import journal_address
from sandbox.active_directory import SandboxDirectory
from sandbox.genesys_cloud import SandboxGenesys
from tests.support.pipeline import definition_for, set_connection
from tests.support.small_company import connection_to, definition_keys

FOLDER_OF_DEFINITIONS = "config"


@dataclass
class CheckWorld:
    """The world of one test. ``stack`` undoes changes. ``keys``: of the definition, over the small company's."""

    directory: SandboxDirectory
    genesys: SandboxGenesys
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    keys: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> None:
        """Set all connections, a Fernet key and an approver; make the journal."""
        self.connect_directory()
        self.connect_genesys()
        self.set_journal(f"sqlite:///{self.folder / 'journal.db'}")
        with Journal.open(journal_address()):
            pass
        self.monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        self.monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "olivia:admin,viewer:viewer")
        config = self.folder / FOLDER_OF_DEFINITIONS
        config.mkdir(exist_ok=True)
        self.monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(config))
        base = definition_keys()["directory"]
        self.keys = {"approvers": ["olivia"], "directory": {**base, "canary": self.directory.base_dn}}

    def connect_directory(self, **changes: Any) -> None:
        """Set the connection to AD; ``extra`` is merged, None takes a key away."""
        connection = connection_to(self.directory)
        extra = {**connection["extra"], **changes.pop("extra", {})}
        extra = {key: value for key, value in extra.items() if value is not None}
        set_connection(self.monkeypatch, "active_directory_default", {**connection, **changes, "extra": extra})

    def connect_genesys(self, **changes: Any) -> None:
        connection = self.genesys.connection()
        extra = {**connection["extra"], **changes.pop("extra", {})}
        set_connection(self.monkeypatch, "genesys_cloud_default", {**connection, **changes, "extra": extra})

    def set_journal(self, url: str) -> None:
        self.monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", url)

    def change(self, section: str, **values: Any) -> None:
        """Change keys of a section of the definition."""
        before = self.keys.get(section, definition_keys().get(section, {}))
        self.keys[section] = {**before, **values}

    @property
    def definition(self) -> SyncDefinition:
        return definition_for(self.folder, **{**definition_keys(), **self.keys})

    def check(self) -> list[Line]:
        return check_all(self.definition, journal_address)


def by_check(lines: list[Line]) -> Mapping[str, list[Line]]:
    """Return the lines by their key."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.check, []).append(line)
    return found


def problems(lines: list[Line]) -> set[str]:
    return {line.check for line in lines if line.outcome is Outcome.PROBLEM}
