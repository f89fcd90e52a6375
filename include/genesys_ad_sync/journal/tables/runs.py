"""Hold changes, their outcomes, and what runs did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint, text

from genesys_ad_sync.journal.tables.columns import Number, UtcDateTime, json_column, metadata

# -- what is to be done, and what was done ---------------------------------------------------------

# `settled_*` say which attempt of which run settled it; `status` is the last outcome. `evidence`: see model.Evidence.
# `first_seen_*`: when a live run first listed it. `over_limit`: the limits that it went over, until a person approves
# it; see `planning.limits`. `looked_at`: the change rests since then: a known orphan, or a person that Genesys refuses
# to look up. Null: a run takes it up.
change = Table(
    "journal_change",
    metadata,
    Column("id", Number, primary_key=True),
    Column("definition", String, nullable=False),
    Column("group_guid", String, nullable=False),
    Column("user_guid", String),
    Column("genesys_user_id", String),
    Column("action", String, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("observed_after", UtcDateTime),
    Column("changed_at", UtcDateTime),
    Column("origin", String, nullable=False),
    json_column("path"),
    Column("held_reason", String),
    Column("trusted_dc", String),
    json_column("doubt", nullable=True),
    Column("poll", Number),
    Column("evidence", String),
    Column("status", String),
    Column("settled", Boolean, nullable=False),
    Column("settled_dag_id", String),
    Column("settled_run_id", String),
    Column("settled_attempt", Integer),
    Column("first_seen_at", UtcDateTime),
    Column("first_seen_dag_id", String),
    Column("first_seen_run_id", String),
    Column("over_limit", String),
    Column("looked_at", UtcDateTime),
    Index("journal_change_by_definition", "definition", "observed_at"),
    Index("journal_change_by_user", "definition", "user_guid"),
    Index("journal_change_by_group", "definition", "group_guid", "id"),
    sqlite_autoincrement=True,
)
Index(
    "journal_change_unsettled",
    change.c.definition,
    change.c.group_guid,
    sqlite_where=text("settled = 0"),
    postgresql_where=text("settled = false"),
)

Index(
    "journal_change_resting",
    change.c.definition,
    change.c.user_guid,
    sqlite_where=text("looked_at IS NOT NULL"),
    postgresql_where=text("looked_at IS NOT NULL"),
)

# What became of a change; only added to, and only if it differs from the last outcome. The newest counts.
# `genesys_group_id`: the group in which it failed.
outcome = Table(
    "journal_outcome",
    metadata,
    Column("id", Number, primary_key=True),
    Column("change_id", Number, ForeignKey("journal_change.id"), nullable=False),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", String),
    Column("http_code", Integer),
    Column("correlation_id", String),
    Column("error", String),
    Column("at", UtcDateTime, nullable=False),
    Column("genesys_group_id", String),
    Index("journal_outcome_by_change", "change_id", "id"),
    Index("journal_outcome_by_time", "at"),
    sqlite_autoincrement=True,
)

# -- runs ------------------------------------------------------------------------------------------

# One attempt of a DAG run. `window_*` only if `bounded`.
run = Table(
    "journal_run",
    metadata,
    Column("id", Number, primary_key=True),
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
    json_column("groups"),
    Column("started_at", UtcDateTime, nullable=False),
    Column("poll", Number),
    Column("polled_at", UtcDateTime),
    Column("state", String),
    Column("finished_at", UtcDateTime),
    Column("host", String),
    Column("host_boot", String),
    UniqueConstraint("dag_id", "run_id", "attempt", name="journal_run_attempt"),
    Index("journal_run_by_definition", "definition", "poll"),
    Index("journal_run_by_end", "definition", "finished_at"),
    Index("journal_run_by_start", "definition", "started_at"),
    Index("journal_run_by_dag", "dag_id", "id"),
    sqlite_autoincrement=True,
)


def run_column() -> Column[Any]:
    return Column("run", Number, ForeignKey("journal_run.id", ondelete="CASCADE"), primary_key=True)


# A large value is kept once in `content`, for all runs that have the same.
fact = Table(
    "journal_run_fact",
    metadata,
    run_column(),
    Column("key", String, primary_key=True),
    Column("value", JSON(none_as_null=False), nullable=False),  # null is a value, too
    Column("content", String),
    Index(
        "journal_run_fact_by_content",
        "content",
        sqlite_where=text("content IS NOT NULL"),
        postgresql_where=text("content IS NOT NULL"),
    ),
)

# Large values of facts, by their digest.
content = Table(
    "journal_content",
    metadata,
    Column("digest", String, primary_key=True),
    Column("value", JSON(none_as_null=False), nullable=False),
)

# The rows of the plan and of the report. `sending_*`: a request for it may have left. `settled`: by this attempt.
# `replaced`: 0 for the present ones, the row's id for one that an earlier plan of this attempt settled, and a negative
# number for one of a plan that is still being stored.
row = Table(
    "journal_run_row",
    metadata,
    Column("id", Number, primary_key=True),
    Column("run", Number, ForeignKey("journal_run.id", ondelete="CASCADE"), nullable=False),
    Column("key", String, nullable=False),
    Column("replaced", Number, nullable=False),
    Column("lane", Integer),
    Column("action", String, nullable=False),
    Column("status", String, nullable=False),
    Column("organisation", String),
    Column("settled", Boolean, nullable=False),
    Column("sending_fence", Number),
    Column("sending_at", UtcDateTime),
    Column("recorded_at", UtcDateTime),
    json_column("data"),  # the whole model.Row
    UniqueConstraint("run", "key", "replaced", name="journal_run_row_key"),
    Index("journal_run_row_by_time", "recorded_at"),
    sqlite_autoincrement=True,
)

group_result = Table(
    "journal_run_group",
    metadata,
    run_column(),
    Column("genesys_group_id", String, primary_key=True),
    json_column("data"),  # the whole model.GroupResult
)

# Requests to Genesys Cloud, counted per task.
request = Table(
    "journal_run_request",
    metadata,
    run_column(),
    Column("task_key", String, primary_key=True),
    json_column("counts"),
)

# When the runs of a DAG last forgot what is too old, and removed old reports.
housekeeping = Table(
    "journal_housekeeping",
    metadata,
    Column("definition", String, primary_key=True),
    Column("dag_id", String, primary_key=True),
    Column("done_at", UtcDateTime, nullable=False),
)

# -- what waits ------------------------------------------------------------------------------------

# What Genesys does not do for now: see model.Refusal. `action` is empty where the kind has none.
refusal = Table(
    "journal_refusal",
    metadata,
    Column("definition", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("person", String, primary_key=True),
    Column("action", String, primary_key=True),
    Column("reason", String, nullable=False),
    Column("http_code", Integer),
    Column("words", String, nullable=False),
    Column("correlation_id", String),
    Column("error", String),
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("run", String, nullable=False),
    Column("lifted", Boolean, nullable=False),
    Column("listing", String),
    json_column("tried", nullable=True),
)

# One row per definition. `users_total`: active Genesys users when they were last counted. `rules`: a digest of the
# definition when it last ran. `looked_up_to`: the last AD user, by guid, who was looked up in turn. `listed_*`: the
# last run that listed everything that waits.
waiting = Table(
    "journal_waiting",
    metadata,
    Column("definition", String, primary_key=True),
    Column("users_total", Integer),
    Column("rules", String),
    Column("looked_up_to", String),
    Column("listed_dag_id", String),
    Column("listed_run_id", String),
)
