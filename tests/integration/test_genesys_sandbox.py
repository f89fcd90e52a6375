"""Hook, gateway and writer together against the strict Genesys Cloud sandbox, with its faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    IncompleteListing,
    NotFound,
    PermissionMissing,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.genesys.writers import ScimPatchWriter, WriteResult
from genesys_ad_sync.model import UserKey
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox.genesys_cloud import SandboxClient, SandboxGenesys, SandboxOptions
from tests.support.genesys import (
    ANNA,
    BILLING,
    BORIS,
    CLARA,
    DORA,
    EMIL,
    FRIEDA,
    OLD,
    RULED,
    TIER_2,
    GenesysFactory,
    small_seed,
    uid,
)
from tests.support.stub_genesys import FakeClock

CROWD = [uid(number) for number in range(100, 220)]
Connect = Callable[..., GenesysCloudHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Return a hook for a sandbox. It waits only if a test says so."""

    def to(sandbox: SandboxClient, **options: Any) -> GenesysCloudHook:
        monkeypatch.setenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT", json.dumps(sandbox.connection()))
        clock = FakeClock()
        return GenesysCloudHook(**{"clock": clock, "sleep": clock.sleep, "token_store": ProcessTokenStore(), **options})

    return to


@pytest.fixture
def hook(genesys: SandboxGenesys, connect: Connect) -> GenesysCloudHook:
    return connect(genesys)


def apply(hook: GenesysCloudHook, group_id: str, add: list[str], remove: list[str]) -> dict[str, WriteResult]:
    results = list(ScimPatchWriter(hook).apply(group_id, add, remove, lambda: None))
    assert len(results) == len(add) + len(remove)
    return {result.user_id: result for result in results}


# -- reading ------------------------------------------------------------------------------------------


