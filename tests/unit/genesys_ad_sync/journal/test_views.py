"""The view in the journal: what is written is what is read, in parts and as a whole, and reading a part is cheap."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import itertools
import resource
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from genesys_ad_sync.directory.membership import unreadable_members, wanted_members
from genesys_ad_sync.errors import JournalConflict
from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.model import DirectoryView, MembershipPolicy, PrincipalKind
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    change,
    cursor,
    group,
    in_processes,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    user,
    view,
)

# -- accounts that expire --


def test_accounts_are_due_when_their_time_has_come_and_the_view_does_not_know_it(journal: Journal) -> None:
    def people(**expired: bool) -> DirectoryView:
        users = {
            "u1": replace(user("u1"), expires_at=T0, expired=expired.get("u1", False)),
            "u2": replace(user("u2"), expires_at=T0 + minutes(5)),
            "u3": user("u3"),
        }
        return DirectoryView({"g": group("g")}, users, {"g": set(users)})

    advance(journal, people())
    views = journal.of(DEFINITION).views
    assert views.users_expired_at(T0 - minutes(1)) == frozenset()
    assert views.users_expired_at(T0) == {"u1"}
    assert views.users_expired_at(T0 + minutes(5)) == {"u1", "u2"}
    advance(journal, people(u1=True))
    assert views.users_expired_at(T0 + minutes(5)) == {"u2"}
    assert views.load() == people(u1=True)


# -- the cursor --


def test_there_is_no_cursor_before_the_first_poll(journal: Journal) -> None:
    assert journal.of(DEFINITION).views.cursor() is None
    assert journal.of(DEFINITION).views.load() == DirectoryView()


def test_a_cursor_comes_back_as_it_was_given_and_the_polls_are_counted(journal: Journal) -> None:
    assert advance(journal, DirectoryView(), cursor=cursor(T0)) == 1
    assert advance(journal, DirectoryView(), cursor=cursor(T0 + minutes(15), cookie=None), scope="other") == 2

    stored = journal.of(DEFINITION).views.cursor()
    assert stored is not None
    assert stored.cursor == cursor(T0 + minutes(15), cookie=None)
    assert (stored.poll, stored.scope, stored.began_at) == (2, "other", T0)


def test_each_domain_controller_is_remembered_as_it_was_last_read(journal: Journal) -> None:
    advance(journal, DirectoryView(), cursor=cursor(highest_committed_usn=1))
    advance(journal, DirectoryView(), cursor=cursor(highest_committed_usn=2))
    advance(
        journal, DirectoryView(), cursor=cursor(domain_controller="dc2", invocation_id="i2", highest_committed_usn=9)
    )

    stored = journal.of(DEFINITION).views.cursor()
    assert stored is not None
    assert stored.known_dcs == {"dc1.example.com": ("i1", 2), "dc2": ("i2", 9)}


def test_a_poll_that_another_run_overtook_writes_nothing(journal: Journal) -> None:
    advance(journal, view({"a": "u1"}))
    with pytest.raises(JournalConflict, match="meanwhile"):
        advance(journal, view({"a": "u1 u2"}), expected_poll=None, changes=[change("a", "u2")])
    with pytest.raises(JournalConflict):
        advance(journal, view({"a": "u1 u2"}), expected_poll=7)

    assert journal.of(DEFINITION).views.load() == view({"a": "u1"})
    assert journal.of(DEFINITION).changes.unsettled() == []


def test_cursor_view_and_changes_move_together_or_not_at_all(journal: Journal) -> None:
    advance(journal, view({"a": "u1"}))
    broken = change("a", "u2", observed_at=None)  # the journal refuses a change without a time
    with pytest.raises(Exception, match="observed_at"):
        advance(journal, view({"a": "u1 u2"}), changes=[broken], cursor=cursor(T0 + minutes(15)))

    stored = journal.of(DEFINITION).views.cursor()
    assert stored is not None
    assert (stored.poll, stored.cursor.polled_at) == (1, T0)
    assert journal.of(DEFINITION).views.load() == view({"a": "u1"})


def test_the_poll_of_the_last_complete_reading_is_kept_per_group(journal: Journal) -> None:
    advance(journal, view({"a": "", "b": ""}), complete=["a", "b"])
    advance(journal, view({"a": "", "b": ""}), complete=["b"])
    known = tables.group.c
    with journal._database.reading() as connection:
        found = connection.execute(select(known.guid, known.complete_poll).where(known.definition == DEFINITION))
        assert {row.guid: row.complete_poll for row in found} == {"a": 1, "b": 2}


# -- the view --


def test_everything_that_was_read_of_an_object_comes_back(journal: Journal) -> None:
    sales = group(
        "g1", name="Sales & \"Co\", (all) *", dn=r"CN=Sales\, all,DC=ä", sam_account_name="sales", sid="S-1-5-21-1",
        attributes={"extensionattribute7": "7c0b"},
    )  # fmt: skip
    contact = user("c1", kind=PrincipalKind.CONTACT, sam_account_name=None, disabled=True, attributes={})
    stored = DirectoryView(groups={"g1": sales}, users={"c1": contact}, members={"g1": {"c1", "a-stranger"}})
    advance(journal, stored)
    assert journal.of(DEFINITION).views.load() == stored
    assert journal.of(DEFINITION).views.load(["g1"]) == stored


def test_definitions_do_not_see_each_other(journal: Journal) -> None:
    advance(journal, view({"a": "u1"}))
    advance(journal, view({"a": "u2"}), definition="other")
    assert journal.of(DEFINITION).views.load() == view({"a": "u1"})
    assert journal.of("other").views.load(["a"]) == view({"a": "u2"})
    assert journal.of("other").views.groups_above(["u1"]) == set()


def test_what_a_whole_view_no_longer_has_is_gone_but_its_name_is_known(journal: Journal) -> None:
    advance(journal, view({"a": "u1 u2", "b": "u2"}))
    advance(journal, view({"a": "u1"}))

    assert journal.of(DEFINITION).views.load() == view({"a": "u1"})
    assert journal.of(DEFINITION).views.groups_in_scope() == [group("a")]
    assert journal.of(DEFINITION).views.groups(["a", "b", "never"]) == {"a": group("a"), "b": group("b")}
    assert journal.of(DEFINITION).views.users(["u1", "u2", "never"]) == {"u1": user("u1"), "u2": user("u2")}
    assert {one.guid: one for one in journal.of(DEFINITION).views.all_users()} == {"u1": user("u1"), "u2": user("u2")}
    assert journal.of("other").views.all_users() == []


def test_a_whole_view_replaces_everything_whatever_the_caller_thought_was_there(journal: Journal) -> None:
    advance(journal, view({"a": "u1", "b": "u2"}))
    advance(journal, view({"a": "u3"}), before=DirectoryView(), whole=True)
    assert journal.of(DEFINITION).views.load() == view({"a": "u3"})


def test_a_tombstone_is_remembered_until_the_object_is_restored(journal: Journal) -> None:
    advance(journal, view({"g": "u1 u2"}))
    advance(journal, view({"g": ""}), deleted=["u1", "never seen"])
    assert journal.of(DEFINITION).views.deleted_users() == {"u1"}
    assert journal.of(DEFINITION).views.gone_users(["u1", "u2"]) == {"u1", "u2"}
    advance(journal, view({"g": "u1"}))
    assert journal.of(DEFINITION).views.deleted_users() == frozenset()


def test_an_object_that_comes_back_is_no_longer_gone(journal: Journal) -> None:
    for present in ({"a": "u1"}, {}, {"a": "u1"}):
        advance(journal, view(present))
    assert journal.of(DEFINITION).views.load() == view({"a": "u1"})


def test_a_part_changes_nothing_outside_it(journal: Journal) -> None:
    advance(journal, view({"a": "u1", "b": "u2"}))
    advance(journal, view({"a": "u1 u3"}), before=view({"a": "u1"}))
    assert journal.of(DEFINITION).views.load() == view({"a": "u1 u3", "b": "u2"})


def test_the_members_of_a_gone_group_are_kept_but_for_those_that_ad_told_to_have_left(journal: Journal) -> None:
    views = journal.of(DEFINITION).views
    advance(journal, view({"g": "u1 u2 u3 n", "n": "u4", "h": "u9"}, nested_only="n"))
    advance(journal, view({"h": "u9"}))
    assert views.load() == view({"h": "u9"})
    assert views.load_with_gone({"g"}) == view({"g": "u1 u2 u3 n", "n": "u4"}, nested_only="n")
    advance(journal, view({"h": "u9"}), left={"g": {"u1"}, "h": {"u9"}}, deleted={"u2"})
    assert views.load_with_gone({"g"}).members == {"g": {"u3", "n"}, "n": {"u4"}}
    assert views.load().members == {"h": {"u9"}}
    advance(journal, view({"h": "u9", "g": "u5"}))
    assert views.load() == view({"h": "u9", "g": "u5"})


def test_members_of_a_gone_group_are_gone_though_it_is_remembered_that_it_had_them(journal: Journal) -> None:
    advance(journal, view({"g": "u1", "h": "u1 u9"}))
    advance(journal, view({"h": "u1 u9"}))
    part = view({"h": "u1 u9"})
    advance(journal, view({"h": "u9"}), before=part)
    assert journal.of(DEFINITION).views.gone_users({"u1", "u9"}) == {"u1"}


def test_a_deleted_group_leaves_no_members(journal: Journal) -> None:
    advance(journal, view({"g": "u1"}))
    advance(journal, DirectoryView(), deleted={"g"})
    assert journal.of(DEFINITION).views.load_with_gone({"g"}).members == {"g": set()}


def test_a_group_that_is_deleted_out_of_view_leaves_no_members(journal: Journal) -> None:
    """Else it would list them for ever, and hold their removals from other groups."""
    advance(journal, view({"g": "u1", "h": "u1"}))
    advance(journal, view({"h": "u1"}))
    assert journal.of(DEFINITION).views.load_with_gone({"g"}).members["g"] == {"u1"}
    advance(journal, DirectoryView(), before=DirectoryView(), deleted={"g"})
    assert journal.of(DEFINITION).views.load_with_gone({"g"}).members == {"g": set()}
    assert journal.of(DEFINITION).views.load().members == {"h": {"u1"}}


def test_the_vector_and_the_time_of_each_domain_controller_are_kept(journal: Journal) -> None:
    advance(journal, DirectoryView(), cursor=cursor(vector={"i1": 5_000_000_000}))
    advance(journal, DirectoryView(), cursor=cursor(T0 + minutes(5), domain_controller="dc2.example.com"))
    stored = journal.of(DEFINITION).views.cursor()
    assert stored is not None
    assert stored.cursor.vector is None
    assert stored.read_at == {"dc1.example.com": T0, "dc2.example.com": T0 + minutes(5)}
    advance(journal, DirectoryView(), cursor=cursor(vector={"i1": 5_000_000_000}))
    stored = journal.of(DEFINITION).views.cursor()
    assert stored is not None
    assert stored.cursor.vector == {"i1": 5_000_000_000}


def test_somebody_who_leaves_a_part_is_not_gone_while_a_group_outside_it_has_them(journal: Journal) -> None:
    advance(journal, view({"a": "u1 u2 n", "n": "u4", "b": "u1 n"}, nested_only="n"))
    advance(journal, view({"a": ""}), before=journal.of(DEFINITION).views.load(["a"]))
    assert journal.of(DEFINITION).views.load() == view({"a": "", "b": "u1 n", "n": "u4"}, nested_only="n")


def test_groups_that_contain_only_each_other_are_gone_when_nothing_leads_to_them(journal: Journal) -> None:
    advance(journal, view({"a": "x", "x": "y", "y": "x u1"}, nested_only="x y"))
    advance(journal, view({"a": ""}), before=journal.of(DEFINITION).views.load(["a"]))
    assert journal.of(DEFINITION).views.load() == view({"a": ""})


def test_a_group_that_comes_into_a_part_loses_the_members_that_only_the_journal_still_had(journal: Journal) -> None:
    advance(journal, view({"a": "", "n": "u1 u2"}))
    advance(journal, view({"a": "n", "n": "u2 u3"}), before=view({"a": ""}))
    assert journal.of(DEFINITION).views.load().members == {"a": {"n"}, "n": {"u2", "u3"}}


# -- reading a part --


def test_a_part_is_the_closure_downwards_and_cycles_end(journal: Journal) -> None:
    advance(journal, view({"a": "u1 b", "b": "u2 c", "c": "u3 a", "d": "u4 a"}))
    closure = view({"a": "u1 b", "b": "u2 c", "c": "u3 a"})
    assert journal.of(DEFINITION).views.load(["b"]) == closure
    assert journal.of(DEFINITION).views.load(["b", "u1", "never"]) == closure
    assert journal.of(DEFINITION).views.load([]) == DirectoryView()


def test_roots_above_are_the_groups_in_scope_by_any_way_up_and_cycles_end(journal: Journal) -> None:
    advance(
        journal,
        view({"top": "mid", "mid": "low", "low": "u1 mid", "other": "u2", "alone": ""}, nested_only="mid"),
    )
    assert journal.of(DEFINITION).views.groups_above(["u1"]) == {"low", "top"}
    assert journal.of(DEFINITION).views.groups_above(["mid"]) == {"low", "top"}
    assert journal.of(DEFINITION).views.groups_above(["top", "u2"]) == {"top", "other"}
    assert journal.of(DEFINITION).views.groups_above(["alone", "never"]) == {"alone"}
    assert journal.of(DEFINITION).views.groups_above([]) == set()


def test_roots_above_of_a_member_that_is_known_by_its_guid_only(journal: Journal) -> None:
    advance(journal, view({"a": "x"}, unseen="x"))
    assert journal.of(DEFINITION).views.groups_above(["x"]) == {"a"}


# -- any view --

_GUIDS = [f"o{number}" for number in range(7)]
_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5)


@st.composite
def _views(draw: st.DrawFn) -> DirectoryView:
    groups = draw(st.sets(st.sampled_from(_GUIDS)))
    people = draw(st.sets(st.sampled_from(_GUIDS))) - groups
    return DirectoryView(
        groups={
            guid: group(
                guid,
                name=draw(_TEXTS),
                in_scope=draw(st.booleans()),
                attributes=draw(st.dictionaries(_TEXTS, _TEXTS, max_size=1)),
            )
            for guid in groups
        },
        users={guid: user(guid, name=draw(_TEXTS), disabled=draw(st.booleans())) for guid in people},
        members={guid: draw(st.sets(st.sampled_from(_GUIDS))) for guid in groups},
    )


_numbers = itertools.count()
_UNFIT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
_ANY = settings(max_examples=60, deadline=None, suppress_health_check=_UNFIT)


@_ANY
@given(st.lists(st.tuples(_views(), st.booleans()), min_size=1, max_size=4))
def test_any_view_after_any_other_comes_back_as_it_was_written(
    journal: Journal, steps: list[tuple[DirectoryView, bool]]
) -> None:
    definition = f"{DEFINITION}{next(_numbers)}"
    before = DirectoryView()
    for after, whole in steps:
        advance(journal, after, definition=definition, before=before, whole=whole)
        assert journal.of(definition).views.load() == after
        before = after


@_ANY
@given(_views(), st.sets(st.sampled_from(_GUIDS)))
def test_closure_and_roots_are_what_a_walk_through_the_whole_view_finds(
    journal: Journal, whole: DirectoryView, asked: set[str]
) -> None:
    definition = f"{DEFINITION}{next(_numbers)}"
    advance(journal, whole, definition=definition)

    def reached(guid: str) -> set[str]:
        seen, todo = set(), [guid]
        while todo:
            if (one := todo.pop()) in whole.groups and one not in seen:
                seen.add(one)
                todo.extend(whole.members[one])
        return seen

    groups = {guid for root in asked for guid in reached(root)}
    members = {guid: whole.members[guid] for guid in groups}
    assert journal.of(definition).views.load(asked) == DirectoryView(
        groups={guid: whole.groups[guid] for guid in groups},
        users={guid: one for guid, one in whole.users.items() if any(guid in its for its in members.values())},
        members=members,
    )
    above = {
        guid
        for guid, its in whole.groups.items()
        if its.in_scope and (guid in asked or any(asked & whole.members[below] for below in reached(guid)))
    }
    assert journal.of(definition).views.groups_above(asked) == above


# -- large --


def _large_view(groups: int, users: int, members: int) -> DirectoryView:
    names = [f"{number:08x}-0000-4000-8000-00000000000u" for number in range(users)]
    guids = [f"{number:08x}-0000-4000-8000-00000000000g" for number in range(groups)]
    return DirectoryView(
        groups={guid: group(guid) for guid in guids},
        users={name: user(name) for name in names},
        members={guid: {names[(n * 37 + m) % users] for m in range(members)} for n, guid in enumerate(guids)},
    )


def _statements(journal: Journal) -> list[str]:
    """Return a list that grows with every statement which the journal sends to its database."""
    sent: list[str] = []

    @event.listens_for(journal._database.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, _parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        sent.append(statement)

    return sent


def _load_in_a_process_of_its_own(url: str) -> tuple[int, int, float]:
    """Memberships, statements, and megabytes by which the process grew."""
    with Journal.open(url) as journal:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sent = _statements(journal)
        loaded = journal.of(DEFINITION).views.load()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return sum(map(len, loaded.members.values())), len(sent), grown


@pytest.mark.slow
def test_two_hundred_thousand_memberships_load_with_few_statements_and_little_memory(
    journal: Journal, journal_url: str
) -> None:
    large = _large_view(groups=1000, users=20_000, members=200)
    sent = _statements(journal)
    advance(journal, large)
    written = len(sent)
    assert journal.of(DEFINITION).views.load() == large

    [(memberships, loaded, megabytes)] = in_processes(_load_in_a_process_of_its_own, [(journal_url,)])
    print(f"write {written} statements, load {loaded}, {megabytes:.0f} MB")
    assert memberships == 200_000
    assert written < 500  # not one for each group
    assert loaded < 10
    assert megabytes < 100


def test_reading_a_part_scans_no_table(journal: Journal) -> None:
    advance(journal, _large_view(groups=20, users=100, members=10))
    one = next(iter(journal.of(DEFINITION).views.groups_in_scope())).guid
    someone = next(iter(journal.of(DEFINITION).views.load([one]).users))
    engine = journal._database.engine
    if engine.dialect.name == "postgresql":  # which reads small tables as a whole if it may
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
            database = engine.url.database
            connection.exec_driver_sql(f'ALTER DATABASE "{database}" SET enable_seqscan = off')
        engine.dispose()
    statements = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        if statement.startswith("SELECT") and "journal_" in statement:
            statements.append((statement, parameters))

    journal.of(DEFINITION).views.load([one])
    journal.of(DEFINITION).views.groups_above([someone])
    journal.of(DEFINITION).views.users([someone])
    event.remove(engine, "before_cursor_execute", note)

    assert len(statements) >= 6
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        for statement, parameters in statements:
            plan = [str(line) for line in connection.exec_driver_sql(explain + statement, parameters)]
            assert not any("SCAN journal" in line or "Seq Scan" in line for line in plan), (statement, plan)
            # to search by the definition alone is to scan, too
            assert not any("SEARCH journal" in line and "definition=? AND" not in line for line in plan), plan


def test_all_values_and_announced_ends_survive(journal: Journal) -> None:
    seen = view({"g": "u1 u2", "h": "u1"})
    seen.users["u1"] = replace(
        seen.users["u1"], attributes={"p": "a"}, ranked_values={"p": (("a",), ("b", "c"))}, ends_at=T0 + minutes(5)
    )
    ends = {"g": {"u1": T0 + minutes(10), "u2": T0 + minutes(20)}}
    advance(journal, seen, ends=ends)
    mine = journal.of(DEFINITION)
    assert mine.views.load() == seen
    assert mine.announced.links(T0 + minutes(9)) == {}
    assert mine.announced.links(T0 + minutes(10)) == {"g": {"u1"}}
    assert mine.announced.objects(T0 + minutes(4)) == frozenset()
    assert mine.announced.objects(T0 + minutes(5)) == {"u1"}
    nearly = {"g": {"u1": T0 + minutes(11), "u2": T0 + minutes(30)}}
    advance(journal, seen, seen, ends=nearly)
    assert mine.announced.links(T0 + minutes(10)) == {"g": {"u1"}}, "a minute more is the same end"
    assert mine.announced.links(T0 + minutes(29)) == {"g": {"u1"}}
    advance(journal, seen, seen, ends={"h": {}})
    assert mine.announced.links(T0 + minutes(30)) == {"g": {"u1", "u2"}}, "nothing was read of g"
    advance(journal, seen, seen, ends={"g": {}}, told_ends={"g": {"u2": T0 + minutes(40)}})
    assert mine.announced.links(T0 + minutes(50)) == {"g": {"u2"}}, "u1 stays for good"
    without = view({"g": "", "h": "u1"})
    advance(journal, without, seen)
    assert mine.announced.links(T0 + minutes(50)) == {}


# -- what decides about members alone --


def test_a_view_without_names_decides_about_members_as_the_whole_one(journal: Journal) -> None:
    made = view({"a": "plain off late contact foreign other b", "b": "nested"}, unseen="gone")
    made.members["a"].add("gone")
    made.users |= {
        "off": user("off", disabled=True),
        "late": user("late", expired=True),
        "contact": user("contact", kind=PrincipalKind.CONTACT),
        "foreign": user("foreign", kind=PrincipalKind.OTHER, dn="CN=S-1-5-21,CN=ForeignSecurityPrincipals,DC=a"),
        "other": user("other", kind=PrincipalKind.OTHER, dn="CN=other,DC=a"),
    }
    advance(journal, made)
    views = journal.of(DEFINITION).views
    whole, bare = views.load({"a"}), views.load_members({"a"})
    assert (bare.groups, bare.members) == (whole.groups, whole.members)
    for nested, disabled, expired in itertools.product((True, False), ("remove", "keep"), ("remove", "keep")):
        policy = MembershipPolicy(nested, disabled, expired)
        assert wanted_members(bare, ["a"], policy) == wanted_members(whole, ["a"], policy)
        found = unreadable_members(bare, ["a"], nested=nested)
        assert found == unreadable_members(whole, ["a"], nested=nested) >= {"gone", "foreign"}
    assert {one.name for one in bare.users.values()} == {""}
