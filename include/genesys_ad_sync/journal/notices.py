"""Store the messages to notifiers in the journal.

A message leaves the journal only once it was sent, or is of no use any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row as Record
from sqlalchemy import and_, delete, func, insert, or_, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore
from genesys_ad_sync.model.notices import Notice, Occasion, Trouble

_NOTICE = tables.notice.c
SENDING = timedelta(minutes=10)
"""A task that has not said within this time that it sent a message has died."""


class Notices(DefinitionStore):
    """The messages of one sync definition."""

    def note(self, channel: str, trouble: Trouble, message: Mapping[str, Any], at: datetime) -> None:
        """Keep a message to be sent, unless the channel already knows the trouble.

        A trouble that the channel knows is then not over, either.
        """
        same = and_(_NOTICE.occasion == trouble.occasion.value, _NOTICE.key == trouble.key)
        where = and_(self._mine, _NOTICE.channel == channel, same)
        with self._database.writing() as writing:
            if writing.execute(select(_NOTICE.id).where(where)).first() is not None:
                writing.execute(update(tables.notice).where(where).values(over_at=None))
                return
            writing.execute(
                insert(tables.notice).values(
                    definition=self._definition,
                    channel=channel,
                    occasion=trouble.occasion.value,
                    key=trouble.key,
                    lasts=trouble.lasts,
                    message=dict(message),
                    noted_at=at,
                )
            )

    def lasting(self, channel: str) -> list[Notice]:
        """Return the troubles of a channel that last."""
        return self._found(_NOTICE.channel == channel, _NOTICE.lasts, _NOTICE.over_at.is_(None))

    def end(self, notice: Notice, message: Mapping[str, Any] | None, at: datetime) -> None:
        """Note that a trouble is over. ``message``: says so; None: nobody is notified."""
        mine = _NOTICE.id == notice.id
        with self._database.writing() as writing:
            if message is None or notice.sent_at is None:  # nobody was notified of it, so nobody is of its end
                writing.execute(delete(tables.notice).where(mine))
            else:
                values = {"over_at": at, "message": dict(message), "claimed_until": None}
                writing.execute(update(tables.notice).where(mine).values(**values))

    def claim(self, channel: str, now: datetime) -> list[Notice]:
        """Return the messages to be sent, the oldest first.

        No other task gets them until `SENDING` has passed.
        """
        due = and_(
            self._mine,
            _NOTICE.channel == channel,
            _is_due(),
            or_(_NOTICE.claimed_until.is_(None), _NOTICE.claimed_until < now),
        )
        with self._database.writing() as writing:
            found = [_notice(row) for row in writing.execute(select(tables.notice).where(due).order_by(_NOTICE.id))]
            ids = [notice.id for notice in found]
            writing.execute(update(tables.notice).where(_NOTICE.id.in_(ids)).values(claimed_until=now + SENDING))
        return found

    def sent(self, notice: Notice, at: datetime) -> None:
        """Note that a message was sent.

        A message that says that a trouble is over leaves the journal.
        """
        mine = _NOTICE.id == notice.id
        with self._database.writing() as writing:
            if notice.over:  # if the trouble has come back meanwhile, the next run notes it as a new one
                writing.execute(delete(tables.notice).where(mine))
            else:
                writing.execute(update(tables.notice).where(mine).values(sent_at=at, claimed_until=None, error=None))

    def not_sent(self, notice: Notice, error: str | None) -> None:
        """Note that a message was not sent.

        ``error``: why it could not be sent; None: it was not tried. A later run tries again.
        """
        values = {"claimed_until": None} | ({} if error is None else {"error": error})
        with self._database.writing() as writing:
            writing.execute(update(tables.notice).where(_NOTICE.id == notice.id).values(**values))

    def undelivered(self) -> list[tuple[str, int, datetime]]:
        """Return messages that could not be sent: (type of the error, how many, since when)."""
        since = func.min(_NOTICE.noted_at, type_=tables.UtcDateTime())
        statement = (
            select(_NOTICE.error, func.count(), since)
            .where(self._mine, _is_due(), _NOTICE.error.is_not(None))
            .group_by(_NOTICE.error)
            .order_by(_NOTICE.error)
        )
        with self._database.reading() as reading:
            return [(error, count, oldest) for error, count, oldest in reading.execute(statement)]

    def forget(self, before: datetime, channels: frozenset[str]) -> None:
        """Forget old events of runs, and all notices of removed channels.

        ``before``: events noted earlier are old. ``channels``: all channels that still exist.
        """
        old = and_(_NOTICE.noted_at < before, ~_NOTICE.lasts)
        with self._database.writing() as writing:
            writing.execute(delete(tables.notice).where(self._mine, or_(old, _NOTICE.channel.not_in(channels))))

    @property
    def _mine(self) -> Any:
        return _NOTICE.definition == self._definition

    def _found(self, *where: Any) -> list[Notice]:
        statement = select(tables.notice).where(self._mine, *where).order_by(_NOTICE.id)
        with self._database.reading() as reading:
            return [_notice(row) for row in reading.execute(statement)]


def _is_due() -> Any:
    return or_(_NOTICE.sent_at.is_(None), _NOTICE.over_at.is_not(None))


def _notice(row: Record[Any]) -> Notice:
    return Notice(
        row.id,
        row.channel,
        Occasion(row.occasion),
        row.key,
        row.message,
        row.noted_at,
        row.sent_at,
        row.over_at is not None,
        row.error,
    )
