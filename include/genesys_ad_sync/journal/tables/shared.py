"""Hold what runs share: the journal's identity, the lease, secrets, external ids."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, String, Table

from genesys_ad_sync.journal.tables.columns import Number, UtcDateTime, metadata

# One row. `run_counter` grows with each attempt of a run; `fence_counter` with each lease that changes hands;
# `generation` with each move to another database. `moved_to`: the place of the journal that continues this one, without
# a password. `unfinished_copy_of`: a copy that was broken off, or whose source was not marked yet.
meta = Table(
    "journal_meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("journal_id", String, nullable=False),
    Column("run_counter", Number, nullable=False),
    Column("fence_counter", Number, nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("moved_to", String),
    Column("moved_at", UtcDateTime),
    Column("unfinished_copy_of", String),
)

# -- the lease -------------------------------------------------------------------------------------

# Which run writes to a Genesys organisation, and the tasks of it that hold the lease.
lease = Table(
    "journal_lease",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("fence", Number, nullable=False),
)

lease_holder = Table(
    "journal_lease_holder",
    metadata,
    Column("organisation", String, primary_key=True),
    Column("task_key", String, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
)

# -- what tasks share about Genesys Cloud ----------------------------------------------------------

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

# The last refused login of an Airflow connection. `fingerprint`: keyed, of what the login depends on; `times`: in a row
# since that changed.
refused_login = Table(
    "journal_refused_login",
    metadata,
    Column("connection", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("times", Integer, nullable=False),
    Column("refused_at", UtcDateTime, nullable=False),
    Column("dag_id", String, nullable=False),
    Column("run_id", String, nullable=False),
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
