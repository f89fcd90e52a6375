"""Define the journal's tables.

A comment beside each table says what it holds; the stores read and write it. A change here needs a revision in
``migrations/versions`` and a new ``HEAD``; a test compares the two.
"""

from __future__ import annotations

import uuid

from genesys_ad_sync.journal.tables.columns import UtcDateTime, metadata
from genesys_ad_sync.journal.tables.directory import cursor, group, known_dc, membership, user
from genesys_ad_sync.journal.tables.notices import notice
from genesys_ad_sync.journal.tables.ownership import (
    claim,
    definition,
    dry_evidence,
    first_mapping,
    former_link,
    grant,
    link,
    listed_pair,
    pair,
    pin,
    protected_group,
    question,
    restored,
)
from genesys_ad_sync.journal.tables.runs import (
    change,
    content,
    fact,
    group_result,
    housekeeping,
    outcome,
    refusal,
    request,
    row,
    run,
    waiting,
)
from genesys_ad_sync.journal.tables.shared import external_id, lease, lease_holder, meta, refused_login, shared_secret

HEAD = "0024"
"""The newest revision of ``migrations/versions``. Kept here, so that opening a current journal loads no alembic."""

VERSION_TABLE = "journal_version"  # not alembic's default name: Airflow's own database uses that one

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "UtcDateTime",
    "change",
    "claim",
    "content",
    "cursor",
    "definition",
    "dry_evidence",
    "external_id",
    "fact",
    "first_mapping",
    "former_link",
    "grant",
    "group",
    "group_result",
    "housekeeping",
    "known_dc",
    "lease",
    "lease_holder",
    "link",
    "listed_pair",
    "membership",
    "meta",
    "metadata",
    "new_id",
    "notice",
    "outcome",
    "pair",
    "pin",
    "protected_group",
    "question",
    "refusal",
    "refused_login",
    "request",
    "restored",
    "row",
    "run",
    "shared_secret",
    "user",
    "waiting",
]


def new_id() -> str:
    """Return a new id for a journal."""
    return str(uuid.uuid4())
