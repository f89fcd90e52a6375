"""Note which accounts' tombstones were seen: a recreated account claims the same Genesys user."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("journal_user", sa.Column("deleted_at", sa.DateTime(timezone=True)))
