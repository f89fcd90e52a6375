"""Filters that hold values from AD: no value changes the filter that it is in."""

from __future__ import annotations

import pytest
from ldap3.operation.search import MATCH_EQUAL, compile_filter, parse_filter

from genesys_ad_sync.directory import ldap_controls as ctl

HOSTILE = [
    "CN=*,DC=x",
    "CN=a)(objectClass=*,DC=x",
    "CN=a))(|(cn=*,DC=x",
    r"CN=a\2a,DC=x",
    "CN=\x00b,DC=x",
    "CN=(&),DC=x",
]


@pytest.mark.parametrize("dn", HOSTILE)
def test_a_value_cannot_change_the_filter_it_is_in(dn: str) -> None:
    parsed = parse_filter(ctl.dn_filter([dn]), None, True, None, None, False)
    tree = compile_filter(parsed.elements[0])
    [only] = list(tree["or"])
    assert parsed.elements[0].elements[0].tag == MATCH_EQUAL
    assert bytes(only["equalityMatch"]["assertionValue"]).decode() == dn


@pytest.mark.parametrize("guid", ["*", "x)(objectClass=*", "", "5be43274"])
def test_a_guid_that_is_none_makes_no_filter(guid: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        ctl.guid_filter([guid])
