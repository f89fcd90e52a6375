"""What the first day in an organisation brings, each as a switch of the sandbox.

Divisions, private groups, owners, refusals of single groups, allowed addresses, limits of endpoint families, and users
that are deleted and restored.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.genesys_cloud import SandboxGenesys
from sandbox.genesys_cloud.options import ALL_PERMISSIONS, PRIVATE_GROUPS
from tests.support.genesys import ANNA, BILLING, BORIS, CLARA, DORA, EMIL, RULED, SOCIAL, TIER_2
from tests.support.genesys_api import Api, add_op, api, ids_of, remove_op, token

__all__ = ["api"]

EXTERNAL = "External"


def by_scim(api: Api, group_id: str, user_id: str) -> requests.Response:
    return api.patch(group_id, add_op(user_id))


def by_group(api: Api, group_id: str, user_id: str) -> requests.Response:
    return api.add(group_id, [user_id], version=api.sandbox.group(group_id)["version"])


def by_user(api: Api, group_id: str, user_id: str) -> requests.Response:
    user = api.get(f"users/{user_id}", expand="groups").json()
    groups = [*user["groups"], {"id": group_id}]
    return api("PATCH", f"users/{user_id}", json={"version": user["version"], "groups": groups})


WAYS = (by_scim, by_group, by_user)
"""Of adding a user to a group."""


# -- divisions -------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(genesys: SandboxGenesys) -> None:
    """Put BORIS, a member of Billing, into a division that the client's role lacks."""
    genesys.change_user(BORIS, division=EXTERNAL, external_ids=[{"authority": "HR", "key": "8"}])
    genesys.set_options(client_divisions=["Home"], user_patch_groups="honoured")


@pytest.mark.usefixtures("elsewhere")
def test_a_client_sees_the_users_of_its_divisions_only(api: Api, genesys: SandboxGenesys) -> None:
    def seen() -> list[bool]:
        found = api.search({"type": "EXACT", "fields": ["email"], "value": "boris@example.com"})
        listings = [ids_of(api.get("users", pageSize=500)), ids_of(api.get("users", id=BORIS, state="any"))]
        members = [ids_of(api.get(f"groups/{BILLING}/{which}")) for which in ("individuals", "members")]
        scim = [member["value"] for member in api.get(f"scim/v2/groups/{BILLING}").json()["members"]]
        single = [api.get(f"users/{BORIS}").status_code == 200, api.get("users/externalid/HR/8").status_code == 200]
        return [*(BORIS in ids for ids in (*listings, *members, scim, ids_of(found))), *single]

    assert not any(seen())
    genesys.set_options(client_divisions=["Home", EXTERNAL])
    assert all(seen())
    assert api.get(f"users/{BORIS}").json()["division"]["name"] == EXTERNAL


@pytest.mark.usefixtures("elsewhere")
def test_search_and_members_may_show_users_of_other_divisions(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(search_divisions="all", individuals_divisions="all")
    assert ids_of(api.search({"type": "EXACT", "fields": ["id"], "value": BORIS})) == [BORIS]
    assert ids_of(api.get(f"groups/{BILLING}/individuals")) == [ANNA, BORIS]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("policy", "status"), [("refuse", 400), ("ignore", 202), ("accept", 202)])
def test_a_user_of_another_division_is_refused_ignored_or_accepted(
    api: Api, genesys: SandboxGenesys, policy: str, status: int
) -> None:
    genesys.set_options(member_of_other_division=policy)
    scim_status = 200 if status == 202 else 400
    assert api.add(TIER_2, [BORIS]).status_code == status
    assert api.delete(BILLING, [BORIS]).status_code == status
    assert (BORIS in genesys.individuals(TIER_2), BORIS in genesys.individuals(BILLING)) == (
        (True, False) if policy == "accept" else (False, True)
    )
    assert api.patch(SOCIAL, add_op(BORIS)).status_code == scim_status
    assert api.patch(BILLING, remove_op(BORIS)).status_code == scim_status
    assert (BORIS in genesys.individuals(SOCIAL)) is (policy == "accept")


