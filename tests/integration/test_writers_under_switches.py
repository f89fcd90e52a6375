"""Three ways of writing memberships, in organisations of every kind: the contract of each cell of the table.

A run never reports a success that is not so. It never touches a membership that AD does not ask for, neither of the
people whom it writes nor of others. What is refused in one group costs no other group anything. When the organisation
is as usual again, the next run brings everything to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import SyntheticRuns, genesys_seed, group_id, user_id
from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.errors import PermissionMissing
from genesys_ad_sync.model import Mode
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

STRATEGIES = ("scim_patch", "group_members", "user_patch")
TARGET, NEIGHBOUR, UNMAPPED, EVERYBODY = 0, 1, 50, 99
LEAVER, FIRST, SECOND, BY_HAND = 0, 30, 31, 40  # in TARGET: who leaves, who joins, and who is there by hand
BEFORE: dict[int, set[int]] = {TARGET: {0, 1, 2}, NEIGHBOUR: {1, 5}, EVERYBODY: set(range(60))}
AFTER: dict[int, set[int]] = {**BEFORE, TARGET: {1, 2, FIRST, SECOND}, NEIGHBOUR: {1, 5, FIRST}}
IN_GENESYS = {
    **BEFORE,
    TARGET: {*BEFORE[TARGET], BY_HAND},
    NEIGHBOUR: {*BEFORE[NEIGHBOUR], BY_HAND},
    UNMAPPED: {LEAVER, FIRST, 33},  # no AD group: never written
}
AT_THE_END: dict[int, set[int]] = {
    **IN_GENESYS,
    TARGET: {*AFTER[TARGET], BY_HAND},
    NEIGHBOUR: {*AFTER[NEIGHBOUR], BY_HAND},
}

Rows = tuple[str, str, str]
"""What the report says of the adds of FIRST and SECOND to TARGET, and of the removal of LEAVER."""
DONE: Rows = ("success", "success", "success")
NOT_VISIBLE = "unchanged member_not_visible"
ORPHAN = "orphaned no_genesys_user"


FAILED: Rows = ("failed", "failed", "failed")
"""For whatever reason."""


@dataclass(frozen=True)
class Switch:
    """A kind of organisation.

    ``turn``: makes it so, after the first run. ``rows``: see `Rows`; None: the Genesys group does not seem to exist.
    ``late``: it becomes so between `plan` and `patch`. ``repair``: what a person does besides setting the options back.
    """

    name: str
    turn: Callable[[SandboxGenesys], None]
    rows: Rows | None
    late: bool = False
    neighbour: str = "success"
    repair: Callable[[SandboxGenesys], None] = field(default=lambda _: None)
    error: type[GroupSyncError] | None = None  # with which a task before `patch` ends


def options(**values: Any) -> Callable[[SandboxGenesys], None]:
    return lambda genesys: genesys.set_options(**values)


def states(state: str, **values: Any) -> Callable[[SandboxGenesys], None]:
    """LEAVER and FIRST get this state."""

    def turn(genesys: SandboxGenesys) -> None:
        genesys.set_options(**values)
        for person in (LEAVER, FIRST):
            genesys.change_user(user_id(person), state=state)

    return turn


def elsewhere(**values: Any) -> Callable[[SandboxGenesys], None]:
    """LEAVER and FIRST are in a division that the client's role lacks."""

    def turn(genesys: SandboxGenesys) -> None:
        for person in (LEAVER, FIRST):
            genesys.change_user(user_id(person), division="Elsewhere")
        genesys.set_options(client_divisions=["Home"], **values)

    return turn


def owner(policy: str) -> Callable[[SandboxGenesys], None]:
    """LEAVER owns the group, and owners are included."""

    def turn(genesys: SandboxGenesys) -> None:
        genesys.change_group(group_id(TARGET), owners=[user_id(LEAVER)], include_owners=True)
        genesys.set_options(included_owner_removal=policy)

    return turn


def dynamic(genesys: SandboxGenesys) -> None:
    genesys.change_group(group_id(TARGET), dynamic=True)
    genesys.set_options(dynamic_group_writes="refuse")


