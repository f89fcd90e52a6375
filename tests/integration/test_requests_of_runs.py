"""How many requests a run sends, what it believes without asking, and what it does when Genesys says otherwise.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.synthetic import (
    SyntheticRuns,
    definition_for,
    endpoint_counts,
    genesys_seed,
    group_id,
    user_guid,
    user_id,
)
from genesys_ad_sync.genesys.errors import PermissionMissing, Throttled, UnexpectedAnswer
from genesys_ad_sync.model import Mode, RunKey
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions

EVERYBODY = 99  # a group in which all are, so that all are linked
BEFORE: dict[int, set[int]] = {0: {0, 1, 2}, 1: {3, 4}, EVERYBODY: set(range(60))}


@pytest.fixture
def genesys() -> Iterator[SandboxGenesys]:
    with SandboxGenesys.start(genesys_seed(60, BEFORE), SandboxOptions(rate_allowed=None)) as sandbox:
        yield sandbox


@pytest.fixture
def runs(genesys: SandboxGenesys, tmp_path: Path) -> Iterator[SyntheticRuns]:
    """After a first run that compared everything and linked everybody."""
    with opened(genesys, tmp_path) as made:
        made.tell(BEFORE)
        made.run()
        genesys.clear_log()
        yield made


def opened(genesys: SandboxGenesys, folder: Path, **more: Any) -> SyntheticRuns:
    return SyntheticRuns(
        folder,
        genesys.connection(),
        retry_policy=HttpRetryPolicy(first_wait=0.01, jitter=0, attempts=3),
        sleep=lambda _: None,
        **more,
    )


def sent(genesys: SandboxGenesys) -> dict[str, int]:
    return endpoint_counts(genesys.requests())


def rows(report: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {row["user_id"]: (row["status"], row["reason"]) for row in report["details"]}


INDIVIDUALS, GROUPS = "GET /api/v2/groups/{id}/individuals", "GET /api/v2/groups"
USERS = "GET /api/v2/users"
PATCH = "PATCH /api/v2/scim/v2/groups/{id}"


def test_a_run_with_nothing_to_do_lists_the_groups_and_that_is_all(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    runs.run()
    assert sent(genesys) == {GROUPS: 1}


def test_a_change_costs_one_read_one_write_and_one_read_back_and_who_is_added_is_asked_about(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    runs.tell({**BEFORE, 0: {0, 1, 30, 31}})
    report = runs.run()
    assert report["successes"] == 3
    assert sent(genesys) == {GROUPS: 1, USERS: 1, INDIVIDUALS: 2, PATCH: 1}
    assert report["requests"]["total"] == len(genesys.requests())
    genesys.clear_log()
    runs.tell({**BEFORE, 0: {0, 30, 31}})
    assert runs.run()["successes"] == 1
    assert sent(genesys) == {GROUPS: 1, INDIVIDUALS: 2, PATCH: 1}  # of who leaves, the link is enough


@pytest.mark.parametrize("path", ["^/api/v2/groups$", "^/api/v2/users"], ids=["map_groups", "resolve_users"])
def test_what_a_task_sent_before_it_failed_is_counted_too(
    genesys: SandboxGenesys, runs: SyntheticRuns, path: str
) -> None:
    genesys.add_fault("html", path=path, times=None)
    runs.tell({**BEFORE, 0: {0, 1, 2, 1000}})  # whom nobody has looked up yet
    with pytest.raises(UnexpectedAnswer):
        runs.begin()
    report = runs.finish("run-2")
    assert report["requests"]["by_endpoint"] == sent(genesys)
    assert report["requests"]["total"] == len(genesys.requests()) > 0


def test_the_members_are_read_again_before_writing_if_another_run_wrote_meanwhile(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    runs.tell({**BEFORE, 0: {0, 1, 2, 30, 31}})
    run_id = runs.begin()
    planned = plan(runs.task(run_id, "plan"))
    task = runs.task(run_id, "patch")
    key = RunKey("other_dag", "other_run")
    task.journal.leases.acquire(task.organisation, key, "patch[0]", now=task.clock(), ttl=task.lease_ttl)
    genesys.change_members(group_id(0), add=[user_id(30)])
    task.journal.leases.release(task.organisation, key, "patch[0]")
    patch(task, planned["batches"][0]["lane"])
    assert sent(genesys)[INDIVIDUALS] == 3
    assert rows(runs.finish(run_id)) == {user_id(30): ("unchanged", "already_so"), user_id(31): ("success", None)}


def test_a_linked_user_who_is_gone_is_found_anew_by_the_rules(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.change_user(user_id(30), state="deleted", email=None)
    runs.tell({**BEFORE, 0: {0, 1, 2, 30, 31}})
    assert rows(runs.run()) == {None: ("orphaned", "no_genesys_user"), user_id(31): ("success", None)}
    seed = genesys.snapshot()
    again = user_id(1030)
    seed["users"].append({"id": again, "name": "User again", "email": "user000030@example.com"})
    genesys.load_seed(seed)
    assert rows(runs.run()) == {again: ("success", None)}


def test_whom_genesys_refuses_because_of_what_happened_since_the_plan_is_an_orphan(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.set_options(inactive_member="refuse")
    runs.tell({**BEFORE, 0: {0, 1, 2, 30, 31, 32}})
    run_id = runs.begin()
    planned = plan(runs.task(run_id, "plan"))
    genesys.change_user(user_id(30), state="deleted")
    genesys.change_user(user_id(32), state="inactive")
    patch(runs.task(run_id, "patch"), planned["batches"][0]["lane"])
    assert rows(runs.finish(run_id)) == {
        user_id(30): ("orphaned", "no_genesys_user"),
        user_id(31): ("success", None),
        user_id(32): ("orphaned", "inactive"),
    }
    # the next run, which looks at the user again, moves the link if Genesys shows the user as deleted
    link = runs.journal.of(runs.definition.name).links.all()[user_guid(30)]
    assert link.genesys_user_id == user_id(30)
    again = runs.run()
    assert (rows(again), again["open"]["orphaned"]["count"]) == ({}, 2)  # known, and looked up
    runs.run_type = "manual"
    assert rows(runs.run())[None] == ("orphaned", "no_genesys_user")


@pytest.mark.parametrize("inactive_member", ["accept", "refuse"])
@pytest.mark.follows_remedy("inactive")
def test_a_linked_user_who_is_inactive_is_an_orphan_until_active_again(
    genesys: SandboxGenesys, runs: SyntheticRuns, inactive_member: str
) -> None:
    genesys.set_options(inactive_member=inactive_member)
    genesys.change_user(user_id(30), state="inactive")
    runs.tell({**BEFORE, 0: {0, 1, 2, 30, 31}})
    assert rows(runs.run()) == {user_id(30): ("orphaned", "inactive"), user_id(31): ("success", None)}
    genesys.clear_log()
    again = runs.run()
    assert (rows(again), again["open"]["orphaned"]["count"]) == ({}, 1)
    assert genesys.writes() == []  # asked about, not tried
    genesys.change_user(user_id(30), state="active")
    assert rows(runs.run()) == {user_id(30): ("success", None)}


def test_a_group_that_is_compared_for_the_first_time_gets_active_users_only(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    with opened(genesys, tmp_path, groups=[{"name": "Team 0099", "genesys_name": "Team 0099"}]) as runs:
        runs.tell({0: {0, 30, 31}, EVERYBODY: BEFORE[EVERYBODY]})
        runs.run()
        genesys.change_user(user_id(30), state="inactive")
        runs.definition = definition_for(tmp_path)  # maps them all
        assert rows(runs.run()) == {user_id(30): ("orphaned", "inactive"), user_id(31): ("success", None)}


def test_whom_another_runs_poll_adds_after_resolve_users_is_asked_about_though_the_link_was_believed(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    genesys.change_user(user_id(30), state="inactive")
    runs.tell({**BEFORE, 0: {0, 1, 2}, EVERYBODY: BEFORE[EVERYBODY] - {30}})
    run_id = runs.begin()  # she is to lose a group, so the link is enough
    runs.tell({**BEFORE, 0: {0, 1, 2, 30}, EVERYBODY: BEFORE[EVERYBODY] - {30}})
    runs.poll("meanwhile")
    for batch in plan(runs.task(run_id, "plan"))["batches"]:
        patch(runs.task(run_id, f"patch[{batch['lane']}]"), batch["lane"])
    told = {(row["action"], row["status"], row["reason"]) for row in runs.finish(run_id)["details"]}
    assert told == {("add", "orphaned", "inactive"), ("remove", "success", None)}


def test_mode_full_looks_at_linked_users_too(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.change_user(user_id(30), state="inactive")
    runs.tell({**BEFORE, 0: {0, 1, 2, 30, 31}})
    assert rows(runs.run(Mode.FULL)) == {user_id(30): ("orphaned", "inactive"), user_id(31): ("success", None)}


def test_where_users_are_listed_anyway_links_are_looked_at_for_nothing(
    genesys: SandboxGenesys, runs: SyntheticRuns
) -> None:
    """Two people have each other's mail in AD, not yet in Genesys; one of them is to lose a group."""
    seed = genesys.snapshot()
    seed["users"] += [
        {"id": user_id(n), "name": f"User {n}", "email": f"user{n:06d}@example.com"} for n in range(200, 400)
    ]
    genesys.load_seed(seed)
    genesys.clear_log()
    runs.tell({**BEFORE, 0: {0, 1}, 1: {3, 4, *range(200, 400)}})
    people = runs._next.users
    for one, other in ((1, 2), (2, 1)):
        mail = {"mail": f"user{other:06d}@example.com"}
        people[user_guid(one)] = replace(people[user_guid(one)], attributes=mail)
    report = runs.run()
    assert rows(report)[user_id(2)] == ("held", "link_contradicted")
    assert sent(genesys)[USERS] == 2  # active and inactive


