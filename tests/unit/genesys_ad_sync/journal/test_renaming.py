"""A definition under a new name takes over all that the journal has under the former one."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from genesys_ad_sync.journal import Journal, RunKey, tables
from genesys_ad_sync.journal.renaming import Holdings
from genesys_ad_sync.model import Action, Decision, Grant, GroupPair, Link, Objection, Reason, RowKey, Status
from tests.support.journal import (
    T0,
    advance,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    row,
    view,
)

OLD, NEW = "old", "new"
TAKING = RunKey("dag_new", "takes over")


def _live(journal: Journal, name: str, *people: str, group: str = "g") -> None:
    """Make a definition that has run live: its view, pair, grants, links, claim, pin, and a removal that waits."""
    own = journal.of(name)
    run = begin(journal, f"run of {name}", key=RunKey(f"dag_{name}", "live"), definition=name)
    advance(journal, view({group: " ".join(people)}), definition=name)
    own.pairs.replace([GroupPair(group, "G", "Voice", 0, has_baseline=False)], T0)
    own.pairs.set_baselines([(group, "G")], run.key.dag_id, run.key.run_id, T0)
    own.grants.add([Grant("G", f"U-{person}", person, group) for person in people], T0)
    own.links.save([Link(person, f"U-{person}", "mail", T0) for person in people])
    own.claims.take("org", [f"G of {name}"], T0)
    pin = Objection(Reason.UNDONE, run.key, T0, last_change=7)
    own.pins.add({("G", people[0]): pin}, undoes=RunKey("dag", "undone"))
    [waiting] = own.changes.add_compared([change(group, people[-1], Action.REMOVE)])
    journal.rows.record_outcomes(run, [row(waiting, Status.HELD)], at=T0)
    until = T0 + timedelta(hours=8)
    own.questions.open(run.key, {"G:x:remove": [waiting.id or 0]}, last_change=0, at=T0, until=until)
    journal.runs.finish(run, "success", T0)


def _names(journal: Journal) -> dict[str, set[str]]:
    """Return, by table, the definitions that have rows there."""
    with journal._database.reading() as connection:
        return {
            table.name: names
            for table in tables.metadata.sorted_tables
            if "definition" in table.c and (names := set(connection.scalars(select(table.c.definition)))) != set()
        }


def _take(journal: Journal) -> None:
    journal.of(NEW).renaming.take_over(OLD, run=TAKING, at=T0 + minutes(1))


def test_everything_has_the_new_name_afterwards(journal: Journal) -> None:
    _live(journal, OLD, "ann", "bob")
    before = _names(journal)
    assert journal.of(NEW).renaming.holdings(OLD) == Holdings(2, 1, 1)
    _take(journal)
    stop = {"journal_definition": {OLD}}
    assert _names(journal) == {name: {NEW} for name in before} | stop
    assert journal.of(NEW).renaming.holdings(OLD) is None
    new = journal.of(NEW)
    assert {grant.user_guid for grant in new.grants.of_groups(["G"])} == {"ann", "bob"}
    assert [pair.has_baseline for pair in new.pairs.active()] == [True]
    cursor = new.views.cursor()
    assert cursor is not None
    assert cursor.poll == 1
    assert [one.user_guid for one in new.changes.unsettled()] == ["bob"]
    assert new.pins.exist(RunKey("dag_old", "live"))
    assert journal.runs.get(RunKey("dag_old", "live")).definition == NEW


def test_questions_under_the_former_name_are_closed(journal: Journal) -> None:
    _live(journal, OLD, "ann")
    now = T0 + minutes(2)
    assert journal.of(OLD).questions.open_elsewhere(now)
    _take(journal)
    assert journal.of(NEW).questions.open_elsewhere(now) == {}


def test_what_the_last_task_under_the_former_name_notes_for_itself_is_taken_over_by_no_other_run(
    journal: Journal,
) -> None:
    """A second take-over would compare every group in full again, and say that it took over nothing."""
    _live(journal, OLD, "ann")
    _take(journal)
    former = journal.of(OLD)
    former.waiting.note_listed(RunKey("dag_old", "live"))
    former.housekeeping.note_done("dag_old", T0)
    assert journal.of(NEW).renaming.holdings(OLD) is None


def test_tasks_under_the_former_name_are_stopped(journal: Journal) -> None:
    _live(journal, OLD, "ann")
    _take(journal)
    noted = journal.of(OLD).definitions.noted()
    assert noted is not None
    assert (noted.dry_run, noted.run) == (True, TAKING)
    assert journal.of(NEW).definitions.noted() is None


def test_what_dry_runs_left_under_the_new_name_is_replaced(journal: Journal) -> None:
    _live(journal, OLD, "ann", "bob")
    dry = begin(journal, key=RunKey("dag_new", "dry"), definition=NEW, dry_run=True)
    advance(journal, view({"g": "ann bob", "h": "cid"}), definition=NEW)
    journal.of(NEW).changes.add_compared([change("h", "cid")])
    _take(journal)
    new = journal.of(NEW)
    assert {one.guid for one in new.views.groups_in_scope()} == {"g"}  # DirSync continues from the former cursor
    assert [one.user_guid for one in new.changes.unsettled()] == ["bob"]
    assert [pair.has_baseline for pair in new.pairs.active()] == [True]
    assert journal.runs.get(dry.key).definition == NEW


def test_a_definition_that_has_lived_under_both_names_keeps_what_it_knows_and_compares_everything(
    journal: Journal,
) -> None:
    _live(journal, OLD, "ann", "bob")
    _live(journal, NEW, "bob", "cid")
    journal.of(OLD).links.save([Link("bob", "U-other", "mail", T0)])
    _take(journal)
    new = journal.of(NEW)
    assert {grant.user_guid for grant in new.grants.of_groups(["G"])} == {"ann", "bob", "cid"}
    linked = {guid: link.genesys_user_id for guid, link in new.links.all().items()}
    assert linked == {"ann": "U-ann", "bob": "U-bob", "cid": "U-cid"}
    assert [pair.has_baseline for pair in new.pairs.active()] == [False]
    assert {one.user_guid for one in new.changes.unsettled()} == {"bob", "cid"}
    assert set(new.pins.all()) == {("G", "ann"), ("G", "bob")}
    assert set(new.views.users(["ann", "bob", "cid"])) == {"bob", "cid"}
    assert {name for names in _names(journal).values() for name in names} == {NEW, OLD}
    assert journal.of(NEW).renaming.holdings(OLD) is None


def test_what_the_former_name_recorded_can_be_proven_by_the_next_poll_under_the_new_one(journal: Journal) -> None:
    """Each definition numbers its polls. A removal is proven by a poll that is not older than the one that found it."""
    _live(journal, OLD, "ann", "bob")
    for _ in range(5):
        advance(journal, view({"g": "ann bob"}), definition=OLD)
    advance(journal, view({"g": "bob"}), definition=OLD, changes=(change("g", "ann", Action.REMOVE),))
    _live(journal, NEW, "bob", "cid")
    _take(journal)
    cursor = journal.of(NEW).views.cursor()
    assert cursor is not None
    assert {one.user_guid: one.poll for one in journal.of(NEW).changes.unsettled()}["ann"] == cursor.poll + 1


def test_who_left_memberships_in_a_group_is_known(journal: Journal) -> None:
    _live(journal, OLD, "ann", "bob")
    journal.of("third").grants.add([Grant("H", "U-x", "x", "h")], T0)
    advance(journal, view({"h": "x"}), definition="third")
    renaming = journal.of(NEW).renaming
    assert renaming.names() == {OLD, "third"}
    assert renaming.left_by({OLD, "third"}, ["G"]) == {OLD: Holdings(2, 1, 1)}
    assert renaming.left_by({OLD, "third"}, ["G", "H"]) == {OLD: Holdings(2, 1, 1), "third": Holdings(1, 0)}
    assert renaming.left_by({"third"}, ["G"]) == {}


def test_what_people_decided_is_known_although_nothing_is_owned_there_any_more(journal: Journal) -> None:
    """Such as an addition that was undone: the grant ended with it."""
    old = journal.of(OLD)
    advance(journal, view({"g": "ann bob"}), definition=OLD)
    old.pins.add({("G", "ann"): Objection(Reason.UNDONE, TAKING, T0, last_change=7)}, undoes=RunKey("dag", "undone"))
    for run_id, change_ids in (("one", [1]), ("two", [1]), ("an undo", [])):
        asked = {RowKey("G", "bob" if change_ids else "cid", Action.ADD): change_ids}
        key, until = RunKey("dag_old", run_id), T0 + timedelta(hours=8)
        old.questions.open(key, {str(of): ids for of, ids in asked.items()}, last_change=1, at=T0, until=until)
        old.questions.close(key, {str(of): Decision.REJECTED for of in asked}, by="olivia", at=T0)
    old.pairs.replace([GroupPair("h", "H", "Chat", 0)], T0, ())
    old.pairs.reject([("h", "H")], run=TAKING, by="olivia", at=T0)
    renaming = journal.of(NEW).renaming
    assert renaming.holdings(OLD) == Holdings(0, 0, 3)
    assert renaming.left_by({OLD}, ["G"]) == {OLD: Holdings(0, 0, 2)}
    assert renaming.left_by({OLD}, ["H"]) == {OLD: Holdings(0, 0, 1)}
    assert renaming.left_by({OLD}, ["other"]) == {}
    assert renaming.decided_in_groups_given_up({OLD}, ["G", "H"]) == {OLD: 2}  # it feeds H as yet
    old.pairs.replace([], T0)
    assert renaming.decided_in_groups_given_up({OLD}, ["G", "H"]) == {OLD: 3}
    assert renaming.decided_in_groups_given_up(set(), ["G", "H"]) == {}


@pytest.mark.parametrize("name", ["nobody", NEW])
def test_a_name_without_anything_has_no_holdings(journal: Journal, name: str) -> None:
    assert journal.of(NEW).renaming.holdings(name) is None
