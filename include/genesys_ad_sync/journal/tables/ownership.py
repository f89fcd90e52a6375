"""Hold pairs, grants, links and claims, and what people decided about them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, false, text

from genesys_ad_sync.journal.tables.columns import Number, UtcDateTime, json_column, metadata

# -- mapping and ownership -------------------------------------------------------------------------

# AD group -> Genesys group, now (`active`) or once. The baseline is the first completed whole comparison.
# `mirror_confirmed_at`: a person has answered the first question of a mirror. `empty_confirmed_change`: the newest
# change when a person answered what an AD group without members asks. `confirmed_at`: it needs no person; of the pairs
# of an AD group, one at most has it. `rejected_*`: a person said no, in that run.
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
    Column("mirror_confirmed_at", UtcDateTime),
    Column("empty_confirmed_change", BigInteger),
    Column("confirmed_at", UtcDateTime),
    Column("rejected_at", UtcDateTime),
    Column("rejected_by", String),
    Column("rejected_dag_id", String),
    Column("rejected_run_id", String),
    Index("journal_pair_by_genesys_group", "definition", "genesys_group_id"),
    Index(
        "journal_pair_undecided",
        "definition",
        "group_guid",
        sqlite_where=text("confirmed_at IS NULL AND rejected_at IS NULL"),
        postgresql_where=text("confirmed_at IS NULL AND rejected_at IS NULL"),
    ),
    Index(
        "journal_pair_without_baseline",
        "definition",
        "group_guid",
        sqlite_where=text("baseline_at IS NULL"),
        postgresql_where=text("baseline_at IS NULL"),
    ),
)

# When the first live run of a definition mapped its groups. Pairs that come later need a person.
first_mapping = Table(
    "journal_first_mapping",
    metadata,
    Column("definition", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
)

# Pairs that the reports of dry runs before the first live run listed. `rules`: a digest of what made them.
listed_pair = Table(
    "journal_listed_pair",
    metadata,
    Column("definition", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("rules", String, nullable=False),
)

# Genesys groups and the names by which a pattern of `protect:` has found them: a renamed one stays protected.
protected_group = Table(
    "journal_protected_group",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)

# Memberships that AD owns. `by_dry_run`: only dry runs saw that AD and Genesys both had it. `asleep_since`: its removal
# is settled, and Genesys did not show whether the user is still a member. `was_manual`: it was there by
# hand before.
grant = Table(
    "journal_grant",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("genesys_user_id", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("by_dry_run", Boolean, nullable=False, server_default=false()),
    Column("asleep_since", UtcDateTime),
    Column("was_manual", Boolean, nullable=False, server_default=false()),
    Index("journal_grant_by_user", "definition", "user_guid"),
    sqlite_with_rowid=False,
)

# Memberships that AD and Genesys both had at the last dry comparison of a pair, and those whose removal waits since.
dry_evidence = Table(
    "journal_dry_evidence",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("genesys_user_id", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("group_guid", String, primary_key=True),
    Column("rule", String, nullable=False),
    Column("matched_by", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

# Who an AD user is in Genesys Cloud. `confirmed_values`: a digest of the account's values when an external id or a
# person confirmed the link. `contradicted_since`, `others`: what its last comparison with the rules showed.
link = Table(
    "journal_link",
    metadata,
    Column("definition", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("genesys_user_id", String, nullable=False),
    Column("matched_by", String, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("confirmed_values", String),
    Column("contradicted_since", UtcDateTime),
    Column("others", JSON(none_as_null=True)),
    Index("journal_link_by_genesys_user", "definition", "genesys_user_id"),
    Index(
        "journal_link_contradicted",
        "definition",
        "contradicted_since",
        sqlite_where=text("contradicted_since IS NOT NULL"),
        postgresql_where=text("contradicted_since IS NOT NULL"),
    ),
)

# Who an AD user was in Genesys Cloud, until the link moved: `deleted` because Genesys showed that user as deleted,
# else because a person said so. What was granted to the former user follows the link.
former_link = Table(
    "journal_former_link",
    metadata,
    Column("definition", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("genesys_user_id", String, primary_key=True),
    Column("deleted", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("run", String),
    Column("decided_by", String),
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

# What the newest version of a definition's file says. `due_at`: of the run that noted it, see `Definitions.note`.
definition = Table(
    "journal_definition",
    metadata,
    Column("definition", String, primary_key=True),
    Column("dry_run", Boolean, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("noted_at", UtcDateTime, nullable=False),
)

# -- persons ---------------------------------------------------------------------------------------

# What persons are, or were, asked about: rows of a plan, by their key. Open while `closed_at` is null and
# `expires_at` has not come. When it was asked: `last_change` was the newest change of the journal, and `account_ended`
# says whether the AD account was disabled or deleted.
question = Table(
    "journal_question",
    metadata,
    Column("id", Number, primary_key=True),
    Column("definition", String, nullable=False),
    Column("subject", String, nullable=False),
    json_column("change_ids"),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("decision", String),
    Column("decided_by", String),
    Column("last_change", Number),
    Column("account_ended", Boolean),
    Index("journal_question_by_definition", "definition", "closed_at"),
    Index("journal_question_by_subject", "definition", "subject"),
    sqlite_autoincrement=True,
)

# Pairs that an undo run took back. `last_change`: what the journal knew then. `user_guid`: a Genesys user id where AD
# does not know the person. `undoes`: DAG id/run id. `action`: what it holds; null: both. `decided_by`: who triggered or
# approved the undo.
pin = Table(
    "journal_pin",
    metadata,
    Column("definition", String, primary_key=True),
    Column("genesys_group_id", String, primary_key=True),
    Column("user_guid", String, primary_key=True),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("undoes", String, nullable=False),
    Column("last_change", Number, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("action", String),
    Column("decided_by", String),
)

# Definitions whose removals need approval because the journal was lost or restored.
restored = Table(
    "journal_restored",
    metadata,
    Column("definition", String, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)
