"""The place of the journal must be neither moved nor an unfinished copy.

A journal that was moved, and a copy that was never finished, are refused.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from genesys_ad_sync.errors import JournalError, JournalMoved
from genesys_ad_sync.journal import tables

_META = tables.meta.c


def refuse_other_place(connection: Connection, name: str) -> None:
    """Raise if the journal that continues is in another place.

    :raises JournalMoved: it was moved.
    :raises JournalError: it is a copy that was never finished.
    """
    row = connection.execute(select(_META.moved_to, _META.moved_at, _META.unfinished_copy_of)).first()
    if row is None:
        return
    if row.moved_to is not None:
        raise JournalMoved(
            f"The journal ({name}) was moved to {row.moved_to} at {row.moved_at.isoformat(timespec='seconds')}. "
            "Set the connection group_sync_journal to that place. If the move was a mistake: "
            "`genesys-ad-sync journal copy --undo`."
        )
    if row.unfinished_copy_of is not None:
        raise JournalError(
            f"The journal ({name}) is an unfinished copy of {row.unfinished_copy_of}. Set the connection "
            "group_sync_journal to that place, and run `genesys-ad-sync journal copy` again."
        )
