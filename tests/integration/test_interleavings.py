"""What one run has read, another one changes: every interleaving ends in AD's truth, and no report says otherwise.

Each test tells one story that once ended wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, update

from genesys_ad_sync.errors import LeaseBusy, LeaseLost
from genesys_ad_sync.journal import RunKey, tables
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import Reason
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.run import planning_inputs
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.writing import lane
from sandbox.directory_objects import (
    AddGroup,
    AddMember,
    AddUser,
    Delete,
    Group,
    RemoveMember,
    SetAttributes,
    User,
)
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, genesys_id, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

EVERYBODY = {"ann", "bob", "cid", "mia"}


@pytest.fixture
def ready(small: Pipeline) -> Pipeline:
    """After the first run."""
    small.run("first")
    return small


@pytest.fixture
def two(small: Pipeline) -> Pipeline:
    """Two AD groups feed Voice; after the first run."""
    small.directory.apply([AddGroup(Group("nights", "Nights", ("dan", "fay"), info=genesys_id("Voice")))])
    small.run("first")
    assert members(small, "Voice") == EVERYBODY | {"dan", "fay"}
    return small


def leave(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([RemoveMember(group, person) for person in people])


def join(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.directory.apply([AddMember(group, person) for person in people])


def once_before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> None:
    original = getattr(module, name)

    def acting(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(module, name, original)
        act()
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, acting)


def once_after(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], None]) -> None:
    original = getattr(module, name)

    def acting(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(module, name, original)
        result = original(*args, **kwargs)
        act()
        return result

    monkeypatch.setattr(module, name, acting)


def doubt_newest_change(journal: Journal, definition: str) -> None:
    """As a lagging domain controller would have made it doubtful."""
    newest = max(change.id or 0 for change in journal.of(definition).changes.unsettled())
    with journal._database.writing() as connection:
        connection.execute(
            update(tables.change)
            .where(tables.change.c.id == newest)
            .values(held_reason=Reason.OTHER_DOMAIN_CONTROLLER.value, trusted_dc="another")
        )


# -- a write that is under way ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then", "person"), [(leave, join, "bob"), (join, leave, "fay")], ids=["removal", "add"]
)
@pytest.mark.follows_remedy("in_flight")
def test_what_another_run_is_writing_is_not_taken_for_done(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch, first: Callable, then: Callable, person: str
) -> None:
    """AD turns a change round while it is being sent. Genesys still shows what AD wants, but not for long."""
    first(ready, "voice", person)
    sending, planned = ready.plan("sending")
    seen: dict[str, Any] = {}

    def meanwhile() -> None:
        then(ready, "voice", person)
        seen["planned"] = ready.plan("meanwhile")[1]
        with pytest.raises(LeaseBusy):
            ready.patch("meanwhile", seen["planned"])

    once_before(monkeypatch, lane, "_send", meanwhile)
    ready.patch(sending, planned)
    validate(ready.report(sending))
    ready.patch("meanwhile", seen["planned"])  # Airflow's retry
    report = ready.report("meanwhile")
    validate(report)
    if then is leave:  # a removal that was not asked for in the limits waits for the next run
        assert rows(report, person)[-1][2:4] == ("held", "in_flight")
        ready.run()
    assert members(ready, "Voice") == EVERYBODY
    assert ready.run(mode="full")["total_changes"] == 0
    leave(ready, "voice", "bob")  # and still owned
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]


def test_what_another_run_has_settled_meanwhile_asks_nobody(ready: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.redefine(**definition_keys(), protect=["Voice"])
    leave(ready, "voice", "bob")
    join(ready, "voice", "fay")
    ready.plan("asks")
    asked = ready.asked("asks")
    assert asked is not None

    def meanwhile() -> None:
        ready.answer("asks", asked.options[0])
        ready.report("asks")

    once_before(monkeypatch, planning_inputs, "read_present", meanwhile)
    overlapping, planned = ready.plan("overlapping")
    assert planned["batches"] == []
    assert ready.asked(overlapping) is None
    done = rows(ready.report(overlapping))
    assert sorted(done) == [("add", "fay", "success", None, "asks"), ("remove", "bob", "success", None, "asks")]


def test_an_add_that_an_undo_could_not_carry_out_is_not_owned(ready: Pipeline) -> None:
    leave(ready, "voice", "bob")
    ready.run("bad")
    ready.genesys.add_fault("status", path=f"/scim/v2/groups/{genesys_id('Voice')}", times=None, status=400)
    assert rows(ready.run_approved("undo", undo_run="bad"))[0][2] == "failed"
    ready.genesys.clear_faults()
    ready.genesys.change_members(genesys_id("Voice"), add=[genesys_id("bob")])  # by hand
    ready.run(mode="full")
    assert members(ready, "Voice") == EVERYBODY


def test_an_add_to_a_genesys_user_who_is_gone_leaves_nothing_behind(ready: Pipeline) -> None:
    """Fay is made anew in Genesys after the plan was made; the link still knows the former one."""
    join(ready, "voice", "fay")
    ready.run()
    leave(ready, "voice", "fay")
    ready.run()
    ready.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("mia")])
    join(ready, "voice", "fay")
    run_id, planned = ready.plan()
    ready.genesys.change_user(genesys_id("fay"), state="deleted")
    ready.genesys.change_user(genesys_id("mia"), email="fay@example.com", username="fay@example.com")
    ready.patch(run_id, planned)
    assert rows(ready.report(run_id))[0][2] == "orphaned"
    assert rows(ready.run()) == [("add", "mia", "success", None, None)]
    leave(ready, "voice", "fay")
    assert rows(ready.run()) == [("remove", "mia", "success", None, None)]


def test_a_membership_that_another_run_took_away_meanwhile_is_not_owned_again(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile() -> None:
        leave(ready, "voice", "bob")
        ready.run("removes bob")

    once_after(monkeypatch, planning_inputs, "read_present", meanwhile)
    ready.run("reads before, and decides after", mode="full")
    ready.genesys.change_members(genesys_id("Voice"), add=[genesys_id("bob")])  # by hand
    ready.run(mode="full")
    assert members(ready, "Voice") == EVERYBODY


def test_a_reading_is_old_when_the_same_other_run_has_gone_on_writing(ready: Pipeline) -> None:
    """It paused between two of its lanes: its lease is still the same."""
    organisation, key = ready.task("other", "patch[0]").organisation, ready.task("other", "patch[0]").key
    times = {"now": ready.task("x", "x").clock(), "ttl": ready.task("x", "x").lease_ttl}
    ready.journal.leases.acquire(organisation, key, "patch[0]", **times)
    ready.journal.leases.release(organisation, key, "patch[0]")
    mine = ready.task("mine", "plan").key
    before = ready.journal.leases.next_fence(organisation, mine, now=times["now"])
    ready.journal.leases.acquire(organisation, key, "patch[1]", **times)
    ready.journal.leases.release(organisation, key, "patch[1]")
    assert ready.journal.leases.next_fence(organisation, mine, now=times["now"]) != before


def test_who_lost_the_lease_while_reading_back_leaves_ownership_alone(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(ready, "voice", "bob")
    slow, planned = ready.plan("slow")

    def meanwhile() -> None:
        with ready.journal._database.writing() as connection:
            connection.execute(delete(tables.lease_holder))  # it took longer than the lease lasts
        join(ready, "voice", "bob")
        ready.run("takes over")

    once_after(monkeypatch, lane, "read_back", meanwhile)
    with pytest.raises(LeaseLost):
        ready.patch(slow, planned)
    (row,) = rows(ready.report(slow))
    assert row[2:4] == ("failed", "unverified")  # not: not attempted
    leave(ready, "voice", "bob")
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]


def test_an_add_that_was_sent_by_a_killed_task_is_owned(ready: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    join(ready, "voice", "fay")
    killed, planned = ready.plan("killed")

    def die() -> None:
        raise SystemError("killed")

    once_after(monkeypatch, lane, "_send", die)
    with pytest.raises(SystemError):
        ready.patch(killed, planned)
    assert "fay" in members(ready, "Voice")
    leave(ready, "voice", "fay")
    assert ("remove", "fay", "success", None, None) in rows(ready.run())
    assert members(ready, "Voice") == EVERYBODY


# -- what has become doubtful since the plan ----------------------------------------------------------


def test_a_removal_that_is_in_doubt_by_now_is_not_carried_out_by_an_older_plan(ready: Pipeline) -> None:
    leave(ready, "voice", "bob")
    older, planned = ready.plan("older")
    join(ready, "voice", "bob")
    ready.run(dry_run=True)
    leave(ready, "voice", "bob")
    ready.run(dry_run=True)
    doubt_newest_change(ready.journal, "default")
    ready.patch(older, planned)
    # the older proof does not count either, and is the first thing to say
    assert rows(ready.report(older)) == [("remove", "bob", "held", "unproven", None)]
    assert members(ready, "Voice") == EVERYBODY


def test_a_removal_that_is_in_doubt_by_now_is_not_carried_out_though_it_was_approved(ready: Pipeline) -> None:
    ready.redefine(**definition_keys(), protect=["Voice"])
    leave(ready, "voice", "bob")
    ready.plan("asks")
    asked = ready.asked("asks")
    assert asked is not None
    join(ready, "voice", "bob")
    ready.run(dry_run=True)
    leave(ready, "voice", "bob")
    ready.run(dry_run=True)
    doubt_newest_change(ready.journal, "default")
    ready.answer("asks", asked.options[0])
    assert rows(ready.report("asks")) == [("remove", "bob", "held", "other_domain_controller", None)]
    assert members(ready, "Voice") == EVERYBODY


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_param_groups_does_not_hide_what_is_held_on_another_ad_group(two: Pipeline, mode: str) -> None:
    leave(two, "nights", "fay")
    two.run(dry_run=True)
    doubt_newest_change(two.journal, "default")
    two.run(mode=mode, groups=["Voice"])
    assert "fay" in members(two, "Voice")


def test_param_groups_does_not_carry_out_what_was_rejected(two: Pipeline) -> None:
    two.redefine(**definition_keys(), protect=["Voice"])
    leave(two, "nights", "fay")
    two.plan("asks")
    assert two.asked("asks") is not None
    two.answer("asks", "None")
    two.report("asks")
    two.redefine(**definition_keys())  # protected no longer; the rejection stands
    report = two.run(mode="full", groups=["Voice"])
    assert rows(report) == [("remove", "fay", "held", "rejected", None)]


def test_param_groups_does_not_hide_who_else_may_be_the_same_person(two: Pipeline) -> None:
    """Bob's mail is Gus's now, who is wanted through Nights."""
    two.directory.apply(
        [
            SetAttributes("bob", {"mail": "bob.old@example.com"}),
            AddUser(User("gus", "Gus", mail="bob@example.com")),
            AddMember("nights", "gus"),
            RemoveMember("voice", "bob"),
        ]
    )
    two.run(dry_run=True)
    assert rows(two.run(groups=["Voice"])) == [("remove", "bob", "held", "ambiguous", None)]
    assert "bob" in members(two, "Voice")


# -- what was not compared ----------------------------------------------------------------------------


def test_a_group_that_could_not_be_read_is_reported_and_compared_later(small: Pipeline) -> None:
    small.genesys.add_fault("html", path=f"/groups/{genesys_id('Voice')}/individuals", times=None)
    first = small.run()
    validate(first)
    assert ("add", None, "held", "genesys_unreadable", None) in rows(first)
    small.genesys.clear_faults()
    small.run()
    assert members(small, "Voice") == EVERYBODY
    small.genesys.add_fault("html", path=f"/groups/{genesys_id('Voice')}/individuals", times=None)
    assert small.run(mode="full")["held"] == 1


def test_a_group_that_another_definition_claims_has_no_baseline(small: Pipeline) -> None:
    voice = [genesys_id("Voice")]
    small.genesys.change_members(voice[0], add=[genesys_id(name) for name in ("ann", "bob", "cid")])
    task = small.task("other", "plan")
    small.journal.of("other").claims.take(task.organisation, voice, task.clock())
    small.run()
    small.journal.of("other").claims.release_except(task.organisation, [])
    small.run()
    leave(small, "voice", "bob")
    assert rows(small.run()) == [("remove", "bob", "success", None, None)]


# -- ownership that moves -----------------------------------------------------------------------------


def test_who_moves_to_another_ad_group_is_owned_through_that_one(two: Pipeline) -> None:
    """Even if the run that sees the move may act on the old group only."""
    join(two, "nights", "bob")
    two.run(dry_run=True)
    leave(two, "voice", "bob")
    assert rows(two.run(groups=["Voice"]))[0][2:4] == ("unchanged", "still_granted")
    leave(two, "nights", "bob")
    assert ("remove", "bob", "success", None, None) in rows(two.run())


def test_a_genesys_user_who_was_made_anew_can_be_removed(ready: Pipeline) -> None:
    ready.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("mia"), genesys_id("bob")])
    ready.genesys.change_user(genesys_id("bob"), state="deleted")
    ready.genesys.change_user(genesys_id("mia"), email="bob@example.com", username="bob@example.com")
    assert rows(ready.run(mode="full")) == [("add", "mia", "success", None, None)]
    leave(ready, "voice", "bob")
    assert rows(ready.run()) == [("remove", "mia", "success", None, None)]


def test_an_ad_account_that_was_deleted_and_made_anew_gets_its_memberships_back(ready: Pipeline) -> None:
    """Between the two, a run saw the tombstone."""
    ready.directory.apply([Delete("bob")])
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]
    ready.directory.apply([AddUser(User("bob", "Bob", mail="bob@example.com")), AddMember("voice", "bob")])
    assert rows(ready.run()) == [("add", "bob", "success", None, None)]
    assert members(ready, "Voice") == EVERYBODY


def make_anew(pipeline: Pipeline, name: str, *groups: str) -> None:
    new = AddUser(User(name, name.title(), mail=f"{name}@example.com"))
    pipeline.directory.apply([Delete(name), new, *(AddMember(group, name) for group in groups)])


def test_who_was_deleted_and_made_anew_between_two_polls_keeps_what_the_new_account_has(ready: Pipeline) -> None:
    make_anew(ready, "bob", "voice")
    assert sorted(rows(ready.run())) == [
        ("add", "bob", "unchanged", "already_so", None),
        ("remove", "bob", "unchanged", "still_granted", None),
    ]
    assert members(ready, "Voice") == EVERYBODY
    assert ready.run(mode="full")["total_changes"] == 0
    leave(ready, "voice", "bob")
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]
    ready.genesys.change_members(genesys_id("Voice"), add=[genesys_id("bob")])
    assert ready.run(mode="full")["total_changes"] == 0, "put back by hand: nothing of the deleted account is left"


def test_who_was_deleted_and_made_anew_outside_the_group_loses_the_membership(ready: Pipeline) -> None:
    make_anew(ready, "bob")
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]
    join(ready, "voice", "bob")
    assert rows(ready.run()) == [("add", "bob", "success", None, None)]
    assert members(ready, "Voice") == EVERYBODY


def test_a_removal_that_waits_is_of_no_account_any_more_when_somebody_was_made_anew(ready: Pipeline) -> None:
    ready.redefine(**{**definition_keys(), "limits": {"removals": 0, "removals_percent": 100}})
    ready.directory.apply([Delete("bob")])
    assert rows(ready.run()) == [("remove", "bob", "held", "over_limit", None)]
    ready.directory.apply([AddUser(User("bob", "Bob", mail="bob@example.com")), AddMember("voice", "bob")])
    assert ("remove", "bob", "unchanged", "still_granted", None) in rows(ready.run())
    assert members(ready, "Voice") == EVERYBODY


def test_who_was_made_anew_while_the_cursor_was_lost_is_known_by_the_tombstone(ready: Pipeline) -> None:
    make_anew(ready, "bob", "voice")
    with ready.journal._database.writing() as connection:
        connection.execute(update(tables.cursor).values(cookie=b"garbage"))
    assert ("add", "bob", "unchanged", "already_so", None) in rows(ready.run())
    assert members(ready, "Voice") == EVERYBODY


# -- approvals and rules that change meanwhile --------------------------------------------------------


def test_what_was_approved_is_done_by_that_run_though_another_one_settled_the_change_before(ready: Pipeline) -> None:
    ready.redefine(**definition_keys(), protect=["Voice"])
    leave(ready, "voice", "bob")
    ready.plan("asks")
    asked = ready.asked("asks")
    assert asked is not None
    join(ready, "voice", "bob")
    assert ("remove", None, "superseded", "newer_view", None) in rows(ready.run("back"))
    leave(ready, "voice", "bob")
    assert rows(ready.run("out again"))[0][2] == "held"
    ready.answer("asks", asked.options[0])
    report = ready.report("asks")
    assert rows(report) == [("remove", "bob", "success", None, None)]
    assert [(group["added"], group["removed"]) for group in report["groups"]] == [(0, 1)]
    ready.redefine(**definition_keys())
    assert rows(ready.run()) == []
    ready.genesys.change_members(genesys_id("Voice"), add=[genesys_id("bob")])
    assert ready.run(mode="full")["total_changes"] == 0
    assert members(ready, "Voice") == EVERYBODY, "put back by hand: AD owns it no more"


def remap(pipeline: Pipeline, group: str, target: str | None) -> None:
    pipeline.directory.apply([SetAttributes(group, {"info": target and genesys_id(target)})])


def test_what_was_approved_is_not_done_under_a_rule_that_is_no_more(ready: Pipeline) -> None:
    ready.redefine(**definition_keys(), protect=["Voice"])
    leave(ready, "voice", "bob")
    join(ready, "voice", "fay")
    ready.plan("asks")
    asked = ready.asked("asks")
    assert asked is not None
    remap(ready, "voice", "Chat")
    ready.run("with the new rule")
    ready.answer("asks", asked.options[0])
    done = rows(ready.report("asks"))
    assert sorted(row[:4] for row in done) == [
        ("add", "fay", "skipped", "unmapped"),
        ("remove", "bob", "held", "mapping_changed"),
    ]
    assert members(ready, "Voice") == EVERYBODY


def test_an_old_plan_that_is_cleared_goes_by_todays_rules(ready: Pipeline) -> None:
    ready.run("old", mode="full")
    join(ready, "voice", "fay")
    remap(ready, "voice", "Chat")
    ready.run()
    written = len(ready.genesys.writes())
    planned = plan(ready.task("old", "plan"))
    ready.patch("old", planned)
    assert members(ready, "Voice") == EVERYBODY
    assert len(ready.genesys.writes()) == written


def test_who_is_granted_by_a_new_rule_may_leave_though_an_old_one_granted_it_once(ready: Pipeline) -> None:
    ready.directory.apply([AddGroup(Group("heirs", "Heirs", ("ann", "bob", "cid"), info=genesys_id("Voice")))])
    remap(ready, "voice", None)
    ready.run()
    ready.run(mode="full")
    leave(ready, "heirs", "bob")
    assert rows(ready.run(), "bob") == [("remove", "bob", "success", None, None)]


def test_a_genesys_group_that_is_no_more_holds_nothing(ready: Pipeline) -> None:
    ready.genesys.change_group(genesys_id("Voice"), state="deleted")
    leave(ready, "voice", "bob")
    join(ready, "voice", "fay")
    done = rows(ready.run())
    assert {row[2:4] for row in done} == {("skipped", "genesys_group_missing")}
    assert rows(ready.run()) == []
    ready.genesys.change_group(genesys_id("Voice"), state="active")
    assert sorted(rows(ready.run())) == [
        ("add", "fay", "success", None, None),
        ("remove", "bob", "held", "unproven", None),  # that the group is mapped again, poll could not know
    ]
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]


def test_what_a_comparison_with_genesys_found_is_in_no_window_before_it(ready: Pipeline) -> None:
    ready.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("bob")])
    ready.directory.tick()  # AD's clock has whole seconds
    full = ready.run("full", mode="full")
    assert rows(full) == [("add", "bob", "success", None, None)]
    polled_at = ready.journal.runs.get(RunKey(full["dag_id"], "full")).polled_at
    assert rows(ready.run(run_type="backfill", window=(None, polled_at)), "bob")[0][4] != "full"
    after = ready.run(run_type="backfill", window=(polled_at, None))
    assert rows(after) == [("add", "bob", "success", None, "full")]


def test_who_moves_is_added_before_being_removed(ready: Pipeline) -> None:
    leave(ready, "voice", "bob")
    join(ready, "chat", "bob")
    after = len(ready.genesys.writes())
    ready.run()
    written = [write["path"].rsplit("/", 1)[1] for write in ready.genesys.writes()[after:]]
    assert written == [genesys_id("Chat"), genesys_id("Voice")]


def test_other_rules_of_membership_are_carried_out_when_a_person_has_said_so(ready: Pipeline) -> None:
    keys = definition_keys()
    ready.redefine(**{**keys, "directory": {**keys["directory"], "nested_groups": False}})
    ready.plan("rejected")
    assert ready.asked("rejected") is not None
    ready.answer("rejected", "None")
    assert rows(ready.report("rejected")) == [("remove", "eve", "held", "rejected", None)]
    ready.redefine(**keys)
    ready.run(mode="full")  # all as before
    assert members(ready, "Chat") == {"dan", "eve"}
    ready.redefine(**{**keys, "directory": {**keys["directory"], "nested_groups": False}})
    assert rows(ready.run()) == [("remove", "eve", "held", "rejected", None)]  # AD has said nothing new
    ready.plan("approved", release_run="rejected")
    asked = ready.asked("approved")
    assert asked is not None
    ready.answer("approved", asked.options[0])
    assert rows(ready.report("approved")) == [("remove", "eve", "success", None, None)]
    assert members(ready, "Chat") == {"dan"}


# -- limits -------------------------------------------------------------------------------------------


def test_what_another_run_is_about_to_remove_counts_in_the_limits(two: Pipeline) -> None:
    two.redefine(**{**definition_keys(), "limits": {"removals": 1, "removals_percent": 100}})
    leave(two, "voice", "bob")
    leave(two, "nights", "fay")
    one, other = two.plan("one", groups=["Voice"]), two.plan("other", groups=["Nights"])
    two.patch(*one)
    two.patch(*other)
    assert rows(two.report("one")) == [("remove", "bob", "held", "over_limit", None)]
    assert rows(two.report("other")) == [("remove", "fay", "held", "over_limit", None)]
