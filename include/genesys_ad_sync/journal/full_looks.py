"""Runs in mode full that have looked into Genesys Cloud.

One that failed before its plan saw nothing there. One that was limited by param `groups` saw a part.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, cast, exists, select
from sqlalchemy import Row as Record

from genesys_ad_sync.journal import tables

_RUN = tables.run.c
_FACT = tables.fact.c

OF_A_LOOK = ("mapping", "matches", "owners")
"""The facts of a run by which a plan without network goes."""


def ended_in_full(definition: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on ended runs in mode full, whether they looked or not."""
    return _RUN.definition == definition, _RUN.mode == "full", _RUN.finished_at.is_not(None)


def full_looks(definition: str) -> Select[Any]:
    """Select the ended runs in mode full that made a plan of their own.

    The newest comes first. An undo looks at what it takes back, and at nothing else.
    """
    planned = exists().where(_FACT.run == _RUN.id, _FACT.key == "plan")
    # every run stores this fact: JSON's null where it undoes none
    undo = exists().where(_FACT.run == _RUN.id, _FACT.key == "undo", cast(_FACT.value, String) != "null")
    return select(tables.run).where(*ended_in_full(definition), planned, ~undo).order_by(_RUN.id.desc())


def last_complete_look(connection: Connection, definition: str) -> Record[Any] | None:
    """Return the newest of them that looked at all groups; None: there is none."""
    return next((row for row in connection.execute(full_looks(definition)) if not row.groups), None)
