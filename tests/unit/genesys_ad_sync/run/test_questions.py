"""Which changes an answer decides."""

from __future__ import annotations

from genesys_ad_sync.model import Reason
from genesys_ad_sync.run.questions import subjects
from tests.support.approval_examples import row


def test_an_answer_to_mirror_once_ends_with_its_run_and_any_other_stays_with_the_change() -> None:
    once = row("ann", reason=Reason.MIRROR_ONCE, change_ids=(1,))
    other = row("bob", reason=Reason.UNIDENTIFIED_MEMBERS, change_ids=(2, 3))
    assert subjects([once, other]) == {once.key: (), other.key: (2, 3)}
