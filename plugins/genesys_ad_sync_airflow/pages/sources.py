"""What the pages read: the journal, the sync definitions, and reports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.settings import SyncDefinition, find_definitions
from genesys_ad_sync.settings.definition import chosen_folder
from genesys_ad_sync.views.history import History
from genesys_ad_sync_airflow.cli.definitions import folder_below, load_all
from genesys_ad_sync_airflow.journal_connection import journal_address
from genesys_ad_sync_airflow.task_context import report_store, utc_now

if TYPE_CHECKING:
    from genesys_ad_sync.journal import Journal

log = logging.getLogger(__name__)


class Definitions:
    """The sync definitions of a folder, read again when a file has changed."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[Path, int, int], ...] | None = None
        self._loaded: dict[str, SyncDefinition] = {}

    def __call__(self) -> dict[str, SyncDefinition]:
        """Return them by name.

        Empty where the API server has no such folder: pages then lack rules and limits.
        """
        try:
            folder = _folder()
            seen = tuple((path, *_state(path)) for path in find_definitions(folder))
            if seen != self._seen:
                loaded = load_all(folder)
                for text in loaded.errors:
                    log.warning("A sync definition cannot be shown: %s", text)
                self._seen, self._loaded = seen, loaded.definitions
        except (SettingsError, OSError) as error:
            log.debug("The pages show no rules and no limits: %s", error)
            return {}
        return self._loaded


def _folder() -> Path:
    from airflow.configuration import conf

    return chosen_folder() or folder_below(Path(conf.get_mandatory_value("core", "dags_folder")))


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


class OpenJournal:
    """The journal of Airflow's tasks.

    It is opened once for each address, and never made here.
    """

    def __init__(self) -> None:
        self._open: dict[str, Journal] = {}

    def __call__(self) -> Journal:
        """Return it.

        Raises JournalMissing if no run has made it, JournalError if it cannot be opened.
        """
        from genesys_ad_sync.journal import Journal

        address = journal_address()
        key = address.render_as_string(hide_password=False)
        if key not in self._open:
            self._open[key] = Journal.open(address, create=False, upgrade=False)
        return self._open[key]


class Histories:
    """A memory of counts for each journal: the connection may name another one tomorrow."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Journal, History] = WeakKeyDictionary()

    def __call__(self, journal: Journal) -> History:
        """Return what is remembered of a journal."""
        return self._of.setdefault(journal, History())


@dataclass(frozen=True)
class Sources:
    """Where pages get what they show. Tests give others."""

    journal: Callable[[], Journal] = field(default_factory=OpenJournal)
    definitions: Callable[[], dict[str, SyncDefinition]] = field(default_factory=Definitions)
    reports: Callable[[SyncDefinition], ReportStore] = report_store
    clock: Callable[[], datetime] = utc_now
    history: Callable[[Journal], History] = field(default_factory=Histories)
