"""The table of a check as JSON.

It is the file of a run of mode `check`, and the output of `check --json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from genesys_ad_sync.doctor.catalogue import CATALOGUE
from genesys_ad_sync.doctor.lines import Line, Outcome

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class CheckedBy:
    """Who tried: the definition, the run and its task; ``host``: the machine."""

    definition: str
    dag_id: str
    run_id: str
    attempt: int
    task: str
    host: str
    at: datetime


def document_of(by: CheckedBy, lines: Sequence[Line], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the table with these lines behind those of earlier tasks (``before``).

    A repeated task replaces its own.
    """
    kept = [line for line in (before or {}).get("lines", []) if line["task"] != by.task]
    tasks = {**(before or {}).get("tasks", {}), by.task: {"host": by.host, "at": _time(by.at)}}
    rows = [*kept, *(_row(by.task, line) for line in lines)]
    counts = Counter(row["outcome"] for row in rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "dag_id": by.dag_id,
        "run_id": by.run_id,
        "attempt": by.attempt,
        "definition": by.definition,
        "timestamp": _time(by.at),
        "counts": {outcome.value: counts.get(outcome.value, 0) for outcome in Outcome},
        "tasks": tasks,
        "lines": rows,
    }


def problems_in(document: Mapping[str, Any]) -> list[str]:
    """Return the problems in a table, as `check: text`.

    They hold no name of a person.
    """
    return [f"{row['check']}: {row['text']}" for row in document["lines"] if row["outcome"] == Outcome.PROBLEM.value]


def counts_of(lines: Iterable[Line]) -> dict[str, int]:
    """Count the lines by outcome."""
    counts = Counter(line.outcome for line in lines)
    return {outcome.value: counts.get(outcome, 0) for outcome in Outcome}


def _row(task: str, line: Line) -> dict[str, Any]:
    entry = CATALOGUE[line.check]
    return {
        "part": entry.part,
        "check": line.check,
        "title": entry.title,
        "about": line.about,
        "outcome": line.outcome.value,
        "text": line.text,
        "remedy": line.what_to_do,
        "details": list(line.details),
        "task": task,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
