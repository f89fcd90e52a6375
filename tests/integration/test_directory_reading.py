"""The whole view and the proof of some groups, read from a real domain controller (Samba)."""

import dataclasses
from collections import Counter

import pytest

from genesys_ad_sync.directory import objects
from genesys_ad_sync.directory.membership import MembershipPolicy, count_non_users, effective_members, nested_groups
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.schema import untrackable_attributes
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import PrincipalKind
from sandbox.active_directory import SandboxDirectory
from sandbox.company import content
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER, OTHER_GROUPS, Content, Group, User
from tests.support.directory_help import names, reader_of


@pytest.fixture(scope="module")
def shared_directory():
    """Start a company with more people than fit into three pages, and a group above Active Directory's range limit."""
    with SandboxDirectory.start(content(agent_count=1600)) as running:
        yield running


@pytest.fixture(scope="module")
def company(shared_directory):
    with reader_of(shared_directory, user_attributes=("employeeNumber",), group_attributes=("info",)) as reader:
        yield reader.snapshot()


def in_scope(reading):
    return {guid for guid, group in reading.view.groups.items() if group.in_scope}


def by_name(reading, sam):
    return next(guid for guid, group in reading.view.groups.items() if group.sam_account_name == sam)


def test_effective_members_of_every_group_are_what_the_directory_says(company, shared_directory):
    truth = shared_directory.truth()
    assert in_scope(company) == set(truth)
    for guid, group in truth.items():
        found = effective_members(company.view, guid, MembershipPolicy(nested=True, disabled_users="remove"))
        assert set(found) == set(group.members), group.sam
    assert company.complete == set(company.view.groups)
    assert company.warnings == ()
    assert company.unresolved == frozenset()


def test_groups_of_several_bases_are_in_scope(shared_directory):
    _, _, found, _ = shared_directory.ldap().search(BASE_DN, "(objectClass=group)", attributes=["cn"])
    bases = (CONTACT_CENTER, OTHER_GROUPS)
    with reader_of(shared_directory) as reader:
        scope = dataclasses.replace(reader.scope, more_group_bases=(OTHER_GROUPS,))
        both = DirectoryReader(reader.session, scope).snapshot()
        one = reader.snapshot()
    assert {both.view.groups[guid].dn for guid in in_scope(both)} == {
        group["dn"] for group in found if group.get("dn", "").endswith(bases)
    }
    assert in_scope(one) < in_scope(both)


def test_the_schema_says_which_attributes_can_be_followed(shared_directory):
    odd = {
        "whenchanged",
        "usnchanged",
        "anr",
        "canonicalname",
        "managedby",
        "createtimestamp",
        "1.2.840.113556.1.4.221",
        "",
    }
    with reader_of(shared_directory) as reader:
        assert untrackable_attributes(reader.session, odd | {"employeetype", "admincount", "cn"}) == odd


def test_the_lifetime_of_tombstones_is_known(shared_directory):
    with reader_of(shared_directory) as reader:
        assert reader.session.tombstone_lifetime().days in (60, 180)


def test_disabled_people_are_read_and_marked(company, shared_directory):
    truth = shared_directory.truth(disabled="keep")
    mixed = by_name(company, "mixed")
    kept = effective_members(company.view, mixed, MembershipPolicy(nested=True, disabled_users="keep"))
    assert set(kept) == set(truth[mixed].members)
    assert [company.view.users[guid].disabled for guid in kept].count(True) == 2


def test_contacts_and_computers_are_told_apart_from_people(company):
    mixed = by_name(company, "mixed")
    assert count_non_users(company.view, mixed) == Counter({"contact": 1, "computer": 1})
    kinds = Counter(company.view.users[guid].kind for guid in company.view.members[mixed])
    assert kinds[PrincipalKind.USER] == 7


def test_groups_above_the_range_limit_come_whole(company):
    assert len(company.view.members[by_name(company, "all-agents")]) == 1600


def test_nested_groups_outside_the_base_are_read_but_not_in_scope(company):
    altona = company.view.groups[by_name(company, "service-altona")]
    assert not altona.in_scope
    assert altona.name == "Service Altona "
    assert len(nested_groups(company.view, by_name(company, "service"))) == 4


def test_members_by_primary_group_are_members(company, shared_directory):
    assert shared_directory.guid_of("paula.primus") in company.view.members[by_name(company, "dispatch")]


def test_awkward_names_and_attributes_come_as_they_are(company, shared_directory):
    view = company.view
    assert {view.groups[guid].name for guid in in_scope(company)} >= {
        "Tier 2, Voice (EMEA) *",
        'GC-Müller & Söhne "Gold" #1',
        "#1 Escalations\\Night",
    }
    people = {user.sam_account_name: user for user in view.users.values()}
    assert people["juergen.jaeger"].name == "Jürgen Jäger\\Süd"
    assert people["xaver.xylander"].name == "Xaver Xylander "
    assert people["karl.kuehn"].mail == "Karl.Kuehn@Example.COM"
    assert people["dieter.dorn"].mail is None
    assert people["dieter.dorn"].attributes == {"userprincipalname": "dieter.dorn@example.com"}
    assert people["jan.jung"].attributes["employeenumber"] == "E-4711"
    assert view.groups[by_name(company, "escalations")].attributes.keys() == {"info"}
    assert people["zoe.zander"].dn == shared_directory.dn_of("zoe.zander")
    assert all(group.sid.startswith("S-1-5-21-") for group in view.groups.values())


