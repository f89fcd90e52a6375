"""Hold what AD said: cursor, known domain controllers, groups, users, memberships."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, String, Table, false, text

from genesys_ad_sync.journal.tables.columns import Number, UtcDateTime, json_column, metadata

# Up to where AD has been read, per sync definition. `began_at`: the first poll.
cursor = Table(
    "journal_cursor",
    metadata,
    Column("definition", String, primary_key=True),
    Column("scope", String, nullable=False),
    Column("poll", Number, nullable=False),
    Column("domain_controller", String, nullable=False),
    Column("invocation_id", String, nullable=False),
    Column("highest_committed_usn", BigInteger, nullable=False),
    Column("cookie", LargeBinary),
    Column("polled_at", UtcDateTime, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("doubted_since", UtcDateTime),
    Column("trusted_dc", String),
    json_column("vector", nullable=True),
)

# invocationId and USN of each domain controller when it was last read, and when that was, by its own clock.
# `abilities`: what it can do, as the report last said.
known_dc = Table(
    "journal_known_dc",
    metadata,
    Column("definition", String, primary_key=True),
    Column("domain_controller", String, primary_key=True),
    Column("invocation_id", String, nullable=False),
    Column("highest_committed_usn", BigInteger, nullable=False),
    Column("read_at", UtcDateTime),
    json_column("abilities", nullable=True),
)

# AD groups as last read. `gone_at`: no longer in the view; kept for its name. `complete_poll`: last read completely.
# `ends_at`: when a dynamic object goes.
group = Table(
    "journal_group",
    metadata,
    Column("definition", String, primary_key=True),
    Column("guid", String, primary_key=True),
    Column("dn", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sam_account_name", String),
    Column("sid", String),
    Column("in_scope", Boolean, nullable=False),
    json_column("attributes"),
    Column("gone_at", UtcDateTime),
    Column("complete_poll", Number),
    Column("ends_at", UtcDateTime),
    Index(
        "journal_group_by_end",
        "definition",
        "ends_at",
        sqlite_where=text("ends_at IS NOT NULL"),
        postgresql_where=text("ends_at IS NOT NULL"),
    ),
)

# Members that are not groups, as last read. `gone_at`: no longer in the view. `deleted_at`: a poll saw the tombstone.
# `attributes`: a text, or all values by rank where there are several. `ends_at`: when a dynamic object goes.
user = Table(
    "journal_user",
    metadata,
    Column("definition", String, primary_key=True),
    Column("guid", String, primary_key=True),
    Column("dn", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sam_account_name", String),
    Column("disabled", Boolean, nullable=False),
    json_column("attributes"),
    Column("gone_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("expired", Boolean, nullable=False, server_default=false()),
    Column("ends_at", UtcDateTime),
    Index(
        "journal_user_deleted",
        "definition",
        "guid",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
    Index(
        "journal_user_by_end",
        "definition",
        "ends_at",
        sqlite_where=text("ends_at IS NOT NULL"),
        postgresql_where=text("ends_at IS NOT NULL"),
    ),
    Index(
        "journal_user_by_expiry",
        "definition",
        "expires_at",
        sqlite_where=text("expires_at IS NOT NULL AND expired = 0"),
        postgresql_where=text("expires_at IS NOT NULL AND NOT expired"),
    ),
)

# Direct memberships, those of groups that are gone as they were before. `since`: the poll that first saw it. `ends_at`:
# when AD takes a temporary member out.
membership = Table(
    "journal_membership",
    metadata,
    Column("definition", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("member_guid", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Index("journal_membership_by_member", "definition", "member_guid", "group_guid"),
    Index(
        "journal_membership_by_end",
        "definition",
        "ends_at",
        sqlite_where=text("ends_at IS NOT NULL"),
        postgresql_where=text("ends_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
