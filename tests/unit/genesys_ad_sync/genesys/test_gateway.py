"""Reading Genesys Cloud: complete or an error, and in few requests."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from genesys_ad_sync.genesys.client import path_segment
from genesys_ad_sync.genesys.errors import (
    AmbiguousExternalId,
    BadRequest,
    IncompleteListing,
    NotFound,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.genesys.request_counts import RequestCounts, endpoint_of
from genesys_ad_sync.model import UserKey
from tests.support.fake_genesys_client import Called, FakeGenesysClient


def page(entities: list[dict[str, Any]], params: Any, key: str = "entities") -> dict[str, Any]:
    size, number = int(params["pageSize"]), int(params["pageNumber"])
    return {
        key: entities[(number - 1) * size : number * size],
        "total": len(entities),
        "pageSize": size,
        "pageNumber": number,
        "pageCount": math.ceil(len(entities) / size),
    }


def person(number: int, state: str = "active", **more: Any) -> dict[str, Any]:
    mail = f"Person{number}@x.example"
    return {"id": f"u{number}", "name": f"P {number}", "email": mail, "username": mail, "state": state, **more}


def organisation(users: list[dict[str, Any]], refuse: Callable[[Called], bool] = lambda _: False) -> FakeGenesysClient:
    """Users that can be listed and searched."""

    def answer(one: Called) -> Any:
        if refuse(one):
            raise BadRequest("No", status=400)
        if one.path == "/api/v2/users":
            ids, states = one.params.get("id"), {one.params["state"]}
            states = {"active", "inactive", "deleted"} if states == {"any"} else states
            return page([u for u in users if u["state"] in states and (ids is None or u["id"] in ids)], one.params)
        assert one.path == "/api/v2/users/search"
        by, state = one.json["query"]
        values = [value.lower() for value in by.get("values", [by.get("value")])]
        assert len(values) <= 50
        hits = [
            user for user in users if str(user[by["fields"][0]]).lower() in values and user["state"] in state["values"]
        ]
        return page(hits, one.json, "results")

    return FakeGenesysClient(answer)


# -- groups -------------------------------------------------------------------------------------------


def test_groups_are_read_500_a_page() -> None:
    groups = [{"id": f"g{n}", "name": f"G {n}", "state": "active", "version": n, "memberCount": 2} for n in range(501)]
    client = FakeGenesysClient(lambda one: page(groups, one.params))
    found = GenesysGateway(client).groups()
    assert [group.id for group in found] == [group["id"] for group in groups]
    assert (found[7].name, found[7].version, found[7].member_count) == ("G 7", 7, 2)
    assert [one.params["pageSize"] for one in client.called] == [500, 500]


def broken(change: Callable[[dict[str, Any], int], Any]) -> FakeGenesysClient:
    def answer(one: Called) -> Any:
        body = page([{"id": f"g{n}"} for n in range(1200)], one.params)
        change(body, int(one.params["pageNumber"]))
        return body

    return FakeGenesysClient(answer)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body, n: n == 2 and body.update(entities=[]), id="an empty page"),
        pytest.param(lambda body, n: n == 2 and body["entities"].pop(), id="a short page"),
        pytest.param(lambda body, n: n == 3 and body["entities"].pop(), id="a short last page"),
        pytest.param(
            lambda body, n: n == 2 and body.update(entities=[{"id": f"g{k}"} for k in range(500)]), id="twice"
        ),
        pytest.param(lambda body, n: body.update(pageCount=2), id="a page less"),
        pytest.param(lambda body, n: n == 3 and body.update(total=1201), id="another total"),
        pytest.param(lambda body, n: n == 3 and body.update(pageNumber=2), id="another page"),
    ],
)
def test_a_listing_whose_pages_do_not_add_up_fails(change: Callable[[dict[str, Any], int], Any]) -> None:
    client = broken(change)
    with pytest.raises(IncompleteListing):
        GenesysGateway(client).groups()
    assert len(client.called) > 3  # it was read again before it was given up


def test_a_listing_that_changed_while_it_was_read_is_read_again() -> None:
    changed = iter([True])
    client = broken(lambda body, n: n == 2 and next(changed, False) and body["entities"].pop())
    assert len(GenesysGateway(client).groups()) == 1200


@pytest.mark.parametrize("body", [None, [], {"entities": []}, {"total": 3}, {"entities": ["x"], "total": 1}, "text"])
def test_another_shape_is_no_empty_listing(body: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        GenesysGateway(FakeGenesysClient(lambda _: body)).groups()


def test_individuals_are_all_or_an_error() -> None:
    body: dict[str, Any] = {"entities": [{"id": "u1"}, {"id": "u2"}], "total": 2, "pageCount": 1}
    client = FakeGenesysClient(lambda _: body)
    gateway = GenesysGateway(client)
    assert gateway.individuals("g1") == {"u1", "u2"}
    assert [(one.path, dict(one.params)) for one in client.called] == [("/api/v2/groups/g1/individuals", {})]
    for wrong in ({"total": 3}, {"pageCount": 2}, {"entities": [{"id": "u1"}, {"id": "u1"}]}):
        body = {"entities": [{"id": "u1"}, {"id": "u2"}], "total": 2, "pageCount": 1, **wrong}
        with pytest.raises(IncompleteListing):
            gateway.individuals("g1")
    body = {"entities": [{"name": "no id"}], "total": 1}
    with pytest.raises(UnexpectedAnswer):
        gateway.individuals("g1")


@pytest.mark.parametrize("odd", [{"state": None}, {"state": 5}, {"email": 5}, {"username": {"x": 1}}])
def test_one_odd_user_hides_no_other_member(odd: dict[str, Any]) -> None:
    entities = [person(1), {**person(2), **odd}]
    gateway = GenesysGateway(FakeGenesysClient(lambda _: {"entities": entities, "total": 2, "pageCount": 1}))
    assert gateway.individuals("g1") == {"u1", "u2"}
    assert "u1" in gateway.members(["u1", "u2"])


def test_a_mail_that_is_no_text_is_none() -> None:
    gateway = GenesysGateway(organisation([person(1), {**person(2), "email": 5}]))
    assert [user.id for user in gateway.find_users(UserKey.EMAIL, ["person1@x.example", "5"])] == ["u1"]


@pytest.mark.parametrize("odd", [{"owners": ["x"]}, {"owners": [None]}, {"owners": [{}]}])
def test_a_group_of_another_shape_is_an_error_of_ours(odd: dict[str, Any]) -> None:
    body = {"entities": [{"id": "g1", **odd}], "total": 1, "pageCount": 1}
    with pytest.raises(UnexpectedAnswer):
        GenesysGateway(FakeGenesysClient(lambda _: body)).groups()


def test_a_state_counts_in_any_case_and_an_odd_version_as_none() -> None:
    body = {"entities": [{"id": "g1", "state": "Active", "version": "\u00b2"}], "total": 1, "pageCount": 1}
    (group,) = GenesysGateway(FakeGenesysClient(lambda _: body)).groups()
    assert (group.state, group.version) == ("active", None)


def test_individuals_are_remembered_as_they_were_shown_last() -> None:
    entities = [person(1), {"id": "u2"}]  # an id that nobody has
    gateway = GenesysGateway(FakeGenesysClient(lambda _: {"entities": entities, "total": 2, "pageCount": 1}))
    gateway.individuals("g1")
    first = dict(gateway.members(["u1", "u2", "u3"]))
    assert {id_: user.email for id_, user in first.items()} == {"u1": "Person1@x.example"}
    gateway.individuals("g2")
    assert gateway.members(["u1"])["u1"] is first["u1"]  # one object, in however many groups
    entities[0] = person(1, email="new@x.example")
    gateway.individuals("g1")
    assert gateway.members(["u1"])["u1"].email == "new@x.example"


def test_states_of_users_show_the_deleted_ones_and_lack_those_that_do_not_occur() -> None:
    users = [person(1), person(2, "inactive"), person(3, "deleted"), *(person(n) for n in range(10, 120))]
    client = organisation(users)
    gateway = GenesysGateway(client)
    assert gateway.user_states(["u1", "u2", "u3", "u4"]) == {"u1": "active", "u2": "inactive", "u3": "deleted"}
    assert gateway.user_states([]) == {}
    client.called.clear()
    assert len(gateway.user_states([f"u{n}" for n in range(10, 120)])) == 110
    assert [len(one.params["id"]) for one in client.called] == [50, 50, 10]


def test_an_empty_group_is_empty() -> None:
    body = {"entities": [], "total": 0, "pageCount": 0, "pageNumber": 1}
    assert GenesysGateway(FakeGenesysClient(lambda _: body)).individuals("g1") == frozenset()


def scim_groups(external_ids: list[str | None], *, filter_wanted: bool) -> FakeGenesysClient:
    def answer(one: Called) -> Any:
        if one.path == "/api/v2/scim/v2/groups":
            if filter_wanted:
                raise BadRequest("filter is required", status=400)
            start, count = one.params["startIndex"], one.params["count"]
            assert count <= 25
            all_of_them = [{"id": f"g{n}", "externalId": value} for n, value in enumerate(external_ids)]
            return {"totalResults": len(external_ids), "Resources": all_of_them[start - 1 : start - 1 + count]}
        if one.path == "/api/v2/groups":
            return page([{"id": f"g{n}", "name": f"G {n}"} for n in range(len(external_ids))], one.params)
        group_id = one.path.rpartition("/")[2]
        return {"id": group_id, "name": group_id, "externalId": external_ids[int(group_id[1:])]}

    return FakeGenesysClient(answer)


@pytest.mark.parametrize("filter_wanted", [True, False])
def test_a_group_is_found_by_its_external_id(filter_wanted: bool) -> None:
    client = scim_groups([None, "ERP-1", "erp-1", *[f"X{n}" for n in range(40)], "Z", "Z"], filter_wanted=filter_wanted)
    gateway = GenesysGateway(client)
    assert gateway.group_id_by_external_id("ERP-1") == "g1"
    before = len(client.called)
    assert gateway.group_id_by_external_id("ERP-2") is None
    assert len(client.called) == before  # read once
    with pytest.raises(AmbiguousExternalId) as caught:
        gateway.group_id_by_external_id("Z")
    assert caught.value.group_ids == ("g43", "g44")


# -- users --------------------------------------------------------------------------------------------


def test_search_finds_active_and_inactive_users_50_a_request() -> None:
    users = [person(n, "inactive" if n % 2 else "active") for n in range(120)] + [person(500, "deleted")]
    client = organisation(users)
    found = GenesysGateway(client).search_users(
        UserKey.EMAIL, [f"PERSON{n}@x.example" for n in (*range(120), 500, 999)]
    )
    assert {user.id for user in found} == {f"u{n}" for n in range(120)}
    assert len(client.called) == 3
    assert all(one.idempotent for one in client.called)  # a search may be repeated, POST or not


def test_search_believes_only_a_user_whose_own_address_says_so() -> None:
    """EXACT may run over analysed text and answer others, deleted ones too."""
    hits = [person(1), person(2), person(1, "deleted", id="u9"), person(1, "active", id="u3", email=None)]
    client = FakeGenesysClient(lambda one: page(hits, one.json, "results"))
    found = GenesysGateway(client).search_users(UserKey.EMAIL, ["person1@x.example"])
    assert [user.id for user in found] == ["u1"]


def test_two_users_with_one_address_are_both_told() -> None:
    client = organisation([person(1), person(1, "inactive", id="u2")])
    found = GenesysGateway(client).search_users(UserKey.EMAIL, ["person1@x.example"])
    assert [user.id for user in found] == ["u1", "u2"]


def test_all_pages_of_a_search_are_read() -> None:
    users = [person(n % 50, id=f"u{n}") for n in range(150)]
    client = organisation(users)
    found = GenesysGateway(client).search_users(UserKey.EMAIL, [f"person{n}@x.example" for n in range(50)])
    assert len(found) == 150
    assert [one.json["pageNumber"] for one in client.called] == [1, 2]


def test_search_halves_a_batch_that_is_refused() -> None:
    client = organisation([person(n) for n in range(10)], refuse=lambda one: "values" in one.json["query"][0])
    gateway = GenesysGateway(client)
    found = gateway.search_users(UserKey.USERNAME, [f"person{n}@x.example" for n in range(4)])
    assert [user.id for user in found] == ["u0", "u1", "u2", "u3"]
    assert len(client.called) == 7
    gateway.search_users(UserKey.USERNAME, ["person5@x.example", "person6@x.example"])
    assert len(client.called) == 9  # it learned


def test_a_value_that_search_refuses_is_looked_for_in_the_listing() -> None:
    users = [person(n) for n in range(3)] + [person(7, email='odd"one@x.example')]
    client = organisation(users, refuse=lambda one: one.path.endswith("search") and '"' in str(one.json["query"][0]))
    found = GenesysGateway(client).search_users(
        UserKey.EMAIL, ["person1@x.example", 'odd"one@x.example', "no@x.example"]
    )
    assert {user.id for user in found} == {"u1", "u7"}
    assert found.refused == frozenset()


def test_a_value_that_search_refuses_is_named_where_users_cannot_be_listed() -> None:
    odd = 'odd"one@x.example'
    users = [person(n) for n in range(60)] + [person(n, "inactive") for n in range(1000, 11_001)]
    client = organisation(users, refuse=lambda one: one.path.endswith("search") and '"' in str(one.json["query"][0]))
    gateway = GenesysGateway(client)
    found = gateway.find_users(UserKey.EMAIL, [*(f"person{n}@x.example" for n in range(60)), odd])
    assert {user.id for user in found} == {f"u{n}" for n in range(60)}
    assert found.refused == {odd}
    listings = [one for one in client.called if one.path == "/api/v2/users"]
    assert len(listings) <= 2, "a listing that must fail is not begun: its first pages tell"
    assert len(client.called) < 20
    before = len(client.called)
    gateway.find_users(UserKey.EMAIL, ["person1@x.example"])
    assert len(client.called) == before + 1


def test_a_listing_that_genesys_refuses_beyond_10000_inactive_users_is_not_begun() -> None:
    users = [person(n) for n in range(60)] + [person(n, "inactive") for n in range(1000, 11_001)]
    client = organisation(users, refuse=lambda one: one.params.get("pageNumber", 1) > 20)
    gateway = GenesysGateway(client)
    wanted = [f"person{n}@x.example" for n in range(2000)]  # 40 searches; a listing would take 22 requests
    assert len(gateway.find_users(UserKey.EMAIL, wanted)) == 1060
    assert [one.path for one in client.called].count("/api/v2/users") == 2
    assert len(client.called) == 42


def test_few_users_are_searched_and_many_are_listed() -> None:
    users = [person(n, "inactive" if n % 10 == 0 else "active") for n in range(1500)]
    few = organisation(users)
    GenesysGateway(few).find_users(UserKey.EMAIL, [f"person{n}@x.example" for n in range(100)])
    assert [one.path for one in few.called] == ["/api/v2/users/search"] * 2

    many = organisation(users)
    gateway = GenesysGateway(many)
    wanted = [f"Person{n}@x.example" for n in range(1000)]
    assert {user.id for user in gateway.find_users(UserKey.EMAIL, wanted)} == {f"u{n}" for n in range(1000)}
    assert [one.path for one in many.called] == ["/api/v2/users"] * 4  # 3 pages of active, 1 of inactive: none twice
    gateway.find_users(UserKey.USERNAME, wanted)
    assert len(many.called) == 4  # kept


def test_known_users_are_asked_for_by_id_until_listing_all_is_cheaper() -> None:
    users = [person(n, "inactive" if n % 10 == 0 else "active") for n in range(3000)] + [person(3000, "deleted")]
    few, many = organisation(users), organisation(users)
    found = GenesysGateway(few).users_by_id([f"u{n}" for n in range(2810, 3010)])
    assert {user.id for user in found} == {f"u{n}" for n in range(2810, 3001)}
    assert {user.id for user in found if user.state == "deleted"} == {"u3000"}
    assert [len(one.params.get("id", [])) for one in few.called] == [0, 50, 50, 50, 50]  # how many there are, first
    assert len(GenesysGateway(many).users_by_id([f"u{n}" for n in range(500)])) == 500
    assert sorted(one.params["state"] for one in many.called) == ["active"] * 6 + ["inactive"]
    gateway = GenesysGateway(organisation(users))
    gateway.list_users()
    assert [user.state for user in gateway.users_by_id(["u1", "u3000", "u4000"])] == ["active", "deleted"]


def test_several_threads_may_look_for_users_and_list_them_once() -> None:
    client = organisation([person(n) for n in range(1500)])
    answer = client.answer

    def slowly(one: Called) -> Any:
        time.sleep(0.02)  # so that the others come while it is read
        return answer(one)

    client.answer = slowly
    gateway = GenesysGateway(client)
    wanted = [f"person{n}@x.example" for n in range(1000)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda field: gateway.find_users(field, wanted), [UserKey.EMAIL, UserKey.USERNAME] * 2))
    assert [len(users) for users in found] == [1000] * 4
    assert [one.path for one in client.called] == ["/api/v2/users"] * 4


def test_a_large_organisation_is_not_listed_for_a_few_users() -> None:
    users = [person(n) for n in range(4000)]
    client = organisation(users)
    found = GenesysGateway(client).find_users(UserKey.EMAIL, [f"person{n}@x.example" for n in range(160)])
    assert len(found) == 160
    assert [one.path for one in client.called] == ["/api/v2/users"] + ["/api/v2/users/search"] * 4


def test_when_the_listing_is_refused_the_users_are_searched() -> None:
    """Above 10,000 inactive users Genesys answers 400."""
    users = [person(n) for n in range(600)]
    client = organisation(
        users, refuse=lambda one: one.params.get("state") == "inactive" and one.params["pageNumber"] > 1
    )
    users += [person(n, "inactive") for n in range(600, 1200)]
    found = GenesysGateway(client).find_users(UserKey.EMAIL, [f"person{n}@x.example" for n in range(500, 700)])
    assert {user.id for user in found} == {f"u{n}" for n in range(500, 700)}


def test_nothing_is_asked_for_nobody() -> None:
    client = organisation([])
    assert GenesysGateway(client).find_users(UserKey.EMAIL, ["", "  "]) == []
    assert client.called == []


def test_a_user_without_a_state_is_no_answer() -> None:
    client = FakeGenesysClient(lambda _: {"id": "u1", "email": "a@x.example"})
    with pytest.raises(UnexpectedAnswer):
        GenesysGateway(client).user("u1")


def test_one_user_is_found_by_id_and_external_id_and_none_only_if_genesys_says_so() -> None:
    def answer(one: Called) -> Any:
        if one.path == "/api/v2/users/externalid/HR/E%2F1":
            return person(1, "deleted")
        if one.path == "/api/v2/users/u2":
            return person(2)
        raise NotFound("no", status=404)

    gateway = GenesysGateway(FakeGenesysClient(answer))
    by_key, by_id = gateway.user_by_external_id("HR", "E/1"), gateway.user("u2")
    assert by_key is not None
    assert by_id is not None
    assert (by_key.state, by_id.id) == ("deleted", "u2")
    assert gateway.user("u3") is None
    assert gateway.user_by_external_id("HR", "2") is None


@pytest.mark.parametrize("value", ["", " ", ".", ".."])
def test_an_id_cannot_become_another_path(value: str) -> None:
    with pytest.raises(BadRequest):
        path_segment(value)
    assert path_segment("a/../b?c") == "a%2F..%2Fb%3Fc"


# -- counts -------------------------------------------------------------------------------------------


def test_requests_are_counted_by_endpoint_and_can_be_added_up() -> None:
    counts, other = RequestCounts(), RequestCounts()
    counts.sent("GET", "/api/v2/groups/7c0b/individuals")
    counts.sent("GET", "/api/v2/groups/8d1c/individuals", again=True)
    other.sent("POST", "/api/v2/users/search")
    other.was_throttled()
    counts.add(other.as_dict())
    assert counts.as_dict() == {
        "total": 3,
        "retried": 1,
        "throttled": 1,
        "by_endpoint": {"GET /api/v2/groups/{id}/individuals": 2, "POST /api/v2/users/search": 1},
    }


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/api/v2/groups", "/api/v2/groups"),
        ("/api/v2/groups/search", "/api/v2/groups/search"),
        ("/api/v2/groups/a1/members?ids=1,2", "/api/v2/groups/{id}/members"),
        ("/api/v2/scim/v2/groups/a1", "/api/v2/scim/v2/groups/{id}"),
        ("/api/v2/users/a1", "/api/v2/users/{id}"),
        ("/api/v2/users/externalid/HR/77", "/api/v2/users/externalid/{authority}/{key}"),
        ("/oauth/token", "/oauth/token"),
    ],
)
def test_an_endpoint_is_named_without_ids(path: str, endpoint: str) -> None:
    assert endpoint_of("get", path) == f"GET {endpoint}"


def test_an_id_that_comes_twice_is_found_also_where_the_total_fits() -> None:
    pages = {1: ["g1", "g2"], 2: ["g2"]}

    def answer(one: Called) -> Any:
        number = one.params["pageNumber"]
        return {"entities": [{"id": i} for i in pages[number]], "total": 2, "pageCount": 2, "pageNumber": number}

    with pytest.raises(IncompleteListing, match="was on a page before"):
        GenesysGateway(FakeGenesysClient(answer)).groups()


def test_a_total_that_counts_what_is_hidden_is_named_with_the_permission() -> None:
    answer = {"entities": [{"id": "g1", "name": "One"}], "total": 2, "pageNumber": 1, "pageCount": 1}
    with pytest.raises(IncompleteListing, match=r"1 of 2 .*a guess.*Private Group > View") as caught:
        GenesysGateway(FakeGenesysClient(lambda _: answer)).groups()
    assert "division" in str(caught.value)


def test_a_search_gets_each_spelling_and_finds_a_user_by_any_of_them() -> None:
    users = [person(1, email="Ann.Smith@X.example"), person(2, email="bob@x.example")]
    sent: list[list[str]] = []

    def answer(one: Called) -> Any:
        sent.append(one.json["query"][0]["values"])
        return page([user for user in users if user["email"] in sent[-1]], one.json, "results")

    spellings = ["Ann.Smith@X.example", "ann.smith@x.example", "BOB@x.example", "bob@x.example"]
    found = GenesysGateway(FakeGenesysClient(answer)).search_users(UserKey.EMAIL, spellings)
    assert {user.id for user in found} == {"u1", "u2"}
    assert sent == [spellings]


def test_a_value_of_which_one_spelling_is_refused_and_another_finds_somebody_is_not_refused() -> None:
    users = [person(1, email="ann@x.example")] + [person(n, "inactive") for n in range(1000, 11_001)]
    client = organisation(users, refuse=lambda one: one.path.endswith("search") and "Ann" in str(one.json["query"][0]))
    found = GenesysGateway(client).search_users(UserKey.EMAIL, ["Ann@x.example", "ann@x.example", "Anna@x.example"])
    assert [user.id for user in found] == ["u1"]
    assert found.refused == {"anna@x.example"}
