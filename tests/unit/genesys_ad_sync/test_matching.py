"""Who an AD user is in Genesys Cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from genesys_ad_sync.matching import Lookup, answered, excluded_users, finish, next_lookup, start
from genesys_ad_sync.model import DirectoryUser, GenesysUser, Guid, Match, MatchStatus, Reason
from genesys_ad_sync.settings import UserRule
from tests.support.sync_examples import definition, directory_user, genesys_user

MAIL = UserRule(directory="mail", genesys="email")
UPN = UserRule(directory="userPrincipalName", genesys="username")
NUMBER = UserRule(directory="employeeNumber", genesys="external_id", authority="HR")


class Genesys:
    """Answers look-ups from a list of users and notes what it was asked."""

    def __init__(self, *users: GenesysUser, external: Mapping[str, str] | None = None) -> None:
        self.users = users
        self.external = external or {}
        self.asked: list[Lookup] = []

    def answer(self, rules: tuple[UserRule, ...], lookup: Lookup) -> dict[str, list[GenesysUser]]:
        self.asked.append(lookup)
        return {
            value: [user for user in self.users if self._has(user, rules, lookup, value)] for value in lookup.values
        }

    def _has(self, user: GenesysUser, rules: tuple[UserRule, ...], lookup: Lookup, value: str) -> bool:
        if lookup.rule is None:
            return user.id == value
        kind = rules[lookup.rule].genesys
        if kind == "external_id":
            return self.external.get(value) == user.id
        return ((user.email if kind == "email" else user.username) or "").lower() == value


def resolve(
    users: Iterable[DirectoryUser],
    genesys: Genesys,
    rules: tuple[UserRule, ...] = (MAIL, UPN),
    links: Mapping[Guid, str] | None = None,
    gone: tuple[Guid, ...] = (),
    deleted: tuple[Guid, ...] = (),
    relink: bool = False,
) -> dict[Guid, Match]:
    state = start(users, rules, links or {}, gone=gone, deleted=deleted, relink=relink)
    while lookup := next_lookup(state):
        state = answered(state, lookup, genesys.answer(rules, lookup))
    return finish(state)


def person(guid: str, mail: str | None = None, upn: str | None = None, number: str | None = None) -> DirectoryUser:
    values = {"mail": mail, "userPrincipalName": upn, "employeeNumber": number}
    return directory_user(guid, attributes={key: value for key, value in values.items() if value is not None})


def test_mail_is_compared_without_case() -> None:
    made = resolve([person("u", mail=" ANN@Example.com ")], Genesys(genesys_user("x", "ann@example.COM")))
    assert made["u"] == Match("u", MatchStatus.MATCHED, "x", "mail=email")


def test_later_rules_are_looked_up_only_for_people_not_found_before() -> None:
    genesys = Genesys(genesys_user("x", "a@x"), genesys_user("y", "other@x", username="b@upn"))
    made = resolve([person("a", mail="a@x", upn="a@upn"), person("b", mail="b@x", upn="b@upn")], genesys)
    assert genesys.asked == [Lookup(0, ("a@x", "b@x")), Lookup(1, ("b@upn",))]
    assert made["b"].genesys_user_id == "y"
    assert made["b"].matched_by == "userPrincipalName=username"


def test_a_rule_for_which_nobody_has_a_value_is_not_asked() -> None:
    genesys = Genesys(genesys_user("x", "a@x"))
    made = resolve([person("a", mail="a@x")], genesys, rules=(NUMBER, UPN, MAIL))
    assert [lookup.rule for lookup in genesys.asked] == [2]
    assert made["a"].genesys_user_id == "x"


def test_external_ids_keep_their_case() -> None:
    genesys = Genesys(genesys_user("x", "a@x"), external={"Ab7": "x"})
    assert resolve([person("a", number="Ab7")], genesys, rules=(NUMBER,))["a"].status is MatchStatus.MATCHED
    assert resolve([person("a", number="AB7")], genesys, rules=(NUMBER,))["a"].status is MatchStatus.ORPHANED


def test_attribute_names_are_found_whatever_their_case() -> None:
    user = directory_user("a", attributes={"employeenumber": "7"})
    assert resolve([user], Genesys(genesys_user("x"), external={"7": "x"}), rules=(NUMBER,))["a"].genesys_user_id == "x"


def test_a_link_comes_before_every_rule() -> None:
    genesys = Genesys(genesys_user("x", "old@x"), genesys_user("y", "new@x"))
    made = resolve([person("a", mail="married@x")], genesys, links={"a": "x"})
    assert made["a"] == Match("a", MatchStatus.MATCHED, "x", "link")
    assert genesys.asked == [Lookup(None, ("x",))]


def test_somebody_deleted_in_ad_is_found_by_the_link_alone() -> None:
    made = resolve([], Genesys(genesys_user("x", "a@x")), links={"a": "x"}, gone=("a", "b"))
    assert made["a"].genesys_user_id == "x"
    assert (made["b"].status, made["b"].reason) == (MatchStatus.ORPHANED, Reason.NO_MATCHING_ATTRIBUTE)


@pytest.mark.parametrize("genesys", [Genesys(), Genesys(genesys_user("x", "a@x", state="deleted"))])
def test_a_dead_link_is_not_replaced_unless_the_caller_says_so(genesys: Genesys) -> None:
    made = resolve([person("a", mail="a@x")], genesys, links={"a": "x"})
    assert (made["a"].status, made["a"].reason) == (MatchStatus.ORPHANED, Reason.NO_GENESYS_USER)
    assert [lookup.rule for lookup in genesys.asked] == [None]


def test_a_dead_link_falls_through_to_the_rules_if_the_caller_says_so() -> None:
    genesys = Genesys(genesys_user("x", "a@x", state="deleted"), genesys_user("y", "a@x"))
    made = resolve([person("a", mail="a@x")], genesys, links={"a": "x"}, relink=True)
    assert made["a"] == Match("a", MatchStatus.MATCHED, "y", "mail=email")


def test_deleted_genesys_users_are_ignored() -> None:
    genesys = Genesys(genesys_user("x", "a@x", state="deleted"), genesys_user("y", "a@x"))
    assert resolve([person("a", mail="a@x")], genesys)["a"].genesys_user_id == "y"


def test_an_inactive_genesys_user_is_told_apart() -> None:
    made = resolve([person("a", mail="a@x")], Genesys(genesys_user("x", "a@x", state="inactive")))
    assert made["a"] == Match("a", MatchStatus.INACTIVE, "x", "mail=email", Reason.INACTIVE)


def test_nothing_found_and_nothing_to_look_for_are_different_reasons() -> None:
    made = resolve([person("a", mail="a@x"), person("b"), person("c", mail="  ")], Genesys())
    assert {guid: match.reason for guid, match in made.items()} == {
        "a": Reason.NO_GENESYS_USER,
        "b": Reason.NO_MATCHING_ATTRIBUTE,
        "c": Reason.NO_MATCHING_ATTRIBUTE,
    }


def test_two_genesys_users_for_one_person_are_ambiguous_and_no_later_rule_decides() -> None:
    genesys = Genesys(genesys_user("x", "a@x"), genesys_user("y", "a@x"), genesys_user("z", "z@x", username="a@upn"))
    made = resolve([person("a", mail="a@x", upn="a@upn")], genesys)
    assert (made["a"].status, made["a"].candidates) == (MatchStatus.AMBIGUOUS, ("x", "y"))
    assert len(genesys.asked) == 1


def test_a_genesys_user_that_an_answer_repeats_is_one() -> None:
    user = genesys_user("x", "a@x")
    assert resolve([person("a", mail="a@x")], Genesys(user, user))["a"].status is MatchStatus.MATCHED


def test_two_ad_accounts_with_one_mail_are_both_ambiguous() -> None:
    made = resolve([person("a", mail="a@x"), person("b", mail="A@x")], Genesys(genesys_user("x", "a@x")))
    assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}
    assert made["a"].candidates == ("x",)


def test_somebody_elses_link_makes_a_match_ambiguous_even_if_they_are_not_in_this_run() -> None:
    made = resolve([person("b", mail="a@x")], Genesys(genesys_user("x", "a@x")), links={"a": "x"})
    assert made["b"].status is MatchStatus.AMBIGUOUS
    assert set(made) == {"b"}


def test_two_links_to_one_genesys_user_are_both_ambiguous() -> None:
    made = resolve([person("a"), person("b")], Genesys(genesys_user("x", "a@x")), links={"a": "x", "b": "x"})
    assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}


def test_mails_swapped_between_two_linked_people_are_both_held() -> None:
    genesys = Genesys(genesys_user("x", "a@x"), genesys_user("y", "b@x"))
    made = resolve([person("a", mail="b@x"), person("b", mail="a@x")], genesys, links={"a": "x", "b": "y"})
    assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}


def test_one_candidate_of_an_ambiguous_person_is_nobody_elses() -> None:
    genesys = Genesys(genesys_user("x", "a@x", username="u@x"), genesys_user("y", "a@x"))
    made = resolve([person("a", mail="a@x"), person("b", mail="b@x", upn="u@x")], genesys)
    assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}


@pytest.mark.parametrize("links", [{}, {"b": "gone"}, {"b": "y"}])
def test_one_employee_number_for_two_ad_accounts_holds_both(links: dict[str, str]) -> None:
    genesys = Genesys(genesys_user("x", "a@x"), genesys_user("y", "b@x"), external={"7": "x"})
    made = resolve([person("a", number="7"), person("b", number="7")], genesys, rules=(NUMBER,), links=links)
    assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}


def test_for_whom_genesys_cannot_be_asked_there_is_no_match_and_no_later_rule_finds_one() -> None:
    ann, eve = person("ann", number="7", upn="ann@upn"), person("eve", number=".", upn="eve@upn")
    x, y = genesys_user("x"), genesys_user("y", username="eve@upn")
    state = start([ann, eve], (NUMBER, UPN), {})
    state = answered(state, Lookup(0, (".", "7")), {"7": x}, unanswered=["."])
    assert next_lookup(state) is None
    assert finish(state) == {"ann": Match("ann", MatchStatus.MATCHED, "x", "employeeNumber=external_id")}
    found_before = start([eve], (UPN, NUMBER), {})
    found_before = answered(found_before, Lookup(0, ("eve@upn",)), {"eve@upn": y})
    assert finish(found_before)["eve"].genesys_user_id == "y"


def test_who_could_not_be_asked_about_still_claims_what_an_account_has() -> None:
    ann, eve = person("ann", mail="shared@x"), person("eve", number=".", mail="shared@x")
    state = start([ann, eve], (NUMBER, MAIL), {})
    state = answered(state, Lookup(0, (".",)), {}, unanswered=["."])
    state = answered(state, Lookup(1, ("shared@x",)), {"shared@x": genesys_user("x", "shared@x")})
    assert {guid: match.status for guid, match in finish(state).items()} == {"ann": MatchStatus.AMBIGUOUS}


def test_an_answer_to_another_question_is_refused() -> None:
    state = start([person("a", mail="a@x")], (MAIL,), {})
    with pytest.raises(ValueError, match="another look-up"):
        answered(state, Lookup(0, ("b@x",)), {})


def test_matching_cannot_be_finished_before_genesys_was_asked() -> None:
    with pytest.raises(ValueError, match="asked first"):
        finish(start([person("a", mail="a@x")], (MAIL,), {}))


@pytest.mark.parametrize("pattern", ["svc-*", "SVC-ANN", "*@bots.example.com", "ann@corp.*"])
def test_users_are_excluded_by_name_account_mail_or_upn(pattern: str) -> None:
    ann = directory_user(
        "a",
        name="Ann",
        sam_account_name="svc-ann",
        attributes={"mail": "Ann@bots.example.com", "userprincipalname": "ann@corp.local"},
    )
    bob = directory_user("b", name="Bob", sam_account_name="bob")
    assert excluded_users([ann, bob], definition(exclude={"groups": [], "users": [pattern]})) == {"a"}
    assert excluded_users([ann, bob], definition()) == frozenset()


def test_a_deleted_account_claims_nobody_from_the_one_that_was_made_anew() -> None:
    genesys = Genesys(genesys_user("x", "a@x"))
    old, new = person("old", mail="a@x"), person("new", mail="a@x")
    assert {match.status for match in resolve([old, new], genesys).values()} == {MatchStatus.AMBIGUOUS}
    made = resolve([old, new], genesys, deleted=("old",))
    assert {guid: match.genesys_user_id for guid, match in made.items()} == {"old": "x", "new": "x"}
    by_link = resolve([new], genesys, links={"old": "x"}, deleted=("old",))
    assert by_link["new"].genesys_user_id == "x"
    third = resolve([old, new, person("other", mail="a@x")], genesys, deleted=("old",))
    assert [third[guid].status for guid in ("new", "other")] == [MatchStatus.AMBIGUOUS] * 2
