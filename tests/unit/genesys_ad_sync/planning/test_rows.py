"""How changes and differences become the rows of a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from genesys_ad_sync.model import Change, GroupResult, Reason, SkippedGroup, Status
from genesys_ad_sync.planning import Loss, UnmappedGroup
from tests.support.planning_examples import added, ambiguous, removed, whole
from tests.support.sync_examples import (
    NOON,
    change,
    definition,
    directory_group,
    directory_user,
    genesys_group,
    grant,
    matched,
    matches,
    planned,
    target,
    told,
)

# -- folding --------------------------------------------------------------------------------------------


def test_all_changes_of_one_person_and_action_are_one_row_with_the_newest_times() -> None:
    earlier = change("add", "ann", id=1, changed_at=NOON - timedelta(hours=1))
    later = change("add", "ann", "g2", id=2, observed_at=NOON + timedelta(hours=1), observed_after=NOON)
    made = added(sources=("g1", "g2"), wanted={"ann": ("g1", "g2")}, changes=(later, earlier))
    row = made.rows[0]
    assert len(made.rows) == 1
    assert (row.change_ids, row.group_guids) == ((1, 2), ("g1", "g2"))
    assert (row.changed_at, row.observed_after, row.observed_at) == (
        NOON - timedelta(hours=1),
        NOON,
        NOON + timedelta(hours=1),
    )


def test_an_add_and_a_removal_of_one_person_are_two_rows_of_which_the_newest_view_decides() -> None:
    both = (change("add", "ann", id=1), change("remove", "ann", id=2))
    assert told(added(changes=both)) == [("add", "ann", "planned", None), ("remove", "ann", "superseded", "newer_view")]
    assert told(removed(changes=both)) == [
        ("add", "ann", "superseded", "newer_view"),
        ("remove", "ann", "planned", None),
    ]


def test_a_row_tells_people_whom_it_is_about() -> None:
    made = planned(
        target(wanted={"ann": ("g1",)}, changes=(change("add", "ann"),)),
        known=matches("ann"),
        groups={"g1": directory_group("Sales team", guid="g1")},
        users={"ann": directory_user("ann")},
    )
    row = made.rows[0]
    assert row.genesys_group == {"id": "G", "name": "Sales"}
    assert row.directory_groups[0]["name"] == "Sales team"
    assert (row.directory_user or {})["mail"] == "ann@example.com"
    unknown = added().rows[0]
    assert unknown.directory_user == {"guid": "ann", "dn": None, "mail": None}


def test_adds_of_a_group_stand_before_its_removals() -> None:
    made = planned(
        target(
            wanted={"zoe": ("g1",)},
            members=frozenset({"x-ann"}),
            grants=(grant("ann"),),
            changes=(change("remove", "ann"), change("add", "zoe", id=2)),
        ),
        known=matches("ann", "zoe"),
    )
    assert [row.action.value for row in made.rows] == ["add", "remove"]


def test_a_settled_change_is_listed_again_and_settles_nothing() -> None:
    settled = change("add", "ann", status=Status.SUCCESS, settled_by="run-1")
    made = added(changes=(settled,), wanted={})
    row = made.rows[0]
    assert (row.status, row.settled_by, row.change_ids, row.lane) == (Status.SUCCESS, "run-1", (), None)
    assert made.comparison_changes == ()


def test_an_unsettled_change_decides_over_a_settled_one_of_the_same_row() -> None:
    settled = change("add", "ann", status=Status.SUCCESS, settled_by="run-1")
    made = added(changes=(settled, change("add", "ann", id=2, status=Status.FAILED)))
    assert (told(made), made.rows[0].change_ids) == ([("add", "ann", "planned", None)], (2,))


# -- comparing completely -------------------------------------------------------------------------------


def test_a_whole_comparison_lists_differences_and_nothing_else() -> None:
    made = whole()
    assert told(made) == [("add", "ann", "planned", None), ("remove", "carl", "planned", None)]
    result = made.group_results[0]
    assert result == GroupResult("G", "Sales", ("g1",), True, 3, None, 0, 0, 1, ("x-dora",))
    part = whole(full=False).group_results[0]
    assert (part.manual_members, part.manual_member_ids) == (1, None)


def test_what_a_comparison_finds_is_given_as_changes_to_record() -> None:
    made = whole()
    assert made.comparison_changes == (
        ("G:ann:add", Change("g1", "ann", made.rows[0].action, NOON, origin="comparison", genesys_user_id="x-ann")),
        (
            "G:carl:remove",
            Change("g1", "carl", made.rows[1].action, NOON, origin="comparison", genesys_user_id="x-carl"),
        ),
    )
    assert [row.change_ids for row in made.rows] == [(), ()]
    assert [found.poll for _, found in whole(proven_by=7).comparison_changes] == [7, 7]


def test_a_comparison_folds_the_unsettled_changes_of_its_rows() -> None:
    made = whole(changes=(change("add", "ann", id=7, status=Status.ORPHANED),))
    assert made.rows[0].change_ids == (7,)
    assert [key for key, _ in made.comparison_changes] == ["G:carl:remove"]


def test_manual_members_stay_under_granted_and_never_and_go_under_mirror() -> None:
    assert ("remove", None, "planned", None) not in told(whole())
    assert told(whole({"removals": "never"})) == [
        ("add", "ann", "planned", None),
        ("remove", "carl", "skipped", "removals_never"),
    ]
    made = whole({"removals": "mirror"})
    assert ("remove", None, "planned", None) in told(made)
    assert [row.genesys_user_id for row in made.rows if row.user_guid is None] == ["x-dora"]


def test_a_manual_member_whom_ad_knows_is_named() -> None:
    made = whole({"removals": "mirror"}, known=matches("ann", "bob", "dora"))
    assert ("remove", "dora", "planned", None) in told(made)


def test_under_mirror_nobody_goes_who_may_be_somebody_whom_ad_wants() -> None:
    made = whole({"removals": "mirror"}, known=matches("ann", ambiguous("bob", "x-bob", "x-dora")))
    assert [row.genesys_user_id for row in made.rows if row.action.value == "remove"] == ["x-carl"]
    not_looked_up = whole({"removals": "mirror"}, known=matches("ann"))
    assert ("remove", None, "held", "genesys_unreadable") in told(not_looked_up)


def test_a_change_that_names_a_genesys_user_only_is_taken_up_again() -> None:
    manual = change("remove", None, genesys_user_id="x-dora")
    mirror = definition(removals="mirror")
    there = target(members=frozenset({"x-dora"}), changes=(manual,))
    assert told(planned(there, policy=mirror)) == [("remove", None, "planned", None)]
    assert told(planned(there)) == [("remove", None, "held", "not_owned")]
    assert told(planned(replace(there, members=frozenset()), policy=mirror)) == [
        ("remove", None, "unchanged", "already_so")
    ]
    wanted = replace(there, wanted={"dora": ("g1",)}, full=True)
    assert told(planned(wanted, known=matches("dora"), policy=mirror)) == [
        ("remove", "dora", "superseded", "newer_view")
    ]


def test_a_comparison_removes_no_genesys_user_whom_ad_wants_through_another_account() -> None:
    recreated = whole(wanted={"carl2": ("g1",)}, known=matches(matched("carl2", "x-carl")))
    assert [row for row in recreated.rows if row.genesys_user_id == "x-carl" and row.action.value == "remove"] == []


def test_a_comparison_lists_excluded_people_only_where_they_are_missing() -> None:
    facts = target(full=True, wanted={"ann": ("g1",), "bob": ("g1",)}, members=frozenset({"x-bob"}))
    made = planned(facts, known=matches("ann", "bob"), excluded_users=frozenset({"ann", "bob"}))
    assert told(made) == [("add", "ann", "skipped", "excluded")]
    assert made.new_grants == ()
    not_wanted = planned(replace(facts, wanted={}), known=matches("bob"), excluded_users=frozenset({"bob"}))
    assert not_wanted.group_results[0].manual_member_ids == ()


def test_a_group_that_nothing_feeds_is_never_written_not_even_under_mirror() -> None:
    made = whole({"removals": "mirror"}, sources=(), wanted={}, former_sources=frozenset({"g1"}))
    assert told(made) == [("remove", "carl", "held", "mapping_changed")]
    assert (made.lanes, made.comparison_changes) == ((), ())


def test_an_unexplained_loss_is_listed_once_and_leaves_no_change() -> None:
    lost = {"losses": (Loss(genesys_group(), "ann", "x-ann", ("g1",)),)}
    made = planned(target(members=frozenset({"x-ann"})), **lost)
    assert told(made) == [("remove", "ann", "held", "unexplained_loss")]
    assert made.comparison_changes == ()
    assert told(removed(context=lost)) == [("remove", "ann", "planned", None)]


# -- AD groups that feed nothing ------------------------------------------------------------------------


def test_an_unmapped_ad_group_gives_one_skipped_row_per_changed_member() -> None:
    group = UnmappedGroup(
        SkippedGroup("g7", Reason.UNMAPPED),
        (change("add", "ann", "g7"), change("add", "ann", "g7", id=2), change("remove", "bob", "g7", id=3)),
    )
    made = planned(unmapped=(group,), groups={"g7": directory_group("Seven", guid="g7")})
    assert told(made) == [("add", "ann", "skipped", "unmapped"), ("remove", "bob", "skipped", "unmapped")]
    assert made.rows[0].change_ids == (1, 2)
    assert made.rows[0].directory_groups[0]["name"] == "Seven"
    assert made.comparison_changes == ()


def test_an_unmapped_ad_group_gives_one_row_in_all_where_everything_is_compared() -> None:
    group = UnmappedGroup(
        SkippedGroup("g7", Reason.GENESYS_GROUP_MISSING, "no such group"), (change("add", "ann", "g7"),), full=True
    )
    made = planned(unmapped=(group,))
    assert told(made) == [("add", None, "skipped", "genesys_group_missing")]
    assert (made.rows[0].change_ids, made.rows[0].error) == ((1,), "no such group")
    assert told(planned(unmapped=(replace(group, changes=()),))) == told(made)
    hidden = replace(group, skipped=SkippedGroup("g7", Reason.GENESYS_UNREADABLE, "hidden"))
    assert told(planned(unmapped=(hidden,))) == [("add", None, "held", "genesys_unreadable")]


def test_settled_changes_of_an_unmapped_ad_group_are_listed_again() -> None:
    settled = change("add", "ann", "g7", status=Status.SKIPPED, settled_by="run-1")
    made = planned(unmapped=(UnmappedGroup(SkippedGroup("g7", Reason.UNMAPPED), (settled,)),))
    assert (made.rows[0].status, made.rows[0].settled_by, made.rows[0].change_ids) == (Status.SKIPPED, "run-1", ())
