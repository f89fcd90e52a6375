"""Send each notifier the messages that are new to it.

A message that cannot be sent waits in the journal for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.notices import Notices
from genesys_ad_sync.model.notices import Notice, Occasion, Trouble
from genesys_ad_sync.notices.messages import Sender, message_of, recovered_message
from genesys_ad_sync.notices.troubles import silent_dag, silent_key
from genesys_ad_sync.run.silence import schedules, silent_dags
from genesys_ad_sync.settings import NotifySettings, SyncDefinition

Send = Callable[[NotifySettings, Mapping[str, Any]], None]
"""Sends one message; raises anything if it cannot."""


class Audience(Protocol):
    """The part of a sync definition that says who is notified."""

    @property
    def name(self) -> str: ...

    @property
    def notify(self) -> tuple[NotifySettings, ...]: ...


KEPT = timedelta(days=7)
"""After that time, an event of a run is forgotten, also if it could never be sent."""


def notify(
    journal: Journal,
    audience: Audience,
    sender: Sender,
    send: Send,
    *,
    troubles: Sequence[Trouble] = (),
    judged: Sequence[str] = (),
    watched: SyncDefinition | None = None,
) -> list[str]:
    """Send each notifier the messages that are new to it, and return the errors.

    There is at most one error for each notifier.

    ``judged``: a lasting trouble of such a key is over if ``troubles`` no longer has it. One that ends with a space
    means all keys that begin with it.
    ``watched``: find out, too, whether a DAG of this definition is silent.
    """
    notices = journal.of(audience.name).notices
    notices.forget(sender.at - KEPT, frozenset(entry.channel_key for entry in audience.notify))
    errors = []
    for number, entry in enumerate(audience.notify):
        found, ends = [*troubles], [*judged]
        if watched is not None:
            silent = silent_dags(journal, watched, sender.at, entry.silent_after)
            found += [silent_dag(dag_id, since) for dag_id, since in silent.items()]
            ends += [silent_key(dag_id) for dag_id in schedules(watched)]
        for trouble in found:
            if trouble.occasion in entry.on:
                notices.note(entry.channel_key, trouble, message_of(trouble, sender), sender.at)
        for notice in _over(notices.lasting(entry.channel_key), found, ends):
            message = recovered_message(notice, sender) if Occasion.RECOVERED in entry.on else None
            notices.end(notice, message, sender.at)
        if error := _send_all(notices, sender, send, entry):
            errors.append(f"notify[{number}] ({entry.notifier}): {error}")
    return errors


def _over(lasting: Iterable[Notice], found: Iterable[Trouble], judged: Sequence[str]) -> list[Notice]:
    there = {(trouble.occasion, trouble.key) for trouble in found}
    exact, beginnings = set(judged), tuple(key for key in judged if key.endswith(" "))
    return [
        notice
        for notice in lasting
        if (notice.occasion, notice.key) not in there and (notice.key in exact or notice.key.startswith(beginnings))
    ]


def _send_all(notices: Notices, sender: Sender, send: Send, entry: NotifySettings) -> str | None:
    """Send the messages that wait for a notifier, and return the error, if any.

    The error is the type of the exception at which sending ended.
    After an error no other message is tried: a dead server would take its time for each.
    """
    error = None
    for notice in notices.claim(entry.channel_key, sender.at):
        if error is not None:
            notices.not_sent(notice, None)
            continue
        try:
            send(entry, notice.message)
        except Exception as caught:  # noqa: BLE001  of whatever library sends; its text may hold a secret
            error = type(caught).__name__
            notices.not_sent(notice, error)
        else:
            notices.sent(notice, sender.at)
    return error
