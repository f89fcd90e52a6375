"""A company of twenty people whose groups differ in size: what a test of limits needs.

Imported by the tests that use it, not loaded for all.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal.store import Journal
from sandbox.directory_objects import CONTACT_CENTER, AddMember, Content, Group, RemoveMember, User
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.directory import FreshDirectory
from tests.support.pipeline import Pipeline, definition_for, set_connection

PEOPLE = tuple(f"p{number:02}" for number in range(20))
GROUPS = {
    "team": ("Team", PEOPLE),
    "nine": ("Nine", PEOPLE[:9]),
    "late": ("Late", PEOPLE[:8]),
    "solo": ("Solo", PEOPLE[:1]),
    "vip": ("[VIP] Voice", ()),
}
"""Key of the AD group -> its name, also in Genesys Cloud, and its members."""


def genesys_id(name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(int=12), name))


def definition_keys(**more: Any) -> dict[str, Any]:
    return {
        "directory": {"group_base": CONTACT_CENTER},
        "groups": [{"name": "(?P<same>.+)", "genesys_name": "{same}"}],
        "users": [{"directory": "mail", "genesys": "email"}],
        "exclude": {"groups": [], "users": []},
        **more,
    }


def leave(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([RemoveMember(group, person) for person in people])


def join(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([AddMember(group, person) for person in people])


def members(pipeline: Pipeline, group: str) -> set[str]:
    """Who is in the Genesys group, by name."""
    present = set(pipeline.genesys.individuals(genesys_id(group)))
    return {person for person in PEOPLE if genesys_id(person) in present}


def rows(report: dict[str, Any], group: str | None = None) -> list[tuple[str, str, str, str | None]]:
    """Return (action, person, status, reason) of the report's rows, of all or of one Genesys group."""
    by_id = {genesys_id(person): person for person in PEOPLE}
    return [
        (row["action"], by_id[row["user_id"]], row["status"], row["reason"])
        for row in report["details"]
        if row["user_id"] and (group is None or row["genesys_group"]["name"] == group)
    ]


def _content() -> Content:
    return Content(
        users=tuple(User(name, name.capitalize(), mail=f"{name}@example.com") for name in PEOPLE),
        groups=tuple(Group(key, name, people) for key, (name, people) in GROUPS.items()),
    )


def _seed() -> dict[str, Any]:
    users = [
        {"id": genesys_id(name), "name": name, "email": f"{name}@example.com", "username": f"{name}@example.com",
         "state": "active", "external_ids": []}
        for name in PEOPLE
    ]  # fmt: skip
    groups = [{"id": genesys_id(name), "name": name, "individuals": []} for name, _ in GROUPS.values()]
    return {"users": users, "groups": groups}


@pytest.fixture
def company(fresh_directory: FreshDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Return the company before any run."""
    with (
        fresh_directory("limits", content=_content()) as directory,
        SandboxGenesys.start(_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        Journal.open(f"sqlite:///{tmp_path / 'journal.db'}") as journal,
    ):
        set_connection(monkeypatch, "active_directory_default", directory.connection())
        set_connection(monkeypatch, "genesys_cloud_default", genesys.connection())
        yield Pipeline(directory, genesys, tmp_path, definition_for(tmp_path, **definition_keys()), journal)
