"""What a run is asked for in Airflow: params, run type and data interval; and what is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import ParamValidationError

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
        "ti": SimpleNamespace(
            dag_id="genesys_ad_group_sync", run_id="red", task_id="report", map_index=-1, xcom_pull=lambda **_: None
        ),
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


def test_a_run_is_dry_if_its_param_or_the_definition_says_so() -> None:
    def dry(conf: dict[str, Any], *, said: bool) -> bool:
        return params.request_of_run(definition(dry_run=said), context(conf)).dry_run

    assert [dry({}, said=False), dry({"dry_run": False}, said=False)] == [False, False]
    assert [dry({}, said=True), dry({"dry_run": True}, said=True), dry({"dry_run": True}, said=False)] == [True] * 3


def test_the_form_has_two_choices_for_dry_run_and_says_what_the_definition_says() -> None:
    def choices(*, dry: bool) -> list[str]:
        schema = params.params("auto", dry=dry)["dry_run"].schema
        return [schema["values_display"][str(choice or "null")] for choice in schema["enum"]]

    assert choices(dry=True) == ["as the definition says (dry run: nothing is written)", "dry run"]
    assert choices(dry=False) == ["as the definition says (writes to Genesys Cloud)", "dry run"]


@pytest.mark.parametrize(("value", "dry"), [(None, False), (True, True), (False, False), ("dry run", True)])
def test_dry_run_takes_what_the_form_sends_and_what_a_program_sends(value: Any, *, dry: bool) -> None:
    assert params.params("auto", dry=False)["dry_run"].resolve(value) == value
    assert params.request_of_run(definition(dry_run=False), context({"dry_run": value})).dry_run is dry


@pytest.mark.parametrize("value", ["perhaps", "false", "", 0, 1, [], {}, "Dry run"])
def test_dry_run_takes_nothing_else(value: Any) -> None:
    with pytest.raises(ParamValidationError):
        params.params("auto", dry=False)["dry_run"].resolve(value)


def test_a_value_that_reaches_the_run_unchecked_is_refused() -> None:
    with pytest.raises(ParamError, match="is not one of true, false, null and 'dry run'"):
        params.request_of_run(definition(dry_run=False), context({"dry_run": "no"}))


def test_dry_run_false_does_not_overrule_a_dry_definition() -> None:
    with pytest.raises(ParamError) as caught:
        params.request_of_run(definition(dry_run=True), context({"dry_run": False}))
    assert "The sync definition default says dry_run: true" in str(caught.value)
    assert "have dry_run: false set in the definition" in str(caught.value)
    assert params.request_to_report(definition(dry_run=True), context({"dry_run": False})).dry_run is True


def test_a_request_says_when_the_run_was_due() -> None:
    asked = context(None)
    assert params.request_of_run(definition(), asked).due_at is None
    asked["dag_run"].run_after = NOON
    assert params.request_of_run(definition(), asked).due_at == NOON


def test_people_to_relink_reach_the_run_as_they_are_written() -> None:
    entry = "6F9619FF-8B86-D011-B42D-00C04FC964FF=7c0b9e0e-1111-4222-8333-444455556666"
    given = {**context(None), "params": {**PARAMS, "relink": [entry]}}
    assert params.request_of_run(definition(), given).relink == (entry,)
    assert params.request_of_run(definition(), context(None)).relink == ()


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff", True),
        ("{6F9619FF-8B86-D011-B42D-00C04FC964FF}", True),
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff = 7c0b9e0e", True),
        ("ann@example.com", False),
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff=", False),
        ("6f9619ff-8b86-d011-b42d-00c04fc964ff=a=b", False),
    ],
)
def test_the_form_takes_an_object_guid_with_or_without_a_genesys_user(entry: str, fits: bool) -> None:
    assert bool(re.search(params.RELINK_PATTERN, entry)) is fits


@pytest.mark.parametrize(
    ("conf", "error", "fact"),
    [
        ({"dryrun": True}, ParamError, "`dryrun` is not a param of this DAG"),
        (
            {"window_start": "0001-01-01T00:00:00+14:00"},
            WindowError,
            "window_start: '0001-01-01T00:00:00+14:00' is outside of the calendar",
        ),
        (
            {"window_end": "9999-12-31T23:59:59-12:00"},
            WindowError,
            "window_end: '9999-12-31T23:59:59-12:00' is outside of the calendar",
        ),
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
    tasks.report(policy, asset, AssetAlias("groups"))
    (path,) = tmp_path.glob("reports/*/red.json")
    report = json.loads(path.read_text())
    validate(report)
    assert f"poll failed: {fact}" in " ".join(report["notes"])
    assert event.extra["total_changes"] == 0


def test_who_triggered_a_run_is_known_if_airflow_knows() -> None:
    asked = context({})
    assert params.request_of_run(definition(), asked).requested_by is None
    asked["dag_run"].triggering_user_name = "olivia"
    assert params.request_of_run(definition(), asked).requested_by == "olivia"


@pytest.mark.parametrize("asked", [None, False, True])
def test_a_run_mirrors_once_only_if_it_is_asked_to(asked: bool | None) -> None:
    conf = {} if asked is None else {"mirror_once": asked}
    told = {**context({}), "params": {**PARAMS, **conf}}
    assert params.request_of_run(definition(), told).mirror_once is bool(asked)
    assert params.params("auto", dry=True)["mirror_once"].resolve() is False


# -- mode check ---------------------------------------------------------------------------------------


def test_the_form_offers_mode_check() -> None:
    assert [
        params.params("full", dry=False)["mode"].schema["enum"][-1],
        params.params("auto", dry=True)["mode"].value,
    ] == ["check", "auto"]


@pytest.mark.parametrize(
    ("conf", "check"), [({"mode": "check"}, True), ({"mode": "full"}, False), ({}, False), (None, False)]
)
def test_mode_check_is_known_by_its_param(conf: dict[str, Any] | None, *, check: bool) -> None:
    assert params.is_check(context(conf)) is check


@pytest.mark.parametrize("dry_run", [None, True, False])
def test_mode_check_takes_dry_run_since_it_never_writes(dry_run: bool | None) -> None:
    params.refuse_params_beside_check(context({"mode": "check", "dry_run": dry_run}))


@pytest.mark.parametrize(
    "more",
    [
        {"undo_run": "x"},
        {"groups": ["GC-*"]},
        {"window_start": "2026-11-24"},
        {"relink": ["11111111-1111-1111-1111-111111111111"]},
        {"mirror_once": True},
        {"release_claim": ["x"]},
    ],
)
def test_mode_check_refuses_what_it_would_not_do(more: dict[str, Any]) -> None:
    with pytest.raises(ParamError) as caught:
        params.refuse_params_beside_check(
            {**context({"mode": "check", **more}), "dag": SimpleNamespace(params=params.params("auto", dry=True))}
        )
    assert f"`{next(iter(more))}` asks for more" in str(caught.value)


def test_mode_check_refuses_unknown_keys_too() -> None:
    with pytest.raises(ParamError, match="is not a param"):
        params.refuse_params_beside_check(context({"mode": "check", "colour": "red"}))
