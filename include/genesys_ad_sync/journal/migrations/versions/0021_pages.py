"""Find the history of a group, and the run of a moment, without reading all of them."""

from alembic import op

revision = "0021"
down_revision = "0018"


def upgrade() -> None:
    op.create_index("journal_change_by_group", "journal_change", ["definition", "group_guid", "id"])
    op.create_index("journal_run_by_start", "journal_run", ["definition", "started_at"])
