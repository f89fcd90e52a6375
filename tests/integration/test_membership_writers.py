"""One contract for all three ways of writing memberships, against the strict sandbox in each of its variants."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from genesys_ad_sync.genesys.errors import PermissionMissing
from genesys_ad_sync.genesys.writers import UserPatchWriter, WriteResult, writer_for
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxGenesys
from tests.support.genesys import ANNA, BILLING, BORIS, CLARA, DORA, EMIL, FRIEDA, OLD, RULED, SOCIAL, TIER_2, uid
from tests.support.stub_genesys import FakeClock

STRATEGIES = ("scim_patch", "group_members", "user_patch")
CROWD = [uid(number) for number in range(100, 220)]
NOBODY = uid(999)

Apply = Callable[..., dict[str, WriteResult]]


@pytest.fixture
def hook(genesys: SandboxGenesys, monkeypatch: pytest.MonkeyPatch) -> GenesysCloudHook:
    genesys.set_options(user_patch_groups="honoured", rate_allowed=None)
    monkeypatch.setenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT", json.dumps(genesys.connection()))
    clock = FakeClock()
    return GenesysCloudHook(
        clock=clock, sleep=clock.sleep, token_store=ProcessTokenStore(), retry_policy=HttpRetryPolicy(jitter=0)
    )


@pytest.fixture(params=STRATEGIES)
def write(request: pytest.FixtureRequest) -> str:
    strategy: str = request.param
    return strategy


def apply(
    hook: GenesysCloudHook, write: str, group_id: str, add: list[str], remove: list[str], **more: Any
) -> dict[str, WriteResult]:
    results = list(writer_for(write, hook, **more).apply(group_id, add, remove, lambda: None))
    assert len(results) == len(add) + len(remove)
    return {result.user_id: result for result in results}


def members_sent(entry: dict[str, Any]) -> int:
    """How many members a logged request would change."""
    if "/scim/" in entry["path"]:
        return sum(len(o["value"]) if "value" in o else 1 for o in entry["body"]["Operations"])
    if entry["path"].endswith("/members"):
        ids = parse_qs(entry["query"]).get("ids", [""])[0].split(",") if entry["method"] == "DELETE" else []
        return len(ids or entry["body"]["memberIds"])
    return 1


def assert_within_caps(genesys: SandboxGenesys) -> None:
    assert all(members_sent(entry) <= 50 for entry in genesys.writes())


def test_adds_and_removes_are_in_effect_and_nobody_else_is_touched(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str
) -> None:
    results = apply(hook, write, BILLING, [CLARA, DORA], [ANNA])
    assert all(result.ok and result.error is None for result in results.values())
    assert set(genesys.individuals(BILLING)) == {BORIS, CLARA, DORA}
    assert set(genesys.individuals(RULED)) == {ANNA, EMIL}  # ANNA keeps what she had
    assert set(genesys.individuals(SOCIAL)) == {CLARA}


def test_120_adds_and_as_many_removes_stay_within_the_cap(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str
) -> None:
    assert all(result.ok for result in apply(hook, write, TIER_2, CROWD, []).values())
    assert set(genesys.individuals(TIER_2)) == set(CROWD)
    assert all(result.ok for result in apply(hook, write, TIER_2, [ANNA], CROWD).values())
    assert genesys.individuals(TIER_2) == [ANNA]
    assert_within_caps(genesys)


@pytest.mark.parametrize("twice", ["ignore", "refuse"])
def test_what_is_so_already_does_no_harm(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, twice: str
) -> None:
    genesys.set_options(member_already_there=twice, member_not_there=twice)
    results = apply(hook, write, BILLING, [ANNA, CLARA], [BORIS, DORA])
    assert set(genesys.individuals(BILLING)) == {ANNA, CLARA}
    assert results[CLARA].ok
    assert results[BORIS].ok


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("inactive", ["refuse", "accept", "ignore"])
def test_a_bad_member_of_a_batch_is_found_and_the_others_are_written(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, status: int, inactive: str
) -> None:
    genesys.set_options(refuse_member_status=status, inactive_member=inactive)
    results = apply(hook, write, BILLING, [*CROWD[:20], NOBODY, EMIL, FRIEDA, *CROWD[20:40]], [ANNA])
    refused = {user_id for user_id, result in results.items() if not result.ok}
    assert refused == {NOBODY, FRIEDA} | ({EMIL} if inactive == "refuse" else set())
    expected = {BORIS, *CROWD[:40]} | ({EMIL} if inactive == "accept" else set())
    assert set(genesys.individuals(BILLING)) == expected
    assert all(results[user_id].http_code in (400, 404) and results[user_id].error for user_id in refused)
    assert_within_caps(genesys)


@pytest.mark.parametrize("caps", [{"scim_max_operations": 7}, {"scim_max_member_values": 7}])
@pytest.mark.parametrize("bare", ["empty", "honour_values", "refuse"])
def test_a_service_with_other_limits_gives_the_same_end(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, caps: dict[str, int], bare: str
) -> None:
    genesys.set_options(**caps, scim_bare_remove=bare, max_members_per_request=20)
    genesys.change_members(BILLING, add=CROWD[:40])
    results = apply(hook, write, BILLING, CROWD[40:80], CROWD[:40])
    assert all(result.ok for result in results.values())
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS, *CROWD[40:80]}


def test_a_group_that_is_gone_is_told_for_all_its_changes(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str
) -> None:
    nowhere = "00000000-0000-4000-b000-00000000dead"
    results = apply(hook, write, OLD if write != "user_patch" else nowhere, CROWD[:60], [])
    assert not any(result.ok or result.ambiguous for result in results.values())
    if write != "user_patch":
        assert len(genesys.requests(path="/groups/")) <= 3


@pytest.mark.parametrize("conflict", ["409", "400"])
@pytest.mark.parametrize("bump", ["per_request", "per_member"])
def test_somebody_who_writes_at_the_same_time_costs_a_repetition_at_most(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, conflict: str, bump: str
) -> None:
    genesys.set_options(conflict=conflict, version_bump=bump)
    genesys.add_fault("foreign_write", method="POST|PATCH|DELETE", path="/groups/", times=3, skip=1, add=(DORA,))
    results = apply(hook, write, BILLING, CROWD[:60], [ANNA])
    assert all(result.ok for result in results.values())
    seen = {BORIS, *CROWD[:60]} | ({DORA} if write != "user_patch" else set())
    assert set(genesys.individuals(BILLING)) == seen


def test_a_conflict_of_the_user_reads_the_list_again(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    """Between reading and writing somebody else saves the user, who is in another group by then."""
    genesys.add_fault("status", method="PATCH", path="/users/", status=409)
    assert all(result.ok for result in apply(hook, "user_patch", BILLING, [CLARA], []).values())
    assert set(genesys.individuals(SOCIAL)) == {CLARA}
    assert len(genesys.requests(method="GET", path=f"/users/{CLARA}")) == 2


PASSING: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500}),
    ("status", {"status": 502, "processed": True}),
    ("status", {"status": 503, "processed": True}),
    ("status", {"status": 504, "processed": True}),
    ("status", {"status": 408}),
    ("status", {"status": 409}),
    ("throttle", {"retry_after": 1}),
    ("throttle", {}),
    ("unauthorized", {}),
    ("token_revoked", {}),
    ("truncated_json", {}),
    ("cut_body", {}),
    ("reset_before", {}),
    ("reset_after", {}),
]


@pytest.mark.parametrize("twice", ["ignore", "refuse"])
def test_a_passing_fault_changes_nothing_in_the_end(
    genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, twice: str
) -> None:
    genesys.set_options(member_already_there=twice, member_not_there=twice)
    for kind, values in PASSING:
        genesys.reset()
        genesys.add_fault(kind, method="POST|PATCH|DELETE", path="/api/v2/", **values)
        results = apply(hook, write, BILLING, [CLARA, DORA], [ANNA])
        assert set(genesys.individuals(BILLING)) == {BORIS, CLARA, DORA}, (kind, values)
        # "is a member already" after a lost answer: not known is not failed
        assert all(result.ok or result.ambiguous for result in results.values()), (kind, values)
        assert_within_caps(genesys)


def test_a_missing_permission_ends_it_at_once(genesys: SandboxGenesys, hook: GenesysCloudHook, write: str) -> None:
    genesys.set_options(permissions=["directory:user:view"])
    with pytest.raises(PermissionMissing, match=r"directory:(group|user):edit"):
        apply(hook, write, BILLING, CROWD, [])
    assert len(genesys.writes()) == 1


@pytest.mark.parametrize("odd", ["", "u 1", 'u1" or value pr or value eq "', "a,b", "../groups"])
def test_what_is_no_id_is_not_sent(genesys: SandboxGenesys, hook: GenesysCloudHook, write: str, odd: str) -> None:
    results = apply(hook, write, BILLING, [odd], [])
    assert not results[odd].ok
    assert genesys.requests() == []


# -- group_members ------------------------------------------------------------------------------------


def test_the_listed_version_spares_a_read_and_an_old_one_costs_no_more_than_a_conflict(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    version = genesys.group(BILLING)["version"]
    assert apply(hook, "group_members", BILLING, [CLARA], [], versions={BILLING: version})[CLARA].ok
    assert len(genesys.requests(path="/groups/")) == 1
    assert apply(hook, "group_members", BILLING, [DORA], [], versions={BILLING: version})[DORA].ok
    assert [entry["method"] for entry in genesys.requests(path="/groups/")] == ["POST", "POST", "GET", "POST"]


# -- user_patch ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("expand", ["never", "sometimes"])
def test_a_list_that_was_left_out_of_the_answer_is_never_replaced(
    genesys: SandboxGenesys, hook: GenesysCloudHook, expand: str
) -> None:
    genesys.set_options(expand_groups=expand)
    before = {group: set(genesys.individuals(group)) for group in (SOCIAL, RULED)}
    results = apply(hook, "user_patch", TIER_2, [ANNA, BORIS, CLARA, DORA, *CROWD[:10]], [])
    written = {user_id for user_id, result in results.items() if result.ok}
    assert set(genesys.individuals(TIER_2)) == written
    assert bool(written) is (expand == "sometimes")
    assert {group: set(genesys.individuals(group)) for group in (SOCIAL, RULED)} == before
    for user_id, result in results.items():
        assert result.ok or "did not show which groups" in (result.error or ""), user_id


def test_a_patch_that_is_ignored_is_accepted_and_not_in_effect(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    genesys.set_options(user_patch_groups="ignored")
    assert apply(hook, "user_patch", BILLING, [CLARA], [])[CLARA].ok  # so the caller reads back
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS}


def test_a_patch_that_is_rejected_is_told_for_each(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    genesys.set_options(user_patch_groups="rejected")
    results = apply(hook, "user_patch", BILLING, [CLARA, DORA], [ANNA])
    assert {(result.ok, result.http_code) for result in results.values()} == {(False, 400)}
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS}


def test_what_a_user_lost_by_the_patch_is_found_out(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    writer = UserPatchWriter(hook)
    assert all(r.ok for r in writer.apply(BILLING, [CLARA, DORA, *CROWD[:60]], [ANNA], lambda: None))
    users = [CLARA, DORA, ANNA, *CROWD[:60]]
    assert writer.lost_groups(users) == {}
    genesys.change_members(SOCIAL, remove=[CLARA])
    genesys.change_members(RULED, remove=[ANNA])
    assert writer.lost_groups(users) == {CLARA: {SOCIAL}, ANNA: {RULED}}
    genesys.set_options(expand_groups="never")
    assert writer.lost_groups([CLARA]) == {CLARA: None}
