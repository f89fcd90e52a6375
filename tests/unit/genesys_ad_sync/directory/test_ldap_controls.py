"""Controls, GUIDs and ranges on bytes: what Samba forgives and Active Directory does not."""

import struct
import uuid

import pytest

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.membership import domain_rid

GUID = "bba94b3b-3d8f-4838-9bd7-0ac3dd7dd652"


@pytest.mark.parametrize("dn", ["<GUID=1-2>;<SID=S-1>;CN=x,DC=t", "<GUID=1-2>;CN=x,DC=t", "CN=x,DC=t"])
def test_the_prefixes_of_an_extended_dn_are_taken_off(dn):
    assert ctl.plain_dn(dn) == "CN=x,DC=t"


def test_an_extended_dn_may_hold_no_dn_at_all():
    assert ctl.plain_dn("<GUID=1-2>") == ctl.plain_dn("<GUID=1-2>;<SID=S-1>") == ctl.plain_dn("<GUID=1-2>;") == ""


def test_the_dirsync_flags_go_out_as_an_integer_of_four_bytes():
    control = ctl.dirsync_control(b"cookie")
    value = bytes(control["controlValue"])
    # SEQUENCE { Flags 0x80000001, MaxBytes 0x7fffffff, Cookie }
    assert value == bytes.fromhex("30 14  02 04 80 00 00 01  02 04 7f ff ff ff  04 06") + b"cookie"
    assert str(control["controlType"]) == "1.2.840.113556.1.4.841"
    assert bool(control["criticality"])


def test_guids_in_filters_are_escaped_bytes():
    assert ctl.guid_filter([GUID]) == (r"(|(objectGUID=\3b\4b\a9\bb\8f\3d\38\48\9b\d7\0a\c3\dd\7d\d6\52))")


def test_guids_of_values_and_of_bytes_are_lower_case_text():
    assert ctl.guid_of_value(f"<GUID={GUID.upper()}>;<SID=S-1-5-21-1>;CN=a".encode()) == GUID
    assert ctl.guid_of_value(b"CN=a,DC=b") is None
    assert ctl.guid_of_bytes(uuid.UUID(GUID).bytes_le) == GUID


def test_a_dn_loses_its_extended_prefix_and_nothing_else():
    assert ctl.plain_dn(f"<GUID={GUID}>;<SID=S-1-5-21-1-2-3-1103>;CN=u;v,DC=b") == "CN=u;v,DC=b"
    assert ctl.plain_dn("CN=<x>;y,DC=b") == "CN=<x>;y,DC=b"


def test_sids_are_read_and_only_domain_groups_can_be_primary_groups():
    raw = bytes([1, 5]) + (5).to_bytes(6, "big") + struct.pack("<5I", 21, 3047728983, 3182192942, 73564098, 1103)
    sid = ctl.sid_of_bytes(raw)
    assert sid == "S-1-5-21-3047728983-3182192942-73564098-1103"
    assert domain_rid(sid) == 1103
    assert domain_rid("S-1-5-32-544") is None
    assert domain_rid(None) is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"member;range=0-1": [b"a", b"b"]}, ctl.Range(0, [b"a", b"b"], last=False)),
        ({"member": [], "member;range=0-*": [b"a"]}, ctl.Range(0, [b"a"], last=True)),
        ({"member;Range=5-*": []}, ctl.Range(5, [], last=True)),
        ({"member": [b"a"]}, ctl.Range(0, [b"a"], last=True)),
        ({"member": []}, None),
        ({"memberof;range=0-1": [b"a", b"b"]}, None),
    ],
)
def test_a_range_is_found_beside_the_empty_plain_attribute(attributes, expected):
    assert ctl.find_range(attributes, "member") == expected


def test_a_range_with_too_few_values_is_an_error():
    with pytest.raises(ValueError, match="2 values"):
        ctl.find_range({"member;range=0-1499": [b"a", b"b"]}, "member")


def test_the_attributes_of_a_filter_are_found():
    assert ctl.filter_attributes("(&(objectClass=group)(!(Description=*))(groupType:1.2.840.113556.1.4.803:=2))") == {
        "objectclass",
        "description",
        "grouptype",
    }
