"""What the journal keeps of refusals, and of changes that rest."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, Change, DirectoryView, Reason, Refusal, RefusalKind, Row, RunKey, Status
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    recorded,
    row,
    view,
)

MET = Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, "G", action=Action.ADD, http_code=403, words="no")
ANN = Refusal(RefusalKind.PERSON, Reason.REFUSED, "G", "u1", Action.ADD, http_code=400, words="full")
ONE, TWO = RunKey("dag", "one"), RunKey("dag", "two")


def test_a_refusal_counts_the_runs_that_met_it_and_not_their_tries(journal: Journal) -> None:
    refusals = journal.of(DEFINITION).refusals
    for run, at, times in ((ONE, T0, 1), (ONE, T0 + minutes(1), 1), (TWO, T0 + minutes(2), 2)):
        [stored] = refusals.record([MET], run, at)
        assert (stored.times, stored.first_at, stored.last_at, stored.run) == (times, T0, at, str(run))
        assert refusals.all() == [stored]


def test_another_cause_begins_anew_and_other_subjects_are_their_own(journal: Journal) -> None:
    refusals = journal.of(DEFINITION).refusals
    refusals.record([MET], ONE, T0)
    refusals.record([MET, ANN, replace(MET, action=Action.REMOVE)], TWO, T0)
    assert sorted(one.times for one in refusals.all()) == [1, 1, 2]
    [stored] = refusals.record([replace(MET, words="another")], RunKey("dag", "three"), T0 + minutes(5))
    assert (stored.times, stored.first_at) == (1, T0 + minutes(5))
    assert journal.of("another").refusals.all() == []


def test_what_is_lifted_keeps_its_count_until_it_is_met_again_or_forgotten(journal: Journal) -> None:
    refusals = journal.of(DEFINITION).refusals
    refusals.record([MET, ANN], ONE, T0)
    refusals.lift([MET])
    assert {one.kind: one.lifted for one in refusals.all()} == {RefusalKind.GROUP: True, RefusalKind.PERSON: False}
    [stored] = refusals.record([MET], TWO, T0)
    assert (stored.lifted, stored.times) == (False, 2)
    refusals.forget([MET])
    assert [one.kind for one in refusals.all()] == [RefusalKind.PERSON]


def test_a_change_of_the_person_in_ad_lifts_that_persons_refusals_only(journal: Journal) -> None:
    refusals = journal.of(DEFINITION).refusals
    before = view({"g": "u1 u2"})
    advance(journal, before)
    refusals.record([MET, ANN, replace(ANN, person="u2")], ONE, T0)
    after = view({"g": "u1 u2"})
    after.users["u1"] = replace(after.users["u1"], name="married")
    advance(journal, after, before=before)
    assert {one.person for one in refusals.all() if one.lifted} == {"u1"}


def test_an_edited_definition_lifts_everything_and_wakes_all(journal: Journal) -> None:
    mine = journal.of(DEFINITION)
    mine.refusals.record([MET, ANN], ONE, T0)
    _orphan(journal)
    assert not mine.waiting.note_rules("first")
    assert not mine.waiting.note_rules("first")
    assert mine.waiting.has_any()
    assert mine.waiting.note_rules("second")
    assert all(one.lifted for one in mine.refusals.all())
    assert not mine.waiting.has_any()


def test_an_outcome_like_the_last_one_is_not_stored_again(journal: Journal) -> None:
    run, [one] = begin(journal, "r"), recorded(journal, change("g", "u1"))
    failed = replace(row(one, Status.FAILED), reason=Reason.REFUSED, http_code=400)
    said = []
    for more in (failed, failed, replace(failed, http_code=403), failed, row(one, Status.HELD), row(one, Status.HELD)):
        journal.rows.record_outcomes(run, [more], at=T0)
        said.append(len(journal.of(DEFINITION).changes.outcomes([one.id or 0])[one.id or 0]))
    assert said == [1, 1, 2, 3, 4, 4]


def test_nothing_is_stored_on_changes_of_a_refused_client(journal: Journal) -> None:
    run, [one] = begin(journal, "r"), recorded(journal, change("g", "u1"))
    journal.rows.record_outcomes(run, [replace(row(one, Status.FAILED), reason=Reason.REFUSED_CLIENT)], at=T0)
    changes = journal.of(DEFINITION).changes
    assert changes.outcomes([one.id or 0]) == {}
    assert changes.unsettled()[0].status is None
    assert changes.first_seen([one.id or 0]) != {}


def _orphan(journal: Journal, user: str = "u1") -> int:
    run, [one] = begin(journal, f"run of {user}"), recorded(journal, change("g", user))
    orphaned: Row = replace(row(one, Status.ORPHANED), reason=Reason.NO_GENESYS_USER)
    journal.rows.record_outcomes(run, [orphaned], at=T0)
    return one.id or 0


def test_people_are_looked_at_in_turn(journal: Journal) -> None:
    waiting = journal.of(DEFINITION).waiting
    for number in range(5):
        _orphan(journal, f"u{number}")
    seen = []
    for _ in range(4):
        people = waiting.people_to_look_at(2, T0)
        waiting.note_looked_up_to(people[-1])
        seen.append(people)
    assert seen == [["u0", "u1"], ["u2", "u3"], ["u4", "u0"], ["u1", "u2"]]


def test_what_rests_is_woken_by_its_person_its_ad_group_and_a_newer_change(journal: Journal) -> None:
    mine = journal.of(DEFINITION)
    before = view({"g": "u1", "h": "u1"})
    advance(journal, before)
    orphan = _orphan(journal)

    def wakes(after: DirectoryView, *changes: Change) -> bool:
        mine.waiting.looked_at([orphan], T0)
        assert mine.waiting.has_any()
        advance(journal, after, before=before, changes=changes)
        return not mine.waiting.has_any()

    other = view({"g": "u1", "h": "u1"})
    assert not wakes(other)
    renamed = view({"g": "u1", "h": "u1"})
    renamed.groups["h"] = replace(renamed.groups["h"], name="renamed")
    assert not wakes(renamed)
    renamed.groups["g"] = replace(renamed.groups["g"], name="renamed")
    assert wakes(renamed)
    before = renamed
    assert wakes(renamed, change("h", "u1", Action.REMOVE))


def test_a_settled_change_rests_no_longer_and_counts_are_of_what_rests(journal: Journal) -> None:
    mine = journal.of(DEFINITION)
    ids = [_orphan(journal, f"u{number}") for number in range(3)]
    assert mine.waiting.open_counts([])[Status.ORPHANED].count == 3
    assert mine.waiting.open_counts(ids[:1])[Status.ORPHANED].count == 2
    run = begin(journal, "later")
    [first] = mine.changes.by_id(ids[:1])
    journal.rows.record_outcomes(run, [row(first, Status.SUCCESS)], at=T0)
    assert mine.waiting.open_counts([])[Status.ORPHANED].count == 2
    assert {one.id for one in mine.changes.unsettled(awake_in=run.key)} == set()
    assert len(mine.changes.unsettled()) == 2


def test_a_large_fact_is_kept_once_and_goes_with_the_last_run_that_has_it(journal: Journal) -> None:
    large = {"names": [f"group {number}" for number in range(500)]}
    runs = [begin(journal, name) for name in ("one", "two")]
    for run in runs:
        journal.facts.put(run, "mapping", large)
        journal.facts.put(run, "small", 1)
    assert [journal.facts.get(run, "mapping") for run in runs] == [large, large]
    assert journal.facts.of_attempts([run.id for run in runs], "mapping") == {run.id: large for run in runs}
    assert _contents(journal) == 1
    for number, run in enumerate(runs):
        journal.runs.finish(run, "success", T0 + minutes(number))
    journal.runs.forget(DEFINITION, T0 + minutes(0.5))
    assert _contents(journal) == 1
    journal.runs.forget(DEFINITION, T0 + minutes(5))
    assert _contents(journal) == 0


def _contents(journal: Journal) -> int:
    from sqlalchemy import func, select

    from genesys_ad_sync.journal import tables

    with journal._database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(tables.content)) or 0)
