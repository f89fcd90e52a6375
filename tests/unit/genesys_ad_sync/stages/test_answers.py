"""The meaning of an answer to the approval request."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.approval.question import UNDECIDED
from genesys_ad_sync.model import Decision
from genesys_ad_sync.run.facts import FrozenQuestion
from genesys_ad_sync.stages.approve_removals import ApprovalAnswer, _approval
from tests.support.journal import T0

FROZEN = FrozenQuestion("hash", [], {"G": "Sales", "H": "Support"}, {}, [])
APPROVED, REJECTED, UNANSWERED = Decision.APPROVED, Decision.REJECTED, Decision.UNANSWERED


@pytest.mark.parametrize(
    ("chosen", "more", "of_g", "of_h"),
    [
        (["Sales"], {}, APPROVED, REJECTED),
        (["Sales"], {"outdated": True}, UNANSWERED, UNANSWERED),
        (["Sales"], {"by": None}, UNANSWERED, UNANSWERED),
        ([], {}, UNANSWERED, UNANSWERED),
        ([UNDECIDED], {}, UNANSWERED, UNANSWERED),
        (["never offered"], {}, REJECTED, REJECTED),
    ],
)
def test_only_the_form_of_this_plan_that_a_person_filled_in_decides(
    chosen: list[str], more: dict[str, Any], of_g: Decision, of_h: Decision
) -> None:
    answer = ApprovalAnswer(**{"chosen": chosen, "by": "olivia", "at": T0, **more})
    assert _approval(FROZEN, answer, {}).groups == {"G": of_g, "H": of_h}
