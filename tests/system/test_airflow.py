"""The DAG in a real Airflow: scheduler, DAG processor and API server, against Samba and the Genesys sandbox.

One stack for all tests. What a run does in detail is tested in tests/integration; here is what only Airflow can show:
schedules, params, states, retries, mapped tasks, XComs, logs, asset events, backfills, connection forms.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from genesys_ad_sync.report.schema import validate
from sandbox import company, demo
from sandbox.airflow_stack import PROJECT, AirflowStack
from sandbox.directory_objects import AddMember
from sandbox.genesys_cloud import spawn
from tests.support.stack import (
    BROKEN,
    CONNECTIONS,
    DEFAULT,
    DRILLS,
    GREEN,
    MINUTE,
    FirstRun,
    Stack,
    define_default,
    until,
)

ASSETS_PAGE = PROJECT / "docs" / "assets.md"
LISTENER = "licences_of_support"
REPORT_KEYS = {
    *("schema_version", "dag_id", "run_id", "run_type", "attempt", "mode", "dry_run", "timestamp", "window"),
    *("total_changes", "successes", "failures", "orphans", "skipped", "held", "unchanged", "superseded", "planned"),
    *("details", "groups", "requests", "approval"),
}
DETAIL_KEYS = {
    *("action", "status", "user_id", "http_code", "error", "reason", "correlation_id"),
    *("changed_at", "observed_after", "observed_at", "settled_by"),
    *("directory_groups", "genesys_group", "directory_user"),
}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# -- a scheduled run ----------------------------------------------------------------------------------


def test_a_scheduled_run_happens_by_itself_and_makes_genesys_equal_to_ad(stack: Stack, scheduled: FirstRun) -> None:
    run = stack.airflow.run(DEFAULT, scheduled.run_id)
    assert run["run_type"] == "scheduled"
    assert run["triggered_by"] == "timetable"
    assert run["state"] == "success"
    assert stack.states(DEFAULT, scheduled.run_id) == GREEN
    assert instant(run["data_interval_end"]) - instant(run["data_interval_start"]) == timedelta(minutes=1)

    expected = company.expected_individuals(scheduled.truth, stack.directory.truth_by_name())
    assert {group: set(stack.genesys.individuals(group)) for group in expected} == expected


def test_its_report_has_the_promised_keys_and_its_totals_add_up(stack: Stack, scheduled: FirstRun) -> None:
    report = stack.report(DEFAULT, scheduled.run_id)
    validate(report)
    assert report.keys() >= REPORT_KEYS
    assert all(row.keys() >= DETAIL_KEYS for row in report["details"])
    assert report["run_type"] == "scheduled"
    assert report["mode"] == "full"  # of the first run: nothing had been compared yet
    assert report["total_changes"] == len(report["details"])
    assert report["failures"] == 0
    assert report["successes"] > 100


def test_a_mapped_instance_says_in_the_grid_what_it_does(stack: Stack, scheduled: FirstRun) -> None:
    report = stack.report(DEFAULT, scheduled.run_id)
    instances = [task for task in stack.airflow.tasks(DEFAULT, scheduled.run_id) if task["task_id"] == "patch"]
    labels = [re.fullmatch(r"\+(\d+) -(\d+) in (\d+) groups", t["rendered_map_index"]) for t in instances]
    assert all(labels)
    written = sum(int(label[1]) + int(label[2]) for label in labels if label)
    assert written == report["successes"]


# -- a manual run -------------------------------------------------------------------------------------


def test_a_manual_dry_run_of_chosen_groups_writes_nothing_and_plans_only_these(stack: Stack, drilled: FirstRun) -> None:
    stack.directory.apply([AddMember("drill-support", "rosa.richter"), AddMember("drill-service", "rosa.richter")])
    before = stack.mark()
    run_id, state = stack.run(DRILLS, {"mode": "full", "dry_run": True, "groups": ["drill support*"]})
    assert state == "success"
    run = stack.airflow.run(DRILLS, run_id)
    assert run["logical_date"] is None  # a manual run has no data interval, and needs none
    assert run["data_interval_start"] is None

    report = stack.report(DRILLS, run_id)
    assert (report["run_type"], report["mode"], report["dry_run"]) == ("manual", "full", True)
    assert {row["genesys_group"]["name"] for row in report["details"]} == {"Drill Support"}
    assert [(row["action"], row["status"], row["user_id"]) for row in report["details"]] == [
        ("add", "planned", company.genesys_id("user", "rosa.richter"))
    ]
    assert stack.writes(before, "Drill Support") + stack.writes(before, "Drill Service") == []
    assert stack.states(DRILLS, run_id) == {**GREEN, "patch": "skipped"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "everything"},
        {"dry_run": "perhaps"},
        {"groups": "GC-Support"},
        {"window_start": "yesterday"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_params_that_make_no_sense_are_refused_before_there_is_a_run(stack: Stack, wrong: dict[str, Any]) -> None:
    runs = len(stack.airflow.runs(DRILLS))
    body = {"logical_date": None, "conf": wrong}
    refusal = stack.airflow.api("POST", f"dags/{DRILLS}/dagRuns", json=body, expect=400)
    assert next(iter(wrong)) in str(refusal["detail"])
    assert len(stack.airflow.runs(DRILLS)) == runs


def test_a_window_that_ends_before_it_begins_fails_at_once_with_one_clear_message(
    stack: Stack, drilled: FirstRun
) -> None:
    before = stack.mark()
    window = {"window_start": "2026-11-24T08:00:00Z", "window_end": "2026-11-24T07:00:00Z"}
    run_id, state = stack.run(DRILLS, window)
    assert state == "failed"
    poll = stack.task(DRILLS, run_id, "poll")
    assert (poll["state"], poll["try_number"]) == ("failed", 1)
    log = stack.airflow.task_log(DRILLS, run_id, "poll")
    message = "window_end must be after window_start (got 2026-11-24T07:00:00+00:00 and 2026-11-24T08:00:00+00:00)"
    assert message in log
    assert stack.writes(before, "Drill") == []
    assert "nothing was written" in " ".join(stack.report(DRILLS, run_id)["notes"])


# -- a run turning red --------------------------------------------------------------------------------


@pytest.fixture
def healthy_again(stack: Stack) -> Iterator[None]:
    yield
    stack.genesys.clear_faults()
    stack.change_connection(CONNECTIONS["genesys"], password=stack.genesys.client_secret)


@pytest.fixture(scope="module")
def listener(stack: Stack) -> Iterator[str]:
    """Let the DAG that docs/assets.md shows listen to the Genesys group Drill Service, and return its id."""
    [text] = re.findall(r"## A DAG that one group starts\n\n```python\n(.+?)```", ASSETS_PAGE.read_text(), re.DOTALL)
    [example] = re.findall(r'group_asset\("([^"]+)"\)', text)
    file = stack.dags / "listener.py"
    file.write_text(text.replace(example, company.genesys_id("group", "Drill Service")))
    until(
        "the DAG that listens", lambda: LISTENER in {dag["dag_id"] for dag in stack.airflow.api("GET", "dags")["dags"]}
    )
    stack.airflow.unpause(LISTENER)
    yield LISTENER
    file.unlink()  # nothing else needs it, and Airflow would go on reading it


@pytest.fixture(scope="module")
def refused(stack: Stack, drilled: FirstRun, listener: str) -> str:
    """Make a run in which Genesys refuses each change of Drill Support. Drill Service is changed."""
    support = company.genesys_id("group", "Drill Support")
    stack.directory.apply([AddMember("drill-support", "mario.maier"), AddMember("drill-service", "mario.maier")])
    stack.genesys.add_fault("status", method="PATCH", path=f"/groups/{support}", times=None, status=400)
    try:
        run_id, state = stack.run(DRILLS)
    finally:
        stack.genesys.clear_faults()
    assert state == "failed"
    return run_id


def test_a_refused_change_turns_the_run_red_while_report_and_asset_event_are_there(stack: Stack, refused: str) -> None:
    support, run_id = company.genesys_id("group", "Drill Support"), refused
    assert stack.states(DRILLS, run_id) == {**GREEN, "check": "failed"}
    assert stack.task(DRILLS, run_id, "check")["try_number"] == 1

    report = stack.report(DRILLS, run_id)
    validate(report)
    mario = company.genesys_id("user", "mario.maier")
    failed = {
        (row["user_id"], row["genesys_group"]["name"], row["http_code"], bool(row["correlation_id"]))
        for row in report["details"]
        if row["status"] == "failed"
    }
    assert (mario, "Drill Support", 400, True) in failed
    assert {group for _, group, _, _ in failed} == {"Drill Support"}
    assert mario in stack.individuals("Drill Service")
    assert mario not in stack.individuals("Drill Support")

    assert "see the report" in stack.airflow.task_log(DRILLS, run_id, "check")
    events = stack.airflow.api("GET", "assets/events", params={"source_dag_id": DRILLS, "source_run_id": run_id})
    told = {event["name"]: event for event in events["asset_events"]}
    event, service = told[f"{DRILLS}_report"], told[f"genesys_group_{company.genesys_id('group', 'Drill Service')}"]
    assert event["source_task_id"] == "report"
    (group,) = [one for one in report["groups"] if one["genesys_group"]["name"] == "Drill Service"]
    assert (service["extra"]["added"], service["extra"]["removed"]) == (group["added"], group["removed"])
    assert (group["added"] >= 1, service["extra"]["run_id"]) == (True, run_id)
    assert f"genesys_group_{support}" not in told  # nothing was changed there
    assert event["extra"]["failures"] == report["failures"] == len(failed)
    assert event["extra"]["path"].startswith(stack.reports.as_uri())


def test_a_group_that_a_run_changed_starts_the_dag_that_listens_to_it(
    stack: Stack, refused: str, listener: str
) -> None:
    run, *_ = until("the run of the DAG that listens", lambda: stack.airflow.runs(listener))
    stack.airflow.unpause(listener, paused=True)
    assert run["run_type"] == "asset_triggered"
    assert stack.airflow.wait_for_run(listener, run["dag_run_id"]) == "success"
    [service] = [one for one in stack.report(DRILLS, refused)["groups"] if one["added"]]
    page = f"/plugin/genesys-ad-sync/genesys-ad-sync/group?definition=drills&id={service['genesys_group']['id']}"
    log = stack.airflow.task_log(listener, run["dag_run_id"], "count_licences")
    assert f"{service['added']} came, {service['removed']} went: {stack.airflow.url}{page}" in log


def test_a_wrong_secret_fails_at_once_and_the_run_after_it_makes_up_for_it(
    stack: Stack, drilled: FirstRun, healthy_again: None
) -> None:
    stack.directory.apply([AddMember("drill-support-nights", "luis.lopez")])
    stack.change_connection(CONNECTIONS["genesys"], password="not-the-secret")
    before = stack.mark()
    run_id, state = stack.run(DRILLS)
    assert state == "failed"
    not_reached = ("resolve_users", "plan", "patch", "approve_removals", "patch_approved")
    red = {"map_groups": "failed", **dict.fromkeys(not_reached, "upstream_failed"), "check": "failed"}
    assert stack.states(DRILLS, run_id) == {**GREEN, **red}
    assert stack.task(DRILLS, run_id, "map_groups")["try_number"] == 1  # a retry would mend nothing
    log = stack.airflow.task_log(DRILLS, run_id, "map_groups")
    assert "OAuth client" in log
    assert CONNECTIONS["genesys"] in log
    assert "not-the-secret" not in log
    assert "nothing was written to Genesys Cloud" in " ".join(stack.report(DRILLS, run_id)["notes"])
    assert stack.writes(before, "Drill") == []

    stack.genesys.clear_faults()
    stack.change_connection(CONNECTIONS["genesys"], password=stack.genesys.client_secret)
    run_id, state = stack.run(DRILLS)
    assert state == "success"
    assert stack.report(DRILLS, run_id)["mode"] == "changes"
    for group in ("Drill Support", "Drill Service"):
        assert stack.individuals(group) == stack.wanted_in_drill_group(group)


# -- two runs at the same time ------------------------------------------------------------------------


def test_two_runs_at_the_same_time_both_end_green_and_write_each_change_once(stack: Stack, drilled: FirstRun) -> None:
    joined = ("anna.arndt", "bernd.boehm", "klaus.kern")
    stack.directory.apply([AddMember("drill-service", person) for person in joined])
    before = stack.mark()
    runs = [stack.airflow.trigger(DRILLS), stack.airflow.trigger(DRILLS)]
    assert [stack.airflow.wait_for_run(DRILLS, run_id) for run_id in runs] == ["success", "success"]

    assert stack.individuals("Drill Service") == stack.wanted_in_drill_group("Drill Service")
    sent = json.dumps([write["body"] for write in stack.writes(before, "Drill Service")])
    users = [company.genesys_id("user", person) for person in joined]
    assert [sent.count(user) for user in users] == [1, 1, 1]
    done = [
        row["user_id"]
        for run_id in runs
        for row in stack.report(DRILLS, run_id)["details"]
        if row["status"] == "success"
    ]
    assert sorted(set(users) & set(done)) == sorted(user for user in done if user in users)


# -- a definition that cannot be read -----------------------------------------------------------------


def test_a_broken_definition_is_a_dag_of_its_own_that_fails_with_the_reason(stack: Stack) -> None:
    run_id, state = stack.run(BROKEN)
    assert state == "failed"
    assert stack.states(BROKEN, run_id) == {"read_definition": "failed"}
    log = stack.airflow.task_log(BROKEN, run_id, "read_definition")
    assert re.search(r"broken\.yaml: `remvoals` is not a known key\. Did you mean `removals`\?", log)


def test_a_broken_definition_takes_no_other_dag_out_of_the_schedule(stack: Stack) -> None:
    assert stack.airflow.api("GET", "importErrors")["import_errors"] == []
    dags = {dag["dag_id"] for dag in stack.airflow.api("GET", "dags?limit=100")["dags"]}
    assert dags >= {DEFAULT, f"{DEFAULT}_full", DRILLS, f"{DRILLS}_full", BROKEN}


# -- connections --------------------------------------------------------------------------------------


@pytest.mark.quick
def test_both_connection_types_have_a_form_of_their_own(stack: Stack) -> None:
    forms = {form["connection_type"]: form for form in stack.airflow.request("GET", "/ui/connections/hook_meta")}
    directory, genesys = forms["active_directory"], forms["genesys_cloud"]
    assert directory["hook_name"] == "Active Directory"
    assert {"transport", "ca_certs_file", "server_name", "base_dn"} <= directory["extra_fields"].keys()
    assert directory["standard_fields"]["host"]["title"] == "Domain controllers"
    assert genesys["hook_name"] == "Genesys Cloud"
    assert {"api_url", "login_url", "requests_per_minute", "timeout"} <= genesys["extra_fields"].keys()
    assert genesys["standard_fields"]["password"]["title"] == "OAuth client secret"


@pytest.mark.parametrize("system", ["directory", "genesys"])
def test_the_test_button_says_that_it_works_or_what_is_wrong(stack: Stack, system: str) -> None:
    connection = dict(stack.airflow.connections[CONNECTIONS[system]])
    body = {**connection, "connection_id": "tried", "extra": json.dumps(connection["extra"])}
    good = stack.airflow.api("POST", "connections/test", json=body)
    assert good["status"] is True, good
    assert {"directory": stack.directory.server_name, "genesys": "groups"}[system] in good["message"]

    bad = stack.airflow.api("POST", "connections/test", json={**body, "password": "Wr0ng!secret"})
    assert bad["status"] is False
    assert {"directory": "login or password is wrong", "genesys": "OAuth client"}[system] in bad["message"]
    assert "Wr0ng!secret" not in bad["message"]


# -- the command line ---------------------------------------------------------------------------------


def test_dags_test_with_connections_from_the_environment_plans_everything_and_writes_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    config, reports = tmp_path / "elsewhere", tmp_path / "reports"
    config.mkdir()
    (config / "default.yaml").write_text(yaml.safe_dump(demo.definition(reports)))
    with spawn(seed=company.genesys_seed()) as genesys:
        connections = {
            CONNECTIONS["directory"]: stack.directory.connection(),
            CONNECTIONS["genesys"]: genesys.connection(),
        }
        environment = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()}
        airflow = AirflowStack(tmp_path / "airflow", config, {}, extra_env=environment)
        airflow.airflow("db", "migrate")
        airflow.airflow("dags", "test", DEFAULT, "--conf", '{"mode": "full", "dry_run": true}')
        assert genesys.writes() == []

        (path,) = (reports / DEFAULT).glob("*.json")
        report = json.loads(path.read_text())
        assert (report["mode"], report["dry_run"], report["failures"]) == ("full", True, 0)
        truth = stack.directory.truth_by_name()
        wanted = company.expected_individuals(truth, truth)
        missing = {(group, user) for group in wanted for user in wanted[group] - set(genesys.individuals(group))}
        assert missing
    planned = [row for row in report["details"] if row["status"] == "planned"]
    assert {(row["genesys_group"]["id"], row["user_id"]) for row in planned if row["action"] == "add"} == missing
    assert report["planned"] == len(planned)
    assert report["successes"] == report["unchanged"] == 0


# -- backfill -----------------------------------------------------------------------------------------


def test_a_backfill_makes_one_bounded_run_for_each_past_window_and_writes_nothing_new(
    stack: Stack, scheduled: FirstRun
) -> None:
    by_schedule = {run["dag_run_id"]: instant(run["data_interval_start"]) for run in stack.airflow.runs(DEFAULT)}
    first = datetime.now(timezone.utc).replace(second=0, microsecond=0) + MINUTE
    windows = [(first + n * MINUTE, first + (n + 1) * MINUTE) for n in range(2)]
    define_default(stack.airflow.config_dir, stack.reports, first, 3)
    until("two minutes without a run", lambda: datetime.now(timezone.utc) > windows[-1][1])
    stack.wait_for_next_run(DEFAULT, windows[-1][0])
    before = stack.mark()
    # while the DAG is paused: otherwise the schedule may take one of the two windows
    with stack.nobody_else_writes():
        stack.create_backfill(DEFAULT, windows[0][0], windows[1][0], "--max-active-runs", "1")
    made = [run for run in stack.airflow.runs(DEFAULT) if run["run_type"] == "backfill"]
    assert [instant(run["data_interval_start"]) for run in made] == [start for start, _ in windows]
    stack.airflow.unpause(DEFAULT)
    try:
        states = [stack.airflow.wait_for_run(DEFAULT, run["dag_run_id"]) for run in made]
    finally:
        stack.airflow.unpause(DEFAULT, paused=True)
    assert states == ["success", "success"]
    for run, (start, end) in zip(made, windows, strict=True):
        report = stack.report(DEFAULT, run["dag_run_id"])
        assert report["run_type"] == "backfill"
        assert (instant(report["window"]["start"]), instant(report["window"]["end"])) == (start, end)
        done = {row["settled_by"] for row in report["details"] if row["status"] == "success"}
        assert done <= by_schedule.keys()
        assert report["failures"] == 0
    assert stack.writes(before) == []


# -- what may be seen in Airflow ----------------------------------------------------------------------

MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
DN = re.compile(r"\b(?:CN|OU|DC)=", re.IGNORECASE)


def test_no_log_and_no_xcom_of_any_run_shows_a_person_a_dn_or_a_secret(
    stack: Stack, scheduled: FirstRun, drilled: FirstRun
) -> None:
    """All of them that ran until now: green and red, scheduled and manual; the scheduled one wrote in every group."""
    shown = {str(file): file.read_text() for file in stack.log_files()}
    assert any("changes in" in text for text in shown.values())  # the right files
    for dag_id in (DEFAULT, DRILLS):
        for run in stack.airflow.runs(dag_id):
            shown |= xcoms(stack, dag_id, run["dag_run_id"])
    assert any("polled_at" in text for text in shown.values())

    secrets = (
        stack.genesys.client_secret,
        stack.directory.reader_password,
        stack.airflow.password,
        *(file.read_text() for file in stack.airflow.home.glob(".*.secret")),
    )
    people = [*company.PEOPLE, *company.AGENT_ACCOUNTS]
    names = {name.casefold() for person in people for name in (person.sam, person.cn.strip())}
    for place, text in shown.items():
        assert not MAIL.search(text), (place, MAIL.search(text))
        assert not DN.search(text), (place, DN.search(text))
        assert not [secret for secret in secrets if secret in text], place
        folded = text.casefold()
        assert not [name for name in names if name in folded], place


def xcoms(stack: Stack, dag_id: str, run_id: str) -> dict[str, str]:
    """All XComs and all rendered arguments of a run, as text."""
    found = {}
    for task in stack.airflow.tasks(dag_id, run_id):
        instance = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task['task_id']}"
        found[f"{instance} rendered"] = json.dumps(task, ensure_ascii=False)
        params = {"map_index": task["map_index"]}
        for entry in stack.airflow.api("GET", f"{instance}/xcomEntries", params=params)["xcom_entries"]:
            value = stack.airflow.api("GET", f"{instance}/xcomEntries/{entry['key']}", params=params)
            found[f"{instance} {task['map_index']} {entry['key']}"] = json.dumps(value, ensure_ascii=False)
    return found
