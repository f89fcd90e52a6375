"""A journal that was lost, or restored from a backup: which definitions are told so, and how often."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from genesys_ad_sync.journal import Journal, RunKey, tables
from genesys_ad_sync.journal.copying import copy_journal, undo_copy
from genesys_ad_sync.journal.database import Database
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.model import Action, DirectoryView, GroupPair, Reason, Row, RunRecord, Status
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.run import journal_identity
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings import parse_definition
from tests.support.journal import T0, advance, begin, change, journal, journal_url  # noqa: F401 (fixtures)

_KEYS = "directory: {group_base: 'OU=x,DC=example,DC=com'}\ngroups: [{name: '(?P<same>.+)', genesys_name: '{same}'}]"
_WAITING = Row(Action.REMOVE, Status.HELD, "G", "u", ("g",), reason=Reason.JOURNAL_RESTORED)


class Company:
    """Definitions that share a journal; ``together``: their report.path, too. ``source``: from where it was moved."""

    source: Database

    def __init__(self, journal: Journal, folder: Path, together: bool = True, names: Sequence[str] = "ab") -> None:
        self.journal = journal
        self.folder = folder
        self.together = together
        self.names = frozenset(names)
        self._minutes = count()

    def reports(self, name: str) -> Path:
        return self.folder / ("reports" if self.together else f"reports-{name}")

    def run(self, name: str, run_id: str = "", *, dry: bool = False, waits: bool = False) -> bool:
        """Do what `poll` and `report` do about it. True: the run was warned.

        ``waits``: a removal of it awaits approval.
        """
        now = T0 + timedelta(minutes=next(self._minutes))
        run_id = run_id or now.isoformat()
        key = RunKey(name, run_id)
        task = self._sync(name, key, now)
        other = journal_identity.journal_was_replaced(task)
        run = begin(self.journal, run_id, key=key, definition=name, dry_run=dry, started_at=now)
        told = journal_identity.begin_distrust(task, run, replaced=other)
        if self.journal.of(name).views.cursor() is None:
            advance(self.journal, DirectoryView(), definition=name)
        if not dry:
            self._note_removals(name, run, now, waiting=waits and bool(told))
            journal_identity.end_distrust(task, compared=())
        self.journal.runs.finish(run, "success", now)
        if not dry:
            journal_identity.stamp_reports(task, run)
        return bool(told)

    def _note_removals(self, name: str, run: RunRecord, now: datetime, *, waiting: bool) -> None:
        """One that awaits approval; or a person has rejected what awaited it until now."""
        if waiting:
            self.journal.of(name).changes.add_compared([change("g", "u", Action.REMOVE)])
        row = _WAITING if waiting else replace(_WAITING, reason=Reason.REJECTED)
        ids = tuple(one.id for one in self.journal.of(name).changes.unsettled() if one.id is not None)
        if ids:
            self.journal.rows.record_outcomes(run, [replace(row, change_ids=ids)], at=now)

    def _sync(self, name: str, key: RunKey, now: Any) -> TaskContext:
        def unused(*_: object) -> Any:
            raise AssertionError("nothing else is needed for it")

        return TaskContext(
            definition=parse_definition(_KEYS, name=name),
            journal=self.journal.of(name),
            key=key,
            task_key="poll",
            directory=unused,
            client=unused,
            api_url=unused,
            client_id=unused,
            reports=ReportStore(self.reports(name)),
            clock=lambda: now,
            sleep=unused,
            log=unused,
            all_definitions=self.names,
        )

    def told(self, names: str, **how: Any) -> str:
        """Those of them, run in that order, that were told."""
        return "".join(name for name in names if self.run(name, **how))

    # -- what befalls the journal --

    def backup(self) -> dict[str, list[Mapping[str, Any]]]:
        with self.journal._database.reading() as connection:
            return {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in tables.metadata.sorted_tables
            }

    def restore(self, copy: Mapping[str, list[Mapping[str, Any]]]) -> None:
        with self.journal._database.writing() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(delete(table))
            for table in tables.metadata.sorted_tables:
                if copy.get(table.name):
                    connection.execute(insert(table), copy[table.name])

    def lose(self) -> None:
        self.restore({"journal_meta": [{"id": 1, "journal_id": tables.new_id(), "run_counter": 0, "fence_counter": 0}]})


@pytest.fixture(params=["one folder", "two folders"])
def company(journal: Journal, tmp_path: Path, request: pytest.FixtureRequest) -> Company:
    """Two definitions that have run."""
    made = Company(journal, tmp_path, together=request.param == "one folder")
    assert made.told("abab") == ""
    return made


def test_of_a_lost_journal_each_definition_is_told_once(company: Company) -> None:
    company.lose()
    assert company.told("aababab") == "ab"


def test_a_definition_is_told_until_nothing_of_it_waits(company: Company) -> None:
    company.lose()
    assert company.told("abab", waits=True) == "abab"
    assert company.told("abab") == "ab"


@pytest.mark.parametrize("runs", ["ab", "ba"])
def test_of_a_restored_journal_each_definition_is_told_once(company: Company, runs: str) -> None:
    copy = company.backup()
    company.told(runs)
    company.restore(copy)
    assert sorted(company.told(runs * 3)) == ["a", "b"]


def test_a_backup_that_is_restored_twice_is_noticed_twice(company: Company) -> None:
    copy = company.backup()
    company.told("ab")
    for _ in range(2):
        company.restore(copy)
        assert company.told("abaabab") == "ab"


def test_a_loss_that_one_finds_out_late_does_not_concern_who_found_it_out_before(company: Company) -> None:
    copy = company.backup()
    company.told("ab")
    company.restore(copy)
    assert company.told("aaaaaa") == "a"  # the counter has grown past what b knows
    assert company.told("baba") == "b"


def test_a_definition_that_the_backup_does_not_know_is_told(journal: Journal, tmp_path: Path) -> None:
    company = Company(journal, tmp_path)
    company.told("a")
    copy = company.backup()
    company.told("ab")
    company.restore(copy)
    assert company.told("aaababab") == "ab"


def test_the_last_report_of_another_tells_that_the_journal_is_older(journal: Journal, tmp_path: Path) -> None:
    company = Company(journal, tmp_path)
    company.told("ab")
    copy = company.backup()
    company.told("b")
    company.restore(copy)
    assert company.told("aabab") == "ab"


def test_a_definition_whose_reports_have_moved_alarms_nobody(journal: Journal, tmp_path: Path) -> None:
    company = Company(journal, tmp_path)
    company.told("ab")
    company.together = False
    company.told("b")
    company.journal.runs.forget("b", T0 + timedelta(days=1))
    company.together = True
    assert company.told("aa") == ""


def test_the_journal_that_was_replaced_by_its_backup_comes_back(company: Company) -> None:
    copy = company.backup()
    company.told("ab")
    newest = company.backup()
    company.restore(copy)
    company.told("ab")
    company.restore(newest)
    assert company.told("ababab") == "ab"


def test_a_dry_run_is_told_and_changes_nothing(company: Company) -> None:
    copy = company.backup()
    company.told("ab")
    for befalls in (lambda: company.restore(copy), company.lose):
        befalls()
        before = company.journal.identity()[0], company.reports("a").joinpath("journal.a.json").read_bytes()
        assert company.told("aa", dry=True) == "aa"
        assert before == (company.journal.identity()[0], company.reports("a").joinpath("journal.a.json").read_bytes())
        assert not company.journal.of("a").restoration.is_active()
        assert company.told("abab") == "ab"


def test_a_run_of_the_same_name_is_not_the_one_that_the_reports_know(company: Company) -> None:
    """The last run, cleared after the journal was restored; a dry one at first."""
    copy = company.backup()
    company.run("a", "last")
    company.restore(copy)
    assert company.run("a", "last", dry=True)
    assert company.run("a", "other")


def test_a_pair_that_a_person_rejected_does_not_keep_the_distrust(company: Company) -> None:
    """No run compares it in full but one in mode full."""
    company.told("a")
    before = company.backup()
    company.told("a")
    pairs = company.journal.of("a").pairs
    company.restore(before)
    pairs.replace([GroupPair("g1", "G", "Voice", 0)], T0, confirmed=())
    pairs.reject([("g1", "G")], run=RunKey("a", "asked"), by="olivia", at=T0)
    assert company.told("a") == "a"
    assert company.told("a") == ""


@pytest.mark.parametrize("befalls", ["nothing", "lost", "restored"])
def test_a_new_definition_is_not_told_of_what_was_before_it(company: Company, befalls: str) -> None:
    copy = company.backup()
    company.told("ab")
    if befalls == "lost":
        company.lose()
    elif befalls == "restored":
        company.restore(copy)
    company.told("ab")
    assert company.told("cabcd") == ""


# -- reports of a former version: one memory for all that share the folder --


@pytest.fixture
def former(journal: Journal, tmp_path: Path) -> Company:
    company = Company(journal, tmp_path)
    company.told("abab")
    known = json.loads((company.reports("a") / "journal.b.json").read_text())
    del known["started_at"], known["definition"]
    for file in company.reports("a").iterdir():
        file.unlink()
    (company.reports("a") / "journal.json").write_text(json.dumps(known))
    return company


def test_after_an_upgrade_nobody_is_told_of_a_whole_journal(former: Company) -> None:
    assert former.told("acac") == ""
    former.journal.runs.forget("b", T0 + timedelta(days=1))
    assert former.told("bacb") == ""


def test_after_an_upgrade_each_is_told_of_a_lost_journal(former: Company) -> None:
    former.lose()
    assert former.told("aababab") == "ab"
    former.names = frozenset("abc")
    assert former.told("cab") == ""


def test_after_an_upgrade_each_is_told_of_a_restored_journal(former: Company) -> None:
    with former.journal._database.writing() as connection:
        connection.execute(update(tables.meta).values(run_counter=1))
    assert former.told("aababab") == "ab"


# -- a journal that was moved --


@pytest.fixture
def copy(company: Company, journal: Journal, journal_url: str, tmp_path: Path) -> Iterator[Journal]:
    """Move the company's journal; the source is ``journal``."""
    source = open_database(journal_url, create=False, moved_too=True)
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    copy_journal(source, url, at=T0)
    company.source = source
    with Journal.open(url) as moved:
        yield moved
    source.engine.dispose()


def test_a_copy_is_the_same_journal_to_the_reports(company: Company, copy: Journal) -> None:
    company.journal = copy
    assert company.told("abab") == ""


def test_a_source_that_was_freed_is_the_same_journal_while_nobody_has_used_the_copy(
    company: Company, copy: Journal
) -> None:
    undo_copy(company.source)
    assert company.told("abab") == ""


def test_a_source_that_was_freed_after_the_copy_was_used_is_distrusted(company: Company, copy: Journal) -> None:
    source, company.journal = company.journal, copy
    company.told("ab")
    undo_copy(company.source)
    company.journal = source
    assert company.told("ababab") == "ab"


def test_a_copy_that_is_used_after_the_source_was_freed_is_distrusted_by_all_that_share_the_reports(
    company: Company, copy: Journal
) -> None:
    undo_copy(company.source)
    company.told("ab")
    company.journal = copy
    for _ in range(5):  # its counter grows past that of the source: only the generation shows what it is
        company.run("b", dry=True)
    if company.together:
        assert company.run("c", dry=True)  # a new definition, which has no report of its own
    assert company.told("ababab") == "ab"
