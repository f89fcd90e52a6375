"""The sandbox is faithful enough for the vendor's own client, which was written against the real thing.

Beware of that client's retries: its urllib3 sleeps and re-sends on a 429 or 503 that has Retry-After.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.genesys_cloud import SandboxGenesys
from sandbox.genesys_cloud.options import ALL_PERMISSIONS, PRIVATE_GROUPS
from tests.support.genesys import ANNA, BILLING, BORIS, CLARA, DORA, EMIL, RULED, SOCIAL, TIER_2, uid

pytestmark = pytest.mark.xdist_group("the vendor's SDK")  # loading it takes seconds: one process does


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Load the SDK with a home of its own.

    It watches the folder of its configuration, and where that is missing, the whole home: with the caches of other
    programs in it, that kept a core busy for minutes.
    """
    home = tmp_path_factory.mktemp("home")
    (home / ".genesyscloudpython").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        return importlib.import_module("PureCloudPlatformClientV2")


@pytest.fixture
def client(sdk: Any, genesys: SandboxGenesys) -> Iterator[Any]:
    """Log in by client credentials, as the SDK's documentation says, but at another host."""
    before = sdk.configuration.host
    sdk.configuration.host = genesys.url
    yield sdk.ApiClient(host=genesys.url).get_client_credentials_token(genesys.client_id, genesys.client_secret)
    sdk.configuration.host = before


def test_the_sdk_gets_a_token_and_lists_the_groups(sdk: Any, client: Any) -> None:
    listing = sdk.GroupsApi(client).get_groups(page_size=2, page_number=1)
    assert client.access_token
    assert [group.name for group in listing.entities] == ["Billing", "Hikers"]
    assert (listing.total, listing.page_count, listing.page_size) == (4, 2, 2)
    assert listing.next_uri
    billing = listing.entities[0]
    assert (billing.id, billing.version, billing.member_count, billing.state) == (BILLING, 1, 3, "active")
    assert billing.date_modified.tzinfo is not None


def test_the_sdk_gets_several_groups_by_id_in_one_request(sdk: Any, client: Any) -> None:
    # The spec says that `id` is repeated; the SDK joins the ids with a comma.
    listing = sdk.GroupsApi(client).get_groups(id=[BILLING, TIER_2])
    assert [group.id for group in listing.entities] == [BILLING, TIER_2]


def test_the_sdk_reads_individuals_and_members_apart(sdk: Any, client: Any) -> None:
    groups = sdk.GroupsApi(client)
    individuals = groups.get_group_individuals(BILLING)
    assert [user.id for user in individuals.entities] == [ANNA, BORIS]
    assert individuals.entities[0].email == "anna@example.com"
    assert {user.id for user in groups.get_group_members(BILLING).entities} == {ANNA, BORIS, DORA}


