"""How checks are run, what they are called, and what to do about each error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genesys_ad_sync.doctor import Line, NotReached, Outcome, run_checks
from genesys_ad_sync.doctor.catalogue import CATALOGUE
from genesys_ad_sync.doctor.lines import AFTER_ANOTHER, NotTried, note, ok, problem
from genesys_ad_sync.doctor.remedies import remedy_of
from genesys_ad_sync.errors import DirectoryRefused, GroupSyncError
from genesys_ad_sync.genesys import errors as genesys


def _good(_: None) -> Iterator[Line]:
    yield ok("journal.size", "fine")


def _half(_: None) -> Iterator[Line]:
    yield ok("directory.host", "the first one")
    raise DirectoryRefused("dc2 broke off. Run again.")


def _defect(_: None) -> Iterator[Line]:
    yield from ()
    raise KeyError("Ann Smith <ann@example.com>")


def _waiting(_: None) -> Iterator[Line]:
    yield from ()
    raise NotReached("Not tried: see above.")


def test_a_check_that_fails_in_whatever_way_stops_no_other_and_keeps_its_lines() -> None:
    checks = (
        ("directory.host", _half),
        ("directory.dirsync", _defect),
        ("directory.canary", _waiting),
        ("journal.size", _good),
    )
    lines = run_checks(checks, None)
    assert [(line.check, line.outcome) for line in lines] == [
        ("directory.host", Outcome.OK),
        ("directory.host", Outcome.PROBLEM),
        ("directory.dirsync", Outcome.PROBLEM),
        ("directory.canary", Outcome.NOT_PROVEN),
        ("journal.size", Outcome.OK),
    ]


def test_a_line_that_waits_for_another_does_not_send_the_reader_elsewhere() -> None:
    def blocked(_: None) -> Iterator[Line]:
        yield from ()
        raise NotTried("Not tried: see above.")

    [line] = run_checks((("directory.functional_level", blocked),), None)
    assert (line.outcome, line.what_to_do) == (Outcome.NOT_PROVEN, AFTER_ANOTHER)
    [line] = run_checks((("directory.canary", _waiting),), None)
    assert line.what_to_do == CATALOGUE["directory.canary"].remedy


def test_a_defect_shows_its_kind_and_not_its_text_which_may_name_people() -> None:
    [line] = run_checks((("directory.dirsync", _defect),), None)
    assert "KeyError" in line.text
    assert "Ann" not in f"{line.text} {line.what_to_do}"


def test_problems_and_open_lines_always_have_a_remedy_and_others_only_their_own() -> None:
    for key, entry in CATALOGUE.items():
        assert entry.remedy
        assert problem(key, "x").what_to_do == entry.remedy
        assert problem(key, "x", "do this").what_to_do == "do this"
        assert (ok(key, "x").what_to_do, note(key, "x").what_to_do) == (None, None)
        assert note(key, "x", "do this").what_to_do == "do this"


ADDRESS = "list of allowed IP addresses"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (genesys.AuthenticationFailed("It says: IP address is not allowed", status=403), ADDRESS),
        (genesys.AuthenticationFailed("It says: denied", status=403, code="access_denied"), ADDRESS),
        (genesys.PermissionMissing("x. Genesys says: The IP address 10.0.0.1 is not allowed"), ADDRESS),
        (genesys.AuthenticationFailed("no. A guess: the allowed IP addresses may lack this one"), "Client Credentials"),
        (genesys.PermissionMissing("x", permissions=("directory:group:edit",)), "directory:group:edit, and"),
        (genesys.PermissionMissing("x", permissions=("directory:group:edit",), is_guess=True), "a guess"),
        (genesys.PermissionMissing("x"), "Private Group"),
        (genesys.IncompleteListing("1 of 2"), "Private Group"),
        (genesys.CertificateRejected("x"), "`verify`"),
        (genesys.ConnectionFailed("x"), "firewall"),
        (genesys.Throttled("x"), "limit raised"),
        (genesys.ServerError("x"), "correlation id"),
        (genesys.UnexpectedAnswer("x"), "`api_url`"),
    ],
)
def test_each_error_of_genesys_has_a_remedy(error: GroupSyncError, words: str) -> None:
    assert words in (remedy_of(error) or "")


def test_an_error_whose_text_says_what_to_do_gets_no_second_remedy() -> None:
    assert remedy_of(DirectoryRefused("x")) is None
