"""The first tables of the journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None


def _number() -> TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _time() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "journal_change",
        sa.Column("id", _number(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("group_guid", sa.String(), nullable=False),
        sa.Column("user_guid", sa.String()),
        sa.Column("genesys_user_id", sa.String()),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("observed_at", _time(), nullable=False),
        sa.Column("observed_after", _time()),
        sa.Column("changed_at", _time()),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("path", sa.JSON(), nullable=False),
        sa.Column("held_reason", sa.String()),
        sa.Column("trusted_dc", sa.String()),
        sa.Column("status", sa.String()),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("settled_dag_id", sa.String()),
        sa.Column("settled_run_id", sa.String()),
        sa.Column("settled_attempt", sa.Integer()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_change_by_definition", "journal_change", ["definition", "observed_at"])
    op.create_index(
        "journal_change_unsettled",
        "journal_change",
        ["definition", "group_guid"],
        sqlite_where=sa.text("settled = 0"),
        postgresql_where=sa.text("settled = false"),
    )
    op.create_table(
        "journal_claim",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "genesys_group_id"),
    )
    op.create_table(
        "journal_cursor",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("poll", _number(), nullable=False),
        sa.Column("domain_controller", sa.String(), nullable=False),
        sa.Column("invocation_id", sa.String(), nullable=False),
        sa.Column("highest_committed_usn", sa.BigInteger(), nullable=False),
        sa.Column("cookie", sa.LargeBinary()),
        sa.Column("polled_at", _time(), nullable=False),
        sa.Column("began_at", _time(), nullable=False),
        sa.Column("doubted_since", _time()),
        sa.Column("trusted_dc", sa.String()),
        sa.PrimaryKeyConstraint("definition"),
    )
    op.create_table(
        "journal_grant",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("genesys_user_id", sa.String(), nullable=False),
        sa.Column("user_guid", sa.String(), nullable=False),
        sa.Column("group_guid", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.PrimaryKeyConstraint("definition", "genesys_group_id", "genesys_user_id", "user_guid", "group_guid"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "journal_group",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("guid", sa.String(), nullable=False),
        sa.Column("dn", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sam_account_name", sa.String()),
        sa.Column("sid", sa.String()),
        sa.Column("in_scope", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("gone_at", _time()),
        sa.Column("complete_poll", _number()),
        sa.PrimaryKeyConstraint("definition", "guid"),
    )
    op.create_table(
        "journal_known_dc",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("domain_controller", sa.String(), nullable=False),
        sa.Column("invocation_id", sa.String(), nullable=False),
        sa.Column("highest_committed_usn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("definition", "domain_controller"),
    )
    op.create_table(
        "journal_lease",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("fence", _number(), nullable=False),
        sa.PrimaryKeyConstraint("organisation"),
    )
    op.create_table(
        "journal_shared_secret",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary()),
        sa.Column("renew_at", _time()),
        sa.Column("locked_by", sa.String()),
        sa.Column("locked_until", _time()),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "journal_external_id",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String()),
        sa.Column("read_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "external_id"),
    )
    op.create_table(
        "journal_lease_holder",
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("task_key", sa.String(), nullable=False),
        sa.Column("expires_at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("organisation", "task_key"),
    )
    op.create_table(
        "journal_link",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("user_guid", sa.String(), nullable=False),
        sa.Column("genesys_user_id", sa.String(), nullable=False),
        sa.Column("matched_by", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.PrimaryKeyConstraint("definition", "user_guid"),
    )
    op.create_index("journal_link_by_genesys_user", "journal_link", ["definition", "genesys_user_id"])
    op.create_table(
        "journal_membership",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("group_guid", sa.String(), nullable=False),
        sa.Column("member_guid", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.PrimaryKeyConstraint("definition", "group_guid", "member_guid"),
        sqlite_with_rowid=False,
    )
    op.create_index("journal_membership_by_member", "journal_membership", ["definition", "member_guid", "group_guid"])
    op.create_table(
        "journal_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("journal_id", sa.String(), nullable=False),
        sa.Column("run_counter", _number(), nullable=False),
        sa.Column("fence_counter", _number(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "journal_pair",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("group_guid", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("genesys_group_name", sa.String(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.Column("until", _time()),
        sa.Column("baseline_dag_id", sa.String()),
        sa.Column("baseline_run_id", sa.String()),
        sa.Column("baseline_at", _time()),
        sa.PrimaryKeyConstraint("definition", "group_guid", "genesys_group_id"),
    )
    op.create_table(
        "journal_run",
        sa.Column("id", _number(), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("clear_number", sa.Integer(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("run_type", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("bounded", sa.Boolean(), nullable=False),
        sa.Column("window_start", _time()),
        sa.Column("window_end", _time()),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("started_at", _time(), nullable=False),
        sa.Column("poll", _number()),
        sa.Column("polled_at", _time()),
        sa.Column("state", sa.String()),
        sa.Column("finished_at", _time()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("dag_id", "run_id", "attempt", name="journal_run_attempt"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_run_by_definition", "journal_run", ["definition", "poll"])
    op.create_table(
        "journal_user",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("guid", sa.String(), nullable=False),
        sa.Column("dn", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sam_account_name", sa.String()),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("gone_at", _time()),
        sa.PrimaryKeyConstraint("definition", "guid"),
    )
    op.create_table(
        "journal_outcome",
        sa.Column("id", _number(), nullable=False),
        sa.Column("change_id", _number(), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("http_code", sa.Integer()),
        sa.Column("correlation_id", sa.String()),
        sa.Column("error", sa.String()),
        sa.Column("at", _time(), nullable=False),
        sa.ForeignKeyConstraint(["change_id"], ["journal_change.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_outcome_by_change", "journal_outcome", ["change_id", "id"])
    op.create_table(
        "journal_question",
        sa.Column("id", _number(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("change_ids", sa.JSON(), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("asked_at", _time(), nullable=False),
        sa.Column("expires_at", _time(), nullable=False),
        sa.Column("closed_at", _time()),
        sa.Column("decision", sa.String()),
        sa.Column("decided_by", sa.String()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_question_by_definition", "journal_question", ["definition", "closed_at"])
    op.create_table(
        "journal_pin",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("user_guid", sa.String(), nullable=False),
        sa.Column("dag_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("undoes", sa.String(), nullable=False),
        sa.Column("last_change", _number(), nullable=False),
        sa.Column("at", _time(), nullable=False),
        sa.PrimaryKeyConstraint("definition", "genesys_group_id", "user_guid"),
    )
    op.create_table(
        "journal_restored",
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("since", _time(), nullable=False),
        sa.PrimaryKeyConstraint("definition"),
    )
    op.create_table(
        "journal_run_fact",
        sa.Column("run", _number(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["journal_run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "key"),
    )
    op.create_table(
        "journal_run_group",
        sa.Column("run", _number(), nullable=False),
        sa.Column("genesys_group_id", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["journal_run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "genesys_group_id"),
    )
    op.create_table(
        "journal_run_request",
        sa.Column("run", _number(), nullable=False),
        sa.Column("task_key", sa.String(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["journal_run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run", "task_key"),
    )
    op.create_table(
        "journal_run_row",
        sa.Column("id", _number(), nullable=False),
        sa.Column("run", _number(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("replaced", _number(), nullable=False),
        sa.Column("lane", sa.Integer()),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("organisation", sa.String()),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("sending_fence", _number()),
        sa.Column("sending_at", _time()),
        sa.Column("recorded_at", _time()),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["journal_run.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("run", "key", "replaced", name="journal_run_row_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("journal_run_row_by_time", "journal_run_row", ["recorded_at"])
