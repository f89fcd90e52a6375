"""What stops a lane, and what a retry takes for its own success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, PermissionMissing, ServerError, Throttled
from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.writing.lane import FAILURES_TOLERATED, LaneErrors, claim_own_success

ROW = Row(Action.ADD, Status.UNCHANGED, "G", "ann", ("g1",), genesys_user_id="x-ann", reason=Reason.ALREADY_SO)


def errors(*of_groups: GenesysError | None) -> LaneErrors:
    kept = LaneErrors()
    for error in of_groups:
        kept.add(error)
    return kept


def test_a_lane_without_errors_goes_on_and_raises_nothing() -> None:
    fine = errors(None, BadRequest("of one user", status=400))
    assert not fine.should_stop
    fine.raise_worst()


def test_a_few_failures_do_not_stop_a_lane() -> None:
    failing = [ServerError("down", status=503)] * (FAILURES_TOLERATED - 1)
    assert not errors(*failing).should_stop
    assert errors(*failing, ServerError("down", status=503)).should_stop


@pytest.mark.parametrize("error", [PermissionMissing("no", status=403), Throttled("wait", status=429)])
def test_an_error_that_all_groups_will_meet_stops_a_lane_at_once(error: GenesysError) -> None:
    assert errors(error).should_stop


def test_the_error_that_a_person_must_solve_is_raised_first() -> None:
    with pytest.raises(PermissionMissing):
        errors(Throttled("wait", status=429, retry_after=900), PermissionMissing("no", status=403)).raise_worst()
    with pytest.raises(Throttled):
        errors(ServerError("down", status=503), Throttled("wait", status=429, retry_after=900)).raise_worst()


def test_what_is_in_effect_after_it_was_sent_is_our_success() -> None:
    assert claim_own_success(ROW) == replace(ROW, status=Status.SUCCESS, reason=None)
    held = replace(ROW, status=Status.HELD, reason=Reason.UNPROVEN)
    assert claim_own_success(held) == held
