"""What the sync says of itself, as a receiver of OpenTelemetry's protocol gets it from Airflow's own exporter."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import atexit
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk._shared.observability.metrics.otel_logger import flush_otel_metrics
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.otel_logger import get_otel_logger
from opentelemetry import metrics as otel
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from requests.structures import CaseInsensitiveDict

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Reason, Status
from genesys_ad_sync_airflow import metrics
from tests.support.journal import T0, begin, change, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, definition, finish, poll, run_with

DAG = "genesys_ad_group_sync"
Received = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Received]]:
    """Give what asks for all that was received, by name and tags."""
    requests: list[ExportMetricsServiceRequest] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    module = sys.modules[stats.initialize.__module__]
    monkeypatch.setattr(module, "_factory", None)
    monkeypatch.setattr(module, "_backend", None)
    stats.initialize(factory=get_otel_logger, export_legacy_names=False)
    stats.incr("genesys_ad_sync.begin")  # makes the exporter

    def everything() -> Received:
        otel.get_meter_provider().force_flush()  # type: ignore[attr-defined]
        return {
            (one.name, tuple(sorted((tag.key, tag.value.string_value) for tag in point.attributes))): (
                point.as_double or point.as_int
            )
            for request in requests
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for one in scope.metrics
            for point in (one.sum.data_points or one.gauge.data_points)
        }

    try:
        yield everything
    finally:
        otel.get_meter_provider().shutdown()  # type: ignore[attr-defined]
        atexit.unregister(flush_otel_metrics)
        server.shutdown()
        server.server_close()
        thread.join()


def by(received: Received, name: str, *without: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric by the values of its tags, in the order of their names."""
    return {
        tuple(value for key, value in tags if key not in without): number
        for (found, tags), number in received.items()
        if found == f"airflow.genesys_ad_sync.{name}"
    }


def test_requests_are_counted_by_endpoint_and_status_without_ids(received: Callable[[], Received]) -> None:
    for status in (200, 200, 429, None):
        metrics.count_request("get", "/api/v2/groups/7c0b9e0e-1111/members?pageSize=100", status)
    assert by(received(), "requests") == {
        ("GET_/api/v2/groups/_id_/members", "200"): 2,
        ("GET_/api/v2/groups/_id_/members", "429"): 1,
        ("GET_/api/v2/groups/_id_/members", "none"): 1,
    }


def test_the_share_of_the_rate_limit_is_what_the_newest_answer_said(received: Callable[[], Received]) -> None:
    for used in ("30", "270"):
        headers = CaseInsensitiveDict({"Inin-RateLimit-Count": used, "Inin-RateLimit-Allowed": "300"})
        metrics.count_request("GET", "/api/v2/groups/7c0b9e0e-1111/members", 200, headers)
    for silent in ({}, {"inin-ratelimit-count": "x", "inin-ratelimit-allowed": "300"}, {"inin-ratelimit-count": "3"},
                   {"inin-ratelimit-count": "3", "inin-ratelimit-allowed": "0"}):  # fmt: skip
        metrics.count_request("PATCH", "/api/v2/groups/7c0b9e0e-1111/members", 429, silent)
    assert by(received(), "budget_used_ratio") == {("/api/v2/groups/_id_/members",): 0.9}


def test_what_waits_is_told_by_reason_with_the_age_of_the_oldest(
    received: Callable[[], Received], journal: Journal
) -> None:
    poll(journal, {"sales": "ann"})
    run_with(journal, "r1", change("sales", "ann", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT)
    run_with(journal, "r2", change("sales", "bob", Action.ADD), Status.FAILED, reason=Reason.REFUSED)
    counts = {"successes": 3, "failures": 1, "held": 1}
    metrics.tell_of_run(definition(dry_run="false"), journal, DAG, counts, T0 + timedelta(hours=2))
    got = received()
    is_open = by(got, "open", "definition")
    assert {reason: count for (reason,), count in is_open.items() if count} == {"over_limit": 1, "refused": 1}
    assert is_open["protected",] == 0  # a gauge keeps what it was told last
    assert by(got, "open_oldest_seconds") == {("default",): 7140}  # since a run first listed it
    assert by(got, "changes", "definition", "dag_id") == {("success",): 3, ("failed",): 1, ("held",): 1}
    assert not any("ann" in str(key).split("'") or "bob" in str(key).split("'") for key in got)


def test_each_dag_says_when_a_run_was_last_carried_through(received: Callable[[], Received], journal: Journal) -> None:
    finish(journal, begin(journal, key=RunKey(DAG, "r1")), at=T0)
    metrics.tell_of_run(definition(dry_run="false"), journal, f"{DAG}_full", {}, T0 + timedelta(minutes=5))
    got = received()
    assert by(got, "since_last_run_seconds", "definition") == {(DAG,): 300}
    assert by(got, "last_run_timestamp", "definition") == {(DAG,): T0.timestamp()}


def test_waiting_for_the_rate_limit_is_counted_and_not_waiting_is_not(received: Callable[[], Received]) -> None:
    times = iter([0.0, 1.5, 10.0, 10.0])
    for _ in range(2):
        with metrics.throttled_time(lambda: next(times)):
            pass
    assert by(received(), "throttled_milliseconds") == {(): 1500}


def test_a_backend_that_fails_fails_no_run(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(metrics.stats, "incr", broken)
    monkeypatch.setattr(metrics.stats, "gauge", broken)
    metrics.count_request("GET", "/x", 200)
    metrics.tell_of_run(definition(dry_run="false"), journal, DAG, {"successes": 1}, T0)
    journal.close()
    metrics.tell_of_run(definition(dry_run="false"), None, DAG, {}, T0)  # type: ignore[arg-type]


def test_dashboard_and_alerts_ask_for_metrics_that_are_documented_and_sent() -> None:
    root = Path(metrics.__file__).parents[2]
    documented = set(
        re.findall(r"^\| `genesys_ad_sync\.(\w+)`", (root / "docs" / "metrics.md").read_text(), re.MULTILINE)
    )
    sent = set(re.findall(r'stats\.(?:incr|gauge), "(\w+)"', Path(metrics.__file__).read_text()))
    asked = {
        name
        for file in ("dashboard.json", "alerts.yml")
        for name in re.findall(r"airflow_genesys_ad_sync_(\w+)", (root / "monitoring" / file).read_text())
    }
    assert documented == sent
    assert asked <= documented
    json.loads((root / "monitoring" / "dashboard.json").read_text())
