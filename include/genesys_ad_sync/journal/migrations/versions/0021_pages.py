"""Find a group's history, a person's grants and the run of a moment."""

from alembic import op

revision = "0021"
down_revision = "0019"


def upgrade() -> None:
    op.create_index("journal_change_by_group", "journal_change", ["definition", "group_guid", "id"])
    op.create_index("journal_grant_by_user", "journal_grant", ["definition", "user_guid"])
    op.create_index("journal_run_by_start", "journal_run", ["definition", "started_at"])
