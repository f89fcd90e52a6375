"""Index what large journals are asked for.

Note when old records were last forgotten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_index("journal_pair_by_genesys_group", "journal_pair", ["definition", "genesys_group_id"])
    op.create_index("journal_outcome_by_time", "journal_outcome", ["at"])
    op.create_index("journal_run_by_end", "journal_run", ["definition", "finished_at"])
    for name, table, columns, where in (
        ("journal_user_deleted", "journal_user", ["definition", "guid"], "deleted_at IS NOT NULL"),
        ("journal_run_fact_by_content", "journal_run_fact", ["content"], "content IS NOT NULL"),
    ):
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_table(
        "journal_housekeeping",
        sa.Column("definition", sa.String, primary_key=True),
        sa.Column("dag_id", sa.String, primary_key=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
    )
