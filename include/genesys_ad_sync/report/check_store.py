"""Stores the tables of mode `check`, and what its tasks hand over, beside the reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genesys_ad_sync.report.file_names import file_stem, short_hash
from genesys_ad_sync.report.files import StorePath, read_content, to_json
from genesys_ad_sync.report.store import ReportStore, read_report


class CheckStore(ReportStore):
    """The reports of a definition, and the tables of its checks."""

    def write_check(self, document: Mapping[str, Any], page: str) -> StorePath:
        """Write the table of a `check` run, and return the JSON file's path.

        The files are `{run_id}.check.json` and `.html`. Raises ReportPathError if the store refuses.
        """
        with self._refusals("written to"):
            path = self._check_path(document["dag_id"], document["run_id"])
            self._make_folder(path.parent)
            self._put(path.with_suffix(".html"), page.encode("utf-8", errors="xmlcharrefreplace"))
            self._put(path, to_json(document))
        return path

    def read_check(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """Return the table of a run of mode `check`, if there is one. Raises ReportPathError."""
        with self._refusals("read from"):
            return read_report(self._check_path(dag_id, run_id))

    def hand_over(self, dag_id: str, run_id: str, content: bytes | None) -> None:
        """Keep what a task of mode `check` leaves for the next one.

        None removes it. Raises ReportPathError.
        """
        with self._refusals("written to"):
            path = self._handover_path(dag_id, run_id)
            if content is None:
                path.unlink(missing_ok=True)
                return
            self._make_folder(path.parent)
            self._put(path, content)

    def handed_over(self, dag_id: str, run_id: str) -> bytes | None:
        """Return what an earlier task left; None if nothing is there. Raises ReportPathError."""
        with self._refusals("read from"):
            path = self._handover_path(dag_id, run_id)
            return read_content(path) if path.exists() else None

    def _check_path(self, dag_id: str, run_id: str) -> StorePath:
        return self._choose(dag_id, run_id, file_stem(run_id), ".check")

    def _handover_path(self, dag_id: str, run_id: str) -> StorePath:
        return self._base / file_stem(dag_id) / f".check-{short_hash(dag_id, run_id)}.handover"
