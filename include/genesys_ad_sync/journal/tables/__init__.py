"""The journal's tables. What each holds stands at the table; how it is read and written, in the room of its concern.

A change here needs a revision in ``migrations/versions`` and a new ``HEAD``; a test compares the two.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

HEAD = "0002"
"""The newest revision of ``migrations/versions``. Kept here so that opening a current journal need not load alembic."""

VERSION_TABLE = "journal_version"  # not alembic's default name: Airflow's own database uses that one


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. SQLite keeps no zone, so it is taken off there and put on again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be written to the journal")
        value = value.astimezone(timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


metadata = MetaData()

_number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER key


def new_id() -> str:
    """For a journal."""
    return str(uuid.uuid4())


def _json(name: str) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=False)


# One row. `run_counter` grows with each attempt of a run; `fence_counter` with each lease that changes hands.
meta = Table(
    "journal_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("journal_id", String, nullable=False),
    Column("run_counter", _number, nullable=False),
    Column("fence_counter", _number, nullable=False),
)

# -- what AD said -------------------------------------------------------------------------------------

# Up to where AD has been read, per sync definition. `began_at`: the first poll.
cursor = Table(
    "journal_cursor",
    metadata,
    Column("definition", String, primary_key=True),
    Column("scope", String, nullable=False),
    Column("poll", _number, nullable=False),
    Column("domain_controller", String, nullable=False),
    Column("invocation_id", String, nullable=False),
    Column("highest_committed_usn", BigInteger, nullable=False),
    Column("cookie", LargeBinary),
    Column("polled_at", UtcDateTime, nullable=False),
    Column("began_at", UtcDateTime, nullable=False),
    Column("doubted_since", UtcDateTime),
    Column("trusted_dc", String),
)

# invocationId and USN of each domain controller when it was last read.
known_dc = Table(
    "journal_known_dc",
    metadata,
    Column("definition", String, primary_key=True),
    Column("domain_controller", String, primary_key=True),
    Column("invocation_id", String, nullable=False),
    Column("highest_committed_usn", BigInteger, nullable=False),
)

# AD groups as last read. `gone_at`: no longer in the view; kept for its name. `complete_poll`: last read completely.
group = Table(
    "journal_group",
    metadata,
    Column("definition", String, primary_key=True),
    Column("guid", String, primary_key=True),
    Column("dn", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sam_account_name", String),
    Column("sid", String),
    Column("in_scope", Boolean, nullable=False),
    _json("attributes"),
    Column("gone_at", UtcDateTime),
    Column("complete_poll", _number),
)

# Members that are no groups, as last read. `gone_at`: no longer in the view. `deleted_at`: a poll saw the tombstone.
user = Table(
    "journal_user",
    metadata,
    Column("definition", String, primary_key=True),
    Column("guid", String, primary_key=True),
    Column("dn", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sam_account_name", String),
    Column("disabled", Boolean, nullable=False),
    _json("attributes"),
    Column("gone_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
)

# Direct memberships of the groups that are not gone. `since`: the poll that first saw it.
membership = Table(
    "journal_membership",
    metadata,
    Column("definition", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("member_guid", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Index("journal_membership_by_member", "definition", "member_guid", "group_guid"),
    sqlite_with_rowid=False,
)

# -- what is to be done, and what was done ------------------------------------------------------------

# `settled_*` say which attempt of which run settled it; `status` is the last outcome.
change = Table(
    "journal_change",
    metadata,
    Column("id", _number, primary_key=True),
    Column("definition", String, nullable=False),
    Column("group_guid", String, nullable=False),
    Column("user_guid", String),
    Column("genesys_user_id", String),
    Column("action", String, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("observed_after", UtcDateTime),
    Column("changed_at", UtcDateTime),
    Column("origin", String, nullable=False),
    _json("path"),
    Column("held_reason", String),
    Column("trusted_dc", String),
    Column("status", String),
    Column("settled", Boolean, nullable=False),
    Column("settled_dag_id", String),
    Column("settled_run_id", String),
    Column("settled_attempt", Integer),
    Index("journal_change_by_definition", "definition", "observed_at"),
    sqlite_autoincrement=True,
)
Index(
    "journal_change_unsettled",
    change.c.definition,
    change.c.group_guid,
    sqlite_where=text("settled = 0"),
    postgresql_where=text("settled = false"),
)

# What became of a change, run by run; only added to. The newest counts.
outcome = Table(
    "journal_outcome",
    metadata,
    Column("id", _number, primary_key=True),
    Column("change_id", _number, ForeignKey("journal_change.id"), nullable=False),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("http_code", Integer),
    Column("correlation_id", String),
    Column("error", String),
    Column("at", UtcDateTime, nullable=False),
    Index("journal_outcome_by_change", "change_id", "id"),
    sqlite_autoincrement=True,
)

# -- mapping and ownership ----------------------------------------------------------------------------

# AD group -> Genesys group, now (`active`) or once. The baseline is the first completed whole comparison.
pair = Table(
    "journal_pair",
    metadata,
    Column("definition", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("genesys_group_name", String, nullable=False),
    Column("rule", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Column("baseline_dag_id", String),
    Column("baseline_run_id", String),
    Column("baseline_at", UtcDateTime),
)

# Memberships that AD owns.
grant = Table(
    "journal_grant",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("genesys_user_id", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

# Who an AD user is in Genesys Cloud.
link = Table(
    "journal_link",
    metadata,
    Column("definition", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("genesys_user_id", String, nullable=False),
    Column("matched_by", String, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Index("journal_link_by_genesys_user", "definition", "genesys_user_id"),
)

# Which sync definition feeds a Genesys group.
claim = Table(
    "journal_claim",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("definition", String, nullable=False),
    Column("since", UtcDateTime, nullable=False),
)

# -- persons ------------------------------------------------------------------------------------------

# What persons are, or were, asked about: rows of a plan, by their key. Open while `closed_at` is null and
# `expires_at` has not come.
question = Table(
    "journal_question",
    metadata,
    Column("id", _number, primary_key=True),
    Column("definition", String, nullable=False),
    Column("subject", String, nullable=False),
    _json("change_ids"),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("decision", String),
    Column("decided_by", String),
    Index("journal_question_by_definition", "definition", "closed_at"),
    sqlite_autoincrement=True,
)

# Pairs that an undo run took back. `last_change`: what the journal knew then. `user_guid`: a Genesys user id where AD
# does not know the person. `undoes`: DAG id/run id.
pin = Table(
    "journal_pin",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("undoes", String, nullable=False),
    Column("last_change", _number, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# Definitions whose removals need approval because the journal was lost or restored.
restored = Table(
    "journal_restored",
    metadata,
    Column("definition", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)

# -- runs ---------------------------------------------------------------------------------------------

# One attempt of a DAG run. `window_*` only if `bounded`.
run = Table(
    "journal_run",
    metadata,
    Column("id", _number, primary_key=True),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("clear_number", Integer, nullable=False),
    Column("definition", String, nullable=False),
    Column("run_type", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("bounded", Boolean, nullable=False),
    Column("window_start", UtcDateTime),
    Column("window_end", UtcDateTime),
    _json("groups"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("poll", _number),
    Column("polled_at", UtcDateTime),
    Column("state", String),
    Column("finished_at", UtcDateTime),
    UniqueConstraint("dag_id", "run_id", "attempt", name="journal_run_attempt"),
    Index("journal_run_by_definition", "definition", "poll"),
    sqlite_autoincrement=True,
)


def _run_key() -> Column[Any]:
    return Column("run", _number, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True)


fact = Table(
    "journal_run_fact",
    metadata,
    _run_key(),
    Column("key", String, primary_key=True),
    Column("value", JSON(none_as_null=False), nullable=False),  # null is a value, too
)

# The rows of the plan and of the report. `replaced` is 0 for the present ones and the row's id for one that an
# earlier plan of this attempt settled. `sending_*`: a request for it may have left. `settled`: by this attempt.
row = Table(
    "journal_run_row",
    metadata,
    Column("id", _number, primary_key=True),
    Column("run", _number, ForeignKey("journal_run.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("replaced", _number, nullable=False),
    Column("lane", Integer),
    Column("action", String, nullable=False),
    Column("status", String, nullable=False),
    Column("organisation", String),
    Column("settled", Boolean, nullable=False),
    Column("sending_fence", _number),
    Column("sending_at", UtcDateTime),
    Column("recorded_at", UtcDateTime),
    _json("data"),  # the whole model.Row
    UniqueConstraint("run", "key", "replaced", name="journal_run_row_key"),
    Index("journal_run_row_by_time", "recorded_at"),
    sqlite_autoincrement=True,
)

group_result = Table(
    "journal_run_group",
    metadata,
    _run_key(),
    Column("genesys_group_id", String, primary_key=True),
    _json("data"),  # the whole model.GroupResult
)

# Requests to Genesys Cloud, counted per task.
request = Table(
    "journal_run_request",
    metadata,
    _run_key(),
    Column("task_key", String, primary_key=True),
    _json("counts"),
)

# -- the lease ----------------------------------------------------------------------------------------

# Which run writes to a Genesys organisation, and the tasks of it that hold the lease.
lease = Table(
    "journal_lease",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("fence", _number, nullable=False),
)

lease_holder = Table(
    "journal_lease_holder",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("task_key", String, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

# -- what tasks share about Genesys Cloud -------------------------------------------------------------

# Encrypted by whoever writes it. `locked_*`: who is renewing it.
shared_secret = Table(
    "journal_shared_secret",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", LargeBinary),
    Column("renew_at", UtcDateTime),
    Column("locked_by", String),
    Column("locked_until", UtcDateTime),
)

# SCIM externalId -> Genesys group; null: nobody carried it when it was read.
external_id = Table(
    "journal_external_id",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    Column("genesys_group_id", String),
    Column("read_at", UtcDateTime, nullable=False),
)
