"""Keep the host on which a run was polled."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    # Of runs from before, the host is not known.
    op.add_column("journal_run", sa.Column("host", sa.String))
    op.add_column("journal_run", sa.Column("host_boot", sa.String))
