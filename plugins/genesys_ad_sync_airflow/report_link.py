"""The button "Open report" on tasks, which leads to the page of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PREFIX = "/genesys-ad-sync"
"""Below it, Airflow's API server serves the pages. Airflow's own page with them in its frame has the same name."""


class ReportLink(BaseOperatorLink):
    """Leads to the page of the run, within Airflow's page.

    A task leaves it when it ends.
    """

    name = "Open report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  Airflow's signature
        """Return the path below that of Airflow's UI, whatever host it has for the browser."""
        base = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
        query = urlencode({"dag_id": ti_key.dag_id, "run_id": ti_key.run_id})
        return f"plugin{PREFIX}{base}{PREFIX}/run?{query}"
