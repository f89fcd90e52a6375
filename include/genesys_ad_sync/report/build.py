"""The report of a run, as the dict that goes into the JSON file.

Pure: no I/O and no clock. Gaps are no error: after something was written, a report with a gap is better than none.
`schema.validate` judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from genesys_ad_sync.model import GroupRefusal, GroupResult, Guid, Mode, OpenChanges, Row, Window
from genesys_ad_sync.report.remedies import Answer, remedy
from genesys_ad_sync.report.schema import COUNT_KEYS, SCHEMA_VERSION

Named = Mapping[str, str | None]


@dataclass(frozen=True)
class ReportHeader:
    """The facts of the run that a report is about.

    ``mode``: what the run really did, ``changes`` or ``full``. ``window`` None: the run ended before it knew its
    window; a ``full`` run has none, whatever is given. ``timestamp``: when the report is made. ``answer``: when its
    question can be answered. ``open_changes``: what waits and has no row.
    """

    dag_id: str
    run_id: str
    run_type: str
    attempt: int
    mode: Mode | str
    dry_run: bool
    timestamp: datetime
    window: Window | None
    answer: Answer = Answer.LATER
    open_changes: OpenChanges | None = None


def build_report(
    header: ReportHeader,
    *,
    rows: Sequence[Row],
    groups: Sequence[GroupResult],
    directory_groups: Mapping[Guid, Named],
    requests: Mapping[str, Any] | None = None,
    approval: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the report of one attempt of one run.

    Its keys are those of docs/report.md, in that order.

    - ``rows`` in any order: the report sorts them by group, person and action.
    - ``directory_groups``: {guid: {guid, dn, name}}, for rows and groups that carry guids only.
    - ``requests``: {total, retried, throttled, by_endpoint}; what is missing counts as none.
    - ``approval``: {by, at, decision}; ``at`` a datetime or its RFC 3339 text.
    - ``notes``: whole sentences for the person who reads the report.

    Raises ValueError for mode ``auto`` (nobody can read from it what was done) and for a time without zone.
    """
    mode = Mode(header.mode)
    if mode is Mode.AUTO:
        raise ValueError("A report says what was done: mode must be 'changes' or 'full', not 'auto'.")
    group_names = {result.genesys_group_id: result.genesys_group_name for result in groups}
    details = sorted((_detail(header, row, directory_groups, group_names) for row in rows), key=_place)
    counts = Counter(row.status for row in rows)
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "dag_id": header.dag_id,
        "run_id": header.run_id,
        "run_type": header.run_type,
        "attempt": header.attempt,
        "mode": mode.value,
        "dry_run": header.dry_run,
        "timestamp": _rfc3339(header.timestamp),
        "window": _window(mode, header.window),
        "total_changes": len(details),
        **{key: counts[status] for status, key in COUNT_KEYS.items()},
        "details": details,
        "groups": sorted((_group(result, directory_groups, mode) for result in groups), key=_group_place),
        "requests": _requests(requests or {}),
        "approval": _approval(approval),
        "notes": list(notes),
        "open": _open(header.open_changes),
    }
    assert report["total_changes"] == sum(report[key] for key in COUNT_KEYS.values()) == len(rows)  # noqa: S101  a defect of ours
    return report


def _detail(
    header: ReportHeader, row: Row, directory_groups: Mapping[Guid, Named], group_names: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "action": row.action.value,
        "status": row.status.value,
        "user_id": row.genesys_user_id,
        "http_code": row.http_code,
        "error": row.error,
        "reason": row.reason.value if row.reason else None,
        "correlation_id": row.correlation_id,
        "changed_at": _rfc3339(row.changed_at),
        "observed_after": _rfc3339(row.observed_after),
        "observed_at": _rfc3339(row.observed_at),
        "settled_by": _run_id(header.dag_id, row.settled_by),
        "first_seen_at": _rfc3339(row.first_seen_at),
        "first_seen_run": _run_id(header.dag_id, row.first_seen_run),
        "retry_after": _rfc3339(row.retry_after),
        "remedy": remedy(row, Answer.DRY_RUN if header.dry_run else header.answer),
        "rivals": [{"guid": rival.guid, "genesys_user_id": rival.genesys_user_id} for rival in row.rivals],
        "directory_groups": _sources(row, directory_groups),
        "genesys_group": _genesys_group(row, group_names),
        "directory_user": _directory_user(row),
    }


def _run_id(dag_id: str, run: str | None) -> str | None:
    """Return the run id alone if the run is of this DAG."""
    return run and run.removeprefix(f"{dag_id}/")


