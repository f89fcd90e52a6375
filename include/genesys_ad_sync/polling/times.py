"""Times of changes, as Active Directory keeps them, where a window may depend on them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from genesys_ad_sync.directory.link_metadata import MetadataReader, changes_hidden, guids_by_dn, links_of, time_of
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.model import Change, DirectoryView, Guid, Window
from genesys_ad_sync.polling.notes import note_on_hidden_changes
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.settings.values import has_tick

SMALL_GROUP = 1000
"""Members of a group whose records come in one request or two."""


class ChangeTimes:
    """Gives changes AD's own times.

    A time decides which window a change belongs to. Between two polls without the border of a window, it decides
    nothing: then only the records of small groups are read, for the report.
    """

    def __init__(self, metadata: MetadataReader, definition: SyncDefinition, window: Window | None) -> None:
        self._metadata = metadata
        self._definition = definition
        self._window = window
        self._hidden = 0  # changes that AD counts and does not list

    def of(
        self, changes: Sequence[Change], before: DirectoryView, after: DirectoryView, delta: Delta | None
    ) -> list[Change]:
        """Return the changes with AD's own times, where it keeps them.

        With a ``delta``, only by links that it lists: a user who was enabled came in today, however old the membership
        is.
        """
        wanted = links_of(changes, delta)
        if not self._has_border(changes):
            wanted = {guid: members for guid, members in wanted.items() if _size(guid, before, after) <= SMALL_GROUP}
        if not wanted or self._metadata.supported is False:
            return list(changes)
        history = self._metadata.history(wanted, functools.cache(lambda: guids_by_dn(before, after)))
        if not self._metadata.supported:
            return list(changes)
        self._hidden += sum(changes_hidden(change, history) for change in changes)
        return [_timed(change, time_of(change, history, delta)) for change in changes]

    def notes(self) -> list[str]:
        """Return notes on what the records do not show."""
        return [*note_on_hidden_changes(self._hidden), *self._metadata.notes()]

    def _has_border(self, changes: Iterable[Change]) -> bool:
        spans = {(change.observed_after, change.observed_at) for change in changes}
        own = [] if self._window is None else [self._window.start, self._window.end]
        return any(
            after is None
            or has_tick(self._definition.schedule, self._definition.timezone, after, until)
            or any(border is not None and after < border <= until for border in own)
            for after, until in spans
        )


def _size(group: Guid, before: DirectoryView, after: DirectoryView) -> int:
    return max(len(view.members.get(group, ())) for view in (before, after))


def _timed(change: Change, at: datetime | None) -> Change:
    return change if at is None else replace(change, changed_at=at)