def not_dynamic(genesys: SandboxGenesys) -> None:
    genesys.change_group(group_id(TARGET), dynamic=False)


ENDED = "deleted, memberships ended"


def group_elsewhere(genesys: SandboxGenesys) -> None:
    genesys.change_group(group_id(TARGET), division="Elsewhere")
    genesys.set_options(client_divisions=["Home"])


def group_back(genesys: SandboxGenesys) -> None:
    genesys.change_group(group_id(TARGET), division=None)


THE_GROUP = [group_id(TARGET)]
FAMILIES = {f"/api/v2/{part}": 4 for part in ("scim/", "groups/", "users/")}
active = states("active")
inactive_rows = ("orphaned inactive", "success", "success")
deleted_rows = (ORPHAN, "success", "unchanged already_so")
hidden_rows = (ORPHAN, "success", NOT_VISIBLE)

SWITCHES = [
    Switch("usual", options(), DONE),
    Switch("group 403", options(forbidden_groups=THE_GROUP), FAILED),
    Switch("group 404", options(missing_groups=THE_GROUP), FAILED),
    Switch("group 400 dynamic", dynamic, FAILED, repair=not_dynamic),
    Switch("group 409", options(conflicting_groups=THE_GROUP), FAILED),
    Switch("group 409 as 400", options(conflicting_groups=THE_GROUP, conflict="400"), FAILED),
    Switch("group 500", options(failing_groups=THE_GROUP), FAILED),
    Switch("group 504 after success", options(late_groups=THE_GROUP), DONE),
    Switch("private group, 404", options(private_groups=THE_GROUP), FAILED, late=True),
    Switch(
        "private group, 403",
        options(private_groups=THE_GROUP, private_group_by_id="forbidden"),
        FAILED,
        late=True,
    ),
    Switch("private group, not listed", options(private_groups=THE_GROUP), None),
    Switch("group of another division", group_elsewhere, None, repair=group_back),
    Switch("another private group", options(private_groups=[group_id(UNMAPPED)]), DONE),
    Switch("other division, refused", elsewhere(), hidden_rows, neighbour=ORPHAN),
    Switch("other division, ignored", elsewhere(member_of_other_division="ignore"), hidden_rows, neighbour=ORPHAN),
    Switch("other division, accepted", elsewhere(member_of_other_division="accept"), hidden_rows, neighbour=ORPHAN),
    Switch("included owner, removable", owner("accept"), DONE),
    Switch("included owner, ignored", owner("ignore"), ("success", "success", "failed not_in_effect")),
    Switch("included owner, refused", owner("refuse"), ("success", "success", "failed refused")),
    Switch("address denied at the API", options(address_is_allowed=False, address_checked_at="api"),
           FAILED, late=True, neighbour="failed refused_client"),
    Switch("inactive and listed", states("inactive"), inactive_rows, neighbour="orphaned inactive", repair=active),
    Switch("inactive and hidden", states("inactive", individuals_states=["active"]),
           ("orphaned inactive", "success", NOT_VISIBLE), neighbour="orphaned inactive", repair=active),
    Switch("inactive, hidden and counted",
           states("inactive", individuals_states=["active"], totals_count_hidden=True),
           ("held genesys_unreadable",) * 3, neighbour="orphaned inactive", repair=active),
    Switch("groups hidden and counted", options(private_groups=[group_id(UNMAPPED)], totals_count_hidden=True),
           ("success", "success", "held genesys_unreadable")),
    Switch("address denied", options(address_is_allowed=False), DONE, error=PermissionMissing),
    Switch("deleted, memberships kept", states("deleted"), deleted_rows, neighbour=ORPHAN, repair=active),
    Switch(ENDED, states("deleted", deleted_memberships="ended"), deleted_rows,
           neighbour=ORPHAN, repair=active),
    Switch("limits of endpoint families", options(rate_window=0.2, family_rate_allowed=FAMILIES), DONE),
    Switch("limits of families, in the headers",
           options(rate_window=0.2, rate_allowed=50, family_rate_allowed=FAMILIES, family_rate_headers=True), DONE),
]  # fmt: skip


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, IN_GENESYS), usual_options()) as sandbox:
        yield sandbox


