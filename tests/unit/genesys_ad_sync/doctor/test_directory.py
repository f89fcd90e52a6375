"""Lines about Active Directory that a real Samba cannot be made to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.directory.connection import LdapSettings, Transport
from genesys_ad_sync.directory.entries import DirSyncRefused, Entry
from genesys_ad_sync.directory.objects import ObjectSet
from genesys_ad_sync.doctor import Line, Outcome, run_checks
from genesys_ad_sync.doctor.directory import CHECKS, DirectorySubject
from genesys_ad_sync.doctor.domain_controllers import _certificate, _clock, domain_controllers
from genesys_ad_sync.model import DirectoryGroup, DirectoryView
from tests.support.fake_directory_session import NOW, FakeSession
from tests.support.ldap_listener import accept_login, listening
from tests.support.sync_examples import definition


class RootSession(FakeSession):
    """A session whose root DSE has these levels."""

    levels: tuple[int | None, ...] = (7, 7, 7)

    def search(self, base: str, *_: Any, **__: Any) -> list[Entry]:
        names = ("forestfunctionality", "domainfunctionality", "domaincontrollerfunctionality")
        values = {
            name: [str(level).encode()] for name, level in zip(names, self.levels, strict=True) if level is not None
        }
        return [Entry("", {**values, "defaultnamingcontext": [b"DC=t"]})]

    def read_ranges(self, *_: Any) -> Any:
        return iter(self.found)


def lines_of(key: str, session: Any, found: ObjectSet | None = None) -> list[Line]:
    subject = DirectorySubject(definition(), lambda: None, lambda: NOW, session=session, found=found)  # type: ignore[arg-type,return-value]
    return run_checks([check for check in CHECKS if check[0] == key], subject)


@pytest.mark.parametrize(
    ("levels", "outcome", "words"),
    [
        ((7, 7, 7), Outcome.OK, "forest 2016, domain 2016, domain controller 2016"),
        ((10, 10, 11), Outcome.OK, "forest 2025, domain 2025, domain controller 11"),
        ((2, 2, 4), Outcome.OK, "forest 2003"),
        ((0, 2, 7), Outcome.PROBLEM, "not replicated one by one"),
        ((None, None, None), Outcome.NOT_PROVEN, "does not report"),
    ],
)
def test_a_forest_that_replicates_whole_groups_is_a_problem(
    levels: tuple[int | None, ...], outcome: Outcome, words: str
) -> None:
    session = RootSession()
    session.levels = levels
    [line] = lines_of("directory.functional_level", session)
    assert (line.outcome, words in line.text) == (outcome, True)


def test_a_server_that_refuses_dirsync_is_a_problem() -> None:
    session = RootSession(syncs=[DirSyncRefused("dc1 refuses DirSync (8: insufficientAccessRights).")])
    [line] = lines_of("directory.dirsync", session)
    assert line.outcome is Outcome.PROBLEM
    assert "Replicating Directory Changes" in (line.what_to_do or "")


@pytest.mark.parametrize(
    ("values", "outcome", "words"),
    [
        (
            b"<pszAttributeName>member</pszAttributeName><pszObjectDn>CN=a</pszObjectDn>"
            b"<ftimeLastOriginatingChange>2026-01-01T00:00:00Z</ftimeLastOriginatingChange>",
            Outcome.OK,
            "The server shows when",
        ),
        (b"<pszAttributeName>member</pszAttributeName><pszObjectDn>CN=a</pszObjectDn>", Outcome.NOTE, "0 of 1 records"),
        (b"", Outcome.NOTE, "does not show when"),
    ],
)
def test_times_of_memberships_are_told_as_far_as_they_are_understood(
    values: bytes, outcome: Outcome, words: str
) -> None:
    group = DirectoryGroup("11111111-1111-1111-1111-111111111111", "CN=g", "g", None, None, in_scope=True)
    found = ObjectSet(view=DirectoryView(groups={group.guid: group}, members={group.guid: {"22222222"}}))
    session = RootSession(found=[[values]] if values else [])
    [line] = lines_of("directory.link_times", session, found)
    assert (line.outcome, words in line.text) == (outcome, True)


@pytest.mark.parametrize(
    ("seconds", "outcome", "words"),
    [
        (0, Outcome.OK, "Both clocks agree"),
        (-299, Outcome.OK, "299 s behind"),
        (301, Outcome.PROBLEM, "301 s ahead"),
        (-301, Outcome.PROBLEM, "301 s behind"),
    ],
)
def test_clocks_that_differ_by_more_than_five_minutes_are_a_problem(seconds: int, outcome: Outcome, words: str) -> None:
    line = _clock("dc1", NOW + timedelta(seconds=seconds), NOW)
    assert (line.outcome, words in line.text) == (outcome, True)


@pytest.mark.parametrize(
    ("days", "outcome", "words"),
    [
        (31, Outcome.OK, "31 days"),
        (29, Outcome.NOTE, "29 days"),
        (0, Outcome.NOTE, "0 days"),
        (None, Outcome.NOTE, "None"),
    ],
)
def test_a_certificate_says_how_many_days_are_left(days: int | None, outcome: Outcome, words: str) -> None:
    ends = None if days is None else NOW + timedelta(days=days, hours=1)
    line = _certificate("dc1", ends, NOW)
    assert (line.outcome, words in line.text) == (outcome, True)


def test_a_login_that_was_not_checked_is_no_wrong_login() -> None:
    with listening(lambda request: accept_login(request, 49, b"80090308: AcceptSecurityContext error, data 51f")) as dc:
        settings = LdapSettings((f"127.0.0.1:{dc.port}",), "svc@t", "x", transport=Transport.PLAIN, receive_timeout=5)
        lines = {line.check: line for line, _ in domain_controllers(settings, lambda: NOW)}
    assert lines["directory.host"].outcome is Outcome.OK
    assert "another login need not help" in str(lines["directory.login"].what_to_do)


def test_without_a_session_every_line_that_needs_one_is_not_proven() -> None:
    subject = DirectorySubject(definition(), lambda: None, lambda: NOW)  # type: ignore[arg-type,return-value]
    lines = run_checks(CHECKS[2:], subject)
    assert {line.outcome for line in lines} == {Outcome.NOT_PROVEN}
    assert [line.check for line in lines] == [key for key, _ in CHECKS[2:]]
