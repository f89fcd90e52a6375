"""Note which memberships existed by hand in Genesys Cloud before AD granted them.

For older memberships it is not known.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("journal_grant", sa.Column("was_manual", sa.Boolean(), nullable=False, server_default=sa.false()))
