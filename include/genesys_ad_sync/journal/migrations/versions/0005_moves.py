"""Note the journal's new place, and the newest version of each sync definition."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("journal_meta", sa.Column("generation", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("journal_meta", sa.Column("moved_to", sa.String()))
    op.add_column("journal_meta", sa.Column("moved_at", sa.DateTime(timezone=True)))
    op.add_column("journal_meta", sa.Column("unfinished_copy_of", sa.String()))
    op.create_table(
        "journal_definition",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("definition"),
    )
