"""How one sync does: one sentence, and what to do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.listings import RunFilter
from genesys_ad_sync.model import Action, Mode, Status
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.report.wording import Headline
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.text import counted
from genesys_ad_sync.views.group import LimitUse
from genesys_ad_sync.views.history import Day, History
from genesys_ad_sync.views.runs import ListedRun
from genesys_ad_sync.views.status import DefinitionStatus, status_of
from genesys_ad_sync.views.todo import Cause, causes

NEW = timedelta(hours=24)
"""So long, what waits counts as new."""


@dataclass(frozen=True)
class Overview:
    """A sync definition. ``live``, ``full``: its newest runs of that kind; None: there was none."""

    status: DefinitionStatus
    headline: Headline
    live: ListedRun | None
    full: ListedRun | None
    causes: tuple[Cause, ...]
    days: tuple[Day, ...]
    limits: tuple[LimitUse, ...]


def overview(
    journal: Journal,
    name: str,
    definition: SyncDefinition | None,
    *,
    dag_ids: Collection[str],
    history: History,
    now: datetime,
) -> Overview:
    """Return the overview of a definition. ``dag_ids``: the DAGs whose runs may be shown."""
    status = status_of(journal, name, definition, now, with_waits=False)  # `causes` say it
    status = replace(
        status,
        dags=tuple(dag for dag in status.dags if dag.dag_id in dag_ids),
        questions=tuple(one for one in status.questions if one.run.partition("/")[0] in dag_ids),
    )
    waits = tuple(causes(journal, name, new_since=now - NEW))
    live = journal.listings.runs(RunFilter([name], dag_ids, dry_run=False), limit=1)
    full = journal.listings.runs(RunFilter([name], dag_ids, mode=Mode.FULL.value), limit=1)
    return Overview(
        status,
        headline(status, waits),
        next(iter(history.listed(journal, live, now)), None),
        next(iter(history.listed(journal, full, now)), None),
        waits,
        tuple(history.days(journal, name, now)),
        _limits(journal, name, definition, now),
    )


def headline(status: DefinitionStatus, waits: Collection[Cause]) -> Headline:
    """Sum a sync up in one sentence.

    What keeps it from working comes before what waits.
    """
    return _not_working(status) or _waiting(status, waits) or _at_rest(status)


def _not_working(status: DefinitionStatus) -> Headline | None:
    silent = [dag.dag_id for dag in status.dags if dag.stale]
    if status.directory_read_at is None:
        return Headline("neutral", "This sync has not read Active Directory yet.")
    if silent:
        return Headline("bad", f"Silent: {' and '.join(silent)} carried no run through for too long.")
    if status.distrusted:
        return Headline("attention", "The journal was lost or restored: each change asks a person for now.")
    return None


def _waiting(status: DefinitionStatus, waits: Collection[Cause]) -> Headline | None:
    failed = sum(cause.count for cause in waits if cause.status == Status.FAILED.value)
    if failed:
        return Headline("bad", f"{counted(failed, 'change')} failed; later runs try again.")
    if status.questions:
        asked = sum(question.changes for question in status.questions)
        return Headline("attention", f"{counted(asked, 'change')} {_wait(asked)} for an answer of a person.")
    waiting = sum(cause.count for cause in waits)
    if waiting:
        return Headline("attention", f"The sync runs; {counted(waiting, 'change')} {_wait(waiting)}.")
    return None


def _at_rest(status: DefinitionStatus) -> Headline:
    if status.dry_run:
        return Headline("neutral", "Dry run: the sync reads and reports, and writes nothing to Genesys Cloud.")
    return Headline("good", "All is well: the sync runs, and nothing waits.")


def _wait(number: int) -> str:
    return "waits" if number == 1 else "wait"


def _limits(journal: Journal, name: str, definition: SyncDefinition | None, now: datetime) -> tuple[LimitUse, ...]:
    """Return what runs of the last 24 hours wrote without approval, beside the limits."""
    used, _ = journal.listings.written(name, now - NEW, approved_from=FIRST_APPROVED_LANE)
    limits = definition.limits if definition else None
    return (
        LimitUse("removals in 24 hours (limits.per_day)", used[Action.REMOVE], limits.per_day if limits else None),
        LimitUse("additions in 24 hours", used[Action.ADD], None),
    )
