"""Note confirmed mirrors, grants that sleep, and what dry runs have seen.

A pair of before was never confirmed as a mirror: the next comparison of one asks a person.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("journal_pair", sa.Column("mirror_confirmed_at", sa.DateTime(timezone=True)))
    op.add_column("journal_pair", sa.Column("empty_confirmed_change", sa.BigInteger()))
    op.add_column("journal_grant", sa.Column("by_dry_run", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("journal_grant", sa.Column("asleep_since", sa.DateTime(timezone=True)))
    op.create_table(
        "journal_dry_evidence",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("genesys_user_id", sa.String(), nullable=False),
        sa.Column("user_guid", sa.String(), nullable=False),
        sa.Column("group_guid", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("matched_by", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("definition", "genesys_group_id", "genesys_user_id", "user_guid", "group_guid"),
    )
