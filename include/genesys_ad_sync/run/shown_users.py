"""The Genesys users of a run in words, for both sides of a change.

An approver must see the people that a change is about on both sides. An AD account may be linked to another person's
Genesys user, by a value that its owner can edit.
"""

from __future__ import annotations

from collections.abc import Iterable

from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.model import GenesysUser, Row, Status
from genesys_ad_sync.planning.strangers import in_words
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import SHOWN_USERS

_SHOWN = frozenset({Status.HELD, Status.PLANNED, Status.FAILED})


def note(task: TaskContext, users: Iterable[GenesysUser]) -> None:
    """Keep the names of these users for later tasks of the run."""
    known = task.facts[SHOWN_USERS]
    new = {user.id: in_words(user) for user in users if user.id not in known}
    if new:
        task.facts[SHOWN_USERS] = {**known, **new}


def note_of_rows(task: TaskContext, rows: Iterable[Row]) -> None:
    """Keep the names of the members that rows are about.

    Only what this task has read of them is kept.
    """
    ids = {row.genesys_user_id for row in rows if row.genesys_user_id and row.status in _SHOWN}
    note(task, task.genesys.members(ids).values())


def look_up(task: TaskContext, ids: Iterable[str]) -> dict[str, str]:
    """Return the users in words; ask for unknown users, 50 a request."""
    wanted = set(ids)
    missing = wanted - task.facts[SHOWN_USERS].keys()
    if missing:
        try:
            note(task, task.genesys.users_by_id(sorted(missing)))
        except GenesysError as error:  # the form shows their ids instead
            task.log(f"{len(missing)} Genesys users could not be read for the form: {error}")
    return {id_: text for id_, text in task.facts[SHOWN_USERS].items() if id_ in wanted}
