"""A company of six people and three AD groups: what a test needs that tells a story about a single person.

Imported by the tests that use it, not loaded for all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal.store import Journal
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import CONTACT_CENTER, OTHER_GROUPS, Content, Group, User
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.directory import FreshDirectory
from tests.support.pipeline import Pipeline, definition_for, set_connection

NAMES = ("ann", "bob", "cid", "dan", "eve", "fay")
MANUAL = "mia"  # in Voice by hand, unknown to AD


def genesys_id(name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(int=3), name))


def content() -> Content:
    return Content(
        users=tuple(User(name, name.capitalize(), mail=f"{name}@example.com") for name in NAMES),
        groups=(
            Group("core", "Core", ("eve",), ou=OTHER_GROUPS),
            Group("voice", "Voice", ("ann", "bob", "cid"), info=genesys_id("Voice")),
            Group("chat", "Chat", ("dan", "core"), info=genesys_id("Chat")),
        ),
    )


def genesys_seed() -> dict[str, Any]:
    users = [
        {"id": genesys_id(name), "name": name, "email": f"{name}@example.com", "username": f"{name}@example.com",
         "state": "active", "external_ids": []}
        for name in (*NAMES, MANUAL)
    ]  # fmt: skip
    groups = [
        {"id": genesys_id("Voice"), "name": "Voice", "individuals": [genesys_id(MANUAL)]},
        {"id": genesys_id("Chat"), "name": "Chat", "individuals": []},
    ]
    return {"users": users, "groups": groups}


def definition_keys() -> dict[str, Any]:
    return {
        "directory": {"group_base": CONTACT_CENTER},
        "groups": [{"attribute": "info", "genesys_id": "{value}"}],
        "users": [{"directory": "mail", "genesys": "email"}],
        "limits": {"removals": 100, "removals_percent": 100, "empty_group": "allow", "new_pairs": "allow"},
    }


def connection_to(*directories: SandboxDirectory, account: str = "reader") -> dict[str, Any]:
    """To several domain controllers, tried in order. Their certificates carry their addresses."""
    connection = directories[0].connection(account)  # type: ignore[arg-type]
    del connection["extra"]["server_name"]
    return {**connection, "host": ",".join(one.host for one in directories)}


def pipeline_on(directory: SandboxDirectory, genesys: SandboxGenesys, folder: Path, journal: Journal) -> Pipeline:
    return Pipeline(directory, genesys, folder, definition_for(folder, **definition_keys()), journal)


def members(pipeline: Pipeline, group: str) -> set[str]:
    """Who is in the Genesys group, by name."""
    present = set(pipeline.genesys.individuals(genesys_id(group)))
    return {name for name in (*NAMES, MANUAL) if genesys_id(name) in present}


def rows(report: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    """Return (action, person, status, reason, settled_by) of the report's rows.

    Of all rows, or of these people's.
    """
    by_id = {genesys_id(name): name for name in (*NAMES, MANUAL)}
    listed = [
        (row["action"], by_id.get(row["user_id"]), row["status"], row["reason"], row["settled_by"])
        for row in report["details"]
    ]
    return [row for row in listed if not names or row[1] in names]


@pytest.fixture
def small(fresh_directory: FreshDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Return the small company before any run."""
    with (
        fresh_directory("small company", content=content()) as directory,
        SandboxGenesys.start(genesys_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        Journal.open(f"sqlite:///{tmp_path / 'journal.db'}") as journal,
    ):
        set_connection(monkeypatch, "active_directory_default", directory.connection())
        set_connection(monkeypatch, "genesys_cloud_default", genesys.connection())
        yield pipeline_on(directory, genesys, tmp_path, journal)
