"""What Airflow does after a task has failed."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction

from genesys_ad_sync.errors import DirectoryUnreachable, LeaseBusy
from genesys_ad_sync.genesys.errors import ServerError, Throttled
from genesys_ad_sync_airflow.retry_policy import LONGEST_DELAY, NOT_WORTH_A_RETRY, SyncRetryPolicy

policy = SyncRetryPolicy()


def decide(error: BaseException, **context: Any) -> Any:
    return policy.evaluate(error, 1, 3, context or None)  # type: ignore[arg-type]  # as much of it as is read


@pytest.mark.parametrize("kind", NOT_WORTH_A_RETRY)
def test_what_a_person_has_to_mend_is_not_tried_again(kind: type[BaseException]) -> None:
    assert decide(kind("no")).action is RetryAction.FAIL


def test_as_long_as_genesys_says_is_waited() -> None:
    decision = decide(Throttled("later", status=429, retry_after=600))
    assert decision.action is RetryAction.RETRY
    assert timedelta(seconds=600) <= decision.retry_delay < timedelta(seconds=605)
    assert decide(ServerError("later", retry_after=300)).retry_delay >= timedelta(seconds=300)


def test_mapped_instances_do_not_all_come_back_at_once() -> None:
    delays = {
        decide(Throttled("later", retry_after=10), ti=SimpleNamespace(map_index=index)).retry_delay
        for index in range(8)
    }
    assert len(delays) == 8


@pytest.mark.parametrize("seconds", [1e9, 1e17, 1e300, float("inf")])
def test_a_nonsensical_delay_is_bounded(seconds: float) -> None:
    """No timedelta holds the larger ones."""
    decision = decide(Throttled("later", retry_after=seconds))
    assert decision.action is RetryAction.RETRY
    assert LONGEST_DELAY <= decision.retry_delay <= LONGEST_DELAY + timedelta(minutes=1)


def test_another_run_that_writes_is_waited_for() -> None:
    assert decide(LeaseBusy("run x writes")).retry_delay == timedelta(minutes=2)


@pytest.mark.parametrize("error", [DirectoryUnreachable("no"), ServerError("oh"), RuntimeError("bug")])
def test_everything_else_is_retried_as_usual(error: BaseException) -> None:
    assert decide(error).action is RetryAction.DEFAULT
