"""The retry table: which requests are repeated, after how long, and how often.

| answer                                  | repeated                                                       |
|-----------------------------------------|----------------------------------------------------------------|
| 429; the token endpoint's rate limit    | always: nothing was carried out                                |
| never connected                         | always: nothing was sent (not: a certificate that is rejected) |
| 408, 5xx except 501; broken connection; | if the request is idempotent: it may have been carried out     |
| answer cut off                          |                                                                |
| a page instead of JSON                  | as above, if the host has answered properly before             |
| version conflict                        | reads; else only if the caller says that the request is right  |
| 401                                     | once, with a new token (the hook does that)                    |
| every other                             | never                                                          |

The wait is the longer of backoff and Retry-After. A wait longer than a task can afford ends the attempts: the error
then carries `retry_after`, so that Airflow can retry the task later.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import tenacity
from tenacity import RetryCallState

from genesys_ad_sync.genesys.errors import (
    CertificateRejected,
    ConnectionFailed,
    GenesysError,
    ServerError,
    Throttled,
    UnexpectedAnswer,
    VersionConflict,
)

log = logging.getLogger(__name__)

_READING = frozenset({"GET", "HEAD"})
_IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True)
class HttpRetryPolicy:
    """Numbers of the table. Times in seconds."""

    attempts: int = 6
    first_wait: float = 1.0  # doubles with each attempt
    longest_backoff: float = 30.0
    jitter: float = 1.0  # at most; added to every wait, so that workers do not all come back at once
    longest_wait: float = 120.0  # a Retry-After above this is handed back to the caller
    waiting_in_all: float = 300.0  # of one call


def retrying(
    policy: HttpRetryPolicy,
    *,
    method: str,
    idempotent: bool | None,
    sleep: Callable[[float], None] = time.sleep,
    uniform: Callable[[float, float], float] = random.uniform,  # noqa: S311  # jitter, no secret
) -> tenacity.Retrying:
    """Build the tenacity object for a call. ``idempotent`` as in ``GenesysClient.call``."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: is_repeated(error, method, idempotent=idempotent)),
        wait=_longer_of_backoff_and_retry_after(policy, uniform),
        stop=lambda state: (
            state.attempt_number >= policy.attempts
            or state.upcoming_sleep > policy.longest_wait + policy.jitter
            or state.idle_for + state.upcoming_sleep > policy.waiting_in_all
        ),
        before_sleep=_log,
        sleep=sleep,
        reraise=True,
    )


def is_repeated(error: BaseException, method: str, *, idempotent: bool | None) -> bool:
    """Return whether a request is repeated after ``error``, by the table above."""
    if not isinstance(error, GenesysError) or isinstance(error, CertificateRejected) or error.given_up:
        return False
    if isinstance(error, VersionConflict):
        return idempotent is True or method.upper() in _READING
    if isinstance(error, Throttled):
        return True
    repeatable = (
        isinstance(error, ConnectionFailed)
        or (isinstance(error, ServerError) and error.status != HTTPStatus.NOT_IMPLEMENTED)
        or (isinstance(error, UnexpectedAnswer) and error.may_pass)
    )
    safe = not error.ambiguous or (method.upper() in _IDEMPOTENT_METHODS if idempotent is None else idempotent)
    return repeatable and safe


def _longer_of_backoff_and_retry_after(
    policy: HttpRetryPolicy, uniform: Callable[[float, float], float]
) -> Callable[[RetryCallState], float]:
    backoff = tenacity.wait_exponential(multiplier=policy.first_wait, max=policy.longest_backoff)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.retry_after if isinstance(error, GenesysError) else None
        return max(backoff(state), requested or 0.0) + uniform(0, policy.jitter)

    return wait


def _log(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("Attempt %d failed: %s. Next in %.1f s.", state.attempt_number, error, state.upcoming_sleep)
