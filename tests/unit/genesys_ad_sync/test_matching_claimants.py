"""A matching needs the links to Genesys users that its accounts may claim, and no others."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.matching import MatchState, claimable, finish, link_findings, outsiders, with_links, without_veto
from genesys_ad_sync.matching.claims import contested
from genesys_ad_sync.model import DirectoryUser, Guid, Link, Rival
from tests.support.sync_examples import genesys_user, matched
from tests.unit.genesys_ad_sync.test_matching import Genesys, asked, link, person

ACCOUNTS = ("a", "b", "c", "d")
USERS = ("x1", "x2", "x3")
MAILS = ("one@x", "two@x", "three@x")


@st.composite
def _links(draw: st.DrawFn) -> dict[Guid, Link]:
    found = {}
    for guid in draw(st.sets(st.sampled_from(ACCOUNTS))):
        to = draw(st.sampled_from(USERS))
        others = tuple(sorted(draw(st.sets(st.sampled_from(USERS), max_size=2)) - {to}))
        found[guid] = link(guid, to, others=others, contradicted_since=link("", "").since if others else None)
    return found


_PEOPLE = st.lists(st.sampled_from(MAILS), min_size=4, max_size=4).map(
    lambda mails: [person(guid, mail=mail) for guid, mail in zip(ACCOUNTS, mails, strict=True)]
)
_GENESYS = st.lists(st.tuples(st.sampled_from(MAILS), st.sampled_from(("active", "inactive", "deleted"))), max_size=3)


@given(
    _links(),
    _PEOPLE,
    _GENESYS,
    st.sets(st.sampled_from(ACCOUNTS), min_size=1),
    st.sets(st.sampled_from(USERS)),
    st.sets(st.sampled_from(ACCOUNTS)),
)
def test_links_that_nobody_claims_change_nothing(
    links: dict[Guid, Link],
    everybody: list[DirectoryUser],
    there: list[tuple[str, str]],
    chosen: set[Guid],
    believed: set[str],
    no_veto: set[Guid],
) -> None:
    genesys = [genesys_user(id_, mail, state) for id_, (mail, state) in zip(USERS, there, strict=False)]
    people = [one for one in everybody if one.guid in chosen]

    def state(known: dict[Guid, Link]) -> MatchState:
        return asked(people, Genesys(*genesys), links=known, believed=tuple(believed))

    with_all = state(links)
    begun = state({guid: one for guid, one in links.items() if guid in chosen})
    wanted = claimable(begun)
    needed = with_links(begun, {guid: one for guid, one in links.items() if one.genesys_user_id in wanted})
    assert outsiders(needed) == outsiders(with_all)
    assert link_findings(needed) == link_findings(with_all)
    assert finish(without_veto(needed, no_veto)) == finish(without_veto(with_all, no_veto))


def test_who_is_linked_to_what_the_rules_found_once_is_named() -> None:
    """The linked user is believed in this run, and what an earlier comparison found was not looked at."""
    own = link("a", "x1", others=("x2",), contradicted_since=link("", "").since)
    begun = asked([person("a", mail="one@x")], Genesys(), links={"a": own}, believed=("x1",))
    rival = link("b", "x2")
    assert rival.genesys_user_id in claimable(begun)
    assert Rival("b", "x2") in finish(with_links(begun, {"b": rival}))["a"].rivals


def test_the_link_of_an_own_account_is_not_put_back() -> None:
    """`relink` asks the rules about an account as if it had no link."""
    begun = asked([person("a", mail="one@x")], Genesys(genesys_user("x1", "one@x")))
    assert with_links(begun, {"a": link("a", "x1")}).links == {}


def test_a_link_to_a_user_that_genesys_does_not_show_wins_over_no_other_claim() -> None:
    """It may be the link of somebody who is gone."""
    begun = asked([person("a"), person("b")], Genesys(genesys_user("x1")), links={"a": link("a", "x1")})
    matches = {guid: matched(guid, "x1") for guid in ("a", "b")}
    of_b, of_a = (Rival("b", "x1"),), (Rival("a", "x1"),)
    assert contested(begun, matches, {}) == {"b": of_a}
    unseen = replace(begun, linked={})
    assert contested(unseen, matches, {}) == {"a": of_b, "b": of_a}
    assert contested(replace(unseen, checked=frozenset()), matches, {}) == {"b": of_a}
