"""The sandbox is as strict as the reference, does what its options say, and fails as it is told to."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions, spawn
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
    gid,
    small_seed,
    uid,
)
from tests.support.genesys_api import PATCH_SCHEMA, Api, add_op, api, ids_of, remove_op, token
from tests.support.stub_genesys import FakeClock

__all__ = ["api"]

NOBODY = uid(999)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- OAuth -----------------------------------------------------------------------------------------------------------


def test_a_token_is_valid_for_a_day_unless_set_otherwise(genesys: SandboxGenesys) -> None:
    body = token(genesys).json()
    assert (body["expires_in"], body["token_type"]) == (86400, "bearer")
    genesys.set_options(token_valid_seconds=600)
    assert token(genesys).json()["expires_in"] == 600


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_secret_is_an_invalid_client(genesys: SandboxGenesys, status: int) -> None:
    genesys.set_options(bad_client_status=status)
    answer = token(genesys, auth=(genesys.client_id, "wrong"))
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "description", "error_description"}
    assert answer.json()["error"] == "invalid_client"
    assert token(genesys, auth=("somebody", genesys.client_secret)).status_code == status
    assert token(genesys, auth=None).status_code == status


def test_a_token_request_is_a_form_of_grant_type_client_credentials(genesys: SandboxGenesys) -> None:
    assert token(genesys, data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    as_json = token(genesys, data=None, json={"grant_type": "client_credentials"})
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")


def test_too_many_token_requests_are_a_400_that_says_so(genesys: SandboxGenesys) -> None:
    genesys.set_options(token_requests_per_window=1)
    assert token(genesys).status_code == 200
    answer = token(genesys)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "rate limit exceeded;" in answer.json()["description"]


def test_a_request_without_token_or_with_a_wrong_one_is_refused(genesys: SandboxGenesys) -> None:
    url = f"{genesys.url}/api/v2/groups"
    bare = requests.get(url, timeout=300)
    assert (bare.status_code, bare.json()["code"]) == (401, "authentication.required")
    wrong = requests.get(url, headers={"Authorization": "Bearer nonsense"}, timeout=300)
    assert (wrong.status_code, wrong.json()["code"]) == (401, "bad.credentials")


def test_tokens_expire_and_can_be_revoked(genesys_factory: GenesysFactory) -> None:
    clock = FakeClock()
    genesys = genesys_factory(clock=clock)
    api = Api(genesys)
    assert api.get("groups").status_code == 200
    genesys.revoke_tokens()
    assert api.get("groups").json()["code"] == "bad.credentials"
    genesys.set_options(token_valid_seconds=60)
    api.login()
    clock.sleep(59)
    assert api.get("groups").status_code == 200
    clock.sleep(1)
    assert api.get("groups").status_code == 401


def test_what_the_client_may_not_do_is_named(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(permissions=[])
    assert api.get("groups").status_code == 200  # reading groups and users needs none
    assert api.get("users").status_code == 200
    added = api.add(TIER_2, [CLARA])
    assert (added.status_code, added.json()["code"]) == (403, "missing.permissions")
    assert "missing the following permission(s): directory:group:edit" in added.json()["message"]
    assert api.delete(BILLING, [ANNA]).status_code == 403
    assert "directory:user:view" in api.search({"type": "MATCH_ALL"}).json()["message"]
    patched = api("PATCH", f"users/{ANNA}", json={"version": 1})
    assert patched.json()["code"] == "missing.any.permissions"
    assert "directory:group:view" in api.get(f"groups/{RULED}/dynamicsettings").json()["message"]
    assert "directory:group:edit" in api.patch(BILLING, add_op(CLARA)).json()["detail"]
    assert api.get("scim/v2/groups", filter="displayname eq Billing").status_code == 403
    assert genesys.individuals(BILLING) == [ANNA, BORIS]
    genesys.set_options(members_need_permission=False)
    assert api.add(TIER_2, [CLARA]).status_code == 202


# -- errors, headers, rate limit -------------------------------------------------------------------------------------


def test_every_answer_has_a_correlation_id_and_errors_repeat_it(api: Api) -> None:
    assert api.get("groups").headers["ININ-Correlation-Id"]
    missing = api.get(f"groups/{gid(77)}")
    body = missing.json()
    assert (missing.status_code, body["status"], body["code"]) == (404, 404, "not.found")
    assert body["contextId"] == missing.headers["ININ-Correlation-Id"]
    assert {"message", "details", "errors", "messageParams"} <= body.keys()
    assert api.get("nothing/here").json()["code"] == "not.found"
    assert api("PUT", f"groups/{BILLING}/individuals").status_code == 405


def test_the_budget_is_per_token_and_told_in_the_headers(genesys_factory: GenesysFactory) -> None:
    genesys = genesys_factory(clock=FakeClock())
    api = Api(genesys)
    genesys.set_options(rate_allowed=2, rate_window=30)
    first = api.get("groups")
    assert first.headers["inin-ratelimit-count"] == "1"
    assert first.headers["inin-ratelimit-allowed"] == "2"
    assert first.headers["inin-ratelimit-reset"] == "30"  # seconds to go, not a time
    assert api.get("groups").headers["inin-ratelimit-count"] == "2"
    refused = api.get("groups")
    assert refused.status_code == 429
    seconds = refused.headers["Retry-After"]
    body = refused.json()
    assert body["code"] == "too.many.requests.retry.after"
    assert body["message"] == f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"
    assert body.keys() >= {"message", "code", "status", "contextId", "details", "errors"}
    assert "inin-ratelimit-count" not in refused.headers
    api.login()
    assert api.get("groups").status_code == 200


def test_the_budget_is_whole_again_after_its_window(genesys_factory: GenesysFactory) -> None:
    clock = FakeClock()
    genesys = genesys_factory(clock=clock)
    api = Api(genesys)
    genesys.set_options(rate_allowed=1, rate_window=30)
    assert [api.get("groups").status_code for _ in range(2)] == [200, 429]
    clock.sleep(29)
    assert api.get("groups").status_code == 429
    clock.sleep(1)
    assert api.get("groups").status_code == 200


def test_the_rate_limit_can_be_off_and_scim_can_have_its_own(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(rate_allowed=None, family_rate_allowed={"/api/v2/scim/": 1})
    assert "inin-ratelimit-count" not in api.get("groups").headers
    assert [api.get(f"scim/v2/groups/{BILLING}").status_code for _ in range(2)] == [200, 429]
    assert api.get("groups").status_code == 200


def test_the_headers_of_scim_can_speak_of_its_own_limit(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(rate_allowed=300, family_rate_allowed={"/api/v2/scim/": 60}, family_rate_headers=True)
    assert api.get("groups").headers["inin-ratelimit-allowed"] == "300"
    headers = api.get(f"scim/v2/groups/{BILLING}").headers
    assert (headers["inin-ratelimit-allowed"], headers["inin-ratelimit-count"]) == ("60", "1")


def test_an_address_that_is_not_allowed_gets_no_token(genesys: SandboxGenesys) -> None:
    genesys.set_options(address_is_allowed=False)
    answer = token(genesys)
    assert answer.status_code == 403
    assert answer.json()["error"] == "access_denied"
    assert answer.json()["error_description"] == "IP address is not allowed"


# -- groups ----------------------------------------------------------------------------------------------------------


def test_a_private_group_is_not_listed_and_may_be_counted_all_the_same(api: Api, genesys: SandboxGenesys) -> None:
    listed = ids_of(api.get("groups"))
    genesys.set_options(private_groups=[TIER_2])
    hidden = api.get("groups")
    assert ids_of(hidden) == [group for group in listed if group != TIER_2]
    assert hidden.json()["total"] == len(listed) - 1
    genesys.set_options(totals_count_hidden=True)
    assert api.get("groups").json()["total"] == len(listed)


def test_a_forbidden_group_can_be_read_and_not_written(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(forbidden_groups=[TIER_2])
    adding = {"op": "add", "path": "members", "value": [{"value": ANNA}]}
    assert api.patch(TIER_2, adding).status_code == 403
    assert api.add(TIER_2, [ANNA]).status_code == 403
    assert api.delete(BILLING, [ANNA]).status_code == 202
    assert api.get(f"groups/{TIER_2}/individuals").status_code == 200


def test_groups_are_listed_in_pages_of_25_with_an_envelope(genesys_factory: GenesysFactory) -> None:
    groups = [{"id": gid(n), "name": f"G {n:03d}"} for n in range(60)]
    api = Api(genesys_factory({"groups": groups}))
    body = api.get("groups").json()
    assert [group["id"] for group in body["entities"]] == [gid(n) for n in range(25)]
    assert (body["pageSize"], body["pageNumber"], body["total"], body["pageCount"]) == (25, 1, 60, 3)
    assert {"firstUri", "selfUri", "nextUri", "lastUri"} <= body.keys()
    assert "previousUri" not in body
    seen = [*ids_of(api.get("groups"))]
    while "nextUri" in body:
        body = api("GET", body["nextUri"]).json()
        seen += [group["id"] for group in body["entities"]]
    assert seen == [gid(n) for n in range(60)]
    assert body["pageNumber"] == 3
    assert ids_of(api.get("groups", pageNumber=4)) == []
    assert ids_of(api.get("groups", sortOrder="descending", pageSize=1)) == [gid(59)]


@pytest.mark.parametrize("path", ["groups", "users", f"groups/{BILLING}/members"])
def test_page_parameters_out_of_bounds_are_a_400(api: Api, path: str) -> None:
    assert api.get(path, pageSize=500).status_code == 200
    for params in ({"pageSize": 501}, {"pageSize": 0}, {"pageNumber": 0}, {"pageSize": "x"}, {"sortOrder": "up"}):
        answer = api.get(path, **params)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid.value"), params


def test_a_group_has_a_version_but_neither_members_nor_an_external_id(api: Api) -> None:
    group = api.get(f"groups/{BILLING}").json()
    assert (group["name"], group["version"], group["memberCount"]) == ("Billing", 1, 3)
    assert not {"externalId", "members", "individuals", "dynamic"} & group.keys()


def test_groups_can_be_chosen_by_id_and_deleted_ones_are_gone(api: Api) -> None:
    answer = api("GET", "groups", params=[("id", BILLING), ("id", TIER_2), ("id", OLD)])
    assert ids_of(answer) == [BILLING, TIER_2]
    assert api.get(f"groups/{OLD}").status_code == 404
    assert api.get(f"groups/{OLD}/individuals").status_code == 404


def test_individuals_are_only_individuals_and_come_all_at_once(api: Api, genesys: SandboxGenesys) -> None:
    body = api.get(f"groups/{BILLING}/individuals").json()
    assert [user["id"] for user in body["entities"]] == [ANNA, BORIS]  # not the owner
    assert (body["total"], body["pageCount"]) == (2, 1)
    assert ids_of(api.get(f"groups/{RULED}/individuals")) == [ANNA, EMIL]  # not those by rule
    assert ids_of(api.get(f"groups/{TIER_2}/individuals")) == []
    assert api.get(f"groups/{BILLING}/individuals", pageSize=500).status_code == 400
    genesys.set_options(individuals_paging="ignore", individuals_states=["active"], individuals_limit=1)
    assert ids_of(api.get(f"groups/{RULED}/individuals", pageSize=500)) == [ANNA]
    short = api.get(f"groups/{BILLING}/individuals").json()
    assert (len(short["entities"]), short["total"]) == (1, 2)


def test_members_are_individuals_owners_and_people_by_rule(api: Api) -> None:
    assert set(ids_of(api.get(f"groups/{BILLING}/members"))) == {ANNA, BORIS, DORA}
    assert set(ids_of(api.get(f"groups/{RULED}/members"))) == {ANNA, BORIS, CLARA, EMIL}
    page = api.get(f"groups/{RULED}/members", pageSize=3, pageNumber=2).json()
    assert (len(page["entities"]), page["total"], page["pageCount"]) == (1, 4, 2)


def test_an_add_is_answered_202_with_an_empty_object_and_moves_the_version(api: Api, genesys: SandboxGenesys) -> None:
    answer = api.add(TIER_2, [CLARA, DORA], version=1)
    assert (answer.status_code, answer.json()) == (202, {})
    assert genesys.individuals(TIER_2) == [CLARA, DORA]
    assert api.version(TIER_2) == 2
    assert api.add(TIER_2, [CLARA], version=2).status_code == 202  # nothing new: nothing changes
    assert api.version(TIER_2) == 2


def test_an_add_needs_ids_and_version(api: Api, genesys: SandboxGenesys) -> None:
    path = f"groups/{TIER_2}/members"
    for body in (
        {"memberIds": [CLARA]},
        {"version": 1},
        {"memberIds": [], "version": 1},
        {"memberIds": CLARA, "version": 1},
        {"memberIds": [CLARA], "version": "one"},
        [CLARA],
    ):
        assert api("POST", path, json=body).status_code == 400, body
    assert api("POST", path, data="{", headers={"Content-Type": "application/json"}).status_code == 400
    assert api("POST", path, data=json.dumps({"memberIds": [CLARA], "version": 1})).status_code == 415
    assert genesys.individuals(TIER_2) == []
    assert api("POST", path, json={"memberIds": [CLARA], "version": "1"}).status_code == 202  # samples show texts, too


def test_an_add_with_an_old_version_is_a_conflict(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_members(BILLING, add=[CLARA])
    answer = api.add(BILLING, [DORA], version=1)
    assert (answer.status_code, answer.json()["code"]) == (409, "general.conflict")
    assert "does not match the current version" in answer.json()["message"]
    genesys.set_options(conflict="400")
    answer = api.add(BILLING, [DORA], version=1)
    assert answer.status_code == 400
    assert "does not match the current version" in answer.json()["message"]
    assert genesys.individuals(BILLING) == [ANNA, BORIS, CLARA]


def test_fifty_members_a_request_and_no_more(api: Api, genesys: SandboxGenesys) -> None:
    people = [uid(n) for n in range(100, 151)]
    assert api.add(TIER_2, people).status_code == 400
    assert api.add(TIER_2, people[:50]).status_code == 202
    assert api.delete(TIER_2, people).status_code == 400
    assert len(genesys.individuals(TIER_2)) == 50
    answer = api.delete(TIER_2, people[:50])
    assert (answer.status_code, answer.json()) == (202, {})
    assert genesys.individuals(TIER_2) == []


def test_a_delete_needs_ids_but_no_version(api: Api, genesys: SandboxGenesys) -> None:
    assert api("DELETE", f"groups/{BILLING}/members").status_code == 400
    assert api.delete(BILLING, [ANNA, CLARA]).status_code == 202
    assert genesys.individuals(BILLING) == [BORIS]
    assert api.version(BILLING) == 2
    assert api.delete(gid(77), [ANNA]).status_code == 404


def test_who_cannot_be_a_member_is_refused_ignored_or_accepted(api: Api, genesys: SandboxGenesys) -> None:
    assert api.add(TIER_2, [CLARA, NOBODY]).status_code == 400
    assert api.add(TIER_2, [CLARA, FRIEDA]).status_code == 400
    assert genesys.individuals(TIER_2) == []  # all or nothing
    assert api.add(TIER_2, [EMIL]).status_code == 202  # inactive
    genesys.set_options(refuse_member_status=404, inactive_member="refuse")
    assert api.add(TIER_2, [NOBODY]).status_code == 404
    genesys.set_options(unknown_member="ignore")
    assert api.add(TIER_2, [CLARA, NOBODY]).status_code == 202
    assert genesys.individuals(TIER_2) == [EMIL, CLARA]
    genesys.set_options(unknown_member="accept")
    assert api.add(TIER_2, [NOBODY]).status_code == 202
    assert ids_of(api.get(f"groups/{TIER_2}/individuals")) == [EMIL, CLARA, NOBODY]


def test_idempotence_version_steps_and_dynamic_groups_are_options(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(version_step=3, version_bump="per_member")
    api.add(TIER_2, [CLARA, DORA])
    assert api.version(TIER_2) == 1 + 2 * 3
    genesys.set_options(unchanged_bumps_version=True, version_bump="per_request", version_step=1)
    api.add(TIER_2, [CLARA])
    assert api.version(TIER_2) == 8
    genesys.set_options(member_already_there="refuse", member_not_there="refuse")
    assert api.add(TIER_2, [CLARA]).status_code == 400
    assert api.delete(TIER_2, [ANNA]).status_code == 400
    assert api.get(f"groups/{RULED}/dynamicsettings").status_code == 200
    assert api.get(f"groups/{BILLING}/dynamicsettings").status_code == 404
    assert api.add(RULED, [DORA]).status_code == 202
    genesys.set_options(dynamic_group_writes="refuse")
    assert api.delete(RULED, [DORA]).status_code == 400


def test_a_user_is_in_a_hundred_groups_of_a_type_at_most(genesys_factory: GenesysFactory) -> None:
    seed = small_seed()
    seed["groups"] += [{"id": gid(n), "name": f"G{n}", "individuals": [CLARA]} for n in range(100, 200)]
    api = Api(genesys_factory(seed))
    assert api.add(TIER_2, [CLARA]).status_code == 400
    assert api.add(TIER_2, [DORA]).status_code == 202


def test_groups_are_searched_by_name(api: Api) -> None:
    query = [{"type": "EXACT", "fields": ["name"], "value": "Tier 2"}]
    body = api("POST", "groups/search", json={"query": query}).json()
    assert [group["id"] for group in body["results"]] == [TIER_2]
    assert (body["total"], body["types"]) == (1, ["groups"])


# -- users -----------------------------------------------------------------------------------------------------------


def test_users_are_listed_by_state_active_by_default(api: Api) -> None:
    assert api.get("users").json()["total"] == 124
    assert ids_of(api.get("users", state="inactive")) == [EMIL]
    assert ids_of(api.get("users", state="deleted")) == [FRIEDA]
    assert api.get("users", state="any").json()["total"] == 126
    assert api.get("users", state="asleep").status_code == 400
    user = ids_and_bodies(api.get("users"))[ANNA]
    assert (user["name"], user["email"], user["version"]) == ("Anna Ölmüller", "anna@example.com", 1)
    assert not {"externalIds", "external_ids", "groups"} & user.keys()


def ids_and_bodies(answer: requests.Response) -> dict[str, dict[str, Any]]:
    return {item["id"]: item for item in answer.json()["entities"]}


def test_inactive_users_beyond_the_cap_are_a_400(api: Api, genesys: SandboxGenesys) -> None:
    assert api.get("users", state="inactive", pageSize=500, pageNumber=20).status_code == 200
    assert api.get("users", state="inactive", pageSize=500, pageNumber=21).status_code == 400
    assert api.get("users", state="active", pageSize=500, pageNumber=21).status_code == 200
    genesys.set_options(inactive_users_cap=None)
    assert api.get("users", state="inactive", pageSize=500, pageNumber=21).status_code == 200


def test_a_hundred_users_by_id_at_a_time(api: Api) -> None:
    people = [("id", uid(n)) for n in range(100, 201)]
    assert api("GET", "users", params=[*people[:100], ("pageSize", "100")]).json()["total"] == 100
    assert api("GET", "users", params=people).json()["code"] == "max.user.ids"


def test_expand_groups_is_best_effort(api: Api, genesys: SandboxGenesys) -> None:
    assert [g["id"] for g in api.get(f"users/{ANNA}", expand="groups").json()["groups"]] == [BILLING, RULED]
    assert "groups" not in api.get(f"users/{ANNA}").json()
    genesys.set_options(expand_groups_includes_rules=True)
    assert [g["id"] for g in api.get(f"users/{BORIS}", expand="groups").json()["groups"]] == [BILLING, RULED]
    genesys.set_options(expand_groups="sometimes")
    has_groups = ["groups" in user for user in api.get("users", expand="groups", pageSize=500).json()["entities"]]
    assert 0 < sum(has_groups) < len(has_groups)
    genesys.set_options(expand_groups="never")
    assert "groups" not in api.get(f"users/{ANNA}", expand="groups").json()


def test_a_deleted_user_is_found_only_when_asked_for(api: Api) -> None:
    assert api.get(f"users/{FRIEDA}").status_code == 404
    assert api.get(f"users/{FRIEDA}", state="deleted").json()["state"] == "deleted"
    assert api.get(f"users/{EMIL}").json()["state"] == "inactive"


def test_the_tutorials_patch_with_ids_and_no_version_is_refused(api: Api) -> None:
    path = f"users/{ANNA}"
    assert api("PATCH", path, json={"groups": [TIER_2]}).status_code == 400
    assert api("PATCH", path, json={"groups": [TIER_2], "version": 1}).status_code == 400
    assert api("PATCH", path, json={"groups": [{"id": TIER_2}]}).status_code == 400
    conflict = api("PATCH", path, json={"groups": [{"id": TIER_2}], "version": 9})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "general.conflict")


def test_groups_in_a_user_patch_are_ignored_rejected_or_honoured_as_a_whole(api: Api, genesys: SandboxGenesys) -> None:
    path = f"users/{ANNA}"
    answer = api("PATCH", path, json={"groups": [{"id": TIER_2}], "version": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert genesys.individuals(BILLING) == [ANNA, BORIS]
    genesys.set_options(user_patch_groups="rejected")
    assert api("PATCH", path, json={"groups": [{"id": TIER_2}], "version": 2}).status_code == 400
    genesys.set_options(user_patch_groups="honoured")
    assert api("PATCH", path, json={"groups": [{"id": TIER_2}, {"id": RULED}], "version": 2}).status_code == 200
    assert (genesys.individuals(BILLING), genesys.individuals(TIER_2)) == ([BORIS], [ANNA])
    assert api.version(BILLING) == 2
    assert api.version(RULED) == 1
    assert api("PATCH", path, json={"groups": [], "version": 3}).status_code == 200
    assert genesys.individuals(RULED) == [EMIL]


def test_state_is_the_only_thing_a_user_patch_changes_if_it_is_there(api: Api) -> None:
    body = api("PATCH", f"users/{ANNA}", json={"state": "inactive", "name": "Other", "version": 1}).json()
    assert (body["state"], body["name"], body["version"]) == ("inactive", "Anna Ölmüller", 2)
    body = api("PATCH", f"users/{BORIS}", json={"name": "Other", "username": "x", "version": 1}).json()
    assert (body["name"], body["username"]) == ("Other", "Boris@Example.com")


def test_users_are_searched_by_lists_of_exact_values_whatever_their_case(api: Api) -> None:
    emails = {"type": "EXACT", "fields": ["email"], "values": ["ANNA@example.com", "boris@example.com", "x@y.z"]}
    assert set(ids_of(api.search(emails))) == {ANNA, BORIS}
    assert ids_of(api.search({"type": "EXACT", "fields": ["username"], "value": "clara@example.com"})) == [CLARA]
    assert ids_of(api.search({"type": "EXACT", "fields": ["id"], "values": [DORA]})) == [DORA]
    assert ids_of(api.search({"type": "EXACT", "fields": ["email", "name"], "value": "dora dahl"})) == [DORA]
    assert ids_of(api.search({"type": "EXACT", "fields": ["email"], "value": "anna@example.co"})) == []
    assert len(ids_of(api.search({"type": "STARTS_WITH", "fields": ["name"], "value": "user"}))) == 25


def test_search_shows_active_users_unless_a_criterion_names_the_state(api: Api, genesys: SandboxGenesys) -> None:
    everyone = {
        "type": "EXACT",
        "fields": ["email"],
        "values": [f"{n}@example.com" for n in ("anna", "emil", "frieda")],
    }
    assert ids_of(api.search(everyone)) == [ANNA]
    states = {"type": "EXACT", "fields": ["state"], "values": ["active", "inactive", "deleted"]}
    assert ids_of(api.search(everyone, states)) == [ANNA, EMIL, FRIEDA]
    deleted = {"type": "EXACT", "fields": ["state"], "values": ["deleted"]}
    assert ids_of(api.search(everyone, deleted)) == [FRIEDA]
    assert ids_of(api.search(everyone, {**states, "operator": "AND"}, {**deleted, "operator": "NOT"})) == [ANNA, EMIL]
    either = {"type": "EXACT", "fields": ["name"], "value": "Clara Cole", "operator": "OR"}
    assert ids_of(api.search({**everyone, "operator": "OR"}, either)) == [ANNA, CLARA]
    genesys.set_options(search_default_states=["active", "inactive"])
    assert ids_of(api.search(everyone)) == [ANNA, EMIL]


def test_search_pages_and_can_be_replayed_by_q64(api: Api) -> None:
    criterion = {"type": "STARTS_WITH", "fields": ["email"], "value": "user"}
    body = api.search(criterion, pageSize=50).json()
    assert (body["total"], body["pageCount"], body["pageSize"], body["pageNumber"]) == (120, 3, 50, 1)
    assert "entities" not in body
    seen = [user["id"] for user in body["results"]]
    while "nextPage" in body:
        body = api.get("users/search", q64=body["nextPage"]).json()
        seen += [user["id"] for user in body["results"]]
    assert seen == [uid(n) for n in range(100, 220)]
    assert api.get("users/search", q64="nonsense").status_code == 400


def test_searches_that_are_none_are_a_400(api: Api, genesys: SandboxGenesys) -> None:
    good = {"type": "EXACT", "fields": ["email"], "value": "x@y.z"}
    wrong: list[dict[str, Any]] = [
        {"type": "SAME"},
        {"type": None},
        {"fields": []},
        {"fields": ["shoeSize"]},
        {"value": None},
    ]
    for change in wrong:
        assert api.search({**good, **change}).status_code == 400, change
    assert api.search({**good, "operator": "XOR"}).status_code == 400
    assert api.search(good, pageSize=101).status_code == 400
    assert api.search(good, sortOrder="UP").status_code == 400
    values = [f"{n}@example.com" for n in range(51)]
    assert api.search({**good, "value": None, "values": values}).status_code == 400
    assert api.search({**good, "value": None, "values": values[:50]}).status_code == 200
    genesys.set_options(search_max_values=None, search_max_page_size=None)
    assert api.search({**good, "value": None, "values": values}, pageSize=500).status_code == 200


def test_exact_may_find_others_or_only_the_same_case(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_user(DORA, email="anna@example.org")
    criterion = {"type": "EXACT", "fields": ["email"], "value": "anna@example.com"}
    assert ids_of(api.search(criterion)) == [ANNA]
    genesys.set_options(search_exact="analysed")
    assert ids_of(api.search(criterion)) == [ANNA, DORA]
    genesys.set_options(search_exact="match_case")
    assert ids_of(api.search({**criterion, "value": "ANNA@example.com"})) == []


def test_external_ids_are_case_sensitive_and_one_user_a_call(api: Api, genesys: SandboxGenesys) -> None:
    assert api.get("users/externalid/HR/4711").json()["id"] == ANNA
    assert api.get("users/externalid/hr/4711").status_code == 404
    assert api.get("users/externalid/HR/4712").status_code == 404
    genesys.change_user(BORIS, external_ids=[{"authority": "HR", "key": "a b/ä"}])
    assert api.get("users/externalid/HR/a%20b%2F%C3%A4").json()["id"] == BORIS


# -- SCIM ------------------------------------------------------------------------------------------------------------


def test_scim_groups_are_found_by_name_or_id_and_nothing_else(api: Api, genesys: SandboxGenesys) -> None:
    def found(text: str) -> list[str]:
        answer = api.get("scim/v2/groups", filter=text)
        assert answer.status_code == 200, answer.text
        return [group["id"] for group in answer.json()["Resources"]]

    assert found("displayname eq Billing") == found('displayName eq "billing"') == [BILLING]
    assert found("displayName eq Tier 2") == [TIER_2]
    assert found(f'id eq "{BILLING}"') == found(f"id eq {BILLING}") == [BILLING]
    assert found("displayName eq nothing") == []
    for text in (None, "displayName sw B", "externalId eq ERP-4711", "displayName eq A or displayName eq B and"):
        answer = api.get("scim/v2/groups", **({} if text is None else {"filter": text}))
        if text is None or "eq A" not in text:
            assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidFilter"), text
    genesys.set_options(scim_filter_required=False, scim_filter_external_id=True)
    assert found('externalId eq "ERP-4711"') == [BILLING]
    body = api.get("scim/v2/groups", count=2, startIndex=2).json()
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (4, 2, 2)
    assert api.get("scim/v2/groups", count=0).json()["Resources"] == []
    genesys.set_options(scim_large_pages="refuse")
    assert api.get("scim/v2/groups", count=50).status_code == 429
    assert api.get("scim/v2/groups", count=50, attributes="displayName").status_code == 200


def test_a_scim_group_has_members_external_id_and_etag(api: Api, genesys: SandboxGenesys) -> None:
    answer = api.get(f"scim/v2/groups/{BILLING}")
    assert answer.headers["Content-Type"] == "application/scim+json"
    body = answer.json()
    assert (body["displayName"], body["externalId"]) == ("Billing", "ERP-4711")
    assert [member["value"] for member in body["members"]] == [ANNA, BORIS]
    assert answer.headers["ETag"] == f'"{body["meta"]["version"]}"'
    again = api("GET", f"scim/v2/groups/{BILLING}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert "members" not in api.get(f"scim/v2/groups/{BILLING}", excludedAttributes="members").json()
    assert api.get(f"scim/v2/groups/{BILLING}", attributes="externalId").json().keys() == {
        "id",
        "schemas",
        "externalId",
        "meta",
    }
    genesys.set_options(scim_members="all")
    assert len(api.get(f"scim/groups/{BILLING}").json()["members"]) == 3  # the twin path


def test_a_scim_patch_adds_and_removes_in_one_request(api: Api, genesys: SandboxGenesys) -> None:
    answer = api.patch(BILLING, add_op(CLARA, DORA), {**remove_op(ANNA), "op": "Remove"}, remove_op(EMIL))
    assert answer.status_code == 200
    assert [member["value"] for member in answer.json()["members"]] == [BORIS, CLARA, DORA]
    assert genesys.individuals(BILLING) == [BORIS, CLARA, DORA]
    assert (api.version(BILLING), answer.headers["ETag"]) == (2, '"2"')
    assert api.patch(BILLING, add_op(CLARA), remove_op(ANNA)).status_code == 200  # again: nothing changes
    assert api.version(BILLING) == 2


def test_a_scim_patch_may_be_sent_as_either_media_type_and_to_the_twin(api: Api, genesys: SandboxGenesys) -> None:
    body = json.dumps({"schemas": [PATCH_SCHEMA], "Operations": [add_op(CLARA)]})
    for path in (f"scim/v2/groups/{TIER_2}", f"scim/groups/{TIER_2}"):
        for media in ("application/scim+json", "application/json; charset=utf-8"):
            assert api("PATCH", path, data=body, headers={"Content-Type": media}).status_code == 200
    refused = api("PATCH", f"scim/v2/groups/{TIER_2}", data=body, headers={"Content-Type": "text/plain"})
    assert refused.status_code == 415
    assert genesys.individuals(TIER_2) == [CLARA]


def test_a_bare_remove_empties_the_group_unless_told_otherwise(api: Api, genesys: SandboxGenesys) -> None:
    bare = {"op": "remove", "path": "members", "value": [{"value": ANNA}]}
    genesys.set_options(scim_bare_remove="refuse")
    assert api.patch(BILLING, bare).json()["scimType"] == "invalidPath"
    genesys.set_options(scim_bare_remove="honour_values")
    assert api.patch(BILLING, bare).status_code == 200
    assert genesys.individuals(BILLING) == [BORIS]
    genesys.set_options(scim_bare_remove="empty")
    genesys.change_members(BILLING, add=[ANNA, CLARA])
    assert api.patch(BILLING, bare).status_code == 200
    assert genesys.individuals(BILLING) == []


def test_a_scim_replace_sets_the_whole_membership(api: Api, genesys: SandboxGenesys) -> None:
    assert api.patch(BILLING, {**add_op(BORIS, CLARA), "op": "replace"}).status_code == 200
    assert genesys.individuals(BILLING) == [BORIS, CLARA]
    assert api.patch(BILLING, {"op": "add", "value": {"members": [{"value": DORA}]}}).status_code == 200
    assert genesys.individuals(BILLING) == [BORIS, CLARA, DORA]
    assert api.patch(BILLING, {"op": "replace", "path": "externalId", "value": "NEW"}).json()["externalId"] == "NEW"


def test_a_stale_if_match_is_a_400_invalid_vers_and_changes_nothing(api: Api, genesys: SandboxGenesys) -> None:
    tag = api.get(f"scim/v2/groups/{BILLING}").headers["ETag"]
    genesys.change_members(BILLING, add=[DORA])
    answer = api.patch(BILLING, add_op(CLARA), **{"If-Match": tag})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidVers")
    assert CLARA not in genesys.individuals(BILLING)
    fresh = api.get(f"scim/v2/groups/{BILLING}").headers["ETag"]
    assert api.patch(BILLING, add_op(CLARA), **{"If-Match": fresh}).status_code == 200


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "move", "path": "members"}, "invalidSyntax"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "add", "path": "members", "value": [ANNA]}, "invalidValue"),
        ({"op": "add", "path": "members", "value": [{"value": BILLING, "type": "Group"}]}, "invalidValue"),
        ({"op": "add", "path": "shoes", "value": []}, "invalidPath"),
        ({"op": "add", "path": f'members[value eq "{CLARA}"]'}, "invalidPath"),
        ({"op": "replace", "path": "displayName", "value": "X"}, "mutability"),
        (add_op(NOBODY), "invalidValue"),
    ],
)
def test_a_scim_patch_that_is_wrong_is_refused_as_a_whole(
    api: Api, genesys: SandboxGenesys, operation: dict[str, Any], scim_type: str
) -> None:
    answer = api.patch(BILLING, add_op(CLARA), operation)
    body = answer.json()
    assert (answer.status_code, body["status"], body["scimType"]) == (400, "400", scim_type)
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["detail"]
    assert answer.headers["ININ-Correlation-Id"]
    assert genesys.individuals(BILLING) == [ANNA, BORIS]


def test_a_scim_patch_needs_schema_and_operations(api: Api) -> None:
    path = f"scim/v2/groups/{BILLING}"
    assert api("PATCH", path, json={"Operations": [add_op(CLARA)]}).json()["scimType"] == "invalidSyntax"
    assert api("PATCH", path, json={"schemas": [PATCH_SCHEMA], "Operations": []}).status_code == 400
    assert api.patch(gid(77), add_op(CLARA)).status_code == 404


def test_scim_caps_and_unknown_members_are_options(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(scim_max_operations=1)
    assert api.patch(BILLING, add_op(CLARA), add_op(DORA)).json()["scimType"] == "tooMany"
    genesys.set_options(scim_max_operations=None, scim_max_member_values=2)
    assert api.patch(BILLING, add_op(CLARA, DORA), remove_op(ANNA)).json()["scimType"] == "tooMany"
    assert api.patch(BILLING, add_op(CLARA), remove_op(ANNA)).status_code == 200
    assert api.patch(BILLING, add_op(EMIL)).status_code == 200  # inactive
    genesys.set_options(refuse_member_status=404)
    assert api.patch(BILLING, add_op(NOBODY)).status_code == 404
    genesys.set_options(unknown_member="ignore")
    assert api.patch(BILLING, add_op(NOBODY)).status_code == 200
    assert NOBODY not in genesys.individuals(BILLING)


def test_the_shape_of_scims_gateway_errors_is_an_option(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(permissions=[])
    assert api.get(f"scim/v2/groups/{BILLING}").json()["detail"]
    genesys.set_options(scim_gateway_errors="error_body")
    assert api.get(f"scim/v2/groups/{BILLING}").json()["code"] == "missing.permissions"


def test_the_service_provider_config_can_be_cached(api: Api) -> None:
    answer = api.get("scim/v2/serviceproviderconfig")
    assert answer.json()["patch"] == {"supported": True}
    cached = api("GET", "scim/v2/serviceproviderconfig", headers={"If-None-Match": answer.headers["ETag"]})
    assert cached.status_code == 304


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_429_can_come_with_and_without_retry_after(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("throttle", path="/groups", retry_after=7)
    genesys.add_fault("throttle", path="/groups")
    first, second, third = (api.get("groups") for _ in range(3))
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert "[7] seconds" in first.json()["message"]
    assert (second.status_code, "Retry-After" in second.headers) == (429, False)
    assert third.status_code == 200


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
def test_any_status_can_be_answered_without_processing_or_after_it(
    api: Api, genesys: SandboxGenesys, status: int
) -> None:
    genesys.add_fault("status", method="POST", path="/members", status=status, retry_after=3)
    answer = api.add(TIER_2, [CLARA])
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["Retry-After"] == "3"
    assert genesys.individuals(TIER_2) == []
    genesys.add_fault("status", method="POST", path="/members", status=status, processed=True)
    assert api.add(TIER_2, [CLARA]).status_code == status
    assert genesys.individuals(TIER_2) == [CLARA]


def test_a_connection_can_be_reset_before_and_after_processing(api: Api, genesys: SandboxGenesys) -> None:
    for kind, expected in (("reset_before", []), ("reset_after", [CLARA])):
        version = api.version(TIER_2)
        genesys.add_fault(kind, method="POST", path="/members")  # type: ignore[arg-type]  # both are kinds
        with pytest.raises(requests.ConnectionError):
            api.add(TIER_2, [CLARA], version)
        assert genesys.individuals(TIER_2) == expected
        assert genesys.requests("POST", "/members")[-1]["status"] == 0
    assert api.get("groups").status_code == 200


def test_a_slow_answer_may_come_after_the_request_was_processed(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("slow", method="DELETE", seconds=3600)
    with pytest.raises(requests.ReadTimeout):
        api.session.delete(f"{genesys.url}/api/v2/groups/{BILLING}/members", params={"ids": ANNA}, timeout=(60, 0.15))
    until(lambda: genesys.individuals(BILLING) == [BORIS])
    assert genesys.requests("DELETE")[-1]["status"] is None  # not answered yet
    genesys.add_fault("slow", path="/groups", seconds=0.1, when="before")
    started = time.monotonic()
    assert api.get("groups").status_code == 200
    assert time.monotonic() - started >= 0.1


def test_a_silence_ends_when_the_faults_are_cleared(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("slow", method="DELETE", seconds=3600)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(api.delete, BILLING, [ANNA])
        until(lambda: genesys.individuals(BILLING) == [BORIS])
        assert genesys.requests("DELETE")[-1]["status"] is None
        genesys.clear_faults()
        assert answer.result(timeout=300).ok


def test_a_connection_can_be_silent_before_it_is_reset(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("slow", method="DELETE", seconds=0.2)
    genesys.add_fault("reset_after", method="DELETE")
    started = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        api.delete(BILLING, [ANNA])
    assert time.monotonic() - started >= 0.2
    assert genesys.individuals(BILLING) == [BORIS]


def test_html_and_broken_json_come_with_a_200(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("html", path="/groups")
    page = api.get("groups")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    genesys.add_fault("truncated_json", path="/groups")
    broken = api.get("groups")
    assert broken.status_code == 200
    with pytest.raises(ValueError):
        broken.json()
    genesys.add_fault("cut_body", path="/groups")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api.get("groups")


def test_a_token_can_be_lost_for_good_or_refused_once(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("unauthorized", path="/groups")
    assert [api.get("groups").status_code for _ in range(2)] == [401, 200]
    genesys.add_fault("token_revoked", path="/groups")
    assert [api.get("groups").status_code for _ in range(2)] == [401, 401]
    api.login()
    assert api.get("groups").status_code == 200


def test_reads_can_be_stale(api: Api, genesys: SandboxGenesys) -> None:
    api.add(BILLING, [CLARA])
    api.delete(BILLING, [ANNA])
    genesys.add_fault("stale", method="GET", times=None, seconds=86400)
    assert set(ids_of(api.get(f"groups/{BILLING}/individuals"))) == {ANNA, BORIS}
    assert CLARA not in ids_of(api.get(f"groups/{BILLING}/members"))
    assert api.get(f"groups/{BILLING}").json()["version"] == 1
    scim = api.get(f"scim/v2/groups/{BILLING}").json()
    assert {member["value"] for member in scim["members"]} == {ANNA, BORIS}
    genesys.clear_faults()
    assert ids_of(api.get(f"groups/{BILLING}/individuals")) == [BORIS, CLARA]


def test_a_page_can_be_short(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("short_page", path="/users", drop=2, times=1)
    body = api.get("users", pageSize=25).json()
    assert (len(body["entities"]), body["total"], body["pageSize"]) == (23, 124, 25)


def test_somebody_else_can_write_in_between(api: Api, genesys: SandboxGenesys) -> None:
    version = api.version(BILLING)
    genesys.add_fault("foreign_write", method="POST", path="/members", add=[DORA])
    assert api.add(BILLING, [CLARA], version).status_code == 409
    assert genesys.individuals(BILLING) == [ANNA, BORIS, DORA]
    version = api.version(BILLING)
    genesys.add_fault("foreign_write", method="POST", path="/members")
    assert api.add(BILLING, [CLARA], version).status_code == 409


def test_a_write_can_be_lost_or_half_done_behind_a_success(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("lost_write", method="POST|PATCH", times=2)
    assert api.add(TIER_2, [CLARA]).status_code == 202
    assert api.patch(TIER_2, add_op(CLARA)).status_code == 200
    assert genesys.individuals(TIER_2) == []
    genesys.add_fault("partial_write", method="POST")
    assert api.add(TIER_2, [CLARA, DORA]).status_code == 202
    assert genesys.individuals(TIER_2) == [CLARA]


def test_faults_can_skip_and_be_drawn_by_a_seed(api: Api, genesys: SandboxGenesys) -> None:
    genesys.add_fault("status", path="/groups", status=503, skip=1)
    assert [api.get("groups").status_code for _ in range(3)] == [200, 503, 200]

    def drawn() -> list[int]:
        genesys.clear_faults(seed=4)
        genesys.add_fault("status", path="/groups", status=503, times=None, probability=0.5)
        return [api.get("groups").status_code for _ in range(12)]

    first = drawn()
    assert set(first) == {200, 503}
    assert drawn() == first


def test_a_wrong_fault_or_option_is_refused(genesys: SandboxGenesys) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        genesys.add_fault("flood")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match="no such option"):
        genesys.set_options(colour="red")
    with pytest.raises(ValueError, match="no such id"):
        genesys.individuals(gid(77))


# -- the sandbox itself ----------------------------------------------------------------------------------------------


def test_the_log_tells_what_came_in_without_secrets(api: Api, genesys: SandboxGenesys) -> None:
    began = time.time()
    api.add(TIER_2, [CLARA])
    api.search({"type": "MATCH_ALL"})
    ended = time.time()
    [entry] = genesys.requests("POST", path=r"/members$")
    assert (entry["status"], entry["client"]) == (202, genesys.client_id)
    assert entry["body"] == {"memberIds": [CLARA], "version": 1}
    assert entry["path"] == f"/api/v2/groups/{TIER_2}/members"
    assert began <= entry["time"] <= ended
    assert [write["seq"] for write in genesys.writes()] == [entry["seq"]]
    assert genesys.requests(after=entry["seq"])[0]["path"].endswith("/users/search")
    text = json.dumps(genesys.requests())
    assert genesys.client_secret not in text
    assert str(api.session.headers["Authorization"]).split()[1] not in text
    genesys.clear_log()
    assert genesys.requests() == []


def test_the_sandbox_can_be_changed_by_hand_seeded_and_reset(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_members(BILLING, add=[CLARA], remove=[ANNA])
    genesys.change_group(BILLING, name="Invoices", external_id=None)
    genesys.change_user(BORIS, state="inactive")
    genesys.add_fault("status", status=500, times=None)
    assert genesys.group(BILLING)["individuals"] == [BORIS, CLARA]
    assert genesys.group(BILLING)["name"] == "Invoices"
    assert genesys.state.users[BORIS].state == "inactive"
    genesys.reset()
    assert genesys.group(BILLING)["individuals"] == [ANNA, BORIS]
    assert genesys.faults_in_force() == genesys.requests() == []
    assert api.get("groups").status_code == 401  # tokens are gone, too
    genesys.load_seed({"users": [], "groups": [{"id": gid(1), "name": "Only"}]})
    assert [group["name"] for group in genesys.snapshot()["groups"]] == ["Only"]
    with pytest.raises(ValueError, match="names user"):
        genesys.load_seed({"groups": [{"id": gid(1), "name": "Only", "individuals": [NOBODY]}]})
    assert [group["name"] for group in genesys.snapshot()["groups"]] == ["Only"]


def test_a_snapshot_is_a_seed(genesys: SandboxGenesys, genesys_factory: GenesysFactory) -> None:
    genesys.change_members(BILLING, add=[CLARA])
    other = genesys_factory(genesys.snapshot())
    assert other.snapshot() == genesys.snapshot()


def test_the_connection_is_what_airflow_takes(genesys: SandboxGenesys) -> None:
    connection = genesys.connection()
    assert connection["extra"]["api_url"] == connection["extra"]["login_url"] == genesys.url
    assert (connection["login"], connection["password"]) == (genesys.client_id, genesys.client_secret)
    assert json.loads(json.dumps(connection)) == connection


def test_it_runs_as_a_process_that_is_steered_the_same_way() -> None:
    with spawn(small_seed(), SandboxOptions(conflict="400")) as sandbox:
        api = Api(sandbox)
        assert api.add(TIER_2, [CLARA], version=9).status_code == 400
        assert api.add(TIER_2, [CLARA]).status_code == 202
        assert sandbox.individuals(TIER_2) == [CLARA]
        sandbox.add_fault("reset_before", path="/groups")
        with pytest.raises(requests.ConnectionError):
            api.get("groups")
    assert sandbox.process.returncode is not None


def test_a_spawned_sandbox_dies_with_its_parent() -> None:
    program = (
        "import time\n"
        "from sandbox.genesys_cloud import spawn\n"
        "sandbox = spawn({'users': [], 'groups': []})\n"
        "print(sandbox.process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.kill()
    until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii") as stat:
            return re.search(r"\) (\S)", stat.read()).group(1) not in "ZX"  # type: ignore[union-attr]  # always there
    except FileNotFoundError:
        return False


def test_a_large_organisation_is_answered_as_quickly_as_a_small_one(genesys_factory: GenesysFactory) -> None:
    def organisation(users: int) -> Api:
        chosen = random.Random(7)
        people = [{"id": uid(n), "name": f"User {n}", "email": f"u{n}@example.com"} for n in range(users)]
        everybody = [user["id"] for user in people]
        members = [chosen.sample(everybody, 200) for _ in range(users // 20)]
        groups = [{"id": gid(n), "name": f"G {n}", "individuals": of} for n, of in enumerate(members)]
        api = Api(genesys_factory({"users": people, "groups": groups}, SandboxOptions(rate_allowed=None)))
        seen: set[str] = set()
        for number in range(1, users // 500 + 1):
            seen.update(ids_of(api.get("users", pageSize=500, pageNumber=number)))
        assert len(seen) == users
        return api

    def seconds(api: Api, number: int) -> float:
        """Of the processor, for a page, a group and a search; the sandbox is a thread of this process."""
        emails = [f"U{n}@example.com" for n in range(number * 10, number * 10 + 50)]
        started = time.process_time()
        assert len(ids_of(api.get("users", pageSize=500, pageNumber=1))) == 500
        assert len(ids_of(api.get(f"groups/{gid(number)}/individuals"))) == 200
        assert len(ids_of(api.search({"type": "EXACT", "fields": ["email"], "values": emails}, pageSize=50))) == 50
        return time.process_time() - started

    small, large = organisation(2_000), organisation(20_000)
    # By turns, so that a machine that becomes slower meanwhile does so for both.
    both = [(seconds(small, number), seconds(large, number)) for number in range(100)]
    of_small, of_large = (sum(each) for each in zip(*both, strict=True))
    print(f"100 pages, 100 groups, 100 searches: {of_small:.2f} s of 2,000 users, {of_large:.2f} s of 20,000")
    assert of_large < 3 * of_small
