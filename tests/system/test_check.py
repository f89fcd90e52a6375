"""A run of mode `check` in a real Airflow: its files, its skipped tasks, and when it is red."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from genesys_ad_sync.doctor.catalogue import CATALOGUE
from tests.support.stack import DRILLS, FirstRun, Stack

SKIPPED = ("plan", "patch", "approve_removals", "patch_approved", "report")
TRIED = ("poll", "map_groups", "resolve_users")


def table(stack: Stack, run_id: str) -> dict[str, Any]:
    """Return the table of a run, from the path that its tasks returned."""
    path = Path(stack.airflow.xcom(DRILLS, run_id, "resolve_users")["path"].removeprefix("file://"))
    assert path.name.endswith(".check.json")
    page = html.unescape(path.with_suffix(".html").read_text())
    found: dict[str, Any] = json.loads(path.read_text())
    assert all(line["title"] in page for line in found["lines"])
    return found


def problems(found: dict[str, Any]) -> set[str]:
    return {line["check"] for line in found["lines"] if line["outcome"] == "problem"}


def asset_events(stack: Stack) -> int:
    return int(stack.airflow.api("GET", "assets/events")["total_entries"])


def test_a_check_is_green_writes_its_table_and_nothing_else(stack: Stack, drilled: FirstRun) -> None:
    mark, events = stack.mark(), asset_events(stack)
    files = {path for path in stack.reports.rglob("*") if path.is_file()}

    run_id, state = stack.run(DRILLS, {"mode": "check"})

    found = table(stack, run_id)
    assert (state, problems(found)) == ("success", set())
    states = stack.states(DRILLS, run_id)
    assert {task: states[task] for task in SKIPPED} == dict.fromkeys(SKIPPED, "skipped")
    assert {task: states[task] for task in (*TRIED, "check")} == dict.fromkeys((*TRIED, "check"), "success")
    new = {path for path in stack.reports.rglob("*") if path.is_file()} - files
    assert sorted("".join(path.suffixes[-2:]) for path in new) == [".check.html", ".check.json"]
    assert stack.writes(mark) == []
    assert asset_events(stack) == events
    # from the tasks that would use each right, and nothing was left out
    tried_by: dict[str, set[str]] = {}
    for line in found["lines"]:
        tried_by.setdefault(line["check"].partition(".")[0], set()).add(line["task"])
    assert tried_by["directory"] == {"poll"}
    assert tried_by["genesys"] == {"map_groups", "resolve_users"}
    never = {"mapping.missing", "mapping.unmapped", "mapping.causes"}
    expected = {key for key in CATALOGUE if not key.startswith("scratch.")} - never
    assert expected - {line["check"] for line in found["lines"]} == set()
    [people] = [line["text"] for line in found["lines"] if line["check"] == "mapping.people"]
    assert re.match(
        r"Of [1-9]\d* people in mapped groups: [1-9]", people
    )  # other tests of this Airflow change how many
    # neither names nor addresses in what Airflow keeps
    kept = json.dumps([stack.airflow.xcom(DRILLS, run_id, task) for task in TRIED])
    assert not any(word in kept for word in ("@", "Drill", "DC=", "nina"))


def test_a_check_is_red_where_a_line_is_a_problem_and_all_lines_are_there(stack: Stack, drilled: FirstRun) -> None:
    stack.genesys.set_options(address_is_allowed=False)
    try:
        run_id, state = stack.run(DRILLS, {"mode": "check"})
    finally:
        stack.genesys.set_options(address_is_allowed=True)
    found = table(stack, run_id)
    assert (state, problems(found)) == ("failed", {"genesys.token"})
    states = stack.states(DRILLS, run_id)
    assert {task: states[task] for task in (*TRIED, "check")} == {**dict.fromkeys(TRIED, "success"), "check": "failed"}
    [remedy] = {line["remedy"] for line in found["lines"] if line["check"] == "genesys.token"}
    assert "list of allowed IP addresses" in remedy
    assert "not proven" in {line["outcome"] for line in found["lines"] if line["check"] == "genesys.user_search"}


def test_a_check_that_is_asked_for_more_does_nothing(stack: Stack, drilled: FirstRun) -> None:
    mark = stack.mark()
    run_id, state = stack.run(DRILLS, {"mode": "check", "undo_run": drilled.run_id})
    states = stack.states(DRILLS, run_id)
    assert (state, states["poll"], states["check"]) == ("failed", "failed", "failed")
    assert stack.writes(mark) == []