def test_an_external_id_is_read_once_and_kept(genesys: SandboxGenesys, tmp_path: Path) -> None:
    genesys.change_group(group_id(0), external_id="ERP-1")
    rules = [
        {"dn": "CN=Team 0000,OU=Contact Center,DC=example,DC=com", "genesys_external_id": "ERP-1"},
        {"dn": "CN=Team 0001,OU=Contact Center,DC=example,DC=com", "genesys_external_id": "misspelt"},
    ]
    with opened(genesys, tmp_path, groups=rules) as runs:
        runs.tell(BEFORE)
        first = runs.run()
        assert {(row["status"], row["reason"]) for row in first["details"]} >= {("skipped", "genesys_group_missing")}
        genesys.clear_log()
        runs.run()
        assert sent(genesys) == {GROUPS: 1}
        genesys.change_group(group_id(1), external_id="misspelt")
        runs.run(Mode.FULL)
        assert any("/scim/" in endpoint for endpoint in sent(genesys))
        pairs = {pair.genesys_group_id for pair in runs.journal.of(runs.definition.name).pairs.active()}
        assert pairs == {group_id(0), group_id(1)}


def test_an_external_id_that_the_test_organisation_lacks_is_asked_for_in_production(tmp_path: Path) -> None:
    """Both at the same API address."""
    rules = [{"dn": "CN=Team 0000,OU=Contact Center,DC=example,DC=com", "genesys_external_id": "ERP-1"}]
    with SandboxGenesys.start(genesys_seed(60, BEFORE)) as test, opened(test, tmp_path, groups=rules) as runs:
        runs.tell(BEFORE)
        runs.run()
        assert runs.journal.of(runs.definition.name).pairs.active() == []
    port = urlsplit(test.url).port or 0
    with SandboxGenesys.start(genesys_seed(60, BEFORE), port=port, client_id="of production") as production:
        production.change_group(group_id(0), external_id="ERP-1")
        with opened(production, tmp_path, groups=rules) as runs:
            runs.tell(BEFORE)
            runs.run()
            assert [pair.genesys_group_id for pair in runs.journal.of(runs.definition.name).pairs.active()] == [
                group_id(0)
            ]


