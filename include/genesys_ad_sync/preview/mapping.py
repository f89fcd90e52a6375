"""What another mapping would change.

Nothing is asked but the journal. Of the text only `READ` counts, so that it cannot name a connection, a path or a
variable of the environment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from genesys_ad_sync.errors import DirectoryNotAsked, SettingsError
from genesys_ad_sync.genesys.errors import ConnectionFailed
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.scratch import scratch_journal
from genesys_ad_sync.model import Mode, Reason, RunKey, RunRequest
from genesys_ad_sync.preview.offline import RecordedGenesys, last_full_run
from genesys_ad_sync.preview.plan import MakeTask, preview_offline
from genesys_ad_sync.preview.read_only_reports import ReadOnlyReports
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.settings.files import definition_of, read_keys

READ = ("groups", "users", "exclude", "removals", "limits", "protect")
"""The keys of the text that count."""

YOURS = "your text"
"""What messages call the text."""

ROWS = 300
"""So many memberships are listed: a page with them stays below 300 KB."""

GROUPS = 200

_FIRST = {"planned": 0, "held": 1, "orphaned": 2}


class OtherKeys(SettingsError):
    """The text differs from the installed file in a key that is not read."""


@dataclass(frozen=True)
class GroupCounts:
    """How many memberships of a Genesys group would come, go, and wait."""

    genesys_group_id: str
    genesys_group_name: str
    add: int
    remove: int
    held: int
    orphaned: int


@dataclass(frozen=True)
class Coming:
    """A membership that would come or go."""

    genesys_group_id: str | None
    genesys_group_name: str | None
    action: str
    status: str
    reason: str | None
    guid: str | None
    mail: str | None
    genesys_user_id: str | None


@dataclass(frozen=True)
class MappingPreview:
    """What a run in mode full would do by the text.

    It goes by what the journal knows. ``changed``: the keys in which the text differs. Times are ISO 8601.
    ``too_slow``: AD groups for whose names an expression takes too long. ``rows``: the first ones of ``listed``.
    """

    changed: tuple[str, ...]
    directory_at: str | None
    genesys_at: str | None
    full_run: str
    notes: tuple[str, ...]
    too_slow: tuple[str, ...]
    groups: tuple[GroupCounts, ...]
    groups_left_out: int
    rows: tuple[Coming, ...]
    listed: int
    totals: Mapping[str, int] = field(default_factory=dict)


def with_text(installed: str, text: str, *, name: str, folder: Path | None) -> tuple[SyncDefinition, tuple[str, ...]]:
    """Return the installed definition with the keys of the text that count.

    The other value lists the keys that differ. A key that the text does not have stays as it is installed.

    :raises OtherKeys: the text differs in another key.
    :raises SettingsError: one of the two texts is wrong.
    """
    before, given = read_keys(installed, f"{name}.yaml"), read_keys(text, YOURS)
    differing = [str(key) for key, value in given.items() if before.get(key) != value]
    if others := sorted(key for key in differing if key not in READ):
        raise OtherKeys(
            f"The text differs from the installed definition in {', '.join(f'`{key}`' for key in others)}, which a "
            f"preview does not read. Only a dry run can answer: `genesys-ad-sync plan --config FILE`, or a run of the "
            f"DAG with dry_run: true. Without {'this key' if len(others) == 1 else 'these keys'}, the text can be "
            "previewed."
        )
    merged = before | {key: given[key] for key in READ if key in given}
    return definition_of(merged, name=name, source=YOURS, folder=folder), tuple(sorted(differing))


def preview_mapping(
    journal: Journal, definition: SyncDefinition, changed: tuple[str, ...], folder: Path, *, now: datetime
) -> MappingPreview:
    """Return what a run in mode full would do by a definition.

    :param folder: an empty folder for a copy of the journal.
    :raises GroupSyncError: the journal does not know enough; its text says what to do.
    """
    mine = journal.of(definition.name)
    full, cursor = last_full_run(mine), mine.views.cursor()
    with scratch_journal(journal, folder, now=now) as scratch:
        make = _tasks(definition, scratch, folder, now, frozenset({*journal.lookups.definitions(), definition.name}))
        document = preview_offline(make, RunRequest(run_type="manual", mode=Mode.FULL, dry_run=True))
    rows = [row for row in document["details"] if row["status"] in _FIRST]
    rows.sort(key=lambda row: (_FIRST[row["status"]], row["action"], (row["genesys_group"] or {}).get("name", "")))
    groups = _counts(rows)
    return MappingPreview(
        changed,
        cursor.cursor.polled_at.isoformat() if cursor else None,
        full.finished_at.isoformat() if full.finished_at else None,
        str(full.key),
        tuple(document["notes"]),
        _too_slow(document["details"]),
        tuple(groups[:GROUPS]),
        max(0, len(groups) - GROUPS),
        tuple(_coming(row) for row in rows[:ROWS]),
        len(rows),
        dict(Counter(f"{row['action']}_{row['status']}" for row in rows)),
    )


def as_json(preview: MappingPreview) -> str:
    """Return a preview as JSON."""
    return json.dumps(asdict(preview))


def _counts(rows: Collection[Mapping[str, Any]]) -> list[GroupCounts]:
    names: dict[str, str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["genesys_group"]:
            id_ = row["genesys_group"]["id"]
            names[id_] = row["genesys_group"]["name"]
            counts[id_, row["action"] if row["status"] == "planned" else row["status"]] += 1
    of = [
        GroupCounts(id_, name, *(counts[id_, what] for what in ("add", "remove", "held", "orphaned")))
        for id_, name in names.items()
    ]
    return sorted(of, key=lambda group: (-group.remove, -group.add, -group.held, group.genesys_group_name))


def _too_slow(rows: Collection[Mapping[str, Any]]) -> tuple[str, ...]:
    slow = [row for row in rows if row["reason"] == Reason.PATTERN_TOO_SLOW.value]
    return tuple(sorted({group["name"] or group["guid"] for row in slow for group in row["directory_groups"]}))


def _coming(row: Mapping[str, Any]) -> Coming:
    group, person = row["genesys_group"] or {}, row["directory_user"] or {}
    return Coming(
        group.get("id"),
        group.get("name"),
        row["action"],
        row["status"],
        row["reason"],
        person.get("guid"),
        person.get("mail"),
        row["user_id"],
    )


def _tasks(
    definition: SyncDefinition, scratch: Journal, folder: Path, now: datetime, names: frozenset[str]
) -> MakeTask:
    mine = scratch.of(definition.name)
    recorded = RecordedGenesys(mine)
    organisation, client = mine.lookups.organisation()

    def make(task: str) -> TaskContext:
        context = TaskContext(
            definition=definition,
            journal=mine,
            key=RunKey(definition.dag_id, f"preview__{now.isoformat(timespec='seconds')}"),
            task_key=task,
            directory=_no_directory,
            client=_no_client,
            api_url=lambda: organisation,
            client_id=lambda: client,
            reports=ReadOnlyReports(folder / "reports"),
            clock=lambda: now,
            sleep=lambda _: None,
            log=lambda _: None,
            all_definitions=names,
        )
        context.genesys = recorded
        return context

    return make


def _no_directory() -> AbstractContextManager[Any]:
    raise DirectoryNotAsked("a preview uses no network")


def _no_client() -> Any:
    raise ConnectionFailed("a preview uses no network")
