"""Which journal wrote the reports here last, for each sync definition.

Each definition has a file of its own beside the reports, `journal.{definition}.json`: definitions that share the
folder may end runs at the same moment, and a bucket has no locks. Copies of these files have other names. They do not
count.

Earlier versions kept all definitions in one file, `journal.json`, and before that one entry for all. That file is
still read, and a worker of such a version may still write it. Of two stamps of one journal, the later one counts.
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
_OWN_FILES = re.compile(r"journal\..+\.json")


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
        common = self._common()
        own: dict[str | None, JournalStamp] = {}
        with self._refusals("read from"):
            names = [name for name in self._names() if _OWN_FILES.fullmatch(name)]
        for name in names:
            own |= self._own_in(name)
        return _together(common, own)

    def remember_journal(
        self, definition: str, journal: JournalStamp, *, definitions: Collection[str] | None = None
    ) -> None:
        """Store the journal, and the run that it must know from now on.

        Runs may end in another order than they began: the counter of one journal does not go back for that. Of two
        runs of one definition that store at the same moment, the last one counts.
        ``definitions``: all that exist; each gets what an earlier version stored for all. None: not known.
        Raises ReportPathError if the store refuses.
        """
        common, own_file = self._common(), _own_file(definition)
        seen = _together(common, self._own_in(own_file))
        before = seen.get(definition, seen.get(None))
        if before and before.journal_id == journal.journal_id:
            journal = replace(journal, run_counter=max(journal.run_counter, before.run_counter))
        with self._refusals("written to"):
            self._make_folder(self._base)
            self._settle_common(common, definition, definitions)
            self._put(self._base / own_file, to_json({"definition": definition} | _as_entry(journal)))

    def _settle_common(
        self, common: Mapping[str | None, JournalStamp], definition: str, definitions: Collection[str] | None
    ) -> None:
        """Bring the file of earlier versions into a form that stays true.

        Each definition gets what was stored for all; one that is added later does not inherit it. The run of this
        definition goes: the journal forgets it one day, and the entry counts again if the own file is removed.
        """
        settled = dict(common)
        if definitions and None in settled:
            heirs: Collection[str | None] = definitions
            settled = dict.fromkeys(heirs, _without_run(settled.pop(None))) | settled
        if definition in settled:
            settled[definition] = _without_run(settled[definition])
        if settled != common:
            content = _as_entry(settled.pop(None)) if None in settled else {}
            content["definitions"] = {name: _as_entry(stamp) for name, stamp in settled.items()}
            self._put(self._base / _COMMON_FILE, to_json(content))

    def _common(self) -> dict[str | None, JournalStamp]:
        """Return what earlier versions stored in one file."""
        return self._stamps_in(self._base / _COMMON_FILE, _in_common_file)

    def _own_in(self, name: str) -> dict[str | None, JournalStamp]:
        """Return what a definition has in its own file.

        Empty if the file is missing, or has another name than that definition's.
        """
        found = self._stamps_in(self._base / name, _in_own_file)
        return {one: stamp for one, stamp in found.items() if one and _own_file(one) == name}

    def _names(self) -> list[str]:
        """Return the names of what is in the folder; empty if there is none."""
        try:
            local = local_path(self._base)
            if local is not None:
                return [path.name for path in local.iterdir()]
            files = self._base.fs
            files.invalidate_cache()  # fsspec keeps listings, and another worker may have added a file
            return [str(path).rstrip("/").rpartition("/")[2] for path in files.ls(self._base.path, detail=False)]
        except FileNotFoundError:
            return []

    def _stamps_in(
        self, path: StorePath, parse: Callable[[Any], dict[str | None, JournalStamp]]
    ) -> dict[str | None, JournalStamp]:
        with self._refusals("read from"):
            try:
                content = read_content(path)
            except (FileNotFoundError, IsADirectoryError):
                return {}
        try:
            return parse(json.loads(content))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ReportPathError(
                f"{path} cannot be understood, so it is not known which journal wrote these reports. "
                "Restore it. Remove it only if the journal is still the one that wrote the reports, and not a "
                "backup of it."
            ) from error


def _own_file(definition: str) -> str:
    stem = file_stem(definition)
    if stem != definition.lower():  # another name may have the same stem, or differ from it by case alone
        stem = f"{stem}-{short_hash(definition)}"
    return f"journal.{stem}.json"


def _in_common_file(known: Any) -> dict[str | None, JournalStamp]:
    stamps: dict[str | None, JournalStamp] = {}
    if "journal_id" in known or "definitions" not in known:
        stamps[None] = _as_stamp(known)
    return stamps | {name: _as_stamp(entry) for name, entry in known.get("definitions", {}).items()}


def _in_own_file(known: Any) -> dict[str | None, JournalStamp]:
    if "definition" not in known:
        _in_common_file(known)  # raises if this is not a copy of the file of earlier versions either
        return {}
    return {str(known["definition"]): _as_stamp(known)}


def _together(
    common: Mapping[str | None, JournalStamp], own: Mapping[str | None, JournalStamp]
) -> dict[str | None, JournalStamp]:
    seen = dict(common)
    if own and None in seen:
        seen[None] = _without_run(seen[None])
    for name, stamp in own.items():
        seen[name] = _later(stamp, seen.get(name))
    return seen


def _later(own: JournalStamp, common: JournalStamp | None) -> JournalStamp:
    """Return the later of two stamps of one journal; of two journals, the own one."""
    if common is None or common.journal_id != own.journal_id:
        return own
    return max(own, common, key=lambda stamp: (stamp.generation, stamp.run_counter))


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
