"""Find what waits, was asked and ran without reading all of a large journal.

SQLite chooses an index by statistics. Without any, it takes "of this definition" for a rare value, and reads all
memberships or all changes. Statistics that it made would be those of that moment, and its choice would change with
them. So each journal has the same: those of a company with 1,000,000 memberships, see `benchmarks.explain`. PostgreSQL
counts for itself.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

# Table -> index -> rows, rows with the same first value, rows with the same first two values, and so on.
STATISTICS = {
    "journal_change": {
        "journal_change_by_definition": "1000000 1000000 50",
        "journal_change_by_group": "1000000 1000000 200 1",
        "journal_change_by_user": "1000000 1000000 20",
        "journal_change_resting": "5000 5000 2",
        "journal_change_unsettled": "5000 5000 10",
    },
    "journal_grant": {
        "journal_grant": "1000000 1000000 200 2 1 1",
        "journal_grant_by_user": "1000000 1000000 20",
    },
    "journal_group": {"sqlite_autoindex_journal_group_1": "5000 5000 1"},
    "journal_link": {
        "sqlite_autoindex_journal_link_1": "50000 50000 1",
        "journal_link_by_genesys_user": "50000 50000 1",
        "journal_link_contradicted": "100 100 2",
    },
    "journal_membership": {
        "journal_membership": "1000000 1000000 200 1",
        "journal_membership_by_end": "1000 1000 2",
        "journal_membership_by_member": "1000000 1000000 20 1",
    },
    "journal_outcome": {
        "journal_outcome_by_change": "1000000 2 1",
        "journal_outcome_by_time": "1000000 20",
    },
    "journal_pair": {
        "sqlite_autoindex_journal_pair_1": "5000 5000 1 1",
        "journal_pair_by_genesys_group": "5000 5000 1",
    },
    "journal_question": {
        "journal_question_by_definition": "100000 100000 20",
        "journal_question_by_subject": "100000 100000 2",
    },
    "journal_run": {
        "sqlite_autoindex_journal_run_1": "10000 5000 1 1",
        "journal_run_by_dag": "10000 5000 1",
        "journal_run_by_definition": "10000 10000 1",
        "journal_run_by_end": "10000 10000 1",
        "journal_run_by_start": "10000 10000 1",
    },
    "journal_run_fact": {"sqlite_autoindex_journal_run_fact_1": "100000 10 1"},
    "journal_run_group": {"sqlite_autoindex_journal_run_group_1": "50000 500 1"},
    "journal_run_row": {
        "sqlite_autoindex_journal_run_row_1": "1000000 200 1 1",
        "journal_run_row_by_time": "1000000 50",
    },
    "journal_user": {
        "sqlite_autoindex_journal_user_1": "50000 50000 1",
        "journal_user_deleted": "500 500 1",
    },
}


def upgrade() -> None:
    op.create_index("journal_run_by_dag", "journal_run", ["dag_id", "id"])
    op.create_index("journal_question_by_subject", "journal_question", ["definition", "subject"])
    where = sa.text("contradicted_since IS NOT NULL")
    op.create_index(
        "journal_link_contradicted",
        "journal_link",
        ["definition", "contradicted_since"],
        sqlite_where=where,
        postgresql_where=where,
    )
    if op.get_bind().dialect.name == "sqlite":
        _set_statistics()


def _set_statistics() -> None:
    op.execute("ANALYZE sqlite_master")  # makes the table
    table = sa.table(
        "sqlite_stat1", sa.column("tbl", sa.String), sa.column("idx", sa.String), sa.column("stat", sa.String)
    )
    op.execute(sa.delete(table))  # of an administrator's own ANALYZE
    op.bulk_insert(
        table,
        [
            {"tbl": name, "idx": index, "stat": figures}
            for name, indexes in STATISTICS.items()
            for index, figures in indexes.items()
        ],
    )
    op.execute("ANALYZE sqlite_master")  # loads it
