"""Changes since a cursor, applied to the stored view, against a fresh reading of a real domain controller (Samba)."""

import dataclasses
import os
import random

import ldap3
import pytest

from genesys_ad_sync.directory.apply_delta import apply_delta, merged
from genesys_ad_sync.directory.membership import MembershipPolicy, effective_members, prune
from genesys_ad_sync.errors import CursorRejected
from genesys_ad_sync.model import DirectoryView
from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    PEOPLE,
    AddGroup,
    AddMember,
    AddUser,
    Delete,
    Disable,
    Enable,
    Group,
    Move,
    RemoveMember,
    Rename,
    SetAttributes,
    SetPrimaryGroup,
    User,
)
from tests.support.directory_help import reader_of
from tests.support.directory_stubs import part_of


class Follower:
    """Keeps a view up to date by changes only, the way a journal does it: part by part."""

    def __init__(self, reader):
        self.reader = reader
        first = reader.snapshot()
        self.view, self.cursor = first.view, first.cursor

    def poll(self):
        delta = self.reader.changes_since(self.cursor)
        if delta.entries:
            part = part_of(self.view, delta)
            self.view = merged(self.view, part, apply_delta(part, delta, self.reader.objects))
        self.cursor = delta.cursor
        return delta

    def whole(self):
        again = self.reader.snapshot()
        self.view, self.cursor = again.view, again.cursor

    @property
    def pruned(self) -> DirectoryView:
        return prune(self.view, nested=self.reader.scope.nested_groups)


def require_same(found: DirectoryView, expected: DirectoryView, what=""):
    """Says which objects differ, not the whole views."""
    for part in ("groups", "users", "members"):
        ours, theirs = getattr(found, part), getattr(expected, part)
        differing = {
            k: (ours.get(k), theirs.get(k)) for k in ours.keys() | theirs.keys() if ours.get(k) != theirs.get(k)
        }
        assert not differing, f"{what} {part}: {differing}"


@pytest.fixture
def follower(directory):
    # Without the one large group: it is read again and again here, and `test_directory_reading` has it.
    group_filter = "(&(objectClass=group)(!(sAMAccountName=all-agents)))"
    with reader_of(
        directory, group_filter=group_filter, user_attributes=("employeeNumber",), group_attributes=("info",)
    ) as reader:
        yield Follower(reader)


KINDS_OF_CHANGE = {
    "add": [AddMember("support", "quirin.quast")],
    "remove": [RemoveMember("support", "lena.lang")],
    "add and remove": [AddMember("support", "quirin.quast"), RemoveMember("support", "quirin.quast")],
    "remove and add again": [RemoveMember("support", "lena.lang"), AddMember("support", "lena.lang")],
    "delete a user": [Delete("wanda.wolf")],
    "delete a group": [Delete("service-hamburg")],
    "delete a group in scope": [Delete("support")],
    "rename a user": [Rename("hanna.hess", "Heß-Hansen, Hanna")],
    "change a mail": [SetAttributes("hanna.hess", {"mail": "new@example.com"})],
    "clear a mail": [SetAttributes("hanna.hess", {"mail": None})],
    "change the employee number": [SetAttributes("jan.jung", {"employeeNumber": "E-1"})],
    "disable": [Disable("georg.gross")],
    "enable": [Enable("fritz.falk")],
    "rename a group": [Rename("support", "GC-Support (new)")],
    "change an attribute of a group": [SetAttributes("escalations", {"info": "other"})],
    "move a group out of scope": [Move("support", OTHER_GROUPS)],
    "move a nested group out of scope": [Move("service-north", OTHER_GROUPS)],
    "move a group into scope": [Move("service-hamburg", CONTACT_CENTER)],
    "move a user": [Move("anna.arndt", CONTACT_CENTER)],
    "a new group with members": [AddGroup(Group("fresh", "GC-Fresh", ("anna.arndt", "service", "quirin.quast")))],
    "a new user in a group": [AddUser(User("neu", "Neu, N. (x)", mail="n@example.com")), AddMember("support", "neu")],
    "nest a group read before": [AddMember("support", "service")],
    "nest a group never read": [
        AddGroup(Group("below", "Below", ("quirin.quast",), ou=OTHER_GROUPS)),
        AddGroup(Group("middle", "Middle", ("below",), ou=OTHER_GROUPS)),
        AddMember("support", "middle"),
    ],
    "unnest": [RemoveMember("service", "service-north")],
    "close a cycle": [AddMember("service-altona", "service")],
    "make a group primary": [SetPrimaryGroup("paul.peters", "dispatch")],
    "take primary back": [SetPrimaryGroup("paula.primus", "Domain Users"), RemoveMember("dispatch", "paula.primus")],
    "delete a primary member": [Delete("paula.primus")],
    "a change far down": [AddMember("service-altona", "quirin.quast"), RemoveMember("service-hamburg", "viktor.vogel")],
    "nothing that matters": [SetAttributes("support", {"description": "x"})],
}  # fmt: skip
SHOW_NOTHING = ("add and remove", "remove and add again", "make a group primary", "nothing that matters")


