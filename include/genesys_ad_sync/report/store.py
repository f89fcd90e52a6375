"""Reports as files below one folder. The content of a report does not matter here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.errors import ReportPathError
from genesys_ad_sync.report.csv_table import render_csv
from genesys_ad_sync.report.file_names import file_stem, short_hash
from genesys_ad_sync.report.files import StorePath, read_content, to_json
from genesys_ad_sync.report.journal_stamps import JournalStamps
from genesys_ad_sync.report.page import render_page
from genesys_ad_sync.this_machine import is_open_to_others, local_path

_BESIDE = (".html", ".csv")
"""The other files of a report, beside its JSON file."""


class ReportStore(JournalStamps):
    """Reports of all DAGs that share one `report.path`.

    File names: characters outside ``[A-Za-z0-9._-]`` become ``_``. Two runs may then have one name (``a:b`` and
    ``a/b``; ``a``'s attempt 1 and the run ``a.1``). The second of them gets ``-`` and eight hex digits of a hash of
    its (dag_id, run_id) behind the name, so that a file never changes its owner. A name above 200 characters always
    gets them. `path_for` finds the right one.
    """

    # -- reports --------------------------------------------------------------------------------------

    def path_for(self, dag_id: str, run_id: str) -> StorePath:
        """Return the path of the run's newest report, existing or not.

        The page is the `.html` of that name.
        """
        return self._choose(dag_id, run_id, file_stem(run_id), "")

    def check_writable(self, dag_id: str | None = None) -> None:
        """Create the folders, and write, read and remove a file in each.

        They are the folder of reports and that of the DAG. Call it before anything is written anywhere else. Raises
        ReportPathError if any of that is refused.
        """
        for folder in filter(None, (self._base, self._base / file_stem(dag_id) if dag_id else None)):
            probe = folder / f".probe-{self._token()}.tmp"
            with self._refusals("written to"):
                self._make_folder(folder)
                self._write(probe, b"probe")
                came_back = read_content(probe)
                probe.unlink()
            if came_back != b"probe":
                raise ReportPathError(
                    f"Reports cannot be kept in {self._base}: a file that was written there is read back differently."
                )

    def write(self, report: Mapping[str, Any], member_names: Mapping[str, str] | None = None) -> StorePath:
        """Write the JSON file, the page and the CSV file.

        Returns the path of the JSON file.
        ``member_names``: by Genesys user id, for the page only.

        A report of an earlier attempt is kept as `{run_id}.{attempt}.json`, `.html` and `.csv` first; one of the same
        attempt is replaced. A late report of an earlier attempt never displaces a newer one: it gets the numbered
        name. On a local disk each file is replaced in one step, as object stores always do.
        Raises ReportPathError if the store refuses.
        """
        dag_id, run_id, attempt = report["dag_id"], report["run_id"], report["attempt"]
        page = render_page(report, member_names)
        # with a mark of its encoding: without, Excel takes the file for an older one and garbles names
        table = render_csv(report).encode("utf-8-sig", errors="backslashreplace")
        with self._refusals("written to"):
            path = self.path_for(dag_id, run_id)
            self._make_folder(path.parent)
            present = read_report(path)
            if present and present["attempt"] > attempt:
                path = self._numbered(dag_id, run_id, attempt)
            elif present and present["attempt"] < attempt:
                self._keep(path, self._numbered(dag_id, run_id, present["attempt"]))
            # The JSON file last, so that it never lacks the others.
            self._put(path.with_suffix(".html"), page.encode("utf-8", errors="xmlcharrefreplace"))
            self._put(path.with_suffix(".csv"), table)
            self._put(path, to_json(report))
        return path

    def read(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """Return the newest report of the run, if any.

        Raises ReportPathError if it cannot be read.
        """
        with self._refusals("read from"):
            path = self.path_for(dag_id, run_id)
            report = read_report(path)
            if report is None and path.exists():
                raise ReportPathError(f"{path} is not a report. Move it away, and run the report task again.")
            return report

    def prune(self, keep_days: int, now: datetime, *, dag_id: str | None = None) -> int:
        """Remove reports older than ``keep_days``, and return how many.

        The age is that of their `timestamp`. The files beside them go, too. Nothing else is removed. ``dag_id``:
        reports of that DAG only, because definitions that share a folder may keep theirs for different times. Raises
        ReportPathError if the store refuses.
        """
        if keep_days < 1:
            raise ValueError(f"keep_days must be 1 or more, not {keep_days}")
        limit = now - timedelta(days=keep_days)
        removed = 0
        with self._refusals("removed from"):
            for path in self._report_files(dag_id):
                changed = _changed_at(path)
                if changed is not None and changed >= limit.timestamp():
                    continue  # written since: no need to read it
                report = read_report(path)
                if report is None or (dag_id is not None and report["dag_id"] != dag_id):
                    continue
                if _written_at(report) < limit:
                    for suffix in _BESIDE:
                        path.with_suffix(suffix).unlink(missing_ok=True)
                    path.unlink(missing_ok=True)
                    self._forget_note(report["dag_id"], report["run_id"], limit)
                    removed += 1
        return removed

    def _forget_note(self, dag_id: str, run_id: str, limit: datetime) -> None:
        """Delete the note of a run, unless the run has begun again since."""
        path = self._note_path(dag_id, run_id)
        noted = _changed_at(path) if path.exists() else None
        if noted is None or noted < limit.timestamp():
            path.unlink(missing_ok=True)

    def note_run(self, dag_id: str, run_id: str, note: Mapping[str, Any]) -> None:
        """Keep a note beside the reports of a run that has begun. Raises ReportPathError."""
        with self._refusals("written to"):
            path = self._note_path(dag_id, run_id)
            self._make_folder(path.parent)
            self._put(path, to_json(note))

    def noted_run(self, dag_id: str, run_id: str) -> dict[str, Any] | None:
        """Return the note of a run; None if there is none. Raises ReportPathError."""
        with self._refusals("read from"):
            path = self._note_path(dag_id, run_id)
            note: dict[str, Any] | None = json.loads(read_content(path)) if path.exists() else None
        return note

    def _note_path(self, dag_id: str, run_id: str) -> StorePath:
        return self._base / file_stem(dag_id) / f".{short_hash(dag_id, run_id)}.run"

    def warning(self, dag_id: str) -> str | None:
        """Return a warning if everybody may list a DAG's reports although `mode` denies it.

        None: it is not so.
        """
        folder = local_path(self._base / file_stem(dag_id))
        with self._refusals("read from"):
            if self._mode & 0o004 or folder is None or not folder.exists() or not is_open_to_others(folder):
                return None
        return (
            f"everybody on this machine may list the reports in {folder} and read those of earlier versions. They hold "
            f"names. Take the right away (chmod -R o-rwx '{folder.parent}'), or set report.mode of the definition"
        )

    # -- names ----------------------------------------------------------------------------------------

    def _choose(self, dag_id: str, run_id: str, stem: str, number: str) -> StorePath:
        """Return the plain name, unless another run has it; then the name with the hash."""
        folder = self._base / file_stem(dag_id)
        plain = folder / f"{stem}{number}.json"
        hashed = folder / f"{stem}-{short_hash(dag_id, run_id)}{number}.json"
        with self._refusals("read from"):
            if not plain.exists():
                # The run that had the plain name when this one took the other may be pruned by now.
                return hashed if hashed.exists() else plain
            owner = read_report(plain)
        return plain if owner and (owner["dag_id"], owner["run_id"]) == (dag_id, run_id) else hashed

    def _numbered(self, dag_id: str, run_id: str, attempt: int) -> StorePath:
        return self._choose(dag_id, run_id, file_stem(run_id), f".{attempt}")

    # -- files ----------------------------------------------------------------------------------------

    def _keep(self, path: StorePath, kept: StorePath) -> None:
        """Copy a report and the files beside it.

        A rename would leave a moment without a report. Tasks of one attempt may write at the same time. A task that
        reads here what another has replaced already reads it after that task made the copy. Hence first read, then look
        for the copy, then write, the JSON file last.
        """
        beside = [(suffix, path.with_suffix(suffix)) for suffix in _BESIDE]
        contents = [(suffix, read_content(file)) for suffix, file in beside if file.exists()]
        content = read_content(path)
        if kept.exists():
            return
        for suffix, other in contents:
            self._put(kept.with_suffix(suffix), other)
        self._put(kept, content)

    def _report_files(self, dag_id: str | None) -> Iterator[StorePath]:
        if not self._base.exists():
            return
        folders = self._base.iterdir() if dag_id is None else [self._base / file_stem(dag_id)]
        for folder in [folder for folder in folders if folder.is_dir()]:
            yield from [path for path in folder.iterdir() if path.suffix == ".json" and path.is_file()]


def read_report(path: StorePath) -> dict[str, Any] | None:
    """Return the content of a report file; None if there is none.

    None also if it is not a report.
    """
    try:
        content = json.loads(read_content(path))
        is_report = isinstance(content, dict) and _is_ours(content) and _written_at(content).tzinfo
    except (FileNotFoundError, ValueError):
        return None
    return content if is_report else None


_OWNER_KEYS = frozenset({"schema_version", "dag_id", "run_id", "attempt", "timestamp"})


def _is_ours(content: Mapping[str, Any]) -> bool:
    """Tell whether it is a report, or the table of a run of mode `check`."""
    return _OWNER_KEYS.issubset(content) and ("details" in content or "lines" in content)


def _written_at(report: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(report["timestamp"]).replace("Z", "+00:00"))


def _changed_at(path: StorePath) -> float | None:
    """Return the time of the last change, if the store knows it.

    It is in seconds since 1970. None also if another run has removed the file meanwhile.
    """
    try:
        return float(path.stat().st_mtime)
    except (AttributeError, KeyError, TypeError, ValueError, FileNotFoundError):
        return None