def test_the_sdk_adds_and_deletes_members(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    groups = sdk.GroupsApi(client)
    body = sdk.GroupMembersUpdate()
    body.member_ids = [CLARA, DORA]
    body.version = groups.get_group(TIER_2).version
    groups.post_group_members(TIER_2, body)
    assert genesys.individuals(TIER_2) == [CLARA, DORA]
    groups.delete_group_members(TIER_2, f"{CLARA},{uid(100)}")
    assert genesys.individuals(TIER_2) == [DORA]
    assert [entry["status"] for entry in genesys.writes()] == [202, 202]


def test_the_sdk_searches_users_by_a_list_of_mail_addresses(sdk: Any, client: Any) -> None:
    criterion = sdk.UserSearchCriteria()
    criterion.type = "EXACT"
    criterion.fields = ["email"]
    criterion.values = ["ANNA@example.com", "boris@example.com", "nobody@example.com"]
    request = sdk.UserSearchRequest()
    request.query = [criterion]
    request.page_size = 50
    found = sdk.UsersApi(client).post_users_search(request)
    assert {user.id for user in found.results} == {ANNA, BORIS}
    assert (found.total, found.types) == (2, ["users"])


def test_the_sdk_lists_users_with_their_groups(sdk: Any, client: Any) -> None:
    listing = sdk.UsersApi(client).get_users(page_size=500, expand=["groups"])
    groups_of = {user.id: [group.id for group in user.groups] for user in listing.entities}
    assert groups_of[ANNA] == [BILLING, RULED]
    assert listing.total == 124


def test_the_sdk_finds_a_user_by_external_id(sdk: Any, client: Any) -> None:
    assert sdk.UsersApi(client).get_users_externalid_authority_name_external_key("HR", "4711").id == ANNA


def test_the_sdk_reads_and_patches_a_group_through_scim(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    scim = sdk.SCIMApi(client)
    listing = scim.get_scim_v2_groups("displayname eq Billing")
    assert [group.id for group in listing.resources] == [BILLING]
    group = scim.get_scim_v2_group(BILLING)
    assert (group.external_id, group.display_name) == ("ERP-4711", "Billing")
    assert {member.value for member in group.members} == {ANNA, BORIS}

    remove, add = sdk.ScimV2PatchOperation(), sdk.ScimV2PatchOperation()
    remove.op, remove.path = "remove", f'members[value eq "{ANNA}"]'
    add.op, add.path, add.value = "add", "members", [{"value": CLARA}, {"value": DORA}]
    request = sdk.ScimV2PatchRequest()
    request.schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
    request.operations = [add, remove]
    patched = scim.patch_scim_v2_group(BILLING, request, if_match=f'"{group.meta.version}"')
    assert {member.value for member in patched.members} == {BORIS, CLARA, DORA}
    assert patched.meta.version != group.meta.version
    assert genesys.individuals(BILLING) == [BORIS, CLARA, DORA]

    with pytest.raises(sdk.rest.ApiException) as caught:
        scim.patch_scim_v2_group(BILLING, request, if_match=f'"{group.meta.version}"')
    assert (caught.value.status, json.loads(caught.value.body)["scimType"]) == (400, "invalidVers")


def test_the_sdk_reads_the_service_provider_config(sdk: Any, client: Any) -> None:
    config = sdk.SCIMApi(client).get_scim_v2_serviceproviderconfig()
    assert config.patch.supported
    assert not config.bulk.supported


def test_the_sdk_raises_with_status_code_and_correlation_id(sdk: Any, client: Any) -> None:
    body = sdk.GroupMembersUpdate()
    body.member_ids = [CLARA]
    body.version = 99
    with pytest.raises(sdk.rest.ApiException) as caught:
        sdk.GroupsApi(client).post_group_members(TIER_2, body)
    error = caught.value
    assert error.status == 409
    parsed = client.deserialize(_Response(error), "ErrorBody")
    assert parsed.code == "general.conflict"
    assert parsed.status == 409
    assert "does not match the current version" in parsed.message
    assert parsed.context_id == error.headers["ININ-Correlation-Id"]


def test_the_sdk_waits_and_sends_again_on_a_429_with_retry_after(
    sdk: Any, client: Any, genesys: SandboxGenesys
) -> None:
    genesys.add_fault("throttle", path="/groups", retry_after=1)
    assert sdk.GroupsApi(client).get_groups().total == 4
    assert [entry["status"] for entry in genesys.requests(path="/groups")] == [429, 200]


# -- answers that a switch changes -----------------------------------------------------------------------------------


def error_of(client: Any, caught: pytest.ExceptionInfo[Any]) -> tuple[int, str | None, str]:
    """Return status, code and message, as the SDK reads them."""
    body = client.deserialize(_Response(caught.value), "ErrorBody")
    return caught.value.status, body.code, body.message


def test_the_sdk_sees_the_users_of_its_divisions(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    genesys.change_user(BORIS, division="Elsewhere")
    users, groups = sdk.UsersApi(client), sdk.GroupsApi(client)
    assert users.get_user(BORIS).division.name == "Elsewhere"
    genesys.set_options(client_divisions=["Home"])
    assert users.get_users(page_size=500).total == 123
    assert [user.id for user in groups.get_group_individuals(BILLING).entities] == [ANNA]
    with pytest.raises(sdk.rest.ApiException) as caught:
        users.get_user(BORIS)
    assert error_of(client, caught)[:2] == (404, "not.found")
    genesys.set_options(totals_count_hidden=True)
    individuals = groups.get_group_individuals(BILLING)
    assert (len(individuals.entities), individuals.total) == (1, 2)


def test_the_sdk_sees_private_groups_with_the_permission_for_them(
    sdk: Any, client: Any, genesys: SandboxGenesys
) -> None:
    genesys.change_group(SOCIAL, visibility="members")
    groups = sdk.GroupsApi(client)
    assert SOCIAL not in {group.id for group in groups.get_groups().entities}
    with pytest.raises(sdk.rest.ApiException) as caught:
        groups.get_group_individuals(SOCIAL)
    assert error_of(client, caught)[:2] == (404, "not.found")
    genesys.set_options(permissions=[*ALL_PERMISSIONS, PRIVATE_GROUPS])
    assert groups.get_group(SOCIAL).visibility == "members"


def test_the_sdk_reads_owners_and_whether_they_are_included(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    genesys.change_group(BILLING, include_owners=True, owners=[DORA, EMIL])
    billing = next(group for group in sdk.GroupsApi(client).get_groups().entities if group.id == BILLING)
    assert ([owner.id for owner in billing.owners], billing.include_owners) == ([DORA, EMIL], True)
    assert EMIL in genesys.individuals(BILLING)
    genesys.set_options(owners_in_listing=False)
    assert not sdk.GroupsApi(client).get_groups().entities[0].owners


@pytest.mark.parametrize(
    ("switch", "status", "code"),
    [
        ("forbidden_groups", 403, "not.authorized"),
        ("missing_groups", 404, "not.found"),
        ("conflicting_groups", 409, "general.conflict"),
        ("failing_groups", 500, "internal.server.error"),
        ("late_groups", 504, "request.timeout"),
    ],
)
def test_the_sdk_raises_for_a_group_that_refuses(
    sdk: Any, client: Any, genesys: SandboxGenesys, switch: str, status: int, code: str
) -> None:
    genesys.set_options(**{switch: [BILLING]})
    groups = sdk.GroupsApi(client)
    with pytest.raises(sdk.rest.ApiException) as caught:
        groups.delete_group_members(BILLING, ANNA)
    assert error_of(client, caught)[:2] == (status, code)
    assert groups.delete_group_members(RULED, ANNA) is not None  # the others are served


def test_the_sdk_raises_where_the_address_is_denied(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    genesys.set_options(address_is_allowed=False)
    with pytest.raises(sdk.rest.ApiException) as caught:
        sdk.GroupsApi(client).get_groups()
    assert error_of(client, caught) == (403, "not.authorized", "IP address is not allowed")
    with pytest.raises(sdk.rest.ApiException) as caught:
        sdk.ApiClient(host=genesys.url).get_client_credentials_token(genesys.client_id, genesys.client_secret)
    assert caught.value.status == 403


def test_the_sdk_deletes_and_restores_a_user(sdk: Any, client: Any, genesys: SandboxGenesys) -> None:
    genesys.set_options(permissions=[*ALL_PERMISSIONS, "directory:user:delete"])
    users = sdk.UsersApi(client)
    users.delete_user(BORIS)
    deleted = users.get_user(BORIS, state="deleted")
    assert (deleted.state, deleted.division.name) == ("deleted", "Home")
    body = sdk.UpdateUser()
    body.state, body.version = "active", deleted.version
    assert users.patch_user(BORIS, body).state == "active"
    assert [user.id for user in sdk.GroupsApi(client).get_group_individuals(BILLING).entities] == [ANNA, BORIS]


class _Response:
    """What the SDK's `deserialize` wants of a response; its exceptions carry the parts only."""

    def __init__(self, error: Any) -> None:
        self.data = error.body
        self._headers = error.headers

    def getheader(self, name: str) -> str | None:
        return self._headers.get(name)
