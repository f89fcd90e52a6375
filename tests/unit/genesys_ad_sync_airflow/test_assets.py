"""Which Genesys groups get an asset event, and what it says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias

from genesys_ad_sync_airflow import assets, tasks
from tests.support.view_examples import definition


def group(id_: str, added: int, removed: int) -> dict[str, Any]:
    return {"genesys_group": {"id": id_, "name": "Team of Ada"}, "added": added, "removed": removed, "after": 7}


def row(id_: str | None, status: str) -> dict[str, Any]:
    return {"genesys_group": id_ and {"id": id_, "name": "Team of Ada"}, "status": status, "directory_user": "Ada"}


DOCUMENT: dict[str, Any] = {
    "dag_id": "dag",
    "run_id": "manual__1",
    "attempt": 1,
    "dry_run": False,
    "groups": [group("a", 1, 0), group("b", 0, 0), group("c", 2, 3)],
    "details": [row("c", "failed"), row("c", "held"), row("c", "success"), row("b", "failed"), row(None, "skipped")],
}


def test_each_changed_group_gets_counts_and_a_link_and_no_names() -> None:
    events = assets.group_events(DOCUMENT, "default", "https://airflow.example.com/base/")
    assert list(events) == ["c", "a"]
    assert events["c"] == {
        "genesys_group_id": "c", "definition": "default", "dag_id": "dag", "run_id": "manual__1", "attempt": 1,
        "added": 2, "removed": 3, "members": 7, "failed": 1, "held": 1, "orphaned": 0,
        "page": "https://airflow.example.com/base/plugin/genesys-ad-sync/base/genesys-ad-sync/group"
        "?definition=default&id=c",
    }  # fmt: skip
    assert "Ada" not in json.dumps(events)
    assert assets.group_events({**DOCUMENT, "dry_run": True}, "default", "") == {}


class Outlets(dict[Any, Any]):
    """What Airflow gives a task as `outlet_events`, for one alias."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[Asset, dict[str, Any]]] = []

    def __missing__(self, _: object) -> Outlets:
        return self

    def add(self, asset: Asset, *, extra: dict[str, Any]) -> None:
        self.added.append((asset, extra))


def test_groups_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    outlets = Outlets()
    monkeypatch.setattr(tasks, "get_current_context", lambda: {"outlet_events": outlets})
    alias = assets.changed_groups(definition())
    assert tasks._tell_of_groups(definition(), DOCUMENT, alias) == 0
    assert [asset.name for asset, _ in outlets.added] == ["genesys_group_c", "genesys_group_a"]
    monkeypatch.setattr(assets, "MOST_GROUPS", 1)
    outlets.added.clear()
    assert tasks._tell_of_groups(definition(), DOCUMENT, alias) == 1
    assert [asset.name for asset, _ in outlets.added] == ["genesys_group_c"]


def test_a_dag_can_be_started_by_one_group_or_by_any() -> None:
    one = DAG("one", schedule=[assets.group_asset("c")])
    any_ = DAG("any", schedule=assets.changed_groups(definition()))
    assert [asset.name for asset in one.timetable.asset_condition.objects] == ["genesys_group_c"]
    assert any_.timetable.asset_condition == AssetAlias("genesys_ad_group_sync_changed_groups")
