"""Send the sync's metrics through Airflow.

They go to StatsD, Datadog or OpenTelemetry, as `[metrics]` is set.
No metric can make a run fail. Tags are ids, states and endpoints, never names of people. See docs/metrics.md.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

from genesys_ad_sync.genesys.request_counts import endpoint_family, endpoint_of
from genesys_ad_sync.genesys.responses import header_number

if TYPE_CHECKING:
    from genesys_ad_sync.journal import Journal
    from genesys_ad_sync.settings import SyncDefinition

log = logging.getLogger(__name__)

PREFIX = "genesys_ad_sync."
_NO_ANSWER = "none"
_STATUSES = {
    "success": "successes",
    "failed": "failures",
    "orphaned": "orphans",
    "held": "held",
    "skipped": "skipped",
    "planned": "planned",
}
"""Status of a change -> its count in the report."""


def count_request(method: str, path: str, status: int | None, headers: Mapping[str, str] | None = None) -> None:
    """Count a request, and send how much of the rate limit is used.

    :param status: None: no answer came.
    :param headers: of the answer; errors come without those of the rate limit, and leave its metric as it is.
    """
    tags = {"endpoint": _tag(endpoint_of(method, path)), "status": str(status or _NO_ANSWER)}
    _safely(stats.incr, "requests", tags=tags)
    used, allowed = (header_number((headers or {}).get(f"inin-ratelimit-{name}")) for name in ("count", "allowed"))
    if used is not None and allowed:
        share = {"endpoint": _tag(endpoint_family(path))}
        _safely(stats.gauge, "budget_used_ratio", round(used / allowed, 3), tags=share)


@contextmanager
def throttled_time(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Measure how long a request waits for the rate limit."""
    began = clock()
    try:
        yield
    finally:
        waited = clock() - began
        if waited >= 0.001:  # noqa: PLR2004  a millisecond: it did not wait
            _safely(stats.incr, "throttled_milliseconds", int(waited * 1000))


@contextmanager
def poll_time(definition: SyncDefinition) -> Iterator[None]:
    """Measure how long it takes to read Active Directory."""
    began = time.monotonic()
    yield
    _safely(stats.gauge, "poll_seconds", round(time.monotonic() - began, 3), tags={"definition": definition.name})


def tell_of_run(
    definition: SyncDefinition, journal: Journal, dag_id: str, counts: Mapping[str, Any], now: datetime
) -> None:
    """Send the metrics of a run and of its definition, and never raise.

    They are: what the run did, what is open, and when a run of each DAG was last completed.
    ``counts``: of the report; empty if there is none.
    """
    try:
        _changes(definition, dag_id, counts)
        _open(definition, journal, now)
        _last_runs(definition, journal, now)
    except Exception as error:  # noqa: BLE001  whatever it is, the run is judged
        log.warning("no metrics: %s", type(error).__name__)


def _changes(definition: SyncDefinition, dag_id: str, counts: Mapping[str, Any]) -> None:
    for status, key in _STATUSES.items():
        if counts.get(key):
            tags = {"definition": definition.name, "dag_id": dag_id, "status": status}
            _safely(stats.incr, "changes", int(counts[key]), tags=tags)


def _open(definition: SyncDefinition, journal: Journal, now: datetime) -> None:
    """Send the number and age of changes that no run has settled.

    The number of a reason that no change waits for any more goes to zero.
    """
    from genesys_ad_sync.model import Reason

    waiting = journal.lookups.waiting(definition.name)
    by_reason = dict.fromkeys(("none", *(reason.value for reason in Reason)), 0)
    for one in waiting:
        by_reason[one.reason or "none"] = by_reason.get(one.reason or "none", 0) + one.count
    for reason, count in by_reason.items():
        _safely(stats.gauge, "open", count, tags={"definition": definition.name, "reason": reason})
    oldest = min((one.since for one in waiting), default=now)
    age = (now - oldest).total_seconds()
    _safely(stats.gauge, "open_oldest_seconds", age, tags={"definition": definition.name})


def _last_runs(definition: SyncDefinition, journal: Journal, now: datetime) -> None:
    from genesys_ad_sync.run.silence import last_carried_through, schedules

    for dag_id in schedules(definition):
        through = last_carried_through(journal, dag_id, definition)
        if through is not None:
            tags = {"definition": definition.name, "dag_id": dag_id}
            _safely(stats.gauge, "last_run_timestamp", through.timestamp(), tags=tags)
            _safely(stats.gauge, "since_last_run_seconds", (now - through).total_seconds(), tags=tags)


def _tag(text: str) -> str:
    """Return the text as a tag that each of the backends takes."""
    return re.sub(r"[^A-Za-z0-9_./-]+", "_", text).strip("_")


def _safely(send: Callable[..., None], name: str, *values: float, tags: Mapping[str, str] | None = None) -> None:
    try:
        send(PREFIX + name, *values, tags=dict(tags or {}))
    except Exception as error:  # noqa: BLE001  a metric must not fail a task
        log.debug("no metric %s: %s", name, type(error).__name__)
