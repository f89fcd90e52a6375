"""Which AD group feeds which Genesys group."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync import names
from genesys_ad_sync.mapping import ExternalIds, map_groups, needed_external_ids
from genesys_ad_sync.model import DirectoryGroup, GenesysGroup, Reason
from tests.support.sync_examples import BASE, definition, directory_group, genesys_group


def outcome(
    group: DirectoryGroup, *genesys: GenesysGroup, external: ExternalIds | None = None, **settings: Any
) -> str | Reason:
    """Return the id of the Genesys group, or the reason why there is none."""
    mapping = map_groups([group], genesys, definition(**settings), external or {})
    assert len(mapping.pairs) + len(mapping.skipped) == 1
    return mapping.pairs[0].genesys_group_id if mapping.pairs else mapping.skipped[0].reason


def test_equal_names_map_whatever_case_spaces_and_unicode_form() -> None:
    assert outcome(directory_group("Bu\u0308ro "), genesys_group("G", " BÜRO")) == "G"


def test_a_name_rule_finds_a_group_whatever_its_spaces_and_unicode_form() -> None:
    rules = [{"name": "GC-Bu\u0308ro Su\u0308d", "genesys_name": "Süd"}]
    assert outcome(directory_group("gc-Büro  Süd "), genesys_group("G", "süd"), groups=rules) == "G"
    doubled = [{"name": "GC-Büro  Süd", "genesys_name": "Süd"}]
    assert outcome(directory_group("GC-Büro  Süd"), genesys_group("G", "Süd"), groups=doubled) == "G"


BOTH_NAMES = [{"name": "(?P<same>.+)", "genesys_name": "{same}", "name_of": ["cn", "sAMAccountName"]}]


def test_the_account_name_counts_where_it_is_asked_for_and_no_genesys_group_has_the_common_name() -> None:
    group = directory_group("Sales team", sam_account_name="Sales")
    assert outcome(group, genesys_group("G", "sales"), groups=BOTH_NAMES) == "G"
    assert outcome(group, genesys_group("G", "sales"), genesys_group("H", "sales TEAM"), groups=BOTH_NAMES) == "H"
    account_first = [{**BOTH_NAMES[0], "name_of": ["sAMAccountName", "cn"]}]
    assert outcome(group, genesys_group("G", "sales"), genesys_group("H", "sales TEAM"), groups=account_first) == "G"


def test_the_account_name_does_not_count_unasked() -> None:
    group = directory_group("Lunch club", sam_account_name="Admins")
    assert outcome(group, genesys_group("G", "Admins")) is Reason.GENESYS_GROUP_MISSING
    literal = [{"name": "Admins", "genesys_name": "Admins"}]
    assert outcome(group, genesys_group("G", "Admins"), groups=literal) is Reason.UNMAPPED


@pytest.mark.parametrize("name", ["Admin\u017f", "Adm\u0131ns", "\uff21dmins", "Admins\u200b", "\u0410dmins"])
@pytest.mark.parametrize(
    "rule",
    [
        {"name": "(?P<same>.+)", "genesys_name": "{same}"},
        {"name": "Admins", "genesys_name": "Admins"},
        {"name": "[A-Z]+", "genesys_name": "Admins"},
        {"dn": f"CN=Admins,{BASE}", "genesys_name": "Admins"},
    ],
)
def test_a_name_that_only_looks_like_another_one_is_not_equal_to_it(name: str, rule: dict[str, str]) -> None:
    found = outcome(directory_group(name), genesys_group("G", "Admins"), groups=[rule])
    assert found in {Reason.UNMAPPED, Reason.GENESYS_GROUP_MISSING}


def test_the_kelvin_sign_is_not_the_letter_k() -> None:
    assert outcome(directory_group("\u212aey"), genesys_group("G", "Key")) is Reason.GENESYS_GROUP_MISSING
    same = "\u212aey"
    assert outcome(directory_group(same), genesys_group("G", same)) == "G"


def test_letters_without_a_partner_fit_themselves_and_word_patterns() -> None:
    rules = [{"name": r"gc-(?P<team>\w+)", "genesys_name": "{team}"}]
    assert outcome(directory_group("GC-Stra\u00dfe"), genesys_group("G", "STRA\u00dfE"), groups=rules) == "G"
    assert outcome(directory_group("GC-Stra\u00dfe"), genesys_group("G", "STRASSE"), groups=rules) is (
        Reason.GENESYS_GROUP_MISSING
    )
    long_s = [{"name": "Wach\u017ftube", "genesys_name": "Watch"}]
    assert outcome(directory_group("WACH\u017fTUBE"), genesys_group("G", "Watch"), groups=long_s) == "G"


def test_a_regular_expression_must_fit_the_whole_name() -> None:
    rules = [{"name": "GC-(?P<team>.+)", "genesys_name": "{team}"}]
    assert outcome(directory_group("gc-sales"), genesys_group("G", "Sales"), groups=rules) == "G"
    assert outcome(directory_group("x-gc-sales"), genesys_group("G", "Sales"), groups=rules) is Reason.UNMAPPED
    group = directory_group("Verkauf", sam_account_name="GC-Sales")
    both = [{**rules[0], "name_of": ["cn", "sAMAccountName"]}]
    assert outcome(group, genesys_group("G", "Sales"), groups=both) == "G"


def test_a_part_of_the_expression_that_is_absent_counts_as_empty() -> None:
    rules = [{"name": "(?P<a>x-)?(?P<b>.+)", "genesys_name": "{a}{b}"}]
    assert outcome(directory_group("sales"), genesys_group("G", "sales"), groups=rules) == "G"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"CN=Tier\, 2,OU=Contact Center,DC=example,DC=com", r"CN=Tier\2C 2,OU=Contact Center,DC=example,DC=com"),
        ("cn=tier 2, ou=contact center , dc=Example,dc=com", "CN=Tier 2,OU=Contact Center,DC=example,DC=com"),
        (r"CN=B\C3\BCro,DC=x", "CN=Büro,DC=x"),
        (r"CN=a\\b,DC=x", r"CN=a\5Cb,DC=x"),
        (r"CN=\ a\ ,DC=x", r"CN=\20a\20,DC=x"),
        (r"CN=\#1\=2,DC=x", r"CN=\231=2,DC=x"),
    ],
)
def test_dns_are_equal_whatever_their_case_and_escapes(written: str, read: str) -> None:
    rules = [{"dn": written, "genesys_id": "G"}]
    assert outcome(directory_group("x", dn=read), genesys_group("G"), groups=rules) == "G"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"CN=a\,OU=b,DC=x", "CN=a,OU=b,DC=x"),
        ("CN=a,DC=x", r"CN=a\ ,DC=x"),
        ("CN=a b,DC=x", "CN=a  b,DC=x"),
        ("CN=a,DC=x", "OU=a,DC=x"),
        ("CN=ß,DC=x", "CN=s,DC=x"),
    ],
)
def test_different_dns_stay_different(one: str, other: str) -> None:
    assert names.normal_dn(one) != names.normal_dn(other)


@pytest.mark.parametrize("text", ["", "Sales", "CN=", "CN=a,,DC=x", "=a,DC=x", "CN=a,DC=x,"])
def test_what_is_no_dn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a distinguished name"):
        names.normal_dn(text)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12))
def test_every_value_survives_full_escaping(value: str) -> None:
    escaped = "".join(f"\\{byte:02X}" for byte in value.encode())
    assert names.normal_dn(f"CN={escaped},DC=x")[0] == (("cn", names.normal_name_keeping_spaces(value)),)


def test_groups_are_found_by_sid_and_guid() -> None:
    guid = "aaaaaaaa-0000-0000-0000-000000000001"
    rules = [{"sid": "s-1-5-21-1-2", "genesys_id": "G"}, {"guid": guid.upper(), "genesys_name": "Other"}]
    genesys = (genesys_group("G"), genesys_group("H", "other"))
    assert outcome(directory_group("x", sid="S-1-5-21-1-2"), *genesys, groups=rules) == "G"
    assert outcome(directory_group("x", guid=guid), *genesys, groups=rules) == "H"


def test_the_ad_group_may_carry_the_genesys_id() -> None:
    rules = [
        {"attribute": "extensionAttribute7", "genesys_id": "{value}"},
        {"name": "(?P<n>.+)", "genesys_name": "{n}"},
    ]
    genesys = (genesys_group("G", "one"), genesys_group("H", "two"))
    carried = directory_group("one", attributes={"extensionattribute7": " H "})
    assert outcome(carried, *genesys, groups=rules) == "H"
    assert outcome(directory_group("one", attributes={"extensionattribute7": " "}), *genesys, groups=rules) == "G"


def test_the_first_rule_that_matches_wins_even_if_its_genesys_group_is_missing() -> None:
    rules = [{"name": "sales", "genesys_name": "Gone"}, {"name": "(?P<n>.+)", "genesys_name": "{n}"}]
    assert outcome(directory_group("sales"), genesys_group("G", "sales"), groups=rules) is Reason.GENESYS_GROUP_MISSING


@pytest.mark.parametrize("state", ["inactive", "deleted"])
def test_a_genesys_group_that_is_not_active_counts_as_missing(state: str) -> None:
    group = genesys_group("G", "sales", state=state)
    assert outcome(directory_group("sales"), group) is Reason.GENESYS_GROUP_MISSING
    by_id = [{"name": "sales", "genesys_id": "G"}]
    assert outcome(directory_group("sales"), group, groups=by_id) is Reason.GENESYS_GROUP_MISSING


def test_two_genesys_groups_of_one_name_are_never_guessed() -> None:
    mapping = map_groups(
        [directory_group("sales")], [genesys_group("G", "Sales"), genesys_group("H", "SALES ")], definition(), {}
    )
    assert mapping.pairs == []
    assert mapping.skipped[0].reason is Reason.AMBIGUOUS
    assert "G, H" in mapping.skipped[0].detail


def test_a_group_that_two_pages_repeat_is_one_group() -> None:
    assert outcome(directory_group("sales"), genesys_group("G", "Sales"), genesys_group("G", "Sales")) == "G"


def test_several_ad_groups_may_feed_one_genesys_group() -> None:
    rules = [{"name": ".*", "genesys_id": "G"}]
    mapping = map_groups(
        [directory_group("a"), directory_group("b")], [genesys_group("G")], definition(groups=rules), {}
    )
    assert [(pair.group_guid, pair.genesys_group_id, pair.rule) for pair in mapping.pairs] == [
        ("guid-a", "G", 0),
        ("guid-b", "G", 0),
    ]


def test_excluded_groups_are_listed_as_skipped_before_any_rule() -> None:
    exclude = {"groups": ["TEST-*"], "users": []}
    assert outcome(directory_group("test-a"), genesys_group("G", "test-a"), exclude=exclude) is Reason.EXCLUDED
    by_account = directory_group("a", sam_account_name="Test-a")
    assert outcome(by_account, genesys_group("G", "a"), exclude=exclude) is Reason.EXCLUDED


def test_groups_that_are_only_nested_feed_nothing() -> None:
    mapping = map_groups([directory_group("a", in_scope=False)], [genesys_group("G", "a")], definition(), {})
    assert (mapping.pairs, mapping.skipped) == ([], [])


def test_external_ids_are_asked_for_only_where_a_group_needs_them() -> None:
    rules = [
        {"dn": f"CN=a,{BASE}", "genesys_external_id": "ERP-1"},
        {"dn": f"CN=b,{BASE}", "genesys_external_id": "ERP-2"},
    ]
    made = definition(groups=rules)
    assert needed_external_ids([directory_group("a"), directory_group("c")], made) == ("ERP-1",)
    genesys = genesys_group("G")
    assert outcome(directory_group("a"), genesys, external={"ERP-1": "G"}, groups=rules) == "G"
    assert (
        outcome(directory_group("a"), genesys, external={"ERP-1": None}, groups=rules) is Reason.GENESYS_GROUP_MISSING
    )


def test_an_external_id_of_two_genesys_groups_skips_the_ad_group_and_says_what_to_do() -> None:
    rules = [{"dn": f"CN=a,{BASE}", "genesys_external_id": "ERP-1"}, {"name": "b", "genesys_name": "B"}]
    groups = [directory_group("a"), directory_group("b")]
    genesys = [genesys_group("G"), genesys_group("H"), genesys_group("B", "B")]
    made = map_groups(groups, genesys, definition(groups=rules), {"ERP-1": ("G", "H")})
    assert [pair.group_guid for pair in made.pairs] == ["guid-b"]
    (skipped,) = made.skipped
    assert (skipped.group_guid, skipped.reason) == ("guid-a", Reason.AMBIGUOUS)
    several = "2 Genesys groups carry this external id: G, H; leave it with one of them"
    assert skipped.detail == f"rule 1 of groups: {several}"


def test_an_external_id_that_was_not_looked_up_is_no_missing_group() -> None:
    rules = [{"dn": f"CN=a,{BASE}", "genesys_external_id": "ERP-1"}]
    with pytest.raises(KeyError):
        map_groups([directory_group("a")], [genesys_group("G")], definition(groups=rules), {})


def test_braces_in_a_name_are_no_template() -> None:
    assert outcome(directory_group("{same}"), genesys_group("G", "{SAME}")) == "G"
