"""Links: within the pages, and to Airflow's own pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from genesys_ad_sync_airflow.report_link import PREFIX


@dataclass(frozen=True)
class Links:
    """Links for one request.

    ``root``: the path below which the request reached the app, with a base path of Airflow or of a proxy.
    """

    root: str

    @property
    def airflow(self) -> str:
        """Return the path of Airflow itself, without a slash at its end."""
        return self.root.removesuffix(PREFIX)

    def page(self, path: str, **query: Any) -> str:
        """Return the path of a page, such as ``page("run", dag_id=…, run_id=…)``.

        None and "" are left out.
        """
        given = {key: value for key, value in query.items() if value not in (None, "")}
        return f"{self.root}/{path}{'?' if given else ''}{urlencode(given)}"

    def run(self, key: str) -> str:
        """Return the page of a run. ``key``: DAG id/run id."""
        dag_id, _, run_id = key.partition("/")
        return self.page("run", dag_id=dag_id, run_id=run_id)

    def dag(self, dag_id: str) -> str:
        """Return Airflow's page of a DAG."""
        return f"{self.airflow}/dags/{quote(dag_id, safe='')}"

    def dag_run(self, key: str) -> str:
        """Return Airflow's page of a run. ``key``: DAG id/run id."""
        dag_id, _, run_id = key.partition("/")
        return f"{self.dag(dag_id)}/runs/{quote(run_id, safe='')}"

    def task(self, key: str, task_id: str, tab: str = "") -> str:
        """Return Airflow's page of a task of a run: its log, or that tab."""
        return f"{self.dag_run(key)}/tasks/{quote(task_id, safe='')}{'/' if tab else ''}{tab}"


def configuration(params: Mapping[str, Any]) -> str:
    """Return params as the text that Airflow's trigger form takes as "Configuration JSON"."""
    return json.dumps(params, ensure_ascii=False)
