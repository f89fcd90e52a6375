"""Note which pairs were confirmed or rejected, and which Genesys groups had protected names.

A person confirms or rejects a pair. What older runs have mapped needs no person. Of several Genesys groups that an AD
group fed one after the other, the newest one counts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for name, type_ in (
        ("confirmed_at", sa.DateTime(timezone=True)),
        ("rejected_at", sa.DateTime(timezone=True)),
        ("rejected_by", sa.String()),
        ("rejected_dag_id", sa.String()),
        ("rejected_run_id", sa.String()),
    ):
        op.add_column("journal_pair", sa.Column(name, type_))
    op.create_table(
        "journal_first_mapping",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "journal_listed_pair",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("group_guid", sa.String(), primary_key=True),
        sa.Column("genesys_group_id", sa.String(), primary_key=True),
        sa.Column("rules", sa.String(), nullable=False),
    )
    op.create_table(
        "journal_protected_group",
        sa.Column("definition", sa.String(), primary_key=True),
        sa.Column("genesys_group_id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute(
        "UPDATE journal_pair SET confirmed_at = since WHERE active OR NOT EXISTS ("
        "SELECT 1 FROM journal_pair AS o WHERE o.definition = journal_pair.definition "
        "AND o.group_guid = journal_pair.group_guid AND (o.active OR o.until > journal_pair.until))"
    )
    op.execute("INSERT INTO journal_first_mapping SELECT definition, min(since) FROM journal_pair GROUP BY definition")
