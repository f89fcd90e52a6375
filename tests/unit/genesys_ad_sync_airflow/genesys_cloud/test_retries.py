"""The retry table, row by row, and how long is waited. No test sleeps."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    CertificateRejected,
    ConnectionFailed,
    IncompleteListing,
    NotFound,
    PermissionMissing,
    ServerError,
    Throttled,
    UnexpectedAnswer,
    VersionConflict,
)
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy, is_repeated, retrying

THROTTLED = Throttled("x", status=429)
NEVER_SENT = ConnectionFailed("x")
BROKEN = ConnectionFailed("x", ambiguous=True)
UNAVAILABLE = ServerError("x", status=503, ambiguous=True)
CUT_OFF = UnexpectedAnswer("x", cut_off=True, ambiguous=True)
CONFLICT = VersionConflict("x", status=409)


@pytest.mark.parametrize("error", [THROTTLED, NEVER_SENT], ids=["throttled", "never sent"])
@pytest.mark.parametrize(("method", "idempotent"), [("GET", None), ("POST", None), ("PATCH", False)])
def test_what_was_not_carried_out_is_always_repeated(error: Exception, method: str, idempotent: bool | None) -> None:
    assert is_repeated(error, method, idempotent=idempotent)


@pytest.mark.parametrize("error", [BROKEN, UNAVAILABLE, CUT_OFF], ids=["broken", "unavailable", "cut off"])
@pytest.mark.parametrize(
    ("method", "idempotent", "repeated"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("DELETE", None, True),
        ("POST", None, False),
        ("PATCH", None, False),
        ("POST", True, True),
        ("PATCH", True, True),
        ("GET", False, False),
    ],
)
def test_what_may_have_been_carried_out_is_repeated_only_if_that_is_harmless(
    error: Exception, method: str, idempotent: bool | None, repeated: bool
) -> None:
    assert is_repeated(error, method, idempotent=idempotent) is repeated


def test_a_version_conflict_is_repeated_only_if_the_caller_vouches_for_the_very_same_request() -> None:
    assert is_repeated(CONFLICT, "PATCH", idempotent=True)
    assert not is_repeated(CONFLICT, "PUT", idempotent=None)
    assert not is_repeated(CONFLICT, "POST", idempotent=None)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailed("x", status=401),
        PermissionMissing("x", status=403),
        NotFound("x", status=404),
        BadRequest("x", status=400),
        ServerError("x", status=501, ambiguous=True),
        CertificateRejected("x"),
        UnexpectedAnswer("a page"),
        IncompleteListing("x"),
        RuntimeError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_everything_else_is_never_repeated(error: Exception) -> None:
    assert not is_repeated(error, "GET", idempotent=True)


def run(policy: HttpRetryPolicy, errors: list[Exception], jitter: float = 0.0) -> tuple[Any, list[float]]:
    slept: list[float] = []

    def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    call = retrying(
        policy, method="GET", idempotent=None, sleep=slept.append, uniform=lambda low, high: low + jitter * (high - low)
    )
    try:
        return call(attempt), slept
    except Exception as error:  # noqa: BLE001  the test judges it
        return error, slept


def test_the_wait_is_the_longer_of_backoff_and_retry_after() -> None:
    told = [Throttled("x", retry_after=seconds) for seconds in (42, 0, 3)]
    assert run(HttpRetryPolicy(), [*told]) == ("done", [42, 2, 4])


def test_jitter_comes_on_top_of_retry_after() -> None:
    assert run(HttpRetryPolicy(jitter=1), [Throttled("x", retry_after=42)], jitter=0.5) == ("done", [42.5])


def test_the_backoff_doubles_up_to_its_limit_and_the_last_error_is_raised() -> None:
    result, slept = run(HttpRetryPolicy(attempts=5, longest_backoff=3), [UNAVAILABLE] * 9)
    assert result is UNAVAILABLE
    assert slept == [1, 2, 3, 3]


def test_a_retry_after_longer_than_a_task_can_afford_is_handed_back_at_once() -> None:
    error = Throttled("x", retry_after=600)
    assert run(HttpRetryPolicy(longest_wait=120), [error]) == (error, [])


def test_a_call_waits_no_longer_in_all_than_it_may() -> None:
    error = Throttled("x", retry_after=100)
    result, slept = run(HttpRetryPolicy(attempts=50, waiting_in_all=250), [error] * 50)
    assert result is error
    assert slept == [100, 100]


def test_a_conflict_is_no_reason_to_give_up_reading() -> None:
    """409 is declared for practically all endpoints, reading ones included."""
    assert is_repeated(CONFLICT, "GET", idempotent=None)
    assert not is_repeated(CONFLICT, "DELETE", idempotent=None)
    assert not is_repeated(CONFLICT, "POST", idempotent=None)


def test_what_was_given_up_further_down_is_not_repeated_further_up() -> None:
    error = ServerError("x", status=503, ambiguous=True)
    assert is_repeated(error, "GET", idempotent=None)
    error.given_up = True
    assert not is_repeated(error, "GET", idempotent=None)
