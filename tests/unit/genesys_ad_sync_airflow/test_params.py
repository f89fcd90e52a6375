"""What a run is asked for in Airflow: params, run type and data interval; and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from genesys_ad_sync.errors import ParamError, WindowError
from genesys_ad_sync.model import Mode, Window
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync_airflow import params, task_context, tasks
from tests.support.sync_examples import NOON, definition

PARAMS = {"mode": "auto", "dry_run": None, "window_start": None, "window_end": None, "groups": []}


def context(conf: dict[str, Any] | None, run_type: str = "manual") -> Any:
    """As much as is asked for. Airflow puts the keys of the conf over the params, known or not."""
    interval = {"data_interval_start": NOON, "data_interval_end": NOON + timedelta(minutes=15)}
    return {
        "dag": SimpleNamespace(params=PARAMS),
        "dag_run": SimpleNamespace(run_type=run_type, clear_number=0, conf=conf, **interval),
        "params": {**PARAMS, **(conf or {})},
        "ti": SimpleNamespace(dag_id="genesys_ad_group_sync", run_id="red", task_id="report", map_index=-1),
    }


def refusal(conf: dict[str, Any]) -> str:
    with pytest.raises(ParamError) as caught:
        params.request_of_run(definition(), context(conf))
    return str(caught.value)


@pytest.mark.parametrize("key", ["dryrun", "DRY_RUN", "dry-run"])
def test_a_misspelt_key_of_the_conf_is_refused_with_what_was_meant(key: str) -> None:
    told = refusal({key: True})
    assert f"`{key}` is not a param of this DAG. Did you mean `dry_run`?" in told
    assert "`mode`, `dry_run`, `window_start`, `window_end`, `groups`" in told


def test_all_unknown_keys_are_told_at_once_and_nothing_is_guessed() -> None:
    told = refusal({"colour": "red", "mode": "full", "modus": "full"})
    assert "`colour` is not a param of this DAG. `modus` is not a param" in told


@pytest.mark.parametrize("run_type", ["manual", "scheduled", "backfill"])
@pytest.mark.parametrize("conf", [None, {}], ids=["none", "empty"])
def test_a_run_without_a_conf_asks_for_what_the_definition_says(conf: Any, run_type: str) -> None:
    asked = params.request_of_run(definition(dry_run=False), context(conf, run_type))
    window = Window(NOON, NOON + timedelta(minutes=15)) if run_type == "backfill" else None
    assert (asked.run_type, asked.mode, asked.dry_run, asked.window) == (run_type, Mode.AUTO, False, window)


def test_a_backfill_in_mode_full_has_no_window() -> None:
    asked = params.request_of_run(definition(), context({"mode": "full"}, "backfill"))
    assert (asked.mode, asked.window) == (Mode.FULL, None)


def test_known_keys_and_those_that_airflow_adds_itself_are_taken() -> None:
    conf = {"dry_run": True, "openlineage": {"parentRunId": "x"}, "airflow/task_span_detail_level": 2}
    assert params.request_of_run(definition(dry_run=False), context(conf)).dry_run is True


@pytest.mark.parametrize(
    ("conf", "error", "fact"),
    [
        ({"dryrun": True}, ParamError, "`dryrun` is not a param of this DAG"),
        ({"window_start": "2026-11-31"}, WindowError, "window_start: '2026-11-31' is not a time"),
    ],
)
def test_a_run_that_is_refused_has_a_report_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: dict[str, Any], error: type[Exception], fact: str
) -> None:
    asset = Asset("told")
    event = SimpleNamespace(extra=None)
    now: Any = {**context(conf), "outlet_events": {asset: event}}
    for module in (params, task_context, tasks):
        monkeypatch.setattr(module, "get_current_context", lambda: now)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    policy = definition(dry_run=False, report={"path": (tmp_path / "reports").as_uri()})
    with pytest.raises(error):
        tasks.poll(policy)
    tasks.report(policy, asset)
    (path,) = tmp_path.glob("reports/*/red.json")
    report = json.loads(path.read_text())
    validate(report)
    assert f"poll failed: {fact}" in " ".join(report["notes"])
    assert event.extra["total_changes"] == 0


@pytest.mark.parametrize("asked", [None, False, True])
def test_a_run_mirrors_once_only_if_it_is_asked_to(asked: bool | None) -> None:
    conf = {} if asked is None else {"mirror_once": asked}
    told = {**context({}), "params": {**PARAMS, **conf}}
    assert params.request_of_run(definition(), told).mirror_once is bool(asked)
    assert params.params("auto")["mirror_once"].resolve() is False
