"""Writing memberships by SCIM: what is sent, and what is said of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.errors import (
    BadRequest,
    ConnectionFailed,
    GenesysError,
    NotFound,
    PermissionMissing,
    ServerError,
    Throttled,
)
from genesys_ad_sync.genesys.writers import (
    GroupMembersWriter,
    ScimPatchWriter,
    UserPatchWriter,
    WriteResult,
    patch_request,
    writer_for,
)
from genesys_ad_sync.model import Action
from tests.support.fake_genesys_client import Called, FakeGenesysClient


class ScimGroup:
    """A group that applies patches strictly, and all or nothing."""

    def __init__(self, members: set[str], bad: set[str] = frozenset(), no_target: bool = False) -> None:  # type: ignore[assignment]  # nobody changes it
        self.members = members
        self.bad = bad
        self.no_target = no_target
        self.exists = True
        self.client = FakeGenesysClient(self.answer)

    @property
    def patches(self) -> list[Called]:
        return [one for one in self.client.called if one.method == "PATCH"]

    def answer(self, one: Called) -> Any:
        assert one.path == "/api/v2/scim/v2/groups/g1"
        if not self.exists:
            raise NotFound("no group", status=404)
        if one.method == "GET":
            return {"id": "g1"}
        added, removed = set(), set()
        for operation in one.json["Operations"]:
            if operation["op"] == "add":
                added |= {value["value"] for value in operation["value"]}
            else:
                found = re.fullmatch(r'members\[value eq "([^"]+)"\]', operation["path"])
                assert found, operation
                removed.add(found[1])
        assert len(added) + len(removed) <= 50
        if self.bad & (added | removed):
            raise BadRequest("bad member", status=400, correlation_id="c-bad")
        if self.no_target and removed - self.members:
            raise BadRequest("no target", status=400, code="noTarget")
        self.members = (self.members | added) - removed
        return ApiResponse(200, {"id": "g1"}, "c-ok")

    def apply(self, add: list[str], remove: list[str], before: Any = lambda: None) -> list[WriteResult]:
        return list(ScimPatchWriter(self.client).apply("g1", add, remove, before))


def ids(*numbers: int) -> list[str]:
    return [f"u{number}" for number in numbers]


def test_adds_and_removes_of_a_group_go_in_one_request() -> None:
    group = ScimGroup({"u1", "u2", "manual"})
    results = group.apply(ids(3, 4), ids(1, 2))
    assert group.members == {"u3", "u4", "manual"}
    assert len(group.patches) == 1
    assert [(r.user_id, r.action, r.ok, r.http_code, r.correlation_id, r.error) for r in results] == [
        ("u3", Action.ADD, True, 200, "c-ok", None),
        ("u4", Action.ADD, True, 200, "c-ok", None),
        ("u1", Action.REMOVE, True, 200, "c-ok", None),
        ("u2", Action.REMOVE, True, 200, "c-ok", None),
    ]


def test_the_request_is_as_scim_wants_it() -> None:
    body = patch_request([(Action.ADD, "a"), (Action.REMOVE, "b"), (Action.ADD, "c"), (Action.REMOVE, "d")])
    assert body == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            {"op": "add", "path": "members", "value": [{"value": "a"}, {"value": "c"}]},
            {"op": "remove", "path": 'members[value eq "b"]'},
            {"op": "remove", "path": 'members[value eq "d"]'},
        ],
    }


@given(
    add=st.lists(st.text(min_size=1, max_size=4), max_size=120, unique=True),
    remove=st.lists(st.text(min_size=1, max_size=4), max_size=120, unique=True),
)
def test_no_request_removes_bare_members_or_more_than_50_whatever_the_ids(add: list[str], remove: list[str]) -> None:
    remove = [user_id for user_id in remove if user_id not in add]
    group = ScimGroup({"other", *remove})
    results = group.apply(add, remove)  # ScimGroup asserts
    assert sorted(r.user_id for r in results) == sorted(add + remove)
    assert "other" in group.members
    for one in group.patches:
        for operation in one.json["Operations"]:
            assert operation["op"] == "add" or operation["path"] != "members"


@pytest.mark.parametrize("odd", ['u1" or value pr or value eq "', "", "u 1", "u1\n", 'a"]'])
def test_what_is_no_id_is_not_sent(odd: str) -> None:
    group = ScimGroup({"u1", "u2"})
    [result] = group.apply([], [odd])
    assert not result.ok
    assert not result.ambiguous
    assert group.client.called == []


def test_120_changes_take_three_requests() -> None:
    group = ScimGroup({f"r{n}" for n in range(60)})
    results = group.apply([f"a{n}" for n in range(60)], [f"r{n}" for n in range(60)])
    assert len(group.patches) == 3
    assert all(result.ok for result in results)
    assert group.members == {f"a{n}" for n in range(60)}


def test_nothing_to_do_sends_nothing() -> None:
    group = ScimGroup(set())
    assert group.apply([], []) == []
    assert group.client.called == []


def test_repeating_everything_changes_nothing() -> None:
    group = ScimGroup({"u1"})
    group.apply(ids(2, 3), ids(1))
    after = set(group.members)
    assert all(result.ok for result in group.apply(ids(2, 3), ids(1)))
    assert group.members == after


def test_a_refused_batch_is_halved_until_the_bad_members_stand_alone() -> None:
    group = ScimGroup({f"r{n}" for n in range(20)}, bad={"a7", "r3"})
    results = group.apply([f"a{n}" for n in range(30)], [f"r{n}" for n in range(20)])
    assert group.members == {f"a{n}" for n in range(30) if n != 7} | {"r3"}
    refused = [result for result in results if not result.ok]
    assert {(r.user_id, r.action, r.http_code, r.correlation_id) for r in refused} == {
        ("a7", Action.ADD, 400, "c-bad"),
        ("r3", Action.REMOVE, 400, "c-bad"),
    }
    assert all(r.error and not r.ambiguous for r in refused)
    assert len(results) == 50
    assert len({(r.user_id, r.action) for r in results}) == 50
    # two bad ones among 50: two paths down, and one change of each half that is tried alone
    assert len(group.patches) <= 1 + 2 * 2 * 6 + 2


def test_a_removal_that_finds_nobody_is_in_effect() -> None:
    group = ScimGroup({"u1"}, no_target=True)
    results = group.apply(ids(5), ids(1, 2))
    assert group.members == {"u5"}
    assert all(result.ok and result.error is None for result in results)


def test_a_group_that_is_gone_costs_two_requests_not_a_halving() -> None:
    group = ScimGroup(set())
    group.exists = False
    results = group.apply([f"a{n}" for n in range(120)], [])
    assert len(results) == 120
    assert {(r.ok, r.http_code) for r in results} == {(False, 404)}
    assert len(group.client.called) == 2


def test_a_member_that_is_not_found_is_isolated_too() -> None:
    group = ScimGroup(set())
    answer = group.answer

    def with_404(one: Called) -> Any:
        if one.method == "PATCH" and '"u2"' in str(one.json).replace("'", '"'):
            raise NotFound("no user", status=404)
        return answer(one)

    group.client.answer = with_404
    results = group.apply(ids(1, 2, 3, 4), [])
    assert group.members == {"u1", "u3", "u4"}
    assert {r.user_id for r in results if not r.ok} == {"u2"}


def test_before_request_is_called_before_each_and_ends_it_when_it_raises() -> None:
    group = ScimGroup(set())
    left = [True, True]

    class LeaseGone(Exception):
        pass

    def renew() -> None:
        if not left:
            raise LeaseGone
        left.pop()

    results: list[WriteResult] = []
    with pytest.raises(LeaseGone):
        results.extend(
            ScimPatchWriter(group.client).apply("g1", [f"a{n}" for n in range(150)], [], renew)
        )  # keeps what came before
    assert len(group.client.called) == 2
    assert len(results) == 100  # what was answered has been told


def test_results_come_as_soon_as_their_request_is_answered() -> None:
    group = ScimGroup(set())
    results = ScimPatchWriter(group.client).apply("g1", [f"a{n}" for n in range(100)], [], lambda: None)
    assert len(group.client.called) == 0
    next(results)
    assert len(group.client.called) == 1


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionMissing("no", status=403), []),
        (Throttled("later", status=429, retry_after=600), []),
        (ConnectionFailed("cannot reach"), []),
        (ConnectionFailed("broke", ambiguous=True), [("u1", True), ("u2", True)]),
        (ServerError("oh", status=503, ambiguous=True), [("u1", True), ("u2", True)]),
    ],
)
def test_what_makes_going_on_useless_ends_it_and_what_may_have_happened_is_told(
    error: GenesysError, told: list[tuple[str, bool]]
) -> None:
    def fail(_: Called) -> Any:
        raise error

    client = FakeGenesysClient(fail)
    results: list[WriteResult] = []
    with pytest.raises(type(error)):
        results.extend(
            ScimPatchWriter(client, max_members=2).apply("g1", ids(1, 2, 3), [], lambda: None)
        )  # keeps what came before
    assert [(r.user_id, r.ambiguous) for r in results] == told
    assert not any(r.ok for r in results)
    assert len(client.called) == 1


@pytest.mark.parametrize("maybe_done", [True, False])
def test_a_refusal_after_a_repetition_is_not_taken_for_a_failure(*, maybe_done: bool) -> None:
    """Where Genesys refuses to add a member twice, the repetition of what was carried out is refused."""

    def refuse(_: Called) -> Any:
        error = BadRequest("is a member already", status=400)
        error.maybe_done = maybe_done and len(client.called) == 1  # then come the halves
        raise error

    client = FakeGenesysClient(refuse)
    results = list(ScimPatchWriter(client).apply("g1", ids(1, 2), [], lambda: None))
    assert [(r.ok, r.ambiguous) for r in results] == [(False, maybe_done)] * 2


@pytest.mark.parametrize("refusal", [{"code": "tooMany", "status": 400}, {"status": 413}])
def test_a_smaller_cap_of_the_service_is_learned(refusal: dict[str, Any]) -> None:
    group = ScimGroup(set())
    answer = group.answer

    def capped(one: Called) -> Any:
        if len(one.json["Operations"][0]["value"]) > 13:
            raise BadRequest("too many", **refusal)
        return answer(one)

    group.client.answer = capped
    results = group.apply([f"a{n}" for n in range(120)], [])
    assert all(result.ok for result in results)
    assert len(group.members) == 120
    assert len(group.client.called) == 2 + 10  # 50, 25: refused; then 12 a request


def test_the_same_member_added_and_removed_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="in the same request"):
        ScimGroup(set()).apply(ids(1), ids(1))


def test_only_writers_that_exist_can_be_had() -> None:
    client = FakeGenesysClient(lambda _: None)
    assert isinstance(writer_for("scim_patch", client), ScimPatchWriter)
    assert isinstance(writer_for("group_members", client, {"g1": 3}), GroupMembersWriter)
    assert isinstance(writer_for("user_patch", client), UserPatchWriter)
    with pytest.raises(SettingsError, match="there is no 'x'"):
        writer_for("x", client)