def test_a_group_of_another_division_is_not_there(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_group(TIER_2, division=EXTERNAL)
    genesys.set_options(client_divisions=["Home"], user_patch_groups="honoured")
    assert TIER_2 not in ids_of(api.get("groups"))
    assert BILLING in ids_of(api.get("groups"))  # of no division
    assert {way(api, TIER_2, CLARA).status_code for way in WAYS} == {404}
    assert genesys.individuals(TIER_2) == []


# -- private groups --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", ["members", "owners"])
def test_a_private_group_takes_a_permission_of_its_own(api: Api, genesys: SandboxGenesys, visibility: str) -> None:
    genesys.change_group(TIER_2, visibility=visibility)
    by_name = {"query": [{"type": "EXACT", "fields": ["name"], "value": "Tier 2"}]}

    def seen() -> list[bool]:
        scim = api.get("scim/v2/groups", filter='displayname eq "Tier 2"').json()
        return [
            TIER_2 in ids_of(api.get("groups")),
            bool(ids_of(api("POST", "groups/search", json=by_name))),
            bool(scim["totalResults"]),
            api.get(f"groups/{TIER_2}").status_code == 200,
            api.get(f"groups/{TIER_2}/individuals").status_code == 200,
            api.get(f"scim/v2/groups/{TIER_2}").status_code == 200,
        ]

    assert not any(seen())
    genesys.set_options(permissions=[*ALL_PERMISSIONS, PRIVATE_GROUPS])
    assert all(seen())
    assert api.get(f"groups/{TIER_2}").json()["visibility"] == visibility


@pytest.mark.parametrize(("by_id", "statuses"), [("not_found", [404] * 3), ("forbidden", [403] * 3),
                                                  ("readable", [200, 202, 200])])  # fmt: skip
def test_a_private_group_by_its_id(api: Api, genesys: SandboxGenesys, by_id: str, statuses: list[int]) -> None:
    genesys.set_options(private_groups=[TIER_2], private_group_by_id=by_id, user_patch_groups="honoured")
    answers = [way(api, TIER_2, user) for way, user in zip(WAYS, (CLARA, DORA, ANNA), strict=True)]
    assert [answer.status_code for answer in answers] == statuses
    assert set(genesys.individuals(TIER_2)) == ({ANNA, CLARA, DORA} if by_id == "readable" else set())


@pytest.mark.parametrize("lost", ["kept", "lost"])
def test_a_users_list_of_groups_lacks_hidden_ones(api: Api, genesys: SandboxGenesys, lost: str) -> None:
    genesys.set_options(private_groups=[RULED], user_patch_groups="honoured", user_patch_hidden_groups=lost)
    user = api.get(f"users/{ANNA}", expand="groups").json()
    assert [group["id"] for group in user["groups"]] == [BILLING]
    assert api("PATCH", f"users/{ANNA}", json={"version": user["version"], "groups": user["groups"]}).status_code == 200
    assert (ANNA in genesys.individuals(RULED)) is (lost == "kept")
    genesys.set_options(expand_groups_includes_hidden=True)
    assert len(api.get(f"users/{EMIL}", expand="groups").json()["groups"]) == 1


def test_totals_count_what_is_hidden_if_they_are_told_to(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_user(BORIS, division=EXTERNAL)
    genesys.set_options(
        client_divisions=["Home"], private_groups=[TIER_2], individuals_states=["active"], scim_filter_required=False
    )
    everybody = {"query": [{"type": "STARTS_WITH", "fields": ["email"], "value": "boris"}]}

    def totals() -> list[int]:
        answers = [api.get("groups"), api.get("users"), api.get(f"groups/{BILLING}/individuals")]
        answers += [api.get(f"groups/{RULED}/members"), api("POST", "users/search", json=everybody)]
        return [*(answer.json()["total"] for answer in answers), api.get("scim/v2/groups").json()["totalResults"]]

    assert totals() == [3, 123, 1, 2, 0, 3]
    genesys.set_options(totals_count_hidden=True)
    assert totals() == [4, 124, 2, 4, 1, 4]


# -- owners ----------------------------------------------------------------------------------------------------------


def test_new_owners_become_members_where_owners_are_included(api: Api, genesys: SandboxGenesys) -> None:
    genesys.change_group(TIER_2, owners=[ANNA])
    assert ids_of(api.get(f"groups/{TIER_2}/individuals")) == []
    genesys.change_group(TIER_2, include_owners=True)
    assert ids_of(api.get(f"groups/{TIER_2}/individuals")) == []  # not those who are owners already
    genesys.change_group(TIER_2, owners=[ANNA, BORIS])
    assert ids_of(api.get(f"groups/{TIER_2}/individuals")) == [BORIS]
    assert set(ids_of(api.get(f"groups/{TIER_2}/members"))) == {ANNA, BORIS}
    group = api.get(f"groups/{TIER_2}").json()
    assert (group["includeOwners"], [owner["id"] for owner in group["owners"]]) == (True, [ANNA, BORIS])


@pytest.mark.parametrize(("policy", "status"), [("accept", 202), ("ignore", 202), ("refuse", 400)])
def test_removing_an_owner_is_accepted_ignored_or_refused(
    api: Api, genesys: SandboxGenesys, policy: str, status: int
) -> None:
    genesys.set_options(included_owner_removal=policy)
    genesys.change_group(BILLING, owners=[ANNA], include_owners=True)
    assert api.delete(BILLING, [ANNA]).status_code == status
    assert api.patch(BILLING, remove_op(ANNA)).status_code == (200 if status == 202 else 400)
    assert (ANNA in genesys.individuals(BILLING)) is (policy != "accept")


def test_the_listing_of_groups_may_leave_out_owners(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(owners_in_listing=False)
    assert all("owners" not in group for group in api.get("groups").json()["entities"])
    assert api.get(f"groups/{BILLING}").json()["owners"][0]["id"] == DORA


# -- refusals of one group -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("switch", "status", "carried_out"),
    [
        ("forbidden_groups", 403, False),
        ("missing_groups", 404, False),
        ("conflicting_groups", 409, False),
        ("failing_groups", 500, False),
        ("late_groups", 504, True),
        ("dynamic", 400, False),
    ],
)
def test_one_group_refuses_every_write_in_whatever_way(
    api: Api, genesys: SandboxGenesys, switch: str, status: int, carried_out: bool
) -> None:
    if switch == "dynamic":
        genesys.change_group(TIER_2, dynamic=True)
        genesys.set_options(dynamic_group_writes="refuse", user_patch_groups="honoured")
    else:
        genesys.set_options(**{switch: [TIER_2]}, user_patch_groups="honoured")
    for way in WAYS:
        genesys.change_members(TIER_2, remove=[CLARA])
        assert way(api, TIER_2, CLARA).status_code == status, way
        assert (CLARA in genesys.individuals(TIER_2)) is carried_out, way
    assert api.get(f"groups/{TIER_2}/individuals").status_code == 200
    assert api.delete(BILLING, [ANNA]).status_code == 202


# -- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "of_token", "of_api"), [("both", 403, 403), ("token", 403, 200), ("api", 200, 403)])
def test_an_address_is_refused_at_the_token_endpoint_or_at_the_api(
    api: Api, genesys: SandboxGenesys, where: str, of_token: int, of_api: int
) -> None:
    genesys.set_options(address_is_allowed=False, address_checked_at=where)
    assert token(genesys).status_code == of_token
    answers = [api.get("groups"), api.get(f"scim/v2/groups/{BILLING}")]
    assert [answer.status_code for answer in answers] == [of_api] * 2
    if of_api == 403:
        assert answers[0].json()["message"] == "IP address is not allowed"
        assert answers[1].json()["detail"] == "IP address is not allowed"


# -- limits of endpoint families -------------------------------------------------------------------------------------


def test_an_endpoint_family_has_a_limit_beside_that_of_the_token(api: Api, genesys: SandboxGenesys) -> None:
    genesys.set_options(rate_allowed=20, family_rate_allowed={"/api/v2/users/search": 2})
    wanted: dict[str, Any] = {"type": "EXACT", "fields": ["id"], "value": ANNA}
    answers = [api.search(wanted) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["inin-ratelimit-allowed"] == "20"
    assert int(answers[2].headers["Retry-After"]) > 0
    assert api.get(f"users/{ANNA}").status_code == 200
    api.login()  # a limit of the organisation: another token does not help
    assert api.search(wanted).status_code == 429


# -- deleted users ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memberships", ["kept", "ended"])
def test_a_deleted_user_moves_home_and_comes_back_with_or_without_memberships(
    api: Api, genesys: SandboxGenesys, memberships: str
) -> None:
    genesys.set_options(deleted_memberships=memberships, permissions=[*ALL_PERMISSIONS, "directory:user:delete"])
    genesys.change_user(BORIS, division=EXTERNAL)
    assert api("DELETE", f"users/{BORIS}").status_code == 200
    assert ids_of(api.get(f"groups/{BILLING}/individuals")) == [ANNA]  # hidden, at least
    assert api.get(f"users/{BORIS}").status_code == 404
    assert api("DELETE", f"users/{BORIS}").status_code == 404
    deleted = api.get(f"users/{BORIS}", state="any").json()
    assert (deleted["state"], deleted["division"]["name"]) == ("deleted", "Home")
    restored = api("PATCH", f"users/{BORIS}", json={"version": deleted["version"], "state": "active"})
    assert (restored.status_code, restored.json()["division"]["name"]) == (200, "Home")
    assert (BORIS in ids_of(api.get(f"groups/{BILLING}/individuals"))) is (memberships == "kept")


def test_deleting_a_user_takes_a_permission(api: Api) -> None:
    assert api("DELETE", f"users/{BORIS}").status_code == 403
