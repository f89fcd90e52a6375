"""Attributes with several values, such as `proxyAddresses`: all are looked for, the primary address first."""

from __future__ import annotations

import dataclasses

import pytest

from genesys_ad_sync.matching import is_digest_of, values_digest
from genesys_ad_sync.model import DirectoryUser, MatchStatus, RankedValues
from genesys_ad_sync.settings import UserRule
from tests.support.sync_examples import directory_user, genesys_user
from tests.unit.genesys_ad_sync.test_matching import Genesys, link, resolve

PROXY = UserRule(directory="proxyAddresses", genesys="email")


def person(name: str, *ranks: tuple[str, ...], attribute: str = "proxyaddresses") -> DirectoryUser:
    values: RankedValues = ranks if sum(map(len, ranks)) > 1 else ()
    user = directory_user(name)
    attributes = {attribute: ranks[0][0]} if ranks else {}
    return dataclasses.replace(user, attributes=attributes, ranked_values={attribute: values} if values else {})


ANN, BOB = genesys_user("x1", "ann@t"), genesys_user("x2", "bob@t")


def test_an_alias_finds_whom_the_primary_address_does_not() -> None:
    genesys = Genesys(ANN)
    match = resolve([person("a", ("new@t",), ("Ann@T", "old@t"))], genesys, (PROXY,))["a"]
    assert (match.status, match.genesys_user_id) == (MatchStatus.MATCHED, "x1")
    assert genesys.asked[0].values == ("ann@t", "new@t", "old@t")


def test_the_primary_address_goes_before_every_alias() -> None:
    match = resolve([person("a", ("bob@t",), ("ann@t",))], Genesys(ANN, BOB), (PROXY,))["a"]
    assert match.genesys_user_id == "x2"


def test_two_values_of_one_rank_that_find_two_users_are_no_guess() -> None:
    match = resolve([person("a", ("ann@t", "bob@t"))], Genesys(ANN, BOB), (PROXY,))["a"]
    assert (match.status, match.candidates) == (MatchStatus.AMBIGUOUS, ("x1", "x2"))


def test_an_alias_contests_nobody_whose_own_address_it_is() -> None:
    """The manager gets the leaver's mail, and both are still accounts."""
    people = [person("manager", ("ann@t",), ("bob@t",)), person("leaver", ("bob@t",))]
    matches = resolve(people, Genesys(ANN, BOB), (PROXY,))
    assert {guid: match.genesys_user_id for guid, match in matches.items()} == {"manager": "x1", "leaver": "x2"}


def test_two_accounts_that_are_found_by_the_same_alias_are_ambiguous() -> None:
    people = [person("a", ("no@t",), ("ann@t",)), person("b", ("none@t",), ("ann@t",))]
    assert {match.status for match in resolve(people, Genesys(ANN), (PROXY,)).values()} == {MatchStatus.AMBIGUOUS}


def test_a_link_whose_user_carries_an_alias_is_confirmed() -> None:
    links = {"a": link("a", "x1")}
    match = resolve([person("a", ("new@t",), ("ann@t",))], Genesys(ANN), (PROXY,), links)["a"]
    assert (match.status, match.genesys_user_id) == (MatchStatus.MATCHED, "x1")


def test_a_value_that_genesys_refuses_concerns_its_person() -> None:
    several = person("a", ("ann@t", "bob@t"), attribute="othermailbox")
    rule = UserRule(directory="otherMailbox", genesys="email")
    assert resolve([several], Genesys(ANN), (rule,))["a"].genesys_user_id == "x1"


@pytest.mark.parametrize("ranks", [(("ann@t",),), (("ann@t",), ("b@t", "c@t")), ()])
def test_what_a_person_decided_holds_after_an_upgrade_reads_all_values(ranks: RankedValues) -> None:
    once = person("a", *(ranks[:1]))
    now = person("a", *ranks)
    assert is_digest_of(values_digest((PROXY,), once), (PROXY,), now)
    assert not is_digest_of(values_digest((PROXY,), person("a", ("else@t",))), (PROXY,), now)
