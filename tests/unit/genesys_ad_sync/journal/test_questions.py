"""What persons are asked about, in the journal: who asks, for how long, and what an answer leaves behind."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Action, Decision, GroupPair, Objection, Reason
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
    view,
)

A, B = RunKey("dag", "run-a"), RunKey("dag", "run-b")
SUBJECT = "G:u1:remove"


def asked(journal: Journal, key: RunKey, *subjects: str, at: float = 0, change_ids: tuple[int, ...] = ()) -> set[str]:
    wanted = dict.fromkeys(subjects or (SUBJECT,), change_ids)
    questions = journal.of(DEFINITION).questions
    return questions.open(key, wanted, last_change=9, at=T0 + minutes(at), until=T0 + minutes(at + 60))


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


def test_a_rejection_is_kept_until_its_run_is_released(journal: Journal) -> None:
    questions = journal.of(DEFINITION).questions
    asked(journal, A, change_ids=(7,))
    questions.close(A, {SUBJECT: Decision.REJECTED}, by="olivia", at=T0)
    assert questions.rejections() == {
        SUBJECT: Objection(Reason.REJECTED, A, T0, 9, "olivia", Action.REMOVE, account_ended=False)
    }
    assert journal.of("other").questions.rejections() == {}
    for other in (B, RunKey("dag_full", A.run_id)):
        assert not questions.exists(other)
        assert questions.reopen_rejected(other) == 0
    assert questions.exists(A)
    assert questions.reopen_rejected(A) == 1
    assert questions.rejections() == {}
    assert questions.reopen_rejected(A) == 0


def test_a_rejection_that_ad_has_overtaken_is_released_no_more(journal: Journal) -> None:
    questions = journal.of(DEFINITION).questions
    asked(journal, A, SUBJECT, "G:u2:remove", change_ids=(7,))
    questions.close(A, dict.fromkeys([SUBJECT, "G:u2:remove"], Decision.REJECTED), by="olivia", at=T0)
    questions.end_rejections([SUBJECT])
    assert questions.rejections().keys() == {"G:u2:remove"}
    assert questions.reopen_rejected(A) == 1


def test_the_newest_rejection_of_a_row_counts(journal: Journal) -> None:
    for key, by in ((A, "olivia"), (B, "paul")):
        asked(journal, key, change_ids=(7,))
        journal.of(DEFINITION).questions.close(key, {SUBJECT: Decision.REJECTED}, by=by, at=T0)
    assert journal.of(DEFINITION).questions.rejections()[SUBJECT].run == B


@pytest.mark.parametrize("decision", [None, Decision.APPROVED])
def test_only_a_rejection_is_kept(journal: Journal, decision: Decision | None) -> None:
    asked(journal, A, change_ids=(7,))
    decisions = {} if decision is None else {SUBJECT: decision}
    journal.of(DEFINITION).questions.close(A, decisions, by=None, at=T0)
    assert journal.of(DEFINITION).questions.rejections() == {}


def test_the_rejection_of_a_row_of_an_undo_is_about_that_undo_only(journal: Journal) -> None:
    asked(journal, A)
    journal.of(DEFINITION).questions.close(A, {SUBJECT: Decision.REJECTED}, by="olivia", at=T0)
    assert journal.of(DEFINITION).questions.rejections() == {}


def test_the_question_of_a_run_that_is_gone_blocks_nobody(journal: Journal) -> None:
    asked(journal, A)
    asked(journal, B, "G:u2:remove")
    journal.of(DEFINITION).questions.close_abandoned([A], at=T0)
    assert journal.of(DEFINITION).questions.open_elsewhere(T0) == {"G:u2:remove": B}
    assert asked(journal, B, SUBJECT) == {SUBJECT}


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


def test_pins_say_who_undid_what_and_can_be_released_by_either_run(journal: Journal) -> None:
    bad, undo = RunKey("dag", "bad"), RunKey("dag", "undo")
    pins = journal.of(DEFINITION).pins
    pin = Objection(Reason.UNDONE, undo, T0, 7, "olivia", Action.REMOVE)
    for either in (bad, undo):
        pins.add({("G", "u1"): pin}, undoes=bad)
        assert pins.all() == {("G", "u1"): pin}
        assert journal.of("other").pins.all() == {}
        other = RunKey("dag_full", either.run_id)
        assert not pins.exist(other)
        assert pins.release(other) == 0
        assert pins.exist(either)
        assert pins.release(either) == 1
        assert pins.all() == {}


def test_pins_that_have_ended_are_deleted(journal: Journal) -> None:
    pins = journal.of(DEFINITION).pins
    pin = Objection(Reason.UNDONE, A, T0, 7)
    pins.add({("G", "u1"): pin, ("G", "u2"): pin}, undoes=B)
    pins.remove({("G", "u1")})
    assert pins.all() == {("G", "u2"): pin}


def test_what_an_objection_is_about_names_the_run_the_person_and_the_time() -> None:
    pin = Objection(Reason.UNDONE, A, T0, 7, "olivia")
    assert pin.about == {"run": "dag/run-a", "by": "olivia", "at": f"{T0:%Y-%m-%dT%H:%M:%SZ}"}
    assert "by" not in replace(pin, by=None).about
