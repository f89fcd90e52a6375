"""Note ends that Active Directory announces, and what each domain controller can do."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for table in ("journal_membership", "journal_user", "journal_group"):
        op.add_column(table, sa.Column("ends_at", sa.DateTime(timezone=True)))
    op.create_index(
        "journal_membership_by_end",
        "journal_membership",
        ["definition", "ends_at"],
        sqlite_where=sa.text("ends_at IS NOT NULL"),
        postgresql_where=sa.text("ends_at IS NOT NULL"),
    )
    op.add_column("journal_known_dc", sa.Column("abilities", sa.JSON()))
