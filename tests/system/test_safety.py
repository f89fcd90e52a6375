"""What cannot be read is not empty, in a real Airflow: rights lost, servers that die or are other ones, typos.

The scenarios of tests/integration/test_safety_completeness.py, each through the scheduler. All of them have one domain
controller and one Genesys Cloud of their own, and each one mends at its end what it broke.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from sandbox import company, demo
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER, RemoveMember
from sandbox.genesys_cloud import SpawnedSandbox, spawn
from tests.support.gate import Gate
from tests.support.rights import RIGHTS_LOST, rights_lost
from tests.support.stack import Stack, until
from tests.system.test_approval import answer, form, waiting

DAG = "genesys_ad_group_sync__safety"
DIRECTORY, GENESYS = "safety_directory", "safety_genesys"


@dataclass
class World:
    """The systems after the first run.

    ``people``: who was in which mapped Genesys group (by its id) after it. ``whole``: bytes that the domain
    controller answered for it.
    """

    stack: Stack
    directory: SandboxDirectory
    genesys: SpawnedSandbox
    gate: Gate
    people: dict[str, set[str]]
    whole: int

    def run(self, mode: str = "full") -> tuple[dict[str, Any], str]:
        """Make a run, which must take nobody away; return (its report, its state)."""
        before = len(self.genesys.writes())
        run_id, state = self.stack.run(DAG, {"mode": mode})
        report = self.stack.report(DAG, run_id)
        assert [row for row in report["details"] if row["action"] == "remove" and row["status"] == "success"] == []
        assert self.genesys.writes()[before:] == []
        assert self.now() == self.people
        return report, state

    def now(self) -> dict[str, set[str]]:
        return members(self.genesys)

    def define(self, **more: Any) -> None:
        """Edits the YAML. The next task that starts reads it."""
        connections = {"directory": {"connection": DIRECTORY}, "genesys": {"connection": GENESYS}}
        keys = demo.definition(self.stack.reports, schedule="@yearly", full_schedule="@yearly", **more)
        for section, connection in connections.items():
            keys[section] = {**keys.get(section, {}), **connection}
        (self.stack.airflow.config_dir / "safety.yaml").write_text(yaml.safe_dump(keys))

    def connect(self, connection: dict[str, Any]) -> None:
        """Points the Airflow connection to another domain controller."""
        body = {**connection, "connection_id": DIRECTORY, "extra": json.dumps(connection["extra"])}
        self.stack.airflow.api("PATCH", f"connections/{DIRECTORY}", json=body)

    def through_the_gate(self) -> dict[str, Any]:
        return {**self.directory.connection(), "host": "127.0.0.1", "port": self.gate.port}


def members(genesys: SpawnedSandbox) -> dict[str, set[str]]:
    groups = {name: company.genesys_id("group", name) for name in company.PAIRS.values()}
    return {name: set(genesys.individuals(id_)) for name, id_ in groups.items()}


@pytest.fixture(scope="module")
def world(stack: Stack) -> Iterator[World]:
    """Make the first run, after which everything is equal, and owned."""
    with spawn(seed=company.genesys_seed()) as genesys, SandboxDirectory.start() as directory:
        gate = Gate((directory.host, 636))
        world = World(stack, directory, genesys, gate, {}, 0)
        stack.airflow.save_connection(DIRECTORY, world.through_the_gate())
        stack.airflow.save_connection(GENESYS, genesys.connection())
        world.define()
        stack.airflow.wait_for_dag(DAG)
        stack.airflow.unpause(DAG)
        first = until("the first run", lambda: [run for run in stack.airflow.runs(DAG) if run["end_date"]])
        assert first[0]["state"] == "success"
        world.people, world.whole = members(genesys), gate.answered
        yield world
        stack.airflow.unpause(DAG, paused=True)
        gate.close()


@pytest.mark.parametrize("rights", ["on the group base", "on one group", "on member of every group"])
def test_an_account_that_loses_rights_takes_nobody_away(world: World, rights: str) -> None:
    assert rights in RIGHTS_LOST
    with rights_lost(world.directory, rights):
        world.run()


def test_a_domain_controller_killed_while_it_is_read_takes_nobody_away(world: World) -> None:
    """It dies in the middle of the answers of a whole view; the second try of `poll` finds it again."""
    died: list[bool] = []
    # the first run also asked AD about each new link, so the view is only a part of what was answered
    world.gate.after(world.whole // 4, lambda: (died.append(True), world.directory.kill()))
    run_id = world.stack.airflow.trigger(DAG, {"mode": "full"})
    tried = ("up_for_retry", "success")
    until("the first try of poll", lambda: world.stack.states(DAG, run_id).get("poll") in tried)
    assert world.stack.states(DAG, run_id)["poll"] == "up_for_retry"
    assert died
    assert world.now() == world.people
    world.directory.restart()
    assert world.stack.airflow.wait_for_run(DAG, run_id) == "success"
    assert world.stack.task(DAG, run_id, "poll")["try_number"] == 2
    assert world.now() == world.people
    report = world.stack.report(DAG, run_id)
    assert report["successes"] == report["failures"] == 0


def test_a_domain_controller_replaced_by_an_empty_one_takes_nobody_away(world: World) -> None:
    with SandboxDirectory.start(empty=True) as empty:
        world.connect(empty.connection())
        try:
            report, _ = world.run()
        finally:
            world.connect(world.through_the_gate())
    assert report["held"] >= sum(len(people) for people in world.people.values()) // 2


def test_a_renamed_group_base_turns_the_run_red_and_takes_nobody_away(world: World) -> None:
    connection = world.directory.ldap()
    ok, result, _, _ = connection.modify_dn(CONTACT_CENTER, "OU=Contact Centre")
    assert ok, result
    try:
        report, state = world.run()
    finally:
        ok, result, _, _ = connection.modify_dn(f"OU=Contact Centre,{BASE_DN}", CONTACT_CENTER.split(",")[0])
        connection.unbind()
        assert ok, result
    assert state == "failed"
    assert "group_base" in " ".join(report["notes"])


def test_a_filter_with_a_typo_takes_nobody_away(world: World) -> None:
    world.define(directory={"group_base": CONTACT_CENTER, "group_filter": "(description=contact-centre)"})
    try:
        report, _ = world.run("auto")
    finally:
        world.define()
    assert "group_filter" in " ".join(report["notes"])


def test_after_all_that_a_whole_comparison_finds_everything_as_it_was(world: World) -> None:
    report, state = world.run()
    assert state == "success"
    assert report["held"] <= 2  # the two twins, whom nobody can tell apart


def test_a_group_emptied_on_purpose_loses_its_people_once_a_person_has_approved(world: World) -> None:
    """Support keeps those whom Support Nights grants too, and Mary, whom nobody in AD put there."""
    everybody = world.people["Support"]
    members = sorted(world.directory.truth_by_name()["support"])
    world.directory.apply([RemoveMember("support", person) for person in members])
    run_id = waiting(world.stack, DAG)
    assert world.now() == world.people
    (option,) = [option for option in form(world.stack, run_id, DAG)["options"] if option.startswith("Support")]
    answer(world.stack, run_id, option, dag_id=DAG)
    assert world.stack.airflow.wait_for_run(DAG, run_id) == "success"
    assert world.stack.states(DAG, run_id)["patch_approved"] == "success"
    gone = {company.genesys_id("user", person) for person in members} & everybody
    gone -= {company.genesys_id("user", person) for person in world.directory.truth_by_name()["support-nights"]}
    assert option == f"Support: {len(gone)} removals"
    assert len(gone) > 5
    assert world.now() == {**world.people, "Support": everybody - gone}