@pytest.mark.parametrize("kind", KINDS_OF_CHANGE)
def test_the_view_after_a_change_is_what_a_fresh_reading_gives(kind, follower, directory):
    before = follower.pruned
    directory.apply(KINDS_OF_CHANGE[kind])
    delta = follower.poll()
    fresh = follower.reader.snapshot().view
    require_same(follower.pruned, fresh)
    if kind not in SHOW_NOTHING:
        assert fresh != before
        assert delta.entries
    assert follower.poll().entries == 0


def test_an_idle_poll_is_four_small_requests(follower):
    before = follower.reader.session.requests
    assert follower.poll().entries == 0
    assert follower.reader.session.requests - before <= 4


def test_a_cookie_taken_first_gives_changes_only_not_the_whole_domain(follower, directory):
    directory.apply([AddMember("support", "quirin.quast")])
    assert follower.poll().entries == 1


def test_changes_told_twice_are_the_same_as_once(follower, directory):
    old = follower.cursor
    directory.apply([AddMember("support", "quirin.quast"), Delete("wanda.wolf"), Disable("georg.gross")])
    follower.poll()
    once = follower.view
    follower.cursor = old
    follower.poll()
    require_same(follower.view, once)


def test_a_bad_cookie_is_rejected(follower):
    follower.cursor = dataclasses.replace(follower.cursor, cookie=follower.cursor.cookie[:20])
    with pytest.raises(CursorRejected, match="cookie"):
        follower.poll()


def test_a_renamed_organizational_unit_asks_for_the_whole_view(follower, directory):
    admin = directory.ldap()
    admin.add(f"OU=Inner,{CONTACT_CENTER}", ["organizationalUnit"])
    assert follower.poll().entries == 1, "a new one changes nothing"
    directory.apply([Move("support", f"OU=Inner,{CONTACT_CENTER}")])
    follower.poll()
    require_same(follower.pruned, follower.reader.snapshot().view)
    admin.modify_dn(f"OU=Inner,{CONTACT_CENTER}", "OU=Other Inner")
    with pytest.raises(CursorRejected, match="rganizational units"):
        follower.poll()
    admin.unbind()


def test_a_change_while_the_snapshot_is_taken_is_in_it(directory):
    with reader_of(directory) as reader:
        session, done = reader.session, []
        original = session.search_paged

        def in_the_middle(*how, **more):
            entries = list(original(*how, **more))
            if not done:
                done.append(1)
                directory.apply([AddMember("support", "quirin.quast"), RemoveMember("support", "lena.lang")])
            yield from entries

        session.search_paged = in_the_middle
        raced = reader.snapshot()
        session.search_paged = original
        require_same(raced.view, reader.snapshot().view)
    assert directory.guid_of("quirin.quast") in raced.view.members[directory.guid_of("support")]


def test_an_account_that_may_not_see_tombstones_learns_of_other_changes(directory):
    with reader_of(directory, account="limited") as reader:
        following = Follower(reader)
        directory.apply([AddMember("support", "quirin.quast"), Rename("tier2", "Tier 2 (new)")])
        following.poll()
        require_same(following.pruned, reader.snapshot().view)


# -- fuzz ---------------------------------------------------------------------------------------------