def test_groups_and_their_individuals_are_read(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    gateway = GenesysGateway(hook)
    groups = {group.id: group for group in gateway.groups()}
    assert BILLING in groups
    assert groups[BILLING].name == "Billing"
    assert gateway.individuals(BILLING) == {ANNA, BORIS}  # not DORA, who owns it
    assert gateway.individuals(RULED) == {ANNA, EMIL}  # not those whom a rule includes
    assert gateway.individuals(TIER_2) == frozenset()
    with pytest.raises(NotFound):
        gateway.individuals(OLD)


def test_individuals_that_are_cut_short_are_an_error_not_a_smaller_group(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    genesys.set_options(individuals_limit=1)
    with pytest.raises(IncompleteListing):
        GenesysGateway(hook).individuals(BILLING)


@pytest.mark.parametrize("times", [1, None])
def test_a_short_page_is_read_again_and_then_an_error(
    genesys: SandboxGenesys, hook: GenesysCloudHook, times: int | None
) -> None:
    genesys.add_fault("short_page", path="/api/v2/groups$", times=times)
    gateway = GenesysGateway(hook)
    if times:
        assert {group.name for group in gateway.groups()} >= {"Billing", "Tier 2"}
    else:
        with pytest.raises(IncompleteListing):
            gateway.groups()


def test_a_group_is_found_by_its_scim_external_id(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    for filter_required in (True, False):
        genesys.set_options(scim_filter_required=filter_required)
        gateway = GenesysGateway(hook)
        assert gateway.group_id_by_external_id("ERP-4711") == BILLING
        assert gateway.group_id_by_external_id("erp-4711") is None
        assert gateway.external_id_of(BILLING) == "ERP-4711"


def test_users_are_found_whatever_their_case_and_state_but_not_the_deleted(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    mails = ["ANNA@example.com", "boris@example.com", "emil@example.com", "frieda@example.com", "nobody@example.com"]
    found = {user.id: user for user in GenesysGateway(hook).find_users(UserKey.EMAIL, mails)}
    assert found.keys() == {ANNA, BORIS, EMIL}
    assert found[EMIL].state == "inactive"
    assert len(genesys.requests(path="/users")) == 1


def test_120_users_are_listed_rather_than_searched_where_that_is_cheaper(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    gateway = GenesysGateway(hook)
    mails = [f"user{number:03d}@example.com" for number in range(100, 220)]
    assert {user.id for user in gateway.find_users(UserKey.EMAIL, mails)} == set(CROWD)
    assert [entry["path"] for entry in genesys.requests(path="/users")] == ["/api/v2/users"] * 2
    assert {user.id for user in gateway.search_users(UserKey.USERNAME, mails)} == set(CROWD)


@pytest.mark.parametrize("values", [1, 10])
def test_a_search_that_takes_fewer_values_still_finds_all(
    genesys: SandboxGenesys, hook: GenesysCloudHook, values: int
) -> None:
    genesys.set_options(search_max_values=values)
    found = GenesysGateway(hook).search_users(UserKey.EMAIL, ["anna@example.com", "boris@example.com"])
    assert {user.id for user in found} == {ANNA, BORIS}


def test_an_analysed_search_does_not_find_somebody_else(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    genesys.set_options(search_exact="analysed")
    found = GenesysGateway(hook).search_users(UserKey.EMAIL, ["anna@example.com", "example.com"])
    assert [user.id for user in found] == [ANNA]


def test_a_user_is_found_by_external_id_and_by_id(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    gateway = GenesysGateway(hook)
    for user in (gateway.user_by_external_id("HR", "4711"), gateway.user(ANNA)):
        assert user is not None
        assert (user.id, user.state) == (ANNA, "active")
    assert gateway.user_by_external_id("hr", "4711") is None
    assert gateway.user(uid(999)) is None


# -- writing ------------------------------------------------------------------------------------------


def test_adds_and_removes_of_one_group_are_one_request(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    results = apply(hook, BILLING, [CLARA, DORA], [ANNA])
    assert set(genesys.individuals(BILLING)) == {BORIS, CLARA, DORA}
    assert [(entry["method"], entry["path"]) for entry in genesys.writes()] == [
        ("PATCH", f"/api/v2/scim/v2/groups/{BILLING}")
    ]
    assert all(result.ok and result.http_code == 200 and result.correlation_id for result in results.values())


def test_removing_some_never_empties_the_group(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    """The sandbox empties a group at a remove whose path is bare `members`."""
    genesys.change_members(BILLING, add=CROWD)
    apply(hook, BILLING, [], CROWD[:60])
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS, *CROWD[60:]}
    assert len(genesys.writes()) == 2


def test_writing_the_same_twice_changes_nothing(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    apply(hook, BILLING, [CLARA], [ANNA])
    before = genesys.group(BILLING)
    assert all(result.ok for result in apply(hook, BILLING, [CLARA], [ANNA]).values())
    assert genesys.group(BILLING) == before


@pytest.mark.parametrize("status", [400, 404])
def test_unknown_and_deleted_members_are_isolated_and_the_others_written(
    genesys: SandboxGenesys, hook: GenesysCloudHook, status: int
) -> None:
    genesys.set_options(refuse_member_status=status)
    wanted = [*CROWD[:60], FRIEDA, uid(999)]
    results = apply(hook, BILLING, wanted, [ANNA])
    assert set(genesys.individuals(BILLING)) == {BORIS, *CROWD[:60]}
    assert {user for user, result in results.items() if not result.ok} == {FRIEDA, uid(999)}
    assert {result.http_code for result in results.values() if not result.ok} == {status}


@pytest.mark.parametrize("caps", [{"scim_max_operations": 7}, {"scim_max_member_values": 7}])
def test_smaller_caps_of_the_service_are_found_out(
    genesys: SandboxGenesys, hook: GenesysCloudHook, caps: dict[str, int]
) -> None:
    genesys.change_members(BILLING, add=CROWD[:60])
    genesys.set_options(**caps)
    results = apply(hook, BILLING, CROWD[60:], CROWD[:60])
    assert all(result.ok for result in results.values())
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS, *CROWD[60:]}


def test_a_deleted_group_is_told_for_all_its_changes(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    results = apply(hook, OLD, CROWD[:60], [])
    assert {(result.ok, result.http_code) for result in results.values()} == {(False, 404)}
    assert len(genesys.requests(path="/scim/")) == 2


# -- faults -------------------------------------------------------------------------------------------

HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 500}),
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
    ("foreign_write", {"add": (DORA,)}),
]


@pytest.mark.parametrize(("kind", "values"), HARMLESS, ids=str)
def test_a_passing_fault_at_a_write_changes_nothing_in_the_end(
    genesys: SandboxGenesys, hook: GenesysCloudHook, kind: Any, values: dict[str, Any]
) -> None:
    genesys.add_fault(kind, method="PATCH", path="/scim/", **values)
    results = apply(hook, BILLING, [CLARA], [ANNA])
    assert all(result.ok for result in results.values())
    assert set(genesys.individuals(BILLING)) == {BORIS, CLARA, *values.get("add", ())}
    repeated = kind != "foreign_write"
    assert len(genesys.requests(method="PATCH")) == 1 + repeated
    assert hook.request_counts.retried == repeated


def test_repeating_a_write_whose_answer_was_lost_is_told_as_unknown_where_adding_twice_is_refused(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    genesys.set_options(member_already_there="refuse")
    genesys.add_fault("reset_after", method="PATCH", path="/scim/")
    results = apply(hook, BILLING, [CLARA, DORA], [])
    assert {(result.ok, result.ambiguous) for result in results.values()} == {(False, True)}
    assert set(genesys.individuals(BILLING)) == {ANNA, BORIS, CLARA, DORA}  # a read-back finds it


def test_an_html_page_instead_of_an_answer_is_never_a_success(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    genesys.add_fault("html", method="PATCH", path="/scim/", times=None)
    results: list[WriteResult] = []
    with pytest.raises(UnexpectedAnswer, match="a page"):
        results.extend(ScimPatchWriter(hook).apply(BILLING, [CLARA], [], lambda: None))
    assert [(result.ok, result.ambiguous) for result in results] == [(False, True)]


def test_reads_get_over_passing_faults(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    genesys.faults.clear(seed=7)
    for kind in ("status", "reset_before", "reset_after", "truncated_json", "cut_body", "throttle", "token_revoked"):
        more = {"status": 503} if kind == "status" else {}
        genesys.add_fault(kind, path="/api/v2/", method="GET|POST", **more)
    gateway = GenesysGateway(hook)
    assert gateway.individuals(BILLING) == {ANNA, BORIS}
    assert len(gateway.groups()) >= 4
    assert {user.id for user in gateway.search_users(UserKey.EMAIL, ["anna@example.com"])} == {ANNA}


def test_the_sandboxs_own_rate_limit_is_kept_without_a_429(genesys_factory: GenesysFactory, connect: Connect) -> None:
    clock = FakeClock()  # of both sides
    sandbox = genesys_factory(small_seed(), SandboxOptions(rate_allowed=10, rate_window=1.0), clock)
    hook = connect(sandbox, clock=clock, sleep=clock.sleep)
    for _ in range(25):
        hook.call("GET", "/api/v2/groups", params={"pageSize": 1})
    assert hook.request_counts.throttled == 0
    assert hook.request_counts.retried == 0
    assert sum(clock.slept) >= 1


# -- who may ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_client_is_told(
    genesys: SandboxGenesys, hook: GenesysCloudHook, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    genesys.set_options(bad_client_status=status)
    wrong = {**genesys.connection(), "password": "not-the-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT", json.dumps(wrong))
    with pytest.raises(AuthenticationFailed, match=r"Login .client id. and Password .client secret. of the connection"):
        GenesysGateway(hook).groups()
    assert len(genesys.requests()) == 1


@pytest.mark.parametrize("shape", ["scim", "error_body"])
def test_a_missing_permission_is_named_and_ends_it_at_once(
    genesys: SandboxGenesys, hook: GenesysCloudHook, shape: str
) -> None:
    genesys.set_options(permissions=["directory:user:view"], scim_gateway_errors=shape)
    with pytest.raises(PermissionMissing, match="directory:group:edit"):
        apply(hook, BILLING, CROWD, [])
    assert len(genesys.writes()) == 1
    ok, text = hook.test_connection()
    assert not ok
    assert "directory:group:edit" in text


def test_the_test_button_is_content_with_a_good_client(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    ok, text = hook.test_connection()
    assert ok, text
    assert "groups" in text
    assert genesys.writes() == []


def test_the_token_endpoints_rate_limit_is_waited_for(genesys_factory: GenesysFactory, connect: Connect) -> None:
    clock = FakeClock()  # of both sides
    sandbox = genesys_factory(small_seed(), SandboxOptions(token_requests_per_window=1, rate_window=0.3), clock)
    policy = HttpRetryPolicy(first_wait=0.2, jitter=0)
    for _ in range(2):
        hook = connect(sandbox, retry_policy=policy, clock=clock, sleep=clock.sleep)
        assert hook.call("GET", "/api/v2/groups").status == 200
    assert sum(clock.slept) >= 0.3


def test_the_sandboxs_strictness_about_ids_reaches_the_caller(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    with pytest.raises(BadRequest):
        hook.call("GET", "/api/v2/groups", params={"pageSize": 100_000})


def test_several_threads_write_to_several_groups(genesys: SandboxGenesys, hook: GenesysCloudHook) -> None:
    wanted = {TIER_2: CROWD[:70], RULED: CROWD[30:120], BILLING: CROWD[:50]}
    with ThreadPoolExecutor(3) as pool:
        for results in pool.map(lambda item: apply(hook, item[0], item[1], []), wanted.items()):
            assert all(result.ok for result in results.values())
    for group_id, members in wanted.items():
        assert set(genesys.individuals(group_id)) >= set(members)
    assert len(genesys.requests(path="/oauth/token")) == 1


def test_a_page_in_between_is_got_over_once_the_host_has_proved_to_be_the_right_one(
    genesys: SandboxGenesys, hook: GenesysCloudHook
) -> None:
    genesys.add_fault("html", path="/api/v2/groups", times=1)
    with pytest.raises(UnexpectedAnswer, match="check the host"):
        GenesysGateway(hook).groups()
    assert len(genesys.requests(path="/api/v2/groups")) == 1  # a wrong host is told at once
    assert GenesysGateway(hook).groups()
    genesys.add_fault("html", path="/api/v2/groups", times=2)
    assert GenesysGateway(hook).groups()
