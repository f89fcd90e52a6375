"""Note what Genesys refuses, and when known orphans were last looked up.

Each orphan of before is looked up once more by the next run.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("journal_change", sa.Column("looked_at", sa.DateTime(timezone=True)))
    op.create_index(
        "journal_change_resting",
        "journal_change",
        ["definition", "user_guid"],
        sqlite_where=sa.text("looked_at IS NOT NULL"),
        postgresql_where=sa.text("looked_at IS NOT NULL"),
    )
    op.add_column("journal_outcome", sa.Column("genesys_group_id", sa.String()))
    op.create_table(
        "journal_refusal",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), primary_key=True),
        sa.Column("genesys_group_id", sa.String(), primary_key=True),
        sa.Column("person", sa.String(), primary_key=True),
        sa.Column("action", sa.String(), primary_key=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("http_code", sa.Integer()),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("correlation_id", sa.String()),
        sa.Column("error", sa.String()),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run", sa.String(), nullable=False),
        sa.Column("lifted", sa.Boolean(), nullable=False),
        sa.Column("listing", sa.String()),
        sa.Column("tried", sa.JSON()),
    )
    op.create_table(
        "journal_waiting",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("users_total", sa.Integer()),
        sa.Column("rules", sa.String()),
        sa.Column("looked_up_to", sa.String()),
        sa.Column("listed_dag_id", sa.String()),
        sa.Column("listed_run_id", sa.String()),
    )