class Chaos:
    """Random operations on users and groups of its own, in scope, out of scope, nested in any way."""

    def __init__(self, directory, dice):
        self.connection = directory.ldap()
        self.dice = dice
        self.users: list[str] = []
        self.groups: list[str] = []
        self.number = 0
        for _ in range(8):
            self.new_user()
        for _ in range(5):
            self.new_group()

    def act(self):
        weights = {
            self.new_user: 4, self.new_group: 3, self.add: 20, self.remove: 14, self.replace: 5, self.nest: 8,
            self.delete_user: 3, self.delete_group: 2, self.rename: 4, self.move: 5, self.touch: 4, self.disable: 3,
            self.primary: 4, self.contact: 1, self.computer: 1,
        }  # fmt: skip
        self.dice.choices(list(weights), list(weights.values()))[0]()

    # Some operations are refused (a member that is in already, a primary group that cannot be): that is fine.

    def new_name(self, kind):
        self.number += 1
        return f"{kind}{self.number}", f"CN={kind.upper()} {self.number} \\, (x)"

    def new_user(self):
        sam, rdn = self.new_name("u")
        self.create(self.users, f"{rdn},{PEOPLE}", "user", {"sAMAccountName": sam, "userAccountControl": "544"})

    def new_group(self):
        sam, rdn = self.new_name("g")
        dn = f"{rdn},{self.dice.choice([CONTACT_CENTER, OTHER_GROUPS])}"
        members = self.dice.sample(self.users, min(3, len(self.users)))
        self.create(self.groups, dn, "group", {"sAMAccountName": sam, "groupType": "-2147483646", "member": members})

    def contact(self):
        _, rdn = self.new_name("c")
        self.create(self.users, f"{rdn},{PEOPLE}", "contact", {})

    def computer(self):
        sam, rdn = self.new_name("w")
        self.create(
            self.users, f"{rdn},{PEOPLE}", "computer", {"sAMAccountName": f"{sam}$", "userAccountControl": "4128"}
        )

    def create(self, where, dn, object_class, attributes):
        attributes = {name: value for name, value in attributes.items() if value}
        ok, result, _, _ = self.connection.add(dn, [object_class], attributes)
        assert ok, result
        where.append(dn)

    def change(self, dn, attribute, how, values):
        return self.connection.modify(dn, {attribute: [(how, values)]})[0]

    def add(self):
        self.change(self.dice.choice(self.groups), "member", ldap3.MODIFY_ADD, [self.dice.choice(self.users)])

    def remove(self):
        group = self.dice.choice(self.groups)
        _, _, found, _ = self.connection.search(group, "(objectClass=*)", ldap3.BASE, attributes=["member"])
        members = found[0]["raw_attributes"].get("member") or []
        if members:
            self.change(group, "member", ldap3.MODIFY_DELETE, [self.dice.choice(members).decode()])

    def replace(self):
        members = self.dice.sample(self.users, self.dice.randint(0, min(6, len(self.users))))
        self.change(self.dice.choice(self.groups), "member", ldap3.MODIFY_REPLACE, members)

    def nest(self):
        self.change(self.dice.choice(self.groups), "member", ldap3.MODIFY_ADD, [self.dice.choice(self.groups)])

    def delete_user(self):
        self.delete(self.users, 4)

    def delete_group(self):
        self.delete(self.groups, 3)

    def delete(self, some, at_least):
        if len(some) > at_least:
            dn = self.dice.choice(some)
            if self.connection.delete(dn)[0]:  # refused for somebody's primary group
                some.remove(dn)

    def rename(self):
        _, rdn = self.new_name("r")
        self.relocate(rdn, None)

    def move(self):
        self.relocate(None, self.dice.choice([CONTACT_CENTER, OTHER_GROUPS, PEOPLE]))

    def relocate(self, rdn, parent):
        some = self.dice.choice([self.users, self.groups])
        old = self.dice.choice(some)
        own_rdn, own_parent = old.split(",OU=", 1)
        rdn, parent = rdn or own_rdn, parent or f"OU={own_parent}"
        how = {"new_superior": parent} if parent != f"OU={own_parent}" else {}
        if self.connection.modify_dn(old, rdn, **how)[0]:
            some[some.index(old)] = f"{rdn},{parent}"

    def touch(self):
        mail = self.dice.choice([[], [f"m{self.dice.randint(0, 99)}@example.com"]])
        self.change(self.dice.choice(self.users), "mail", ldap3.MODIFY_REPLACE, mail)

    def disable(self):
        flags = self.dice.choice(["544", "546"])
        self.change(self.dice.choice(self.users), "userAccountControl", ldap3.MODIFY_REPLACE, [flags])

    def primary(self):
        user, group = self.dice.choice(self.users), self.dice.choice(self.groups)
        _, _, found, _ = self.connection.search(group, "(objectClass=*)", ldap3.BASE, attributes=["primaryGroupToken"])
        token = found[0]["raw_attributes"]["primaryGroupToken"][0].decode()
        self.change(user, "primaryGroupID", ldap3.MODIFY_REPLACE, [self.dice.choice([token, token, "513"])])


@pytest.mark.slow
@pytest.mark.parametrize("nested", [True, False], ids=["nested", "flat"])
@pytest.mark.parametrize("seed", [int(seed) for seed in os.environ.get("FUZZ_SEEDS", "1,2").split(",")])
def test_random_changes_followed_poll_by_poll_end_in_the_fresh_view(empty_directory, seed, nested):
    dice = random.Random(seed)
    chaos = Chaos(empty_directory, dice)
    with reader_of(empty_directory, nested_groups=nested) as reader:
        following = Follower(reader)
        cursors = [following.cursor]
        for round_ in range(int(os.environ.get("FUZZ_ROUNDS", "12"))):
            for _ in range(dice.randint(0, 12)):
                chaos.act()
            if dice.random() < 0.15:  # what a failover may do: the changes since an older state are told again
                following.cursor = dice.choice(cursors)
            following.poll()
            cursors.append(following.cursor)
            fresh = reader.snapshot()
            require_same(following.pruned, fresh.view, f"seed {seed}, round {round_}")
            truth = empty_directory.truth(nested_groups=nested)
            for guid, group in truth.items():
                found = effective_members(following.view, guid, MembershipPolicy(nested, "remove"))
                assert set(found) == set(group.members), f"seed {seed}, round {round_}, {group.sam}"
    chaos.connection.unbind()
