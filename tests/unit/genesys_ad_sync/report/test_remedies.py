"""Each reason has words, a remedy that names the thing at hand, and a test that follows it to its end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.report.remedies import REMEDIES, Answer, remedy
from genesys_ad_sync.report.wording import REASON_WORDS, reason_words

TESTS = Path(__file__).parents[3]

SETTLED_ALONE = frozenset(
    {Reason.ALREADY_SO, Reason.STILL_GRANTED, Reason.NEWER_VIEW, Reason.MEMBER_NOT_VISIBLE},
)
"""Nothing waits and nothing is to be done."""

LEFT_OUT = frozenset(
    {
        Reason.UNMAPPED,
        Reason.EXCLUDED,
        Reason.REMOVALS_NEVER,
        Reason.GENESYS_GROUP_MISSING,
        Reason.PATTERN_TOO_SLOW,
    }
)
"""Skipped, as the definition says: the change is settled, and the remedy is an edit of the definition."""

NAMES = {
    "Voice": frozenset({Reason.NOT_OWNED, Reason.MAPPING_CHANGED, Reason.GENESYS_UNREADABLE, Reason.IN_FLIGHT}),
    "GC-Voice": frozenset({Reason.UNMAPPED, Reason.GENESYS_GROUP_MISSING, Reason.UNPROVEN}),
    "CN=Ann": frozenset({Reason.NO_GENESYS_USER, Reason.NO_MATCHING_ATTRIBUTE}),
    "x-ann": frozenset({Reason.INACTIVE, Reason.NOT_OWNED}),
    "limits.removals is 50": frozenset({Reason.OVER_LIMIT, Reason.OVER_ADDITIONS, Reason.EMPTY_GROUP}),
    "approve_removals": frozenset({Reason.PROTECTED, Reason.JOURNAL_RESTORED, Reason.AGAINST_AD}),
    "asks": frozenset({Reason.REJECTED, Reason.UNDONE}),
    "support": frozenset({Reason.REFUSED, Reason.REFUSED_GROUP}),
}
"""What the remedies name: a word of the row below."""


def row(reason: Reason, status: Status = Status.HELD, **more: object) -> Row:
    fields: dict[str, object] = {
        "genesys_user_id": "x-ann",
        "genesys_group": {"id": "G", "name": "Voice"},
        "directory_groups": ({"guid": "g1", "dn": "CN=GC-Voice,DC=x", "name": "GC-Voice"},),
        "directory_user": {"guid": "ann", "dn": "CN=Ann,DC=x", "mail": "ann@example.com"},
        "about": {"limit": "limits.removals is 50", "run": "dag/asks"},
        "correlation_id": "c-1",
        **more,
    }
    return Row(Action.REMOVE, status, "G", "ann", ("g1",), reason=reason, **fields)  # type: ignore[arg-type]


def waiting() -> frozenset[Reason]:
    return frozenset(Reason) - SETTLED_ALONE - LEFT_OUT


@pytest.mark.parametrize("reason", list(Reason), ids=str)
def test_each_reason_has_words_and_a_remedy_if_there_is_something_to_do(reason: Reason) -> None:
    assert reason in REASON_WORDS
    assert reason_words(reason.value).endswith(".")
    text = remedy(row(reason, Status.ORPHANED if reason is Reason.NO_GENESYS_USER else Status.HELD))
    assert (text is None) is (reason in SETTLED_ALONE)
    assert (reason in REMEDIES) is (reason not in SETTLED_ALONE)
    if text:
        assert re.fullmatch(r"[A-Z\"'].*[.\]]", text), text


@pytest.mark.parametrize("word", NAMES, ids=str)
def test_a_remedy_names_the_thing_at_hand(word: str) -> None:
    for reason in sorted(NAMES[word]):
        status = Status.ORPHANED if reason is Reason.NO_GENESYS_USER else Status.HELD
        assert word in (remedy(row(reason, status)) or ""), reason


def test_each_reason_for_which_a_change_waits_is_followed_by_a_test() -> None:
    followed = set()
    for path in TESTS.rglob("test_*.py"):
        followed |= set(re.findall(r'^@pytest\.mark\.follows_remedy\("(\w+)"\)$', path.read_text(), re.MULTILINE))
    assert {Reason(word) for word in followed} == waiting()


@pytest.mark.parametrize("reason", [Reason.OVER_LIMIT, Reason.OVER_ADDITIONS, Reason.PROTECTED], ids=str)
def test_a_remedy_says_where_the_question_is_answered(reason: Reason) -> None:
    assert "approve_removals of this run." in (remedy(row(reason)) or "")
    assert "A later run asks again" in (remedy(row(reason), Answer.LATER) or "")
    assert "A live run asks" in (remedy(row(reason), Answer.DRY_RUN) or "")
    asked = row(reason, about={"asked_by": "noon"})
    assert "approve_removals of run noon" in (remedy(asked) or "")
    assert "approve_removals of run noon" in (remedy(asked, Answer.LATER) or "")
    assert "A live run asks" in (remedy(asked, Answer.DRY_RUN) or "")


@pytest.mark.parametrize(
    ("made", "param"),
    [
        (row(Reason.MIRROR_ONCE), "mirror_once: true"),
        (row(Reason.RELINK, about={"account": "ann", "new_user": "x-ann (Ann, ann@example.com)"}), "relink: ann=x-ann"),
        (row(Reason.RELINK, about={"account": "bob", "new_user": "none"}), "the same relink"),
        (replace(row(Reason.AGAINST_AD), error="nobody answered", undoes_run="bad"), "undo_run: bad"),
        (replace(row(Reason.OVER_LIMIT), undoes_run="bad"), "undo_run: bad"),
    ],
)
def test_what_ends_with_its_run_is_asked_about_by_no_later_one(made: Row, param: str) -> None:
    assert "approve_removals of this run." in (remedy(made) or "")
    later = remedy(made, Answer.LATER) or ""
    assert f"No later run asks again: trigger the DAG with {param}." in later
    assert "A later run" not in later
    assert f"A live run with {param} asks" in (remedy(made, Answer.DRY_RUN) or "")
    elsewhere = remedy(replace(made, about={**made.about, "asked_by": "noon"}), Answer.LATER) or ""
    assert elsewhere.index("approve_removals of run noon") < elsewhere.index(f"trigger the DAG with {param}.")


def test_an_account_that_no_undo_puts_back_is_enabled_first() -> None:
    ended = row(Reason.AGAINST_AD, about={"account": "ann"}, error="the AD account is disabled", undoes_run="bad")
    assert "Enable or restore the account in AD and undo the run again" in (remedy(ended, Answer.LATER) or "")


@pytest.mark.parametrize("on_excess", ["hold", "fail"])
@pytest.mark.parametrize("reason", [Reason.OVER_LIMIT, Reason.OVER_ADDITIONS], ids=str)
@pytest.mark.parametrize("answer", list(Answer), ids=str)
def test_where_nobody_is_asked_the_remedy_is_the_key(reason: Reason, on_excess: str, answer: Answer) -> None:
    text = remedy(row(reason, about={"limit": "limits.removals is 50", "on_excess": on_excess}), answer) or ""
    assert "limits.removals is 50" in text
    assert "Raise the limit in the definition" in text
    assert "approve_removals" not in text


def test_an_empty_group_that_is_held_names_the_key_that_lets_it_go() -> None:
    text = remedy(row(Reason.EMPTY_GROUP, about={"limit": "limits.empty_group is hold", "on_excess": "hold"})) or ""
    assert "limits.empty_group: allow" in text
    assert "approve_removals" not in text
