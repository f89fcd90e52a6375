"""Note each change's first listing, with the run and the limits it exceeded.

What older runs listed has an outcome each; the oldest one says when that was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("journal_change", sa.Column("first_seen_at", sa.DateTime(timezone=True)))
    op.add_column("journal_change", sa.Column("first_seen_dag_id", sa.String))
    op.add_column("journal_change", sa.Column("first_seen_run_id", sa.String))
    op.add_column("journal_change", sa.Column("over_limit", sa.String))
    op.execute(
        "UPDATE journal_change SET "
        "first_seen_at = (SELECT o.at FROM journal_outcome AS o WHERE o.id = "
        "(SELECT min(p.id) FROM journal_outcome AS p WHERE p.change_id = journal_change.id)), "
        "first_seen_dag_id = (SELECT o.dag_id FROM journal_outcome AS o WHERE o.id = "
        "(SELECT min(p.id) FROM journal_outcome AS p WHERE p.change_id = journal_change.id)), "
        "first_seen_run_id = (SELECT o.run_id FROM journal_outcome AS o WHERE o.id = "
        "(SELECT min(p.id) FROM journal_outcome AS p WHERE p.change_id = journal_change.id))"
    )
