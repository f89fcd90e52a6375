"""How a poll learned of its changes: reported by AD, or merely shown.

A reading merely shows a change.
"""

from __future__ import annotations

from collections.abc import Iterable

from genesys_ad_sync.directory import told
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Change, Cursor, DirectoryView, Evidence, Scope


def with_evidence(
    journal: DefinitionJournal,
    scope: Scope,
    cursors: tuple[Cursor, Cursor],
    changes: Iterable[Change],
    before: DirectoryView,
    after: DirectoryView,
    delta: Delta | None,
) -> list[Change]:
    """Return the changes with their evidence.

    ``cursors``: the last one and the new one. ``delta``: what DirSync listed since ``before``; None: nothing.
    """
    doubt = cursors[1].doubted_since is not None
    known = told.with_evidence(changes, before, after, delta, scope.policy, doubt=doubt)
    reported = {(c.group_guid, c.user_guid) for c in known if c.evidence is Evidence.TOLD and c.user_guid}
    if not reported or all(cursor.doubted_since is None for cursor in cursors):
        return known
    return told.only_news(known, journal.changes.polled(reported))