def test_most_of_the_domain_comes_in_pages_and_some_of_it_by_guid_and_both_are_the_same(
    company, shared_directory, monkeypatch
):
    # 1666 people, nearly all of them wanted, in pages of 500; the groups' page and what else there is are constant.
    assert 1666 // 500 < company.requests < 20
    monkeypatch.setattr(objects, "SCAN_FROM", 1_000_000)
    with reader_of(shared_directory, user_attributes=("employeeNumber",), group_attributes=("info",)) as reader:
        by_guid = reader.snapshot()
    # 1600 agents and 60 others, 200 in a request
    assert max(1660 // 200, company.requests) < by_guid.requests < 40
    assert by_guid.view == company.view
    assert by_guid.unresolved == company.unresolved


def test_a_scan_ends_at_the_first_page_of_which_few_are_wanted(shared_directory, monkeypatch):
    with reader_of(shared_directory, group_filter="(sAMAccountName=mixed)") as reader:
        by_guid = reader.snapshot()
        monkeypatch.setattr(objects, "SCAN_FROM", 1)
        scanned = reader.snapshot()
    assert scanned.view == by_guid.view
    assert len(scanned.view.users) == 9
    assert scanned.requests - by_guid.requests == 2, "one page, and the word that no more of them is wanted"


def test_without_nesting_groups_below_are_not_read(shared_directory):
    with reader_of(shared_directory, nested_groups=False) as reader:
        view = reader.snapshot().view
    assert all(group.in_scope for group in view.groups.values())
    assert "service-altona" not in names(view.groups.values())
    assert "wanda.wolf" not in names(view.users.values())
    assert "ralf.roth" in names(view.users.values())


def test_the_group_filter_decides_what_is_in_scope(shared_directory):
    with reader_of(shared_directory, group_filter="cn=GC-Service*") as reader:
        reading = reader.snapshot()
    assert names(reading.view.groups[guid] for guid in in_scope(reading)) == {"service", "service-north"}


def test_a_group_base_that_does_not_exist_is_named(shared_directory):
    with (
        reader_of(shared_directory, group_base="OU=Nowhere,DC=example,DC=com") as reader,
        pytest.raises(DirectoryNotFound, match=r"`directory\.group_base`.*OU=Nowhere"),
    ):
        reader.snapshot()


def test_a_base_without_groups_is_a_warning(shared_directory):
    with reader_of(shared_directory, group_base="OU=People,DC=example,DC=com") as reader:
        reading = reader.snapshot()
    assert reading.view.groups == {}
    assert "No group matches" in reading.warnings[0]


def test_an_account_without_special_rights_reads_the_same(company, shared_directory):
    with reader_of(
        shared_directory, account="limited", user_attributes=("employeeNumber",), group_attributes=("info",)
    ) as reader:
        assert reader.snapshot().view == company.view


def test_domain_users_have_their_members_by_primary_group(shared_directory):
    base = "CN=Users,DC=example,DC=com"
    with reader_of(shared_directory, group_base=base, group_filter="(cn=Domain Users)") as reader:
        reading = reader.snapshot()
    (members,) = reading.view.members.values()
    truth = shared_directory.truth(base=base, group_filter="(cn=Domain Users)", disabled="keep")
    (told,) = truth.values()
    assert {guid for guid in members if reading.view.users[guid].kind is PrincipalKind.USER} == set(told.members)
    assert len(members) > 1600


# -- proof --------------------------------------------------------------------------------------------


def test_a_proof_holds_the_group_and_all_below(company, shared_directory):
    service, ring = by_name(company, "service"), by_name(company, "ring-b")
    nobody = "00000000-0000-0000-0000-000000000001"
    with reader_of(shared_directory, user_attributes=("employeeNumber",), group_attributes=("info",)) as reader:
        proof = reader.read_groups([service, ring, nobody])
    expected = nested_groups(company.view, service) | nested_groups(company.view, ring)
    assert proof.complete == expected
    assert proof.missing == {nobody}
    for guid in expected:
        assert proof.view.groups[guid] == company.view.groups[guid], "in scope or not is asked anew"
        assert proof.view.members[guid] == company.view.members[guid]
    assert all(company.view.users[guid] == user for guid, user in proof.view.users.items())


# -- size ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded():
    people = tuple(User(f"m{n:04}", f"Member {n:04}") for n in range(5000))
    sizes = {"g5000": 5000, "g3000": 3000, "g1500": 1500, "g1501": 1501, "g1499": 1499, "g0": 0}
    groups = tuple(Group(sam, sam, tuple(p.sam for p in people[:size])) for sam, size in sizes.items())
    with SandboxDirectory.start(Content(users=people, groups=groups)) as running:
        yield running


@pytest.mark.slow
def test_5000_members_take_range_and_page_loops_and_come_all(crowded):
    with reader_of(crowded) as reader:
        reading = reader.snapshot()
        sizes = {group.name: len(reading.view.members[guid]) for guid, group in reading.view.groups.items()}
        assert sizes == {"g5000": 5000, "g3000": 3000, "g1500": 1500, "g1501": 1501, "g1499": 1499, "g0": 0}
        assert len(reading.view.users) == 5000
        assert all(user.mail is None for user in reading.view.users.values())

        session = reader.session
        big = crowded.guid_of("g5000")
        before = session.requests
        assert len(session.read_values(big, "member")) == 5000
        assert session.requests - before == 4, "0-1499, 1499-2998, 2998-4497, 4497-*"

        before = session.requests
        assert len(list(session.search_paged(crowded.base_dn, "(sAMAccountName=m*)", ["cn"], 1000))) == 5000
        assert session.requests - before >= 5

    # 11 pages of people, 3 more ranges for g5000, 2 for g3000, 1 for g1501, and a few that do not grow.
    assert 17 <= reading.requests <= 27