def _sources(row: Row, directory_groups: Mapping[Guid, Named]) -> list[dict[str, str | None]]:
    named = {str(group["guid"]): group for group in row.directory_groups}
    guids = dict.fromkeys((*row.group_guids, *named))
    return _named_groups(tuple(guids), {**directory_groups, **named})


def _named_groups(guids: Sequence[Guid], known: Mapping[Guid, Named]) -> list[dict[str, str | None]]:
    groups = [
        {"guid": guid, "dn": known.get(guid, {}).get("dn"), "name": known.get(guid, {}).get("name")} for guid in guids
    ]
    return sorted(groups, key=lambda group: (_folded(group["name"]), group["guid"] or ""))


def _genesys_group(row: Row, group_names: Mapping[str, str]) -> dict[str, str | None] | None:
    if row.genesys_group:
        return {"id": row.genesys_group.get("id"), "name": row.genesys_group.get("name")}
    if row.genesys_group_id:
        return {"id": row.genesys_group_id, "name": group_names.get(row.genesys_group_id)}
    return None


def _directory_user(row: Row) -> dict[str, str | None] | None:
    if row.directory_user:
        return {key: row.directory_user.get(key) for key in ("guid", "dn", "mail")}
    if row.user_guid:
        return {"guid": row.user_guid, "dn": None, "mail": None}
    return None


def _group(result: GroupResult, directory_groups: Mapping[Guid, Named], mode: Mode) -> dict[str, Any]:
    return {
        "genesys_group": {"id": result.genesys_group_id, "name": result.genesys_group_name},
        "directory_groups": _named_groups(result.group_guids, directory_groups),
        "complete": result.complete,
        "before": result.before,
        "after": result.after,
        "added": result.added,
        "removed": result.removed,
        "manual_members": result.manual_members,
        "manual_member_ids": _listed(result) if mode is Mode.FULL else None,
        "refused": _refused(result.refused),
    }


def _refused(refusal: GroupRefusal | None) -> dict[str, Any] | None:
    if refusal is None:
        return None
    return {
        "since": _rfc3339(refusal.since),
        "retry_after": _rfc3339(refusal.retry_after),
        "reason": refusal.reason.value,
        "http_code": refusal.http_code,
        "error": refusal.error,
        "correlation_id": refusal.correlation_id,
    }


def _open(given: OpenChanges | None) -> dict[str, Any] | None:
    if given is None:
        return None
    counts = {"orphaned": given.orphaned, "held": given.held, "failed": given.failed}
    return {
        **{
            name: {"count": one.count, "oldest_first_seen_at": _rfc3339(one.oldest_first_seen_at)}
            for name, one in counts.items()
        },
        "listed_in": given.listed_in,
    }


def _listed(result: GroupResult) -> list[str] | None:
    return None if result.manual_member_ids is None else list(result.manual_member_ids)


def _window(mode: Mode, window: Window | None) -> dict[str, str | None] | None:
    if mode is Mode.FULL:
        return None
    if window is None:  # the run ended before it knew its window
        return {"start": None, "end": None}
    return {"start": _rfc3339(window.start), "end": _rfc3339(window.end)}


def _requests(given: Mapping[str, Any]) -> dict[str, Any]:
    by_endpoint = given.get("by_endpoint") or {}
    return {
        **{key: int(given.get(key) or 0) for key in ("total", "retried", "throttled")},
        "by_endpoint": dict(sorted(by_endpoint.items())),
    }


def _approval(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    at = given.get("at")
    at = _rfc3339(datetime.fromisoformat(at.replace("Z", "+00:00")) if isinstance(at, str) else at)
    return {"by": given.get("by"), "at": at, "decision": given.get("decision")}


def _rfc3339(time: datetime | None) -> str | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise ValueError(f"A report cannot show a time without zone: {time.isoformat()}")
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def _folded(text: str | None) -> tuple[bool, str, str]:
    """Return a key that sorts upper and lower case alike.

    A missing name comes last.
    """
    return (text is None, (text or "").casefold(), text or "")


def _place(detail: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a key that ignores the status.

    So the reports of two attempts can be laid side by side.
    """
    group, user = detail["genesys_group"] or {}, detail["directory_user"] or {}
    return (
        group.get("id") is None,
        _folded(group.get("name")),
        group.get("id") or "",
        [(_folded(fed["name"]), fed["guid"] or "") for fed in detail["directory_groups"]],
        _folded(user.get("dn")),
        user.get("guid") or "",
        detail["user_id"] or "",
        detail["action"],
    )


def _group_place(group: Mapping[str, Any]) -> tuple[Any, ...]:
    return (_folded(group["genesys_group"]["name"]), group["genesys_group"]["id"])
