"""Keep large values of facts once, for all runs that have the same."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("journal_run_fact", sa.Column("content", sa.String()))
    op.create_table(
        "journal_content",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
    )
