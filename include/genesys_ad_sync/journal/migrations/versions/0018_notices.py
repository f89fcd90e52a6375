"""Keep what people were notified of, so that each trouble is one message."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "journal_notice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("definition", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("occasion", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("lasts", sa.Boolean, nullable=False),
        sa.Column("message", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("over_at", sa.DateTime(timezone=True)),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("error", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_notice_once", "journal_notice", ["definition", "channel", "occasion", "key"], unique=True)
