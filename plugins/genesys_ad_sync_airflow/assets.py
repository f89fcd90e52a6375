"""Airflow assets of a sync: its report, and each changed Genesys group.

An event holds ids and counts, and no names: everybody who may read Airflow's assets can see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from airflow.sdk import Asset, AssetAlias

from genesys_ad_sync_airflow.report_link import PREFIX

if TYPE_CHECKING:
    from genesys_ad_sync.settings import SyncDefinition

MOST_GROUPS = 1000
"""So many groups of one run get an event. Airflow stores each of them before the task `report` is done."""

_LISTED = ("failed", "held", "orphaned")


def report_asset(definition: SyncDefinition) -> Asset:
    """Return the asset that each report of a definition's DAG updates."""
    return Asset(name=f"{definition.dag_id}_report")


def group_asset(genesys_group_id: str) -> Asset:
    """Return the asset of a Genesys group, for the `schedule` of a DAG.

    It goes by the group's id: a group that is renamed keeps its asset.
    """
    return Asset(name=f"genesys_group_{genesys_group_id}")


def changed_groups(definition: SyncDefinition) -> AssetAlias:
    """Return the alias of all groups that a definition changes.

    Any of them starts a DAG with it as its schedule.
    """
    return AssetAlias(name=f"{definition.dag_id}_changed_groups")


def group_events(document: Mapping[str, Any], definition: str, airflow: str) -> dict[str, dict[str, Any]]:
    """Return the content of the event of each Genesys group that a run changed.

    The keys are the groups' ids. The groups with the most changes come first. A dry run changes none.

    :param document: the run's report.
    :param airflow: the address of Airflow, `[api] base_url`; empty: links begin with a slash.
    """
    listed: Counter[tuple[str, str]] = Counter(
        (row["genesys_group"]["id"], row["status"]) for row in document["details"] if row["genesys_group"]
    )
    changed = [group for group in document["groups"] if group["added"] or group["removed"]]
    changed.sort(key=lambda group: (-group["added"] - group["removed"], group["genesys_group"]["id"]))
    events = {}
    for group in () if document["dry_run"] else changed:
        id_ = group["genesys_group"]["id"]
        events[id_] = {
            "genesys_group_id": id_,
            "definition": definition,
            "dag_id": document["dag_id"],
            "run_id": document["run_id"],
            "attempt": document["attempt"],
            "added": group["added"],
            "removed": group["removed"],
            "members": group["after"],
            **{status: listed[id_, status] for status in _LISTED},
            "page": _page(airflow.rstrip("/"), definition, id_),
        }
    return events


def _page(airflow: str, definition: str, genesys_group_id: str) -> str:
    """Return the address of a group's page, within Airflow's page."""
    query = urlencode({"definition": definition, "id": genesys_group_id})
    return f"{airflow}/plugin{PREFIX}{urlsplit(airflow).path}{PREFIX}/group?{query}"