def test_an_external_id_of_two_groups_skips_that_ad_group_until_one_of_them_gives_it_up(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    for n in (1, EVERYBODY):
        genesys.change_group(group_id(n), external_id="ERP-1")
    rules = [
        {"dn": "CN=Team 0000,OU=Contact Center,DC=example,DC=com", "genesys_name": "Team 0000"},
        {"dn": "CN=Team 0001,OU=Contact Center,DC=example,DC=com", "genesys_external_id": "ERP-1"},
    ]
    with opened(genesys, tmp_path, groups=rules) as runs:
        runs.tell({0: {0, 1, 2, 30}, 1: {3, 4, 31}})
        report = runs.run()
        assert rows(report) == {user_id(30): ("success", None), None: ("skipped", "ambiguous")}
        (skipped,) = (row for row in report["details"] if row["status"] == "skipped")
        assert "leave it with one of them" in skipped["error"]
        genesys.change_group(group_id(EVERYBODY), external_id=None)
        assert rows(runs.run()) == {user_id(31): ("success", None)}


@pytest.mark.follows_remedy("unverified")
def test_without_verify_a_lost_answer_is_not_called_a_success(genesys: SandboxGenesys, tmp_path: Path) -> None:
    with opened(genesys, tmp_path, verify=False) as runs:
        runs.tell(BEFORE)
        runs.run()
        runs.tell({**BEFORE, 0: {0, 1, 2, 30}, 1: {3, 4, 31}})
        genesys.add_fault("reset_after", method="PATCH", path=group_id(0), times=3)
        run_id = runs.begin()
        lane = plan(runs.task(run_id, "plan"))["batches"][0]["lane"]
        with pytest.raises(Exception, match="No answer"):
            patch(runs.task(run_id, "patch"), lane)
        assert rows(runs.finish(run_id)) == {user_id(30): ("failed", "unverified"), user_id(31): ("success", None)}
        genesys.clear_faults()
        assert rows(runs.run()) == {user_id(30): ("unchanged", "already_so")}  # read again, and there


@pytest.mark.follows_remedy("not_in_effect")
def test_what_is_accepted_and_never_in_effect_has_failed(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.add_fault("lost_write", method="PATCH", times=None)
    runs.tell({**BEFORE, 0: {0, 1, 30}})
    assert rows(runs.run()) == {user_id(30): ("failed", "not_in_effect"), user_id(2): ("failed", "not_in_effect")}
    genesys.clear_faults()
    assert rows(runs.run()) == {user_id(30): ("success", None), user_id(2): ("success", None)}


def test_a_read_back_that_lags_is_waited_for(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    genesys.add_fault("stale", method="GET", path="individuals", seconds=86400, skip=1, times=3)
    runs.tell({**BEFORE, 0: {0, 1, 2, 30}})
    assert rows(runs.run()) == {user_id(30): ("success", None)}
    assert sent(genesys)[INDIVIDUALS] == 5


def test_a_wait_too_long_for_the_task_is_handed_back_with_what_was_done_recorded(
    genesys: SandboxGenesys, tmp_path: Path
) -> None:
    runs = opened(genesys, tmp_path, workers=1)  # one group after the other
    runs.tell(BEFORE)
    runs.run()
    runs.tell({**BEFORE, 0: {0, 1, 2, 30}, 1: {3, 4, 31}})
    run_id = runs.begin()
    lane = plan(runs.task(run_id, "plan"))["batches"][0]["lane"]
    genesys.add_fault("throttle", method="PATCH", path=group_id(1), retry_after=600)
    with pytest.raises(Throttled) as caught:
        patch(runs.task(run_id, "patch"), lane)
    assert caught.value.retry_after == pytest.approx(600, abs=2)
    recorded = {row.genesys_user_id: row.status.value for row in runs.journal.rows.of_run(runs.task(run_id, "x").run)}
    assert recorded == {user_id(30): "success", user_id(31): "failed"}
    genesys.clear_log()
    patch(runs.task(run_id, "patch"), lane)
    assert len(genesys.writes()) == 1
    assert rows(runs.finish(run_id)) == {user_id(30): ("success", None), user_id(31): ("success", None)}


def test_a_missing_permission_ends_the_task_at_once(genesys: SandboxGenesys, runs: SyntheticRuns) -> None:
    runs.tell({**BEFORE, **{g: {*BEFORE[g], 30} for g in (0, 1)}})
    run_id = runs.begin()
    lane = plan(runs.task(run_id, "plan"))["batches"][0]["lane"]
    genesys.set_options(permissions=["directory:group:view", "directory:user:view"])
    with pytest.raises(PermissionMissing, match="directory:group:edit"):
        patch(runs.task(run_id, "patch"), lane)
    assert len(genesys.writes()) <= 2
    assert runs.finish(run_id)["failures"] == 2


@pytest.mark.parametrize("variant", ["ignored", "rejected"])
def test_a_user_patch_that_genesys_does_not_honour_is_never_called_a_success(
    genesys: SandboxGenesys, tmp_path: Path, variant: str
) -> None:
    genesys.set_options(user_patch_groups=variant)
    with opened(genesys, tmp_path, write="user_patch", verify=False) as runs:  # it is verified all the same
        runs.tell(BEFORE)
        runs.run()
        runs.tell({**BEFORE, 0: {0, 1, 30}})
        reason = "not_in_effect" if variant == "ignored" else "refused"
        assert rows(runs.run()) == {user_id(30): ("failed", reason), user_id(2): ("failed", reason)}
