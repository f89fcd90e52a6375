"""Which refusals a lane ends, lifts and stores."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Action, Reason, Refusal, RefusalKind, Row, Status
from genesys_ad_sync.run.facts import StoredMapping
from genesys_ad_sync.writing.refusals import LaneRefusals, Met
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)

DONE = Row(Action.ADD, Status.SUCCESS, "G", "ann", ("g1",), genesys_user_id="x-ann")
ALREADY_SO = replace(DONE, status=Status.UNCHANGED, reason=Reason.ALREADY_SO)
LAGS = replace(DONE, user_guid="bob", status=Status.FAILED, reason=Reason.NOT_IN_EFFECT)

GROUP = Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, "G", action=Action.ADD, http_code=403, words="no")
PERSON = Refusal(RefusalKind.PERSON, Reason.REFUSED, "G", "ann", Action.ADD, http_code=400, words="full")
FAILING = Refusal(RefusalKind.FAILING, Reason.UNVERIFIED, "G")


def lane(journal: Journal) -> LaneRefusals:
    """Return what a later run knows."""
    facts = SimpleNamespace(required=lambda _: StoredMapping())
    task: Any = SimpleNamespace(
        journal=journal.of(DEFINITION), key=RunKey("dag", "later"), clock=lambda: T0, facts=facts, note=lambda _: None
    )
    return LaneRefusals(task)


@pytest.mark.parametrize(
    ("known", "met", "is_over"),
    [
        (GROUP, Met((DONE,)), True),
        (GROUP, Met((ALREADY_SO,)), False),  # Genesys accepted nothing
        (GROUP, Met((DONE,), is_written=False), False),  # an earlier try's success
        (GROUP, Met((replace(DONE, action=Action.REMOVE),)), False),
        (GROUP, Met((DONE,), (GROUP,)), False),  # one was accepted, and others met it
        (PERSON, Met((DONE,)), True),
        (PERSON, Met((ALREADY_SO,), is_written=False), True),
        (PERSON, Met((replace(DONE, user_guid="bob"),)), False),
        (FAILING, Met((DONE,)), True),
        (FAILING, Met((DONE, LAGS)), False),
        (FAILING, Met((DONE,), is_written=False), False),  # its other rows may still be sent
    ],
)
def test_a_refusal_ends_once_its_change_is_made(journal: Journal, known: Refusal, met: Met, *, is_over: bool) -> None:
    refusals = journal.of(DEFINITION).refusals
    refusals.record([known], RunKey("dag", "earlier"), T0)
    lane(journal).record(met)
    assert [one.subject for one in refusals.all()] == ([] if is_over else [known.subject])


def test_what_was_refused_in_the_same_words_is_tried_at_once_when_one_is_accepted(journal: Journal) -> None:
    refusals = journal.of(DEFINITION).refusals
    others = [replace(GROUP, genesys_group_id="H"), replace(GROUP, genesys_group_id="I", words="other")]
    refusals.record([GROUP, *others], RunKey("dag", "earlier"), T0)
    lane(journal).record(Met((DONE,)))
    assert {one.genesys_group_id: one.lifted for one in refusals.all()} == {"H": True, "I": False}


def test_a_refused_client_is_asked_about_in_another_group_each_time(journal: Journal) -> None:
    tried = []
    for group in ("A", "B", "C", "A"):
        lane(journal).client_is_refused("403 no", 403, ["A", "B", "C"], [group])
        [client] = journal.of(DEFINITION).refusals.all()
        tried.append(client.tried)
    assert tried == [("A",), ("A", "B"), ("C",), ("A", "C")]
