"""The button that leads to the page of the run."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from genesys_ad_sync_airflow.approve_removals import ApproveRemovals
from genesys_ad_sync_airflow.report_link import ReportLink

RUN = SimpleNamespace(dag_id="genesys_ad_group_sync", run_id="manual__2026-03-02T12:00:00+00:00/a&b")


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("", "plugin/genesys-ad-sync/genesys-ad-sync/run"),
        ("http://airflow.example.com", "plugin/genesys-ad-sync/genesys-ad-sync/run"),
        ("https://example.com/team/airflow/", "plugin/genesys-ad-sync/team/airflow/genesys-ad-sync/run"),
    ],
)
def test_the_button_leads_to_the_page_of_the_run(monkeypatch: pytest.MonkeyPatch, base_url: str, path: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    link = urlsplit(ReportLink().get_link(None, ti_key=RUN))  # type: ignore[arg-type]
    assert link.path == path  # below Airflow's own base path, which its page puts in front
    assert parse_qs(link.query) == {"dag_id": [RUN.dag_id], "run_id": [RUN.run_id]}


def test_the_question_has_the_button() -> None:
    assert [link.name for link in ApproveRemovals.operator_extra_links] == ["Open report"]
