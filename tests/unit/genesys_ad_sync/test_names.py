"""When two names, or two distinguished names, are the same."""

from __future__ import annotations

import unicodedata

import pytest

from genesys_ad_sync.model import DirectoryGroup
from genesys_ad_sync.names import dn_key
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