def usual_options() -> SandboxOptions:
    return SandboxOptions(rate_allowed=None, user_patch_groups="honoured")


def memberships(genesys: SandboxGenesys) -> dict[int, set[int]]:
    groups = {g: set(genesys.individuals(group_id(g))) for g in IN_GENESYS}
    return {g: {n for n in range(60) if user_id(n) in ids} for g, ids in groups.items()}


def said_of(report: dict[str, Any], group: int) -> dict[tuple[str, int], str]:
    """Return status and reason of the report's rows of a group, by action and person."""
    numbers = {user_id(n): n for n in range(60)}
    guids = {f"aaaaaaaa-0000-4000-8000-{n:012d}": n for n in range(60)}
    return {
        (row["action"], numbers.get(row["user_id"], guids.get((row["directory_user"] or {}).get("guid"), -1))): (
            row["status"] + (f" {row['reason']}" if row["reason"] else "")
        )
        for row in report["details"]
        if row["genesys_group"] and row["genesys_group"]["id"] == group_id(group)
    }


def written(runs: SyntheticRuns, genesys: SandboxGenesys, switch: Switch) -> dict[str, Any]:
    """Make a run under the switch, and return its report."""
    if not switch.late:
        switch.turn(genesys)
    run_id = runs.begin()
    planned = plan(runs.task(run_id, "plan"))
    if switch.late:
        switch.turn(genesys)
    for batch in planned["batches"]:
        with suppress(GroupSyncError):  # the task is red; the report says of what
            patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
    return runs.finish(run_id)


@pytest.mark.parametrize("write", STRATEGIES)
@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_what_is_reported_is_so_and_nobody_else_is_touched(
    genesys: SandboxGenesys, tmp_path: Path, switch: Switch, write: str
) -> None:
    slow = switch.name.startswith("limits")  # a window of the sandbox's own clock must pass
    with SyntheticRuns(
        tmp_path,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=3),
        sleep=time.sleep if slow else lambda _: None,
        write=write,
    ) as runs:
        runs.tell(BEFORE)
        runs.run()
        assert memberships(genesys) == IN_GENESYS  # AD and Genesys agreed
        runs.tell(AFTER)
        if switch.error is not None:
            with pytest.raises(switch.error):
                written(runs, genesys, switch)
            assert memberships(genesys) == IN_GENESYS
        else:
            check(genesys, written(runs, genesys, switch), switch)
        switch.repair(genesys)
        genesys.set_options(**usual_options().as_dict())
        runs.run(Mode.FULL)
        # what Genesys itself ended, and AD does not ask for, stays ended
        ended = {UNMAPPED: {33}} if switch.name == ENDED else {}
        assert memberships(genesys) == {**AT_THE_END, **ended}


def check(genesys: SandboxGenesys, report: dict[str, Any], switch: Switch) -> None:
    present = memberships(genesys)
    said = said_of(report, TARGET)
    if switch.rows is None:
        assert said == {}
        assert present[TARGET] == IN_GENESYS[TARGET]
        assert all(row["status"] == "skipped" for row in report["details"] if not row["genesys_group"])
    for key, outcome in zip((("add", FIRST), ("add", SECOND), ("remove", LEAVER)), switch.rows or (), strict=False):
        assert said[key] == outcome or said[key].startswith(f"{outcome} "), key
    assert said_of(report, NEIGHBOUR) == {("add", FIRST): switch.neighbour}
    for group in (TARGET, NEIGHBOUR):
        for (action, person), outcome in said_of(report, group).items():
            if outcome == "success":
                assert (person in present[group]) is (action == "add")
    deleted = switch.name == ENDED  # Genesys' own doing, not ours
    for group, members in IN_GENESYS.items():
        untouched = members - ({LEAVER} if group == TARGET or deleted else set()) - ({FIRST} if deleted else set())
        assert untouched <= present[group] <= members | AT_THE_END[group]
