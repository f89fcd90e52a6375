"""What the outcomes of a group's rows mean: a refusal of the client, the group or a person, or a group that fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionFailed,
    GenesysError,
    PermissionMissing,
    ServerError,
    Throttled,
    VersionConflict,
)
from genesys_ad_sync.genesys.writers import WriteResult
from genesys_ad_sync.genesys.writers.base import MemberChange, refused
from genesys_ad_sync.model import Action, Reason, Refusal, RefusalKind, Row, Status
from genesys_ad_sync.writing.order import in_order
from genesys_ad_sync.writing.refusals import judge, judge_unread

ADD, REMOVE = Action.ADD, Action.REMOVE
FULL = BadRequest("the group is full", status=400, code="bad.request")


def row(user: str, reason: Reason | None = Reason.REFUSED, action: Action = ADD, code: int | None = 400) -> Row:
    status = Status.FAILED if reason else Status.SUCCESS
    return Row(action, status, "G", user, ("g",), genesys_user_id=f"x-{user}", reason=reason, http_code=code)


def results(
    rows: Sequence[Row], error: GenesysError, *, of_group: bool = False
) -> dict[tuple[str, Action], WriteResult]:
    changes = [MemberChange(one.action, one.genesys_user_id or "") for one in rows]
    return {
        (result.user_id, result.action): result
        for result in refused(changes, error, ambiguous=False, of_group=of_group)
    }


def met(refusals: Sequence[Refusal]) -> set[tuple[RefusalKind, str, Action | None]]:
    return {(one.kind, one.person, one.action) for one in refusals}


def test_one_refused_person_is_that_persons_refusal() -> None:
    rows = [row("ann"), row("bob", None)]
    judged = judge("G", rows, results(rows[:1], FULL), None, [])
    assert met(judged.refusals) == {(RefusalKind.PERSON, "ann", ADD)}
    assert (judged.rows, judged.words) == (tuple(rows), None)


def test_a_group_that_the_writer_found_refused_is_one_refusal_of_each_action() -> None:
    rows = [row("ann"), row("bob"), row("cid", action=REMOVE)]
    judged = judge("G", rows, results(rows, FULL, of_group=True), None, [])
    assert met(judged.refusals) == {(RefusalKind.GROUP, "", ADD), (RefusalKind.GROUP, "", REMOVE)}
    assert {one.reason for one in judged.rows} == {Reason.REFUSED_GROUP}
    assert judged.words == "400 bad.request the group is full"


def test_three_people_who_are_refused_alike_and_nobody_accepted_are_the_group() -> None:
    rows = [row(name) for name in ("ann", "bob", "cid")]
    assert met(judge("G", rows, results(rows, FULL), None, []).refusals) == {(RefusalKind.GROUP, "", ADD)}
    two = judge("G", rows[:2], results(rows[:2], FULL), None, [])
    assert {one.kind for one in two.refusals} == {RefusalKind.PERSON}
    third = judge("G", rows[2:], results(rows[2:], FULL), None, two.refusals)
    assert {one.kind for one in third.refusals} == {RefusalKind.GROUP}
    accepted = [*rows, row("dan", None)]
    assert {one.kind for one in judge("G", accepted, results(rows, FULL), None, []).refusals} == {RefusalKind.PERSON}


def test_people_who_are_refused_in_words_of_their_own_are_no_refused_group() -> None:
    rows = [row(name) for name in ("ann", "bob", "cid", "dan")]
    answers = {}
    for one in rows:
        answers |= results([one], BadRequest(f"user {one.genesys_user_id} has too many groups", status=400))
    assert {one.kind for one in judge("G", rows, answers, None, []).refusals} == {RefusalKind.PERSON}


def test_a_403_is_the_groups_and_what_was_accepted_before_stays() -> None:
    rows = [row("ann", None), row("bob", Reason.NOT_ATTEMPTED, code=403)]
    judged = judge("G", rows, {}, PermissionMissing("no", status=403), [])
    assert met(judged.refusals) == {(RefusalKind.GROUP, "", ADD)}
    assert [one.reason for one in judged.rows] == [None, Reason.REFUSED_GROUP]


def test_a_token_that_is_not_accepted_says_nothing_about_group_or_person() -> None:
    rows = [row("ann", Reason.NOT_ATTEMPTED, code=401)]
    error = AuthenticationFailed("no", status=401)
    for judged in (judge("G", rows, {}, error, []), judge_unread("G", rows, error)):
        assert (judged.refusals, judged.rows[0].reason) == ((), Reason.REFUSED_CLIENT)


@pytest.mark.parametrize(
    ("reason", "error", "fails"),
    [
        (Reason.NOT_IN_EFFECT, ServerError("down", status=500), True),
        (Reason.NOT_IN_EFFECT, None, True),
        (Reason.UNVERIFIED, None, True),
        (Reason.NOT_ATTEMPTED, ServerError("down", status=500), True),
        (Reason.NOT_ATTEMPTED, None, False),  # the lane stopped for something else
        (Reason.NOT_ATTEMPTED, Throttled("wait", status=429), False),
        (Reason.UNVERIFIED, ConnectionFailed("no answer"), False),
    ],
)
def test_a_group_fails_where_nothing_else_explains_it(reason: Reason, error: GenesysError | None, fails: bool) -> None:
    judged = judge("G", [row("ann", reason)], {}, error, [])
    assert met(judged.refusals) == ({(RefusalKind.FAILING, "", None)} if fails else set())


def test_a_version_conflict_is_neither_a_refusal_nor_a_failure() -> None:
    conflict = VersionConflict("does not match the current version", status=409)
    for reason in (Reason.REFUSED, Reason.NOT_IN_EFFECT):
        rows = [row(name, reason) for name in ("ann", "bob", "cid")]
        assert judge("G", rows, results(rows, conflict), None, []).refusals == ()


# -- the order of work --------------------------------------------------------------------------------


def names(stages: list[list[tuple[str, Sequence[Row]]]]) -> list[list[tuple[str, str]]]:
    return [[(group, "".join(one.user_guid or "" for one in rows)) for group, rows in stage] for stage in stages]


def test_removals_of_ended_accounts_come_first_and_groups_that_failed_last() -> None:
    a, b, x, y = row("a"), row("b", action=REMOVE), row("x", action=REMOVE), row("y", action=REMOVE)
    groups = {"adds": [a], "loses": [b], "urgent": [a, x, b], "failed urgent": [y], "failed": [a]}
    stages = in_order(groups, {"failed urgent", "failed"}, {"x", "y"})
    assert names(stages) == [
        [("urgent", "ax")],
        [("adds", "a")],
        [("loses", "b"), ("urgent", "b")],  # somebody who moves is added elsewhere first
        [("failed urgent", "y")],
        [("failed", "a")],
    ]
