"""Note when accounts expire.

A membership ends at that time, without a change in Active Directory.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("journal_user", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("journal_user", sa.Column("expired", sa.Boolean(), nullable=False, server_default=sa.false()))
