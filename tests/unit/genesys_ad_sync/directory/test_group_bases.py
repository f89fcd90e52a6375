"""Where groups are looked for: one base or several, odd ones, and parts that other servers hold."""

import dataclasses

import pytest

from genesys_ad_sync.directory import connection
from genesys_ad_sync.directory.connection import LdapSettings
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.errors import DirectoryNotFound, SettingsError
from genesys_ad_sync.model import Scope
from genesys_ad_sync.settings import parse_definition
from tests.support.directory_stubs import SUCCESS, Stub, dirsync_cookie, entry, guid_of, page_control, sync_control

GROUP = [b"top", b"group"]
RULES = 'groups: [{name: "(?P<same>.+)", genesys_name: "{same}"}]\n'


def failure(code, description):
    return {**SUCCESS, "result": code, "description": description}


class Domain:
    """Answers searches for groups by base: entries, or a failed result."""

    def __init__(self):
        self.bases = {}
        self.stub = Stub(self.answer)

    def answer(self, base, controls, attributes, **_):
        if dirsync_cookie({"controls": controls}) is not None:
            return {**SUCCESS, "controls": sync_control(b"next", more_results=False)}, []
        if base in self.bases:
            answer = self.bases[base]
            if isinstance(answer, dict):
                return answer, []
            return {**SUCCESS, "controls": page_control(b"")}, answer
        if base == "":
            root = {
                "dnsHostName": [b"dc1.t"],
                "defaultNamingContext": [b"DC=t"],
                "highestCommittedUSN": [b"7"],
                "dsServiceName": [b"CN=NTDS"],
                "currentTime": [b"20260101120000.0Z"],
            }
            return SUCCESS, [{"type": "searchResEntry", "dn": "", "raw_attributes": root}]
        if base == "CN=NTDS":
            return SUCCESS, [
                {"type": "searchResEntry", "dn": base, "raw_attributes": {"invocationId": [bytes(range(16))]}}
            ]
        return {**SUCCESS, "controls": page_control(b"")}, []

    def snapshot(self, definition):
        scope = definition.scope("DC=t")
        return DirectoryReader(self.stub.session(), scope).snapshot()


def definition(base):
    return parse_definition(f"directory: {{group_base: {base}}}\n{RULES}")


def reference(uri):
    return {"type": "searchResRef", "uri": [uri]}


# -- references (D11) ---------------------------------------------------------------------------------


def test_parts_that_other_servers_hold_are_left_out_and_said():
    group = entry(1, objectClass=GROUP, cn=[b"Sales"])
    domain = Domain()
    domain.bases = {
        "DC=t": [
            group,
            reference("ldap://emea.t/DC=emea,DC=t"),
            reference("ldap://parts.t/DC=Some%20part,DC=t??base"),
            reference("ldap://t/CN=Configuration,DC=t"),
        ]
    }
    reading = domain.snapshot(definition("DC=t"))
    assert set(reading.view.groups) == {guid_of(1)}
    assert reading.complete == {guid_of(1)}
    note = next(note for note in reading.warnings if "left out" in note)
    assert "DC=emea,DC=t" in note
    assert "DC=Some part,DC=t" in note
    assert "Configuration" not in note


# -- a malformed base (D12) ---------------------------------------------------------------------------


def test_a_base_that_the_server_does_not_understand_is_a_mistake_in_the_definition():
    domain = Domain()
    domain.bases = {"OU=x,DC=t": failure(34, "invalidDNSyntax")}
    with pytest.raises(SettingsError, match=r"directory\.group_base.*OU=x,DC=t"):
        domain.snapshot(definition('"OU=x,DC=t"'))


def test_so_is_a_base_dn_of_the_connection():
    settings = LdapSettings(("dc1",), "svc", "x", base_dn="nonsense")
    session = Stub(lambda **_: (failure(34, "invalidDNSyntax"), [])).session()
    session._connection.unbind = lambda: None
    with pytest.raises(SettingsError, match=r"`base_dn`.*nonsense"):
        connection.require_base_dn(session, settings)


# -- several bases (D13) ------------------------------------------------------------------------------


def test_groups_of_all_bases_are_read():
    domain = Domain()
    domain.bases = {
        "OU=a,DC=t": [entry(1, objectClass=GROUP, cn=[b"A"])],
        "OU=b,DC=t": [entry(2, objectClass=GROUP, cn=[b"B"])],
    }
    reading = domain.snapshot(definition('["OU=b,DC=t", "OU=a,DC=t"]'))
    assert set(reading.view.groups) == {guid_of(1), guid_of(2)}
    assert all(group.in_scope for group in reading.view.groups.values())


def test_each_base_must_exist():
    domain = Domain()
    domain.bases = {"OU=a,DC=t": [entry(1, objectClass=GROUP)], "OU=b,DC=t": failure(32, "noSuchObject")}
    with pytest.raises(DirectoryNotFound, match=r"directory\.group_base.*OU=b,DC=t"):
        domain.snapshot(definition('["OU=a,DC=t", "OU=b,DC=t"]'))


def test_a_base_below_another_one_is_not_read_twice():
    scope = definition('["OU=a,DC=t", "ou=A, dc=T", "OU=in,OU=a,DC=t", "OU=ba,DC=t"]').scope("DC=t")
    assert scope.group_bases == ("OU=a,DC=t", "OU=ba,DC=t")


def test_the_order_of_bases_is_no_other_scope():
    here = definition('["OU=b,DC=t", "OU=a,DC=t"]').scope("DC=t")
    there = definition('["OU=a,DC=t", "OU=b,DC=t"]').scope("DC=t")
    assert here.fingerprint == there.fingerprint
    assert Scope.of_fingerprint(here.fingerprint) == here


def test_a_list_of_one_base_is_the_scope_that_journals_know():
    assert definition('["OU=a,DC=t"]').scope("DC=t").fingerprint == definition('"OU=a,DC=t"').scope("DC=t").fingerprint
    known = dataclasses.replace(definition('["OU=a,DC=t"]').scope("DC=t"), expired_users="keep")
    assert known.fingerprint.startswith("DC=t|OU=a,DC=t|")


@pytest.mark.parametrize("base", ["[]", '["OU=a,DC=t", "Sales"]', '["OU=a,DC=t", 7]', "7", '""', '[""]', "{a: b}"])
def test_wrong_bases_are_explained(base):
    with pytest.raises(SettingsError, match=r"directory\.group_base"):
        definition(base)
