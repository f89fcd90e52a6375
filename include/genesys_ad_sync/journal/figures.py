"""Store the figures of a run for its report.

These are the results by Genesys group and the requests by task.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, upsert
from genesys_ad_sync.model import GroupResult, RunRecord

_RESULT = tables.group_result.c
_REQUEST = tables.request.c
GROUP_RESULT = TypeAdapter(GroupResult)
FULL_RUNS_SEARCHED = 10
"""Of so many runs in mode full, the newest, the results are searched for the members of a group."""


class Figures(Store):
    """What the report says about groups and requests."""

    def save_groups(self, run: RunRecord, results: Collection[GroupResult]) -> None:
        """Store one result per Genesys group, in place of an earlier one."""
        rows = [
            {
                "run": run.id,
                "genesys_group_id": result.genesys_group_id,
                "data": GROUP_RESULT.dump_python(result, mode="json", exclude_defaults=True),
            }
            for result in results
        ]
        with self._database.writing() as connection:
            upsert(connection, tables.group_result, rows)

    def groups(self, run: RunRecord, genesys_group_id: str | None = None) -> list[GroupResult]:
        """Return the results by name of the Genesys group: all, or that of one group."""
        statement = select(_RESULT.data).where(_RESULT.run == run.id)
        if genesys_group_id is not None:
            statement = statement.where(_RESULT.genesys_group_id == genesys_group_id)
        with self._database.reading() as connection:
            results = [GROUP_RESULT.validate_python(data) for data in connection.scalars(statement)]
        return sorted(results, key=lambda result: (result.genesys_group_name, result.genesys_group_id))

    def add_requests(self, run: RunRecord, task_key: str, counts: Mapping[str, Any]) -> None:
        """Store the requests that a task sent, in place of its earlier counts.

        :param counts: ``total``, ``retried``, ``throttled``, ``by_endpoint`` {endpoint: number}.
        """
        with self._database.writing() as connection:
            row = {"run": run.id, "task_key": task_key, "counts": dict(counts)}
            upsert(connection, tables.request, [row])

    def requests(self, run: RunRecord) -> dict[str, Any]:
        """Return the sum over all tasks, in the shape of the report's ``requests``."""
        total: dict[str, Any] = {"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}}
        by_endpoint: dict[str, int] = total["by_endpoint"]
        statement = select(_REQUEST.counts).where(_REQUEST.run == run.id).order_by(_REQUEST.task_key)
        with self._database.reading() as connection:
            for counts in connection.scalars(statement):
                for name in ("total", "retried", "throttled"):
                    total[name] += counts.get(name, 0)
                for endpoint, number in counts.get("by_endpoint", {}).items():
                    by_endpoint[endpoint] = by_endpoint.get(endpoint, 0) + number
        return total
