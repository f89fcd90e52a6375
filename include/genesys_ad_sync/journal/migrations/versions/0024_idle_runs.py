"""Find what is due and what is open without reading all people and pairs.

Each run asks these questions, and most runs find nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

# Index -> table, columns, condition in SQLite, the same in PostgreSQL, statistics as in 0023.
INDEXES = {
    "journal_group_by_end": (
        "journal_group",
        ["definition", "ends_at"],
        "ends_at IS NOT NULL",
        "ends_at IS NOT NULL",
        "50 50 2",
    ),
    "journal_user_by_end": (
        "journal_user",
        ["definition", "ends_at"],
        "ends_at IS NOT NULL",
        "ends_at IS NOT NULL",
        "500 500 2",
    ),
    "journal_user_by_expiry": (
        "journal_user",
        ["definition", "expires_at"],
        "expires_at IS NOT NULL AND expired = 0",
        "expires_at IS NOT NULL AND NOT expired",
        "500 500 2",
    ),
    "journal_pair_undecided": (
        "journal_pair",
        ["definition", "group_guid"],
        "confirmed_at IS NULL AND rejected_at IS NULL",
        "confirmed_at IS NULL AND rejected_at IS NULL",
        "50 50 1",
    ),
    "journal_pair_without_baseline": (
        "journal_pair",
        ["definition", "group_guid"],
        "baseline_at IS NULL",
        "baseline_at IS NULL",
        "50 50 1",
    ),
}


def upgrade() -> None:
    for name, (table, columns, in_sqlite, in_postgresql, _) in INDEXES.items():
        op.create_index(name, table, columns, sqlite_where=sa.text(in_sqlite), postgresql_where=sa.text(in_postgresql))
    if op.get_bind().dialect.name == "sqlite":
        _add_statistics()


def _add_statistics() -> None:
    statistics = sa.table(
        "sqlite_stat1", sa.column("tbl", sa.String), sa.column("idx", sa.String), sa.column("stat", sa.String)
    )
    rows = [{"tbl": table, "idx": name, "stat": figures} for name, (table, *_, figures) in INDEXES.items()]
    op.bulk_insert(statistics, rows)
    op.execute("ANALYZE sqlite_master")  # loads them
