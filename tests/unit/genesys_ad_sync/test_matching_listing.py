"""Accounts that no look-up found, compared with all Genesys users: without case, and the rules in their order."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.matching import MatchState, answered, finish, next_lookup, start, wants_listing, with_listing
from genesys_ad_sync.model import GenesysUser, Guid, Link, Match, MatchStatus, Reason
from genesys_ad_sync.settings import UserRule
from tests.support.sync_examples import NOON, directory_user, genesys_user

MAIL = UserRule(directory="mail", genesys="email")
UPN = UserRule(directory="userPrincipalName", genesys="username")
NUMBER = UserRule(directory="employeeNumber", genesys="external_id", authority="HR")


def account(guid: Guid = "ann", **attributes: Any) -> Any:
    return directory_user(guid, attributes=attributes)


def not_found(
    accounts: list[Any], rules: tuple[UserRule, ...] = (MAIL, UPN), links: dict[Guid, Link] | None = None, **more: Any
) -> MatchState:
    """Return the state after look-ups that found nobody, but for the users of ``linked``."""
    linked: dict[str, GenesysUser] = more.pop("linked", {})
    state = start(accounts, rules, links or {}, **more)
    while lookup := next_lookup(state):
        state = answered(state, lookup, linked if lookup.rule is None else {})
    return state


def compared(state: MatchState, *users: GenesysUser) -> dict[Guid, Match]:
    assert wants_listing(state)
    return finish(with_listing(state, users))


@pytest.mark.parametrize(
    ("in_ad", "in_genesys"),
    [
        ("ann.smith@example.com", "Ann.Smith@Example.com"),
        ("ANN@EXAMPLE.COM", "ann@example.com"),
        ("jo\u0308rg@example.com", "J\u00d6RG@example.com"),
        (" ann@example.com", "ann@example.com "),
    ],
)
def test_a_value_is_the_same_whatever_its_case_and_its_form_in_unicode(in_ad: str, in_genesys: str) -> None:
    found = compared(not_found([account(mail=in_ad)]), genesys_user("g", email=in_genesys))
    assert found["ann"] == Match("ann", MatchStatus.MATCHED, "g", "mail=email")


@pytest.mark.parametrize(
    ("mail", "other"), [("strasse@x.example", "stra\u00dfe@x.example"), ("a.b@x.example", "ab@x.example")]
)
def test_a_value_that_is_merely_like_another_is_nobodys(mail: str, other: str) -> None:
    assert compared(not_found([account(mail=mail)]), genesys_user("g", email=other))["ann"].genesys_user_id is None


def test_two_users_with_one_value_are_ambiguous_and_not_the_first_of_them() -> None:
    users = genesys_user("g1", email="Ann@x.example"), genesys_user("g2", email="ANN@x.example")
    match = compared(not_found([account(mail="ann@x.example")]), *users)["ann"]
    assert (match.status, match.candidates) == (MatchStatus.AMBIGUOUS, ("g1", "g2"))


def test_two_accounts_with_one_value_are_ambiguous() -> None:
    accounts = [account("ann", mail="ann@x.example"), account("bob", mail="Ann@X.example")]
    matches = compared(not_found(accounts), genesys_user("g", email="ANN@x.example"))
    assert {match.status for match in matches.values()} == {MatchStatus.AMBIGUOUS}


def test_an_earlier_rule_still_comes_first() -> None:
    by_mail, by_name = genesys_user("g1", email="Ann@x.example"), genesys_user("g2", username="ANN@corp.example")
    state = not_found([account(mail="ann@x.example", userPrincipalName="ann@corp.example")])
    assert compared(state, by_name, by_mail)["ann"].genesys_user_id == "g1"


@pytest.mark.parametrize(("state", "status"), [("inactive", MatchStatus.INACTIVE), ("deleted", MatchStatus.ORPHANED)])
def test_only_an_active_user_is_matched(state: str, status: MatchStatus) -> None:
    user = genesys_user("g", email="Ann@x.example", state=state)
    assert compared(not_found([account(mail="ann@x.example")]), user)["ann"].status is status


def test_a_user_that_another_account_is_linked_to_is_not_given_away() -> None:
    links = {"bob": Link("bob", "g", "mail=email", NOON)}
    match = compared(not_found([account(mail="ann@x.example")], links=links), genesys_user("g", email="Ann@x.example"))
    assert match["ann"].status is MatchStatus.AMBIGUOUS


def test_a_contradicted_link_learns_of_the_user_that_only_the_listing_shows() -> None:
    links = {"ann": Link("ann", "old", "mail=email", NOON)}
    linked = {"old": genesys_user("old", email="someone.else@x.example")}
    state = not_found([account(mail="ann@x.example")], links=links, checked=["old"], linked=linked)
    match = compared(state, linked["old"], genesys_user("new", email="Ann@X.example"))["ann"]
    assert (match.reason, match.candidates) == (Reason.LINK_CONTRADICTED, ("old", "new"))


def test_nobody_is_compared_who_is_found_linked_refused_or_without_a_value() -> None:
    links = {"ann": Link("ann", "g", "mail=email", NOON)}
    assert not wants_listing(not_found([account(mail="ann@x.example")], links=links))  # believed
    assert not wants_listing(not_found([account(employeeNumber="7")], rules=(NUMBER,)))
    assert not wants_listing(not_found([account()]))
    state = start([account(mail="ann@x.example")], (MAIL,), {})
    lookup = next_lookup(state)
    assert lookup is not None
    assert not wants_listing(answered(state, lookup, {}, refused=["ann@x.example"]))
    assert not wants_listing(answered(state, lookup, {"ann@x.example": genesys_user("g", email="ann@x.example")}))


def test_a_look_up_has_the_value_as_ad_writes_it_and_in_lower_case() -> None:
    accounts = [account("ann", mail=" Ann.Smith@Example.com"), account("bob", mail="bob@example.com")]
    lookup = next_lookup(start(accounts, (MAIL,), {}))
    assert lookup is not None
    assert lookup.values == ("ann.smith@example.com", "bob@example.com")
    assert lookup.spellings == ("Ann.Smith@Example.com", "ann.smith@example.com", "bob@example.com")
