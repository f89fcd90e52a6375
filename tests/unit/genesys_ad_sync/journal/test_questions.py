"""What persons are asked about, in the journal: who asks, for how long, and what an answer leaves behind."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Action, Decision, DirectoryView, GroupPair, Reason
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
    return journal.of(DEFINITION).questions.open(key, wanted, at=T0 + minutes(at), until=T0 + minutes(at + 60))


def test_what_one_run_asks_about_another_does_not(journal: Journal) -> None:
    assert asked(journal, A) == {SUBJECT}
    assert asked(journal, B, SUBJECT, "G:u2:remove") == {"G:u2:remove"}
    assert journal.of(DEFINITION).questions.open_elsewhere(T0) == {SUBJECT: A, "G:u2:remove": B}
    assert journal.of(DEFINITION).questions.open_elsewhere(T0, exclude=A) == {"G:u2:remove": B}


def test_a_question_ends_with_its_time(journal: Journal) -> None:
    asked(journal, A)
    assert asked(journal, B, at=59) == set()
    assert asked(journal, B, at=61) == {SUBJECT}


def test_a_run_that_asks_again_replaces_its_question(journal: Journal) -> None:
    asked(journal, A, SUBJECT, "G:u2:remove")
    asked(journal, A, SUBJECT)
    assert set(journal.of(DEFINITION).questions.open_elsewhere(T0)) == {SUBJECT}


def test_other_definitions_have_questions_of_their_own(journal: Journal) -> None:
    asked(journal, A)
    assert journal.of("other").questions.open_elsewhere(T0) == {}


@pytest.mark.parametrize("decision", [Decision.APPROVED, Decision.REJECTED, Decision.UNANSWERED])
def test_an_answer_closes_the_question(journal: Journal, decision: Decision) -> None:
    asked(journal, A)
    journal.of(DEFINITION).questions.close(A, {SUBJECT: decision}, by="olivia", at=T0)
    assert journal.of(DEFINITION).questions.open_elsewhere(T0) == {}
    assert asked(journal, B) == {SUBJECT}


def test_a_rejected_change_is_held_until_its_run_is_released(journal: Journal) -> None:
    advance(journal, view({"g": "u1"}))
    lost = [change("g", "u1", Action.REMOVE)]
    advance(journal, view({"g": ""}), view({"g": "u1"}), changes=lost, whole=False)
    (found,) = journal.of(DEFINITION).changes.unsettled()
    assert found.id is not None
    asked(journal, A, change_ids=(found.id,))
    journal.of(DEFINITION).questions.close(A, {SUBJECT: Decision.REJECTED}, by="olivia", at=T0)
    assert journal.of(DEFINITION).changes.by_id([found.id])[0].held_reason is Reason.REJECTED
    for other in (B, RunKey("dag_full", A.run_id)):
        assert not journal.of(DEFINITION).questions.exists(other)
        assert journal.of(DEFINITION).questions.reopen_rejected(other) == 0
    assert journal.of(DEFINITION).questions.exists(A)
    assert journal.of(DEFINITION).questions.reopen_rejected(A) == 1
    assert journal.of(DEFINITION).changes.by_id([found.id])[0].held_reason is None
    assert journal.of(DEFINITION).questions.reopen_rejected(A) == 0


def test_what_is_not_named_in_the_answer_went_unanswered(journal: Journal) -> None:
    advance(journal, view({"g": "u1"}))
    advance(journal, DirectoryView(), changes=[change("g", "u1", Action.REMOVE)])
    (found,) = journal.of(DEFINITION).changes.unsettled()
    assert found.id is not None
    asked(journal, A, change_ids=(found.id,))
    journal.of(DEFINITION).questions.close(A, {}, by=None, at=T0)
    assert journal.of(DEFINITION).changes.by_id([found.id])[0].held_reason is None


def test_a_restored_journal_gets_another_id_and_is_distrusted_until_trusted_again(journal: Journal) -> None:
    advance(journal, view({"g": ""}))
    before, _ = journal.identity()
    assert not journal.of(DEFINITION).restoration.is_active()
    journal.of(DEFINITION).restoration.take_new_id(T0)
    assert journal.identity()[0] != before
    assert journal.of(DEFINITION).restoration.is_active()
    journal.of(DEFINITION).restoration.end()
    assert not journal.of(DEFINITION).restoration.is_active()


def test_who_is_distrusted_has_no_baselines_any_more(journal: Journal) -> None:
    pair = GroupPair("g", "G", "Group", 0)
    for name in (DEFINITION, "other"):
        journal.of(name).pairs.replace([pair], T0)
        journal.of(name).pairs.set_baselines([("g", "G")], "dag", "run", T0)
    journal.of("other").restoration.begin(T0)
    assert [journal.of(name).restoration.is_active() for name in (DEFINITION, "other")] == [False, True]
    assert [journal.of(name).pairs.active()[0].has_baseline for name in (DEFINITION, "other")] == [True, False]
    journal.of(DEFINITION).restoration.take_new_id(T0)
    assert not journal.of(DEFINITION).pairs.active()[0].has_baseline


def test_pins_know_since_which_change_and_can_be_released_by_either_run(journal: Journal) -> None:
    bad, undo = RunKey("dag", "bad"), RunKey("dag", "undo")
    for either in (bad, undo):
        journal.of(DEFINITION).pins.add([("G", "u1")], key=undo, undoes=bad, last_change=7, at=T0)
        assert journal.of(DEFINITION).pins.of_groups(["G"]) == {("G", "u1"): 7}
        assert journal.of(DEFINITION).pins.of_groups(["G"], since=T0) == {}
        assert journal.of(DEFINITION).pins.of_groups(["H"]) == {}
        other = RunKey("dag_full", either.run_id)
        assert not journal.of(DEFINITION).pins.exist(other)
        assert journal.of(DEFINITION).pins.release(other) == 0
        assert journal.of(DEFINITION).pins.exist(either)
        assert journal.of(DEFINITION).pins.release(either) == 1
        assert journal.of(DEFINITION).pins.of_groups(["G"]) == {}
