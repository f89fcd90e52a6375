"""Which values AD is asked for before a new link is made, and what its answer means."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.directory.attribute_values import can_have, equality_filter, ranked_values
from genesys_ad_sync.directory.objects import ObjectReader
from genesys_ad_sync.matching.uniqueness import Carrier, only_unique, values_to_ask
from genesys_ad_sync.model import BY_LINK, Match, MatchStatus, Reason, Rival, Scope, UserKey
from genesys_ad_sync.settings import UserRule
from tests.support.sync_examples import directory_user, matched

MAIL = UserRule(directory="mail", genesys=UserKey.EMAIL)
UPN = UserRule(directory="userPrincipalName", genesys=UserKey.USERNAME)
NUMBER = UserRule(directory="employeeNumber", genesys=UserKey.EXTERNAL_ID, authority="HR")
ANN = directory_user("ann", attributes={"mail": "Ann@Example.com", "employeenumber": "7"})


def carrier(guid: str, *values: str, **changed: Any) -> Carrier:
    return Carrier(directory_user(guid, **changed), values)


def test_only_values_of_new_links_are_asked_for_as_ad_has_them() -> None:
    bob = directory_user("bob")
    known = {"ann": matched("ann"), "bob": Match("bob", MatchStatus.MATCHED, "x-bob", BY_LINK)}
    assert values_to_ask(known, {"ann": ANN, "bob": bob}, (MAIL, NUMBER)) == {"mail": {"Ann@Example.com"}}
    by_number = {"ann": Match("ann", MatchStatus.MATCHED, "x-ann", NUMBER.label)}
    assert values_to_ask(by_number, {"ann": ANN}, (MAIL, NUMBER)) == {"employeeNumber": {"7"}}
    assert values_to_ask({"ann": Match("ann", MatchStatus.ORPHANED)}, {"ann": ANN}, (MAIL,)) == {}


def test_a_value_is_asked_for_under_each_attribute_that_may_name_the_same_user() -> None:
    rules = (MAIL, UPN, NUMBER)
    asked = values_to_ask({"ann": matched("ann")}, {"ann": ANN}, rules)
    assert asked == {"mail": {"Ann@Example.com"}, "userPrincipalName": {"Ann@Example.com"}}
    found = {"mail": (carrier("ann", "Ann@Example.com"), carrier("bob", "ann@example.com")),
             "userPrincipalName": (carrier("cleo", "ANN@example.com"),)}  # fmt: skip
    match = only_unique({"ann": matched("ann")}, {"ann": ANN}, rules, found, ())["ann"]
    assert (match.status, [rival.guid for rival in match.rivals]) == (MatchStatus.AMBIGUOUS, ["bob", "cleo"])


@pytest.mark.parametrize(
    ("name", "text", "possible"),
    [
        ("mail", "a@b", True),
        ("objectguid", "a@b", False),
        ("objectguid", "00112233-4455-6677-8899-aabbccddeeff", True),
        ("objectsid", "a@b", False),
        ("objectsid", "S-1-5-21-7", True),
    ],
)
def test_a_text_that_no_value_can_be_is_not_asked_for(name: str, text: str, possible: bool) -> None:
    assert can_have(name, text) is possible
    session = Session()
    scope = Scope("DC=x", "OU=y,DC=x", "(objectClass=group)", True, "remove", (), (name,))
    assert list(ObjectReader(session, scope).accounts_with(name, [text])) == []  # type: ignore[arg-type]
    assert len(session.filters) == possible


@pytest.mark.parametrize(
    ("found", "rivals"),
    [
        ((), ()),
        ((carrier("ann", "Ann@Example.com"),), ()),
        ((carrier("ann", "Ann@Example.com"), carrier("eve", "x@y", "ann@example.COM")), ("eve",)),
        ((carrier("eve", "ann@example.com", disabled=True), carrier("out", "ann@example.com")), ()),
        ((carrier("eve", "ann@example.co"), carrier("bob", "\u212ann@example.com")), ()),
    ],
)
def test_another_enabled_account_with_that_value_makes_it_ambiguous(
    found: tuple[Carrier, ...], rivals: tuple[str, ...]
) -> None:
    match = only_unique({"ann": matched("ann")}, {"ann": ANN}, (MAIL,), {"mail": found}, {"out"})["ann"]
    assert match.rivals == tuple(Rival(rival, "x-ann") for rival in rivals)
    if rivals:
        assert (match.status, match.reason, match.candidates) == (MatchStatus.AMBIGUOUS, Reason.AMBIGUOUS, ("x-ann",))
    else:
        assert match == matched("ann")


class Session:
    """Notes the searches, and finds nobody."""

    def __init__(self) -> None:
        self.filters: list[str] = []

    def search_paged(self, _base: str, ldap_filter: str, *_: object, **__: object) -> Any:
        self.filters.append(ldap_filter)
        return iter(())


def test_fifty_values_are_asked_for_at_once_with_escaped_characters() -> None:
    session = Session()
    scope = Scope("DC=x", "OU=y,DC=x", "(objectClass=group)", True, "remove", (), ("mail",))
    values = [f"u{number:03}@example.com" for number in range(120)]
    assert list(ObjectReader(session, scope).accounts_with("mail", [*values, values[0]])) == []  # type: ignore[arg-type]
    assert [ldap_filter.count("(mail=") for ldap_filter in session.filters] == [50, 50, 20]


def test_a_value_is_no_part_of_the_filter() -> None:
    assert equality_filter("mail", "a*)(uid=*\\") == "(mail=a\\2a\\29\\28uid=\\2a\\5c)"
    assert equality_filter("proxyaddresses", "a@b") == "(proxyaddresses=smtp:a@b)"
    guid = "00112233-4455-6677-8899-aabbccddeeff"
    assert equality_filter("ms-ds-consistencyguid", guid).startswith("(ms-ds-consistencyguid=\\33\\22\\11\\00")


def test_all_mail_addresses_of_an_account_count() -> None:
    assert ranked_values("proxyaddresses", [b"SMTP:a@b", b"smtp:c@d", b"x500:/o=e"]) == (("a@b",), ("c@d",))
    assert ranked_values("mail", [b"a@b", b"\xff", b"c@d"]) == (("a@b", "c@d"),)
