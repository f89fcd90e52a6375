"""A journal that tells stories: who is nested, orphaned, held, approved, undone, removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from genesys_ad_sync.journal import Journal, ViewUpdate
from genesys_ad_sync.model import (
    Action,
    Change,
    DirectoryView,
    Grant,
    GroupPair,
    GroupResult,
    Link,
    Mode,
    Reason,
    Row,
    RowKey,
    RunKey,
    RunRecord,
    Scope,
    Status,
)
from genesys_ad_sync.run.facts import PLAN, StoredPlan
from genesys_ad_sync.settings import SyncDefinition, parse_definition
from tests.support.journal import DEFINITION, T0, begin, change, cursor, group, recorded, user

SCOPE = Scope("DC=example", "OU=cc", "(objectClass=group)", True, "remove", (), ("mail",), (), "remove")
DEFINITION_TEXT = """
directory: {group_base: "OU=cc,DC=example"}
groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]
exclude: {users: ["robot*"]}
protect: [Sales]
report: {path: "file:///nowhere"}
"""


def definition(**more: Any) -> SyncDefinition:
    return parse_definition(DEFINITION_TEXT + "".join(f"\n{key}: {value}" for key, value in more.items()))


def poll(journal: Journal, members: dict[str, str], *, name: str = DEFINITION, **people: dict[str, Any]) -> None:
    """Store a view: AD group -> its members. ``people``: values of accounts that are not as usual."""
    nested = {word for words in members.values() for word in words.split() if word in members}
    guids = {word for words in members.values() for word in words.split()} - members.keys()
    view = DirectoryView(
        {guid: group(guid, name=f"GC-{guid}", in_scope=guid not in nested) for guid in members},
        {guid: user(guid, **people.get(guid, {})) for guid in guids},
        {guid: set(words.split()) for guid, words in members.items()},
    )
    views = journal.of(name).views
    stored = views.cursor()
    views.advance(
        ViewUpdate(DirectoryView(), view, full=True, complete=frozenset(members)),
        cursor=cursor(),
        scope=SCOPE.fingerprint,
        expected_poll=None if stored is None else stored.poll,
    )


def map_groups(journal: Journal, *guids: str, name: str = DEFINITION) -> None:
    """Map each AD group to the Genesys group ``G-guid``, whose name is the guid."""
    pairs = [GroupPair(guid, f"G-{guid}", guid.capitalize(), 0) for guid in guids]
    journal.of(name).pairs.replace(pairs, T0)


def grant(journal: Journal, group_guid: str, *people: str, name: str = DEFINITION, **more: Any) -> None:
    grants = [Grant(f"G-{group_guid}", f"U-{person}", person, group_guid, **more) for person in people]
    journal.of(name).grants.add(grants, T0)
    journal.of(name).links.save([Link(person, f"U-{person}", "mail=email", T0) for person in people])


def run_with(journal: Journal, run_id: str, of: Change, status: Status, **values: Any) -> tuple[RunRecord, Change]:
    """Make a live run that lists one change, with that outcome; return it and the change as it is recorded."""
    [stored] = recorded(journal, of)
    asked = {name: values.pop(name) for name in ("mode", "dry_run", "started_at") if name in values}
    run = begin(journal, key=RunKey(values.pop("dag_id", "dag"), run_id), **{"mode": Mode.AUTO, **asked})
    journal.runs.set_polled(run, 1, T0)
    at = values.pop("at", T0 + timedelta(minutes=1))
    row = Row(
        action=of.action,
        status=status,
        genesys_group_id=f"G-{of.group_guid}",
        user_guid=of.user_guid,
        group_guids=(of.group_guid,),
        genesys_user_id=f"U-{of.user_guid}",
        change_ids=(stored.id or 0,),
        observed_at=T0,
        **values,
    )
    journal.rows.replace(run, [replace(row, status=Status.PLANNED)])
    journal.rows.record_outcomes(run, [row], at=at)
    finish(journal, run, at=at + timedelta(minutes=1))
    return run, stored


def finish(journal: Journal, run: RunRecord, *, at: Any = T0 + timedelta(minutes=2), planned: bool = True) -> None:
    if planned:
        journal.facts.put(run, PLAN.key, PLAN.adapter.dump_python(StoredPlan("h", None, T0), mode="json"))
    journal.runs.finish(run, "success", at)


def looked_at(journal: Journal, group_guid: str, **by_hand: str) -> None:
    """Let a run in mode full list the members by hand: Genesys user id -> name."""
    run = begin(journal, f"full-{group_guid}", mode=Mode.FULL)
    name, counts = group_guid.capitalize(), (3, 3, 0, 0, len(by_hand))
    result = GroupResult(f"G-{group_guid}", name, (group_guid,), True, *counts, tuple(by_hand), by_hand)
    journal.figures.save_groups(run, [result])
    finish(journal, run)


def key_of(group_guid: str, person: str, action: Action) -> str:
    return str(RowKey(f"G-{group_guid}", person, action))


__all__ = ["Action", "Reason", "Status", "change"]
