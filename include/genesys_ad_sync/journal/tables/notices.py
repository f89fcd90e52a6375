"""Hold what people were notified of, and what is still to be sent."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table

from genesys_ad_sync.journal.tables.columns import Number, UtcDateTime, json_column, metadata

# One message to one notifier (`channel`, a digest of its settings). `lasts`: the trouble lasts until a run shows its
# end, and the row with it. `over_at`: it has ended, and that is still to be sent. `claimed_until`: a task is sending.
# `error`: the type of the last error.
notice = Table(
    "journal_notice",
    metadata,
    Column("id", Number, primary_key=True),
    Column("definition", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("occasion", String, nullable=False),
    Column("key", String, nullable=False),
    Column("lasts", Boolean, nullable=False),
    json_column("message"),
    Column("noted_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("over_at", UtcDateTime),
    Column("claimed_until", UtcDateTime),
    Column("error", String),
    Index("journal_notice_once", "definition", "channel", "occasion", "key", unique=True),
    sqlite_autoincrement=True,
)
