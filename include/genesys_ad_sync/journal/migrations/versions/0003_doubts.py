"""Keep doubts on the change, and the end of each poll's reading.

The poll keeps up to what time Active Directory was read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("journal_cursor", sa.Column("vector", sa.JSON()))
    op.add_column("journal_known_dc", sa.Column("read_at", sa.DateTime(timezone=True)))
    op.add_column("journal_change", sa.Column("doubt", sa.JSON()))
    op.add_column("journal_change", sa.Column("poll", number))
