"""When two names, or two distinguished names, are the same."""

from __future__ import annotations

import unicodedata

import pytest

from genesys_ad_sync.model import DirectoryGroup
from genesys_ad_sync.names import dn_key, matches_any, normal_name, without_match
from genesys_ad_sync.run.changes import groups_in_param


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_param_groups_finds_a_name_in_whatever_unicode_form(form: str) -> None:
    group = DirectoryGroup("a", "CN=a", unicodedata.normalize("NFD", "GC-M\u00fcnchen"), None, None, in_scope=True)
    assert groups_in_param([group], (unicodedata.normalize(form, "gc-m\u00fc*"),)) == [group]


def test_a_separator_in_a_value_does_not_make_two_dns_one() -> None:
    assert dn_key("CN=a\\,OU=b,DC=t") != dn_key("CN=a,OU=b,DC=t")
    assert dn_key("CN=a\\+b,DC=t") == dn_key("cn=a\\2Bb, DC=T")


def test_a_text_that_is_no_dn_is_its_own_key() -> None:
    assert dn_key("Nobody") == dn_key("nobody")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[VIP] Voice", "[VIP] Voice"),
        ("[vip] *", "[VIP] Voice"),
        ("*(EMEA) [24/7]", "Support (EMEA) [24/7]"),
        ("[ab]?", "b1"),
        ("a*b", "a*b"),
        ("Call  Center\u00a0", " call center"),
        ("Bu\u0308ro", "BÜRO"),
    ],
)
def test_a_pattern_matches_by_its_wildcards_and_by_equality(pattern: str, name: str) -> None:
    assert matches_any([pattern], [name])
    assert without_match([pattern], ["other", name]) == []


def test_a_pattern_with_brackets_matches_no_other_name() -> None:
    assert not matches_any(["[VIP] Voice"], ["Voice", "VIP Voice", "[VIP] Voice 2", None, ""])
    assert without_match(["[VIP] Voice", "V*"], ["Voice"]) == ["[VIP] Voice"]


def test_names_are_equal_whatever_case_spaces_and_unicode_form() -> None:
    assert normal_name(" Bu\u0308ro \t Su\u0308d ") == normal_name("BÜRO SÜD")
    assert normal_name("Sales") != normal_name("Sales2")
