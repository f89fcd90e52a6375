"""Columns that the questions of people are about, by short names."""

from __future__ import annotations

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
