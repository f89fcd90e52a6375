"""Note what the comparison of links with the rules shows, and the links that moved."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("journal_link", sa.Column("confirmed_values", sa.String()))
    op.add_column("journal_link", sa.Column("contradicted_since", sa.DateTime(timezone=True)))
    op.add_column("journal_link", sa.Column("others", sa.JSON()))
    op.create_table(
        "journal_former_link",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("user_guid", sa.String(), primary_key=True),
        sa.Column("genesys_user_id", sa.String(), primary_key=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run", sa.String()),
        sa.Column("decided_by", sa.String()),
    )
