"""Which journal wrote the reports here last, for each sync definition.

Each definition has a file of its own beside the reports, `journal.{definition}.json`: definitions that share the
folder may end runs at the same moment, and a bucket has no locks.

Earlier versions kept all definitions in one file, `journal.json`, and before that one entry for all. That file is
still read. What a definition has in its own file counts instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from genesys_ad_sync.errors import ReportPathError
from genesys_ad_sync.report.file_names import file_stem, short_hash
from genesys_ad_sync.report.files import ReportFiles, StorePath, read_content, to_json
from genesys_ad_sync.this_machine import local_path

_COMMON_FILE = "journal.json"
_OWN_FILE = re.compile(r"journal\..+\.json")


@dataclass(frozen=True)
class JournalStamp:
    """The journal and the run that wrote reports here last.

    It has also the number of runs that the journal had counted by then.
    """

    journal_id: str
    run_counter: int
    run: tuple[str, str, int] | None = None  # dag_id, run_id, attempt
    started_at: datetime | None = None  # of that run; None: an earlier version did not store it
    generation: int = 1  # of the journal: it grows when the journal is moved to another database


class JournalStamps(ReportFiles):
    """The journals that wrote reports in a folder."""

    def last_seen_journals(self) -> dict[str | None, JournalStamp]:
        """Return by sync definition what `remember_journal` stored last; empty if it never did.

        The key None: what earlier versions stored, once for all; it counts for each definition without an entry.
        Raises ReportPathError if a file exists but cannot be understood: that is not the same as none.
        """
        common, own = self._common(), self._own()
        if own and None in common:
            common[None] = _without_run(common[None])
        return common | own

    def remember_journal(
        self, definition: str, journal: JournalStamp, *, definitions: Collection[str] | None = None
    ) -> None:
        """Store the journal, and the run that it must know from now on.

        The counter of one journal never goes back, since runs may end in another order than they began. Of two
        runs of one definition that store at the same moment, the last one counts.
        ``definitions``: all that exist; each gets what an earlier version stored for all. None: not known.
        Raises ReportPathError if the store refuses.
        """
        seen = self.last_seen_journals()
        before = seen.get(definition, seen.get(None))
        if before and before.journal_id == journal.journal_id:
            journal = replace(journal, run_counter=max(journal.run_counter, before.run_counter))
        with self._refusals("written to"):
            self._make_folder(self._base)
            if None in seen and definitions:
                self._share_out(definitions)
            self._put(self._own_file(definition), to_json({"definition": definition} | _as_entry(journal)))

    def _share_out(self, definitions: Collection[str]) -> None:
        """Give what an earlier version stored for all to each definition.

        A definition that is added later does not inherit it.
        """
        common = self._common()
        if None not in common:  # another definition's run did it meanwhile
            return
        heirs = dict.fromkeys(definitions, _without_run(common.pop(None)))
        entries = {name: _as_entry(stamp) for name, stamp in (heirs | common).items()}
        self._put(self._base / _COMMON_FILE, to_json({"definitions": entries}))

    def _own_file(self, definition: str) -> StorePath:
        stem = file_stem(definition)
        return self._base / f"journal.{stem if stem == definition else f'{stem}-{short_hash(definition)}'}.json"

    def _common(self) -> dict[str | None, JournalStamp]:
        """Return what earlier versions stored in one file."""
        return self._stamps_in(self._base / _COMMON_FILE, _in_common_file)

    def _own(self) -> dict[str | None, JournalStamp]:
        """Return what the definitions have in files of their own."""
        with self._refusals("read from"):
            if local_path(self._base) is None:
                self._base.fs.invalidate_cache()  # fsspec keeps listings, and another worker may have added a file
            found = self._base.iterdir() if self._base.exists() else ()
            files = [path for path in found if _OWN_FILE.fullmatch(path.name)]
        stamps: dict[str | None, JournalStamp] = {}
        for path in files:
            stamps |= self._stamps_in(path, lambda known: {str(known["definition"]): _as_stamp(known)})
        return stamps

    def _stamps_in(
        self, path: StorePath, parse: Callable[[Any], dict[str | None, JournalStamp]]
    ) -> dict[str | None, JournalStamp]:
        with self._refusals("read from"):
            try:
                content = read_content(path)
            except FileNotFoundError:
                return {}
        try:
            return parse(json.loads(content))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise ReportPathError(
                f"{path} cannot be understood, so it is not known which journal wrote these reports. "
                "Restore it. Remove it only if the journal is still the one that wrote the reports, and not a "
                "backup of it."
            ) from error


def _in_common_file(known: Any) -> dict[str | None, JournalStamp]:
    stamps: dict[str | None, JournalStamp] = {}
    if "journal_id" in known or "definitions" not in known:
        stamps[None] = _as_stamp(known)
    return stamps | {name: _as_stamp(entry) for name, entry in known.get("definitions", {}).items()}


def _without_run(stamp: JournalStamp) -> JournalStamp:
    """Return the stamp for a definition that may not be the run's own.

    The run's own definition lets the journal forget it one day.
    """
    return replace(stamp, run=None, started_at=None)


def _as_stamp(entry: Mapping[str, Any]) -> JournalStamp:
    run, started_at = entry.get("run"), entry.get("started_at")
    return JournalStamp(
        str(entry["journal_id"]),
        int(entry["run_counter"]),
        (str(run[0]), str(run[1]), int(run[2])) if run else None,
        datetime.fromisoformat(started_at) if started_at else None,
        int(entry.get("generation", 1)),
    )


def _as_entry(stamp: JournalStamp) -> dict[str, Any]:
    entry: dict[str, Any] = {"journal_id": stamp.journal_id, "run_counter": stamp.run_counter}
    if stamp.generation > 1:
        entry["generation"] = stamp.generation
    if stamp.run:
        entry["run"] = list(stamp.run)
    if stamp.started_at:
        entry["started_at"] = stamp.started_at.isoformat()
    return entry
