"""Columns that the questions of people are about, by short names."""

from __future__ import annotations

from sqlalchemy import select

from genesys_ad_sync.journal import tables

ROW = tables.row.c
RUN = tables.run.c
LINK = tables.link.c
PAIR = tables.pair.c
USER = tables.user.c
GRANT = tables.grant.c
GROUP = tables.group.c
CHANGE = tables.change.c
RESULT = tables.group_result.c
OUTCOME = tables.outcome.c
QUESTION = tables.question.c
MEMBERSHIP = tables.membership.c

NEWEST_REASON = (
    select(OUTCOME.reason)
    .where(OUTCOME.change_id == CHANGE.id)
    .order_by(OUTCOME.id.desc())
    .limit(1)
    .correlate(tables.change)
    .scalar_subquery()
)
"""The reason of a change's newest outcome. Looked up for each change: in a join, PostgreSQL reads all outcomes."""
