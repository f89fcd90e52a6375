"""Who an AD user is in Genesys Cloud."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from genesys_ad_sync.matching import (
    LinkFinding,
    Lookup,
    MatchState,
    accounts_without_veto,
    answered,
    excluded_users,
    finish,
    link_findings,
    next_lookup,
    outsiders,
    start,
    values_digest,
    without_veto,
)
from genesys_ad_sync.model import DirectoryUser, GenesysUser, Guid, Link, Match, MatchStatus, Reason, Rival
from genesys_ad_sync.settings import UserRule
from tests.support.sync_examples import NOON, definition, directory_user, genesys_user

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


def link(guid: Guid, genesys_id: str, **changed: Any) -> Link:
    return Link(guid, genesys_id, changed.pop("matched_by", "mail=email"), NOON, **changed)


def asked(
    users: Iterable[DirectoryUser],
    genesys: Genesys,
    rules: tuple[UserRule, ...] = (MAIL, UPN),
    links: Mapping[Guid, str | Link] | None = None,
    gone: tuple[Guid, ...] = (),
    believed: tuple[str, ...] = (),
    due: tuple[Guid, ...] = (),
) -> MatchState:
    """Return the state after all look-ups. ``believed``: linked Genesys users that are not looked at."""
    known = {guid: link(guid, to) if isinstance(to, str) else to for guid, to in (links or {}).items()}
    checked = {one.genesys_user_id for one in known.values()} - set(believed)
    state = start(users, rules, known, gone=gone, checked=checked, due=due)
    while lookup := next_lookup(state):
        state = answered(state, lookup, genesys.answer(rules, lookup))
    return state


def resolve(
    users: Iterable[DirectoryUser], genesys: Genesys, *rest: Any, no_veto: tuple[Guid, ...] = (), **more: Any
) -> dict[Guid, Match]:
    return finish(without_veto(asked(users, genesys, *rest, **more), no_veto))


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
    assert genesys.asked == [Lookup(None, ("x",)), Lookup(0, ("married@x",))]
    agreeing = Genesys(genesys_user("x", "old@x"))
    resolve([person("a", mail="old@x")], agreeing, links={"a": "x"})
    assert agreeing.asked == [Lookup(None, ("x",))]
    resolve([person("a", mail="married@x")], believed := Genesys(), links={"a": "x"}, believed=("x",))
    assert believed.asked == []


def test_somebody_deleted_in_ad_is_found_by_the_link_alone() -> None:
    made = resolve([], Genesys(genesys_user("x", "a@x")), links={"a": "x"}, gone=("a", "b"))
    assert made["a"].genesys_user_id == "x"
    assert (made["b"].status, made["b"].reason) == (MatchStatus.ORPHANED, Reason.NO_MATCHING_ATTRIBUTE)


def test_a_link_moves_when_genesys_shows_its_user_as_deleted() -> None:
    genesys = Genesys(genesys_user("x", "a@x", state="deleted"), genesys_user("y", "a@x"))
    made = resolve([person("a", mail="a@x")], genesys, links={"a": "x"})
    assert made["a"] == Match("a", MatchStatus.MATCHED, "y", "mail=email", moved_from="x")


def test_a_link_whose_user_is_merely_not_shown_does_not_move() -> None:
    nobody = resolve([person("a", mail="a@x")], Genesys(), links={"a": "x"})
    assert (nobody["a"].status, nobody["a"].reason) == (MatchStatus.ORPHANED, Reason.NO_GENESYS_USER)
    other = resolve([person("a", mail="a@x")], Genesys(genesys_user("y", "a@x")), links={"a": "x"})
    assert (other["a"].reason, other["a"].candidates) == (Reason.LINK_CONTRADICTED, ("x", "y"))


def test_deleted_genesys_users_are_ignored() -> None:
    genesys = Genesys(genesys_user("x", "a@x", state="deleted"), genesys_user("y", "a@x"))
    assert resolve([person("a", mail="a@x")], genesys)["a"].genesys_user_id == "y"


def test_an_inactive_genesys_user_is_told_apart() -> None:
    made = resolve([person("a", mail="a@x")], Genesys(genesys_user("x", "a@x", state="inactive")))
    assert made["a"] == Match("a", MatchStatus.INACTIVE, "x", "mail=email", Reason.INACTIVE)
    linked = resolve([person("a", mail="a@x")], Genesys(genesys_user("x", "a@x", state="inactive")), links={"a": "x"})
    assert linked["a"] == Match("a", MatchStatus.INACTIVE, "x", "link", Reason.INACTIVE)


def test_a_link_to_a_deleted_user_contests_nobody() -> None:
    users = genesys_user("x", "b@x", state="deleted"), genesys_user("y", "b@x"), genesys_user("z", "a@x")
    made = resolve([person("a", mail="a@x"), person("b", mail="b@x")], Genesys(*users), links={"a": "x", "b": "x"})
    assert {guid: (one.genesys_user_id, one.moved_from) for guid, one in made.items()} == {
        "a": ("z", "x"),
        "b": ("y", "x"),
    }


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


def test_whom_genesys_refuses_to_look_up_is_named_with_rule_and_value_and_no_later_rule_is_asked() -> None:
    ann, eve = person("ann", number="7", upn="ann@upn"), person("eve", number=".", upn="eve@upn")
    x, y = genesys_user("x"), genesys_user("y", username="eve@upn")
    state = start([ann, eve], (NUMBER, UPN), {})
    state = answered(state, Lookup(0, (".", "7")), {"7": x}, refused=["."])
    assert next_lookup(state) is None
    by_number = "employeeNumber=external_id"
    assert finish(state) == {
        "ann": Match("ann", MatchStatus.MATCHED, "x", by_number),
        "eve": Match("eve", MatchStatus.NOT_LOOKED_UP, matched_by=by_number, reason=Reason.NOT_LOOKED_UP, value="."),
    }
    found_before = start([eve], (UPN, NUMBER), {})
    found_before = answered(found_before, Lookup(0, ("eve@upn",)), {"eve@upn": y})
    assert finish(found_before)["eve"].genesys_user_id == "y"


def test_who_could_not_be_asked_about_still_claims_what_an_account_has() -> None:
    ann, eve = person("ann", mail="shared@x"), person("eve", number=".", mail="shared@x")
    state = start([ann, eve], (NUMBER, MAIL), {})
    state = answered(state, Lookup(0, (".",)), {}, refused=["."])
    state = answered(state, Lookup(1, ("shared@x",)), {"shared@x": genesys_user("x", "shared@x")})
    made = finish(state)
    assert made["ann"].status is MatchStatus.AMBIGUOUS
    assert made["ann"].rivals == (Rival("eve", "x"),)
    assert (made["eve"].status, made["eve"].candidates) == (MatchStatus.NOT_LOOKED_UP, ("x",))


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
    made = resolve([old, new], genesys, no_veto=("old",))
    assert {guid: match.genesys_user_id for guid, match in made.items()} == {"old": "x", "new": "x"}
    by_link = resolve([new], genesys, links={"old": "x"}, no_veto=("old",))
    assert by_link["new"].genesys_user_id == "x"
    third = resolve([old, new, person("other", mail="a@x")], genesys, no_veto=("old",))
    assert [third[guid].status for guid in ("new", "other")] == [MatchStatus.AMBIGUOUS] * 2


# -- links that are compared with the rules -----------------------------------------------------------

QUINN, PAUL = genesys_user("q", "quinn@x"), genesys_user("p", "paul@x")


def finding(*users: GenesysUser, links: Mapping[Guid, str | Link], **more: Any) -> LinkFinding | None:
    account = more.pop("account", person("paul", mail="paul@x"))
    return link_findings(asked([account], Genesys(*users, **more.pop("genesys", {})), links=links, **more)).get("paul")


def test_a_link_to_a_user_who_carries_none_of_the_values_is_contradicted_by_the_one_who_does() -> None:
    made = resolve([person("paul", mail="paul@x")], Genesys(QUINN, PAUL), links={"paul": "q"})["paul"]
    assert (made.status, made.reason) == (MatchStatus.AMBIGUOUS, Reason.LINK_CONTRADICTED)
    assert (made.candidates, made.rivals) == (("q", "p"), (Rival(None, "p"),))
    assert finding(QUINN, PAUL, links={"paul": "q"}) == LinkFinding(contradicted=True, others=("p",))


def test_a_contradicted_link_names_the_account_that_has_the_other_user() -> None:
    users = [person("paul", mail="paul@x"), person("pia", mail="paul@x")]
    made = resolve(users, Genesys(QUINN, PAUL), links={"paul": "q", "pia": "p"})
    assert made["paul"].reason is Reason.LINK_CONTRADICTED
    assert made["paul"].rivals == (Rival("pia", "p"),)
    assert made["pia"] == Match("pia", MatchStatus.MATCHED, "p", "link")


@pytest.mark.parametrize("state", ["inactive", "deleted", None])
def test_a_link_that_nobody_else_fits_stays_and_is_listed(state: str | None) -> None:
    others = [] if state is None else [genesys_user("p", "paul@x", state=state)]
    made = resolve([person("paul", mail="paul@x")], Genesys(QUINN, *others), links={"paul": "q"})["paul"]
    assert made == Match("paul", MatchStatus.MATCHED, "q", "link")
    assert finding(QUINN, *others, links={"paul": "q"}) == LinkFinding(contradicted=True)


def test_one_value_that_the_linked_user_carries_is_enough() -> None:
    account = person("paul", mail="paul@x", upn="Quinn@x")
    assert finding(QUINN, PAUL, links={"paul": "q"}, account=account) == LinkFinding(contradicted=False)


def test_an_account_without_values_contradicts_nothing() -> None:
    assert finding(QUINN, links={"paul": "q"}, account=person("paul")) == LinkFinding(contradicted=False)


def test_a_link_that_an_earlier_run_found_contradicted_is_held_though_nobody_looks_again() -> None:
    known = {"paul": link("paul", "q", contradicted_since=NOON, others=("p",))}
    made = resolve([person("paul", mail="paul@x")], Genesys(), links=known, believed=("q",))["paul"]
    assert (made.reason, made.candidates) == (Reason.LINK_CONTRADICTED, ("q", "p"))
    cured = resolve([person("paul", mail="paul@x")], Genesys(genesys_user("q", "paul@x")), links=known)["paul"]
    assert cured.status is MatchStatus.MATCHED


def test_what_a_person_settled_is_doubted_only_after_the_values_have_changed() -> None:
    account = person("paul", mail="paul@x")
    settled = link("paul", "q", matched_by="relink", values=values_digest((MAIL, UPN), account))
    assert finding(QUINN, PAUL, links={"paul": settled}) == LinkFinding(contradicted=False)
    changed = person("paul", mail="paula@x")
    users = (QUINN, genesys_user("p", "paula@x"))
    assert finding(*users, links={"paul": settled}, account=changed) == LinkFinding(contradicted=True, others=("p",))


@pytest.mark.parametrize("rules", [(NUMBER, MAIL), (MAIL, NUMBER)])
def test_a_link_by_external_id_is_compared_when_it_is_due(rules: tuple[UserRule, ...]) -> None:
    account = person("paul", number="7", mail="paul@x")
    also = {"account": account, "rules": rules, "links": {"paul": "q"}}
    assert finding(QUINN, PAUL, genesys={"external": {"7": "q"}}, **also) is None
    due = {**also, "due": ("paul",)}
    assert finding(QUINN, PAUL, genesys={"external": {"7": "q"}}, **due) == LinkFinding(contradicted=False)
    assert finding(QUINN, PAUL, **due) == LinkFinding(contradicted=True, others=("p",))


def test_a_value_that_genesys_refuses_leaves_a_link_as_it_was() -> None:
    state = start([person("paul", number=".")], (NUMBER,), {"paul": link("paul", "q")}, checked=["q"], due=["paul"])
    state = answered(state, Lookup(None, ("q",)), {"q": QUINN})
    state = answered(state, Lookup(0, (".",)), {}, refused=["."])
    assert link_findings(state) == {}
    assert finish(state)["paul"] == Match("paul", MatchStatus.MATCHED, "q", "link")


# -- who contests whom --------------------------------------------------------------------------------


def test_a_link_that_nothing_contradicts_wins_over_a_newcomer_with_the_same_mail() -> None:
    users = [person("old", mail="a@x"), person("new", mail="a@x")]
    made = resolve(users, Genesys(genesys_user("x", "a@x")), links={"old": "x"})
    assert made["old"] == Match("old", MatchStatus.MATCHED, "x", "link")
    assert (made["new"].status, made["new"].rivals) == (MatchStatus.AMBIGUOUS, (Rival("old", "x"),))


def test_a_contradicted_link_does_not_win() -> None:
    users = [person("paul", mail="paul@x"), person("quinn", mail="quinn@x")]
    for others in ([], [PAUL]):
        made = resolve(users, Genesys(QUINN, *others), links={"paul": "q"})
        assert {match.status for match in made.values()} == {MatchStatus.AMBIGUOUS}
        assert made["quinn"].rivals == (Rival("paul", "q"),)
        assert Rival("quinn", "q") in made["paul"].rivals
    stored = {"paul": link("paul", "q", contradicted_since=NOON)}
    made = resolve([users[1]], Genesys(QUINN), links=stored)  # paul is outside this run
    assert made["quinn"].rivals == (Rival("paul", "q"),)


def test_a_value_of_two_accounts_contests_nobody_whose_link_is_another_user() -> None:
    users = [person("a", mail="a@x", upn="shared@x"), person("b", mail="b@x", upn="shared@x")]
    genesys = Genesys(genesys_user("x", "a@x", username="u@x"), genesys_user("y", "b@x", username="shared@x"))
    made = resolve(users, genesys, links={"a": "x", "b": "y"})
    assert {guid: match.genesys_user_id for guid, match in made.items()} == {"a": "x", "b": "y"}
    newcomer = resolve(users, genesys, links={"a": "x"})
    assert newcomer["a"].genesys_user_id == "x"
    assert newcomer["b"].rivals == (Rival("a", "y"),)


@pytest.mark.parametrize("links", [{}, {"other": "x"}])
def test_an_account_without_veto_contests_nobody_and_stays_identified(links: dict[str, str]) -> None:
    users = [person("ann", mail="a@x"), person("other", mail="a@x")]
    made = resolve(users, Genesys(genesys_user("x", "a@x")), links=links, no_veto=("other",))
    assert {guid: match.genesys_user_id for guid, match in made.items()} == {"ann": "x", "other": "x"}
    outside = asked(users[:1], Genesys(genesys_user("x", "a@x")), links=links)
    assert outsiders(outside) == frozenset(links)
    assert finish(without_veto(outside, outsiders(outside)))["ann"].genesys_user_id == "x"


def test_excluded_deleted_and_removed_disabled_accounts_have_no_veto() -> None:
    people = [
        directory_user("excluded"),
        directory_user("deleted"),
        directory_user("disabled", disabled=True),
        directory_user("expired", expired=True),
        directory_user("ann"),
    ]
    policy = definition(exclude={"groups": [], "users": ["excluded"]})
    assert accounts_without_veto(people, policy, {"deleted"}) == {"excluded", "deleted", "disabled", "expired"}
    keep = {"disabled_users": "keep", "expired_users": "keep"}
    kept = definition(directory={"group_base": "OU=x,DC=example,DC=com", **keep})
    assert accounts_without_veto(people, kept, ()) == frozenset()
