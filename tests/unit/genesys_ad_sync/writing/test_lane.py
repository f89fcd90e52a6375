"""What stops a lane, and what a retry takes for its own success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    ClientRefused,
    GenesysError,
    PermissionMissing,
    ServerError,
    Throttled,
)
from genesys_ad_sync.genesys.writers import words_of_refusal
from genesys_ad_sync.model import Action, Reason, Refusal, RefusalKind, Row, Status
from genesys_ad_sync.writing.lane_errors import FAILURES_TOLERATED, WRITES_TOLERATED, LaneErrors
from genesys_ad_sync.writing.row_outcomes import claim_own_success, removed_by

ROW = Row(Action.ADD, Status.UNCHANGED, "G", "ann", ("g1",), genesys_user_id="x-ann", reason=Reason.ALREADY_SO)


DOWN = ServerError("down", status=503)
NO = PermissionMissing("no", status=403, code="not.authorized")


def errors(*of_groups: GenesysError | None) -> LaneErrors:
    kept = LaneErrors()
    for number, error in enumerate(of_groups):
        kept.add(f"G{number}", error)
    return kept


def test_a_lane_without_errors_goes_on_and_raises_nothing() -> None:
    fine = errors(None, BadRequest("of one user", status=400))
    assert not fine.should_stop
    fine.raise_worst()


def test_a_few_failures_do_not_stop_a_lane() -> None:
    failing = [DOWN] * (FAILURES_TOLERATED - 1)
    assert not errors(*failing).should_stop
    assert errors(*failing, DOWN).should_stop


def test_more_groups_may_fail_to_be_written_where_they_can_be_read() -> None:
    kept = LaneErrors()
    for number in range(WRITES_TOLERATED):
        assert not kept.should_stop
        kept.add(f"G{number}", DOWN, is_readable=True)
    assert kept.should_stop


def test_a_known_failure_is_not_raised_and_stops_nothing() -> None:
    kept = LaneErrors()
    for number in range(3 * FAILURES_TOLERATED):
        kept.add(f"G{number}", DOWN if number % 2 else NO, is_known=True)
    assert not kept.should_stop
    kept.raise_worst()
    kept.add("G", Throttled("wait", status=429), is_known=True)
    with pytest.raises(Throttled):
        kept.raise_worst()


NAMED = PermissionMissing("the role lacks it", status=403, permissions=("directory:group:edit",))


@pytest.mark.parametrize("error", [NAMED, AuthenticationFailed("no", status=401)])
def test_one_answer_may_show_that_the_client_is_refused(error: GenesysError) -> None:
    kept = errors(error)
    assert kept.should_stop
    assert kept.client_refusal == words_of_refusal(error)
    assert kept.client_status == error.status
    assert errors(NO, NO, NO).client_status is None


@pytest.mark.parametrize(("status", "enough"), [(403, 1), (None, 3)])
def test_a_client_that_was_refused_before_is_known_by_one_group_if_that_was_certain(
    status: int | None, enough: int
) -> None:
    before = Refusal(RefusalKind.CLIENT, Reason.REFUSED_CLIENT, http_code=status, words=words_of_refusal(NO))
    kept = LaneErrors(before)
    for number in range(enough):
        assert kept.client_refusal is None
        kept.add(f"G{number}", NO)
    assert kept.client_refusal == words_of_refusal(NO)


def test_three_groups_that_refuse_in_the_same_words_stop_a_lane_whatever_the_status() -> None:
    kept = LaneErrors()
    for number in range(3):
        assert kept.client_refusal is None
        kept.refused(f"G{number}", "400 the organisation is locked")
    assert kept.should_stop
    with pytest.raises(ClientRefused) as caught:
        kept.raise_worst()
    assert "locked" in caught.value.report_text()
    assert "locked" not in str(caught.value)  # Genesys' words are for the report alone


def test_failures_between_groups_that_are_served_do_not_stop_a_lane() -> None:
    kept = LaneErrors()
    for number in range(3 * FAILURES_TOLERATED):
        kept.add(f"G{number}", DOWN)
        assert not kept.should_stop
        kept.served(accepted=False)
    with pytest.raises(ServerError):
        kept.raise_worst()


@pytest.mark.parametrize("error", [AuthenticationFailed("no", status=401), Throttled("wait", status=429)])
def test_an_error_that_all_groups_will_meet_stops_a_lane_at_once(error: GenesysError) -> None:
    assert errors(error).should_stop


def test_a_403_is_its_groups_trouble_until_three_groups_are_refused_alike() -> None:
    assert not errors(NO, NO).should_stop
    assert not errors(NO, NO, PermissionMissing("other", status=403, code="missing.permissions")).should_stop
    assert errors(NO, NO, NO).should_stop


def test_where_a_write_was_accepted_no_403_stops_a_lane() -> None:
    kept = errors(NO, NO)
    kept.served(accepted=False)  # only read
    kept.add("G2", NO)
    assert kept.should_stop
    kept.served(accepted=True)
    kept.add("G3", NO)
    assert not kept.should_stop
    with pytest.raises(PermissionMissing):
        kept.raise_worst()


def test_the_error_that_a_person_must_solve_is_raised_first() -> None:
    with pytest.raises(AuthenticationFailed):
        errors(Throttled("wait", status=429, retry_after=900), AuthenticationFailed("no", status=401)).raise_worst()
    with pytest.raises(Throttled):
        errors(DOWN, Throttled("wait", status=429, retry_after=900)).raise_worst()
    with pytest.raises(PermissionMissing):
        errors(NO, NO, NO, DOWN).raise_worst()


def test_what_a_retry_can_serve_is_raised_before_the_refusal_of_one_group() -> None:
    """A 403 ends a task without a retry, and the other groups would wait for the next run."""
    with pytest.raises(ServerError):
        errors(NO, DOWN).raise_worst()


def test_an_error_that_was_overtaken_is_not_raised() -> None:
    kept = errors(DOWN)
    kept.withdraw("G0")
    kept.raise_worst()


def test_what_is_in_effect_after_it_was_sent_is_our_success() -> None:
    assert claim_own_success(ROW) == replace(ROW, status=Status.SUCCESS, reason=None)
    held = replace(ROW, status=Status.HELD, reason=Reason.UNPROVEN)
    assert claim_own_success(held) == held


def test_whom_the_plan_has_not_seen_is_no_member_before_the_write() -> None:
    leaves = replace(ROW, action=Action.REMOVE, status=Status.PLANNED, reason=None)
    hidden = replace(leaves, genesys_user_id="x-bob", unseen=True)
    assert removed_by([leaves, hidden, ROW]) == {"x-ann"}
