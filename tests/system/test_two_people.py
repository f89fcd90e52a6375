"""An operator and an approver in a real Airflow: whoever triggers a run cannot get around the question with it."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import yaml

from sandbox import company, demo
from sandbox.directory_objects import AddGroup, AddMember, Group, RemoveMember
from tests.support.stack import Stack, until
from tests.system.test_approval import form, until_noticed

DAG = "genesys_ad_group_sync__people"
TEAMS = {
    "people-one": ("People One", ("nina.nagel", "paul.peters")),
    "people-two": ("People Two", ("petra.pohl", "oskar.opitz")),
    "people-three": ("People Three", ("lena.lang", "mario.maier")),
}
ROOT = "People Root"


def ids(*people: str) -> set[str]:
    return {company.genesys_id("user", person) for person in people}


@pytest.fixture(scope="module")
def world(stack: Stack) -> Stack:
    """Make a definition with three mapped groups and `approvers: [approver]`, and its first live run."""
    stack.directory.apply([AddGroup(Group(sam, name, people)) for sam, (name, people) in TEAMS.items()])
    seed = stack.genesys.snapshot()
    for name in (*(name for name, _ in TEAMS.values()), ROOT):
        seed["groups"].append({"id": company.genesys_id("group", name), "name": name, "individuals": []})
    stack.genesys.load_seed(seed)
    keys = demo.definition(
        stack.reports,
        schedule="@yearly",
        full_schedule="@yearly",
        groups=[{"name": "(?P<same>People .+)", "genesys_name": "{same}"}],
        limits={"removals": 5, "removals_percent": 100, "per_run": 4, "empty_group": "allow"},
        approvers=["approver"],
    )
    (stack.airflow.config_dir / "people.yaml").write_text(yaml.safe_dump(keys))
    stack.airflow.wait_for_dag(DAG)
    stack.airflow.unpause(DAG)
    until("the first run", lambda: [run for run in stack.airflow.runs(DAG) if run["end_date"]])
    for name, people in TEAMS.values():
        assert stack.individuals(name) == ids(*people)
    return stack


def as_user(stack: Stack, user: str, method: str, path: str, body: dict[str, Any]) -> requests.Response:
    token = stack.airflow.login(user)
    url = f"{stack.airflow.url}/api/v2/dags/{DAG}/{path}"
    return requests.request(method, url, headers={"Authorization": f"Bearer {token}"}, json=body, timeout=300)


def triggered_by_the_operator(stack: Stack, **conf: Any) -> str:
    """Start a run as the operator and wait until it waits for a person."""
    answered = as_user(stack, "operator", "POST", "dagRuns", {"logical_date": None, "conf": conf})
    assert answered.status_code == 200, answered.text
    run_id = str(answered.json()["dag_run_id"])
    until_noticed(stack, DAG, run_id)
    return run_id


def answer(stack: Stack, user: str, run_id: str, *chosen: str) -> int:
    path = f"dagRuns/{run_id}/taskInstances/approve_removals/-1/hitlDetails"
    return as_user(stack, user, "PATCH", path, {"chosen_options": list(chosen), "params_input": {}}).status_code


def test_a_new_pair_waits_for_the_approver_whoever_triggers(world: Stack) -> None:
    """A delegate names an AD group after the Genesys group Root, and the operator starts a run."""
    world.directory.apply([AddGroup(Group("people-root", ROOT, ("rosa.richter",)))])
    run_id = triggered_by_the_operator(world)
    asked = form(world, run_id, DAG)
    [option] = [option for option in asked["options"] if option.startswith(ROOT)]
    assert "new from AD group People Root" in option
    assert "would feed the Genesys group" in asked["body"]
    for user in ("operator", "viewer"):
        assert answer(world, user, run_id, option) == 403
    assert world.individuals(ROOT) == set()
    assert answer(world, "approver", run_id, option) == 200
    assert world.airflow.wait_for_run(DAG, run_id) == "success"
    assert world.individuals(ROOT) == ids("rosa.richter")
    assert world.report(DAG, run_id)["approval"]["by"] == "approver"
    world.directory.apply([AddMember("people-root", "nina.nagel")])
    later, _ = world.run(DAG)
    assert world.states(DAG, later)["approve_removals"] == "skipped"
    assert world.individuals(ROOT) == ids("rosa.richter", "nina.nagel")


def test_runs_that_choose_groups_one_by_one_remove_nobody_unasked(world: Stack) -> None:
    """Six removals are pending, of which no run may make more than four."""
    for sam, (_, people) in TEAMS.items():
        world.directory.apply([RemoveMember(sam, person) for person in people])
    runs = {name: triggered_by_the_operator(world, groups=[name]) for name, _ in TEAMS.values()}
    for name, people in TEAMS.values():
        assert world.individuals(name) == ids(*people)
        assert "6 removals of the whole definition" in form(world, runs[name], DAG)["body"]
    [one, *others] = runs
    for user in ("operator", "viewer"):
        assert answer(world, user, runs[one], f"{one}: 2 removals") == 403
    assert answer(world, "approver", runs[one], f"{one}: 2 removals") == 200
    for name in others:
        assert answer(world, "approver", runs[name], "None") == 200
    for run_id in runs.values():
        world.airflow.wait_for_run(DAG, run_id)
    assert world.individuals(one) == set()
    for name in others:
        assert world.individuals(name) == ids(*dict(TEAMS.values())[name])


def test_the_operator_cannot_undo_against_ad_alone(world: Stack) -> None:
    """A run removed somebody whom AD took out. To put the person back needs the approver."""
    sam, (name, _) = next(reversed(TEAMS.items()))
    world.directory.apply([AddMember(sam, "quirin.quast")])
    world.run(DAG)
    world.directory.apply([RemoveMember(sam, "quirin.quast")])
    fire, _ = world.run(DAG)
    gone = ids("quirin.quast").isdisjoint(world.individuals(name))
    assert gone, world.report(DAG, fire)["details"]
    run_id = triggered_by_the_operator(world, undo_run=fire)
    option = f"{name}: 1 addition"
    assert answer(world, "operator", run_id, option) == 403
    assert ids("quirin.quast").isdisjoint(world.individuals(name))
    assert answer(world, "approver", run_id, "None") == 200
    world.airflow.wait_for_run(DAG, run_id)
    assert ids("quirin.quast").isdisjoint(world.individuals(name))
