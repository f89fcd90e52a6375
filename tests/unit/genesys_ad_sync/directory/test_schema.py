"""Which attributes of `group_filter` can be followed by DirSync."""

import dataclasses

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.dirsync import ChangeReader
from genesys_ad_sync.errors import CursorRejected
from tests.support.fake_directory_session import CURSOR, SCOPE, FakeSession, entry

SCHEMA = {
    "employeetype": entry(1, lDAPDisplayName=[b"employeeType"], systemFlags=[b"0"]),
    "admincount": entry(2, lDAPDisplayName=[b"adminCount"]),
    "whenchanged": entry(3, lDAPDisplayName=[b"whenChanged"], systemFlags=[b"19"]),
    "canonicalname": entry(4, lDAPDisplayName=[b"canonicalName"], systemFlags=[b"134217748"]),
    "managedby": entry(5, lDAPDisplayName=[b"managedBy"], systemFlags=[b"16"], linkID=[b"72"]),
}


class WithSchema(FakeSession):
    def search(self, base, ldap_filter, *_, **__):
        if not base:
            return [entry(9, schemaNamingContext=[b"CN=Schema"])]
        return [found for name, found in SCHEMA.items() if f"(lDAPDisplayName={name})" in ldap_filter]


@pytest.mark.parametrize(
    "ldap_filter",
    ["(employeeType=sync)", "(&(objectClass=group)(adminCount=1))", "(description=sync)", "(extensionAttribute7=*)"],
)
def test_stored_attributes_are_followed(ldap_filter):
    assert cookie(ldap_filter) == b"next"


@pytest.mark.parametrize(
    "ldap_filter",
    [
        *("(whenChanged>=20260101000000.0Z)", "(canonicalName=*)", "(managedBy=CN=ann,DC=t)", "(uSNChanged>=1)"),
        *("(anr=GC)", "(1.2.840.113556.1.4.221=x)", "(oid.2.5.4.3=x)", "(:dn:2.4.6.8.10:=x)"),
        *("(member=CN=x)", "(memberOf:1.2.840.113556.1.4.1941:=CN=x)", "(&(cn=a)(!(whenChanged<=2026)))"),
    ],
)
def test_everything_else_is_read_as_a_whole(ldap_filter):
    assert cookie(ldap_filter) is None


def test_the_cookie_of_an_older_version_is_not_continued_with_such_a_filter():
    scope = dataclasses.replace(SCOPE, group_filter="(anr=GC)")
    with pytest.raises(CursorRejected, match="group_filter"):
        ChangeReader(WithSchema(syncs=[[]]), scope).changes_since(CURSOR)


def cookie(ldap_filter):
    warnings = []
    scope = dataclasses.replace(SCOPE, group_filter=ldap_filter)
    found = ChangeReader(WithSchema(syncs=[[]]), scope).first_cursor(warnings).cookie
    assert bool(warnings) == (found is None)
    return found


def test_names_of_a_filter_are_those_before_operator_option_and_rule():
    found = ctl.filter_attributes("(&(a=1)(b>=2)(c<=3)(d~=4)(e:1.2.3:=5)(f;lang-de=6)(!(g=*))(1.2.3=x)(:dn:1.2:=y))")
    assert found == {"a", "b", "c", "d", "e", "f", "g", "1.2.3", ""}
