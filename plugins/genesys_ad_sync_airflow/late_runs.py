"""Notice a run that does not end, by a deadline alert of Airflow.

The triggerer carries out the alert, not an executor: an executor that cannot do it ends the scheduler with an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from genesys_ad_sync.model import RunKey
from genesys_ad_sync.model.notices import Occasion
from genesys_ad_sync.settings import NotifySettings
from genesys_ad_sync_airflow.notify import run_page, send

if TYPE_CHECKING:
    from airflow.sdk.definitions.deadline import DeadlineAlert

    from genesys_ad_sync.settings import SyncDefinition

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """Who is notified: the part of a definition that the deadline alert carries along."""

    name: str
    notify: tuple[NotifySettings, ...]


def deadline_of(definition: SyncDefinition) -> DeadlineAlert | None:
    """Return the deadline of each run, or None.

    None: `notify:` has no `silent_after`, or no notifier sends `silent`.
    """
    wanted = any(Occasion.SILENT in entry.on for entry in definition.notify)
    if definition.silent_after is None or not wanted:
        return None
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    entries = [entry.model_dump(mode="json") for entry in definition.notify]
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=definition.silent_after,
        callback=AsyncCallback(tell_of_late_run, {"definition": definition.name, "notify": entries}),
    )


async def tell_of_late_run(definition: str, notify: Sequence[dict[str, Any]], context: dict[str, Any]) -> None:
    """Send that a run does not end. ``context``: what Airflow gives a deadline alert."""
    run = context["dag_run"]
    told = Told(definition, tuple(NotifySettings.model_validate(entry) for entry in notify))
    if run.get("run_type") == "backfill":  # its runs wait for each other
        return
    await asyncio.to_thread(_tell, told, RunKey(run["dag_id"], run["dag_run_id"]), datetime.now(timezone.utc))


def _tell(told: Told, key: RunKey, at: datetime) -> None:
    from genesys_ad_sync.notices import Sender, late_run
    from genesys_ad_sync.notices import notify as send_new
    from genesys_ad_sync_airflow.journal_connection import open_journal

    journal = open_journal()
    if any(run == key for _, run, *_ in journal.lookups.open_questions(at)):
        log.info("the run waits for a person, who was notified")
        return
    sender = Sender(told.name, key, at, run_page(key.dag_id, key.run_id))
    for error in send_new(journal, told, sender, send, troubles=[late_run(key)]):
        log.error("%s: a message could not be sent; the next run tries again", error)
