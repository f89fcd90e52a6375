"""Reads the members that Genesys groups have now.

One group that cannot be read does not stop the others. What concerns all of them does: each would cost requests and
minutes, and would be taken for the trouble of that group.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from genesys_ad_sync.genesys.errors import (
    GenesysError,
    IncompleteListing,
    Throttled,
    concerns_all_groups,
    needs_a_person,
    passes_by_itself,
)
from genesys_ad_sync.model import RefusalKind
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.refusals import note_unreadable_groups

FAILURES_IN_A_ROW = 10
"""Groups in a row that may fail before Genesys itself, or the client, is taken for the cause.

Groups that failed in an earlier run do not count. So the next run gets past groups that only seemed to be all.
"""


def read_present(task: TaskContext, group_ids: Sequence[str]) -> dict[str, tuple[str, ...] | None]:
    """Return the individuals of each group. None: could not be read, which is never "empty".

    A set would take five times the memory of a tuple.

    Raises the GenesysError that concerns all groups: the others are not asked for then, and nothing is known of them.
    """
    errors: dict[str, str | None] = {}  # of the groups that were asked for
    trouble = Trouble({one.genesys_group_id for one in task.journal.refusals.all() if one.kind is RefusalKind.FAILING})

    def read(group_id: str) -> tuple[str, ...] | None:
        if trouble.of_all is not None:
            return None
        try:
            members = tuple(task.genesys.individuals(group_id))
        except GenesysError as error:
            task.log(f"the members of Genesys group {group_id} could not be read, its changes are held: {error}")
            errors[group_id] = str(error)
            trouble.met(group_id, error)
            return None
        errors[group_id] = None
        trouble.served()
        return members

    with ThreadPoolExecutor(max_workers=task.definition.genesys.workers) as pool:
        present = dict(zip(group_ids, pool.map(read, group_ids), strict=True))
    if not task.run.dry_run and not trouble.is_certain:
        note_unreadable_groups(task, errors)
    if trouble.of_all is not None:
        raise trouble.of_all
    return present


class Trouble:
    """Tells one group's trouble from what concerns all. Usable from several threads.

    ``known``: groups that failed in an earlier run. ``of_all``: the error that concerns all groups, if there is one.
    ``is_certain``: that error alone says so; else only their number does.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self.of_all: GenesysError | None = None
        self.is_certain = False
        self._known = frozenset(known)
        self._in_a_row = 0
        self._lock = threading.Lock()

    def served(self) -> None:
        """Note that Genesys answered about a group."""
        with self._lock:
            self._in_a_row = 0

    def met(self, group_id: str, error: GenesysError) -> None:
        """Note that a group could not be read."""
        with self._lock:
            if concerns_all_groups(error) or isinstance(error, Throttled):
                self.of_all, self.is_certain = error, True
            elif isinstance(error, IncompleteListing) or not (needs_a_person(error) or passes_by_itself(error)):
                self._in_a_row = 0  # Genesys answers, and it is about this group
            elif group_id not in self._known:
                self._in_a_row += 1
                if self._in_a_row >= FAILURES_IN_A_ROW:
                    self.of_all = self.of_all or error
