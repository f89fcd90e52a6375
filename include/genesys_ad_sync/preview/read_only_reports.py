"""Reports of a run that leaves none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from genesys_ad_sync.report import JournalStamp, ReportStore


class ReadOnlyReports(ReportStore):
    """A folder of reports that is read, and never written.

    It is read so that a lost journal is noticed.
    """

    def check_writable(self, dag_id: str | None = None) -> None:
        """Do nothing: nothing will be written."""

    def write(self, *_: object, **__: object) -> Any:
        """Refuse to write."""
        raise AssertionError("a preview writes no report")

    def remember_journal(
        self, definition: str, journal: JournalStamp, *, definitions: Collection[str] | None = None
    ) -> None:
        """Do nothing."""

    def note_run(self, dag_id: str, run_id: str, note: Mapping[str, Any]) -> None:
        """Do nothing."""

    def prune(self, keep_days: int, now: datetime, *, dag_id: str | None = None) -> int:  # noqa: ARG002  its signature
        """Remove nothing."""
        return 0
