"""What persons are asked about, in the journal: who asks, for how long, and what an answer leaves behind."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Action, Decision, Pair, Reason, View
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    change,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    view,
)

A, B = RunKey("dag", "run-a"), RunKey("dag", "run-b")
SUBJECT = "G:u1:remove"


def asked(journal: Journal, key: RunKey, *subjects: str, at: float = 0, change_ids: tuple[int, ...] = ()) -> set[str]:
    wanted = dict.fromkeys(subjects or (SUBJECT,), change_ids)
    return journal.ask(DEFINITION, key, wanted, at=T0 + minutes(at), until=T0 + minutes(at + 60))


def test_what_one_run_asks_about_another_does_not(journal: Journal) -> None:
    assert asked(journal, A) == {SUBJECT}
    assert asked(journal, B, SUBJECT, "G:u2:remove") == {"G:u2:remove"}
    assert journal.being_asked(DEFINITION, T0) == {SUBJECT: A, "G:u2:remove": B}
    assert journal.being_asked(DEFINITION, T0, but_not_by=A) == {"G:u2:remove": B}


def test_a_question_ends_with_its_time(journal: Journal) -> None:
    asked(journal, A)
    assert asked(journal, B, at=59) == set()
    assert asked(journal, B, at=61) == {SUBJECT}


def test_a_run_that_asks_again_replaces_its_question(journal: Journal) -> None:
    asked(journal, A, SUBJECT, "G:u2:remove")
    asked(journal, A, SUBJECT)
    assert set(journal.being_asked(DEFINITION, T0)) == {SUBJECT}


def test_other_definitions_have_questions_of_their_own(journal: Journal) -> None:
    asked(journal, A)
    assert journal.being_asked("other", T0) == {}


@pytest.mark.parametrize("decision", [Decision.APPROVED, Decision.REJECTED, Decision.UNANSWERED])
def test_an_answer_closes_the_question(journal: Journal, decision: Decision) -> None:
    asked(journal, A)
    journal.close_question(A, {SUBJECT: decision}, by="olivia", at=T0)
    assert journal.being_asked(DEFINITION, T0) == {}
    assert asked(journal, B) == {SUBJECT}


def test_a_rejected_change_is_held_until_its_run_is_released(journal: Journal) -> None:
    advance(journal, view({"g": "u1"}))
    lost = [change("g", "u1", Action.REMOVE)]
    advance(journal, view({"g": ""}), view({"g": "u1"}), changes=lost, whole=False)
    (found,) = journal.unsettled(DEFINITION)
    assert found.id is not None
    asked(journal, A, change_ids=(found.id,))
    journal.close_question(A, {SUBJECT: Decision.REJECTED}, by="olivia", at=T0)
    assert journal.changes([found.id])[0].held_reason is Reason.REJECTED
    for other in (B, RunKey("dag_full", A.run_id)):
        assert not journal.has_asked(DEFINITION, other)
        assert journal.reopen_rejected(DEFINITION, other) == 0
    assert journal.has_asked(DEFINITION, A)
    assert journal.reopen_rejected(DEFINITION, A) == 1
    assert journal.changes([found.id])[0].held_reason is None
    assert journal.reopen_rejected(DEFINITION, A) == 0


def test_what_is_not_named_in_the_answer_went_unanswered(journal: Journal) -> None:
    advance(journal, view({"g": "u1"}))
    advance(journal, View(), changes=[change("g", "u1", Action.REMOVE)])
    (found,) = journal.unsettled(DEFINITION)
    assert found.id is not None
    asked(journal, A, change_ids=(found.id,))
    journal.close_question(A, {}, by=None, at=T0)
    assert journal.changes([found.id])[0].held_reason is None


def test_a_restored_journal_gets_another_id_and_is_distrusted_until_trusted_again(journal: Journal) -> None:
    advance(journal, view({"g": ""}))
    before, _ = journal.identity()
    assert not journal.distrusts(DEFINITION)
    journal.note_restored(T0)
    assert journal.identity()[0] != before
    assert journal.distrusts(DEFINITION)
    journal.trust_again(DEFINITION)
    assert not journal.distrusts(DEFINITION)


def test_who_is_distrusted_has_no_baselines_any_more(journal: Journal) -> None:
    pair = Pair("g", "G", "Group", 0)
    for name in (DEFINITION, "other"):
        journal.save_pairs(name, [pair], T0)
        journal.set_baselines(name, [("g", "G")], "dag", "run", T0)
    journal.distrust("other", T0)
    assert [journal.distrusts(name) for name in (DEFINITION, "other")] == [False, True]
    assert [journal.pairs(name)[0].has_baseline for name in (DEFINITION, "other")] == [True, False]
    journal.note_restored(T0)
    assert not journal.pairs(DEFINITION)[0].has_baseline


def test_pins_know_since_which_change_and_can_be_released_by_either_run(journal: Journal) -> None:
    bad, undo = RunKey("dag", "bad"), RunKey("dag", "undo")
    for either in (bad, undo):
        journal.pin(DEFINITION, [("G", "u1")], key=undo, undoes=bad, last_change=7, at=T0)
        assert journal.pins(DEFINITION, ["G"]) == {("G", "u1"): 7}
        assert journal.pins(DEFINITION, ["G"], since=T0) == {}
        assert journal.pins(DEFINITION, ["H"]) == {}
        other = RunKey("dag_full", either.run_id)
        assert not journal.has_pins(DEFINITION, other)
        assert journal.release_pins(DEFINITION, other) == 0
        assert journal.has_pins(DEFINITION, either)
        assert journal.release_pins(DEFINITION, either) == 1
        assert journal.pins(DEFINITION, ["G"]) == {}
