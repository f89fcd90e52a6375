"""The checks of the journal and the folder of reports.

They show where both are, whether they can be written, and whether they fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import URL

from genesys_ad_sync.doctor.lines import Check, Line, NotReached, NotTried, note, ok, problem, run_checks
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.examination import Examined, examine, try_to_write
from genesys_ad_sync.report.store import ReportStore

_LARGE = 10 * 2**30  # bytes


@dataclass
class JournalSubject:
    """What the checks of the journal share. A context manager: leaving it closes the journal.

    ``address`` raises JournalError, ``reports`` ReportPathError. ``journal``: open if its tables are those of this
    version; else opening it would upgrade them.
    """

    definition: str
    dag_id: str
    address: Callable[[], URL]
    reports: Callable[[], ReportStore]
    found: Examined | None = None
    journal: Journal | None = None
    has_reports: bool = False

    def need_found(self) -> Examined:
        """Return what was found. Raises NotReached if the journal is not reached."""
        if self.found is None:
            raise NotTried("Not tried: the journal is not reached, see the line above.")
        return self.found

    def __enter__(self) -> JournalSubject:
        return self

    def __exit__(self, *_: object) -> None:
        if self.journal is not None:
            self.journal.close()


def check_journal(subject: JournalSubject) -> list[Line]:
    """Try the journal and the folder of reports. A probe in each is removed again."""
    return run_checks(CHECKS, subject)


def _place(subject: JournalSubject) -> Iterator[Line]:
    key = "journal.place"
    subject.found = examine(subject.address())
    text = f"{subject.found.engine}: {subject.found.name}"
    if subject.found.encrypted is False:
        yield note(
            key,
            f"{text}. The connection to it is not encrypted.",
            "Add `sslmode` to the URL of group_sync_journal: verify-full, with `sslrootcert`.",
        )
    else:
        yield ok(key, text)


def _tables(subject: JournalSubject) -> Iterator[Line]:
    key, found = "journal.tables", subject.need_found()
    if found.is_current:
        subject.journal = Journal.open(subject.address(), create=False)
        yield ok(key, f"Its tables are those of this version ({found.version}).")
    elif found.is_newer:
        yield problem(key, f"A newer version of genesys-ad-sync wrote it: its tables are at {found.version}.")
    elif found.version is None:
        yield note(key, "There is no journal yet. The first run creates it.")
    else:
        yield note(key, f"Its tables are at {found.version}. The next run upgrades them.", "Make a backup first.")


def _write(subject: JournalSubject) -> Iterator[Line]:
    subject.need_found()
    if try_to_write(subject.address()):
        yield ok("journal.write", "It can be written, and tables can be made.")
    else:
        yield ok("journal.write", "Its folder can be written.")


def _size(subject: JournalSubject) -> Iterator[Line]:
    key, found = "journal.size", subject.need_found()
    if found.size is None:
        yield ok(key, "Nothing yet.")
        return
    text = f"{found.size / 2**20:,.1f} MB"
    if found.size > _LARGE:
        yield note(key, text, "Lower `report.keep_days`, and compact the database (VACUUM).")
    else:
        yield ok(key, text)


def _shared(subject: JournalSubject) -> Iterator[Line]:
    key, found = "journal.shared", subject.need_found()
    if found.engine == "sqlite":
        yield note(
            key,
            "A file: only processes of this machine reach it, or of machines that share its volume.",
            "With workers on several machines, set the connection group_sync_journal to a PostgreSQL database.",
        )
    else:
        yield ok(key, "A server: every worker can reach it.")


def _report_path(subject: JournalSubject) -> Iterator[Line]:
    reports = subject.reports()
    reports.check_writable(subject.dag_id)
    subject.has_reports = True
    yield ok("reports.path", f"{reports.place}: a file was written, read and removed.")


def _identity(subject: JournalSubject) -> Iterator[Line]:
    key = "journal.identity"
    if not subject.has_reports:
        raise NotTried("Not tried: the reports cannot be read, see the line above.")
    seen = subject.reports().last_seen_journals()
    if not seen:
        yield ok(key, "No run has written a report there yet.")
        return
    if subject.journal is None:
        if subject.need_found().version is None:
            yield problem(key, "Reports were written by a journal, but this place has none.")
            return
        raise NotReached("Not tried: the tables of the journal are of another version.")
    journal_id, run_counter = subject.journal.identity()
    mine = seen.get(subject.definition, seen.get(None))
    if mine is not None and mine.journal_id != journal_id:
        yield problem(key, "A different journal wrote the last report.")
    elif any(stamp.journal_id == journal_id and stamp.run_counter > run_counter for stamp in seen.values()):
        yield problem(key, "This journal is older than the reports say: it was restored from a backup.")
    else:
        yield ok(key, "The journal and the reports belong together.")


CHECKS: tuple[Check[JournalSubject], ...] = (
    ("journal.place", _place),
    ("journal.tables", _tables),
    ("journal.write", _write),
    ("journal.size", _size),
    ("journal.shared", _shared),
    ("reports.path", _report_path),
    ("journal.identity", _identity),
)
