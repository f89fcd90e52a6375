"""A session for a poll."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genesys_ad_sync.directory.known_controller import on_known_controller
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.run.context import TaskContext


@contextmanager
def directory_session(task: TaskContext) -> Iterator[LdapSession]:
    """Open a session, with the domain controller that was read last if possible.

    It is possible if the connection leaves that open.
    """
    stored = task.journal.views.cursor()
    known = None if stored is None else stored.cursor.domain_controller
    with task.directory() as session, on_known_controller(session, known) as chosen:
        yield chosen
