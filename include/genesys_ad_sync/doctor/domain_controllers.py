"""The checks of each domain controller: reachable, certificate, login and clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from genesys_ad_sync.directory.connection import (
    CertificateFailed,
    HostFailed,
    LdapSettings,
    NoLogin,
    NotAHost,
    each_host,
)
from genesys_ad_sync.directory.hosts import BadHost, Host
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.doctor.lines import AFTER_ANOTHER, Line, not_proven, note, ok, problem
from genesys_ad_sync.errors import DirectoryBindError, DirectoryCertificateError, DirectoryError

CERTIFICATE_SOON = timedelta(days=30)
CLOCK_DIFFERENCE = timedelta(minutes=5)

_Lines = Iterator[tuple[Line, LdapSession | None]]
"""Lines; the session comes once for each host that can be used, and is the caller's to close."""

_NOT_CHECKED = (
    "It did not check the login, so another login need not help. The code says why; if it stays so, look there."
)
_NOT_TRIED = "Not tried, because each refused login counts towards locking the account."


def domain_controllers(settings: LdapSettings, clock: Callable[[], datetime]) -> _Lines:
    """Try every host, until a login is refused.

    After that no further host is tried, because it would count towards locking the account.
    """
    hosts = settings.parsed_hosts()
    tried = 0
    try:
        for host, outcome in each_host(settings):
            tried += 1
            if isinstance(outcome, HostFailed):
                yield from _failed(host, outcome)
            else:
                yield from _usable(host, outcome, clock)
    except DirectoryBindError as refused:
        about = str(hosts[tried])
        yield ok("directory.host", "It is reached.", about=about), None
        yield problem("directory.login", str(refused), about=about), None
        yield from _not_tried(hosts[tried + 1 :], _NOT_TRIED)
    except DirectoryCertificateError as error:  # the file of authorities, before any host
        yield problem("directory.certificate", str(error)), None
        yield from _not_tried(hosts, "Not tried: without certificate authorities no host can be trusted.")


def _not_tried(hosts: Sequence[Host | BadHost], why: str) -> _Lines:
    for host in hosts:
        yield not_proven("directory.host", why, AFTER_ANOTHER, about=str(host)), None


def _failed(host: Host | BadHost, failure: HostFailed) -> _Lines:
    about, text = str(host), str(failure).removeprefix(f"{host}: ")
    if isinstance(failure, NotAHost):
        yield (
            problem("directory.host", text, f"Correct the entry {about} in `host` of the connection.", about=about),
            None,
        )
    elif isinstance(failure, CertificateFailed):
        yield ok("directory.host", "It is reached.", about=about), None
        yield problem("directory.certificate", text, about=about), None
    elif isinstance(failure, NoLogin):
        yield ok("directory.host", "It is reached.", about=about), None
        yield problem("directory.login", text, _NOT_CHECKED, about=about), None
    else:
        yield problem("directory.host", text, about=about), None


def _usable(host: Host | BadHost, session: LdapSession, clock: Callable[[], datetime]) -> _Lines:
    about = str(host)
    yield ok("directory.host", "It is reached.", about=about), None
    yield _certificate(about, session.certificate_end(), clock()), None
    yield ok("directory.login", "The login is accepted.", about=about), None
    try:
        line = _clock(about, session.current_time(), clock())
    except DirectoryError as error:
        line = problem("directory.clock", str(error), about=about)
    yield line, session  # last: the caller may close it


def _certificate(about: str, ends: datetime | None, now: datetime) -> Line:
    key = "directory.certificate"
    if ends is None:
        return note(key, "None: the connection is not encrypted.", about=about)
    days = (ends - now).days
    text = f"It is valid, and expires in {days} days."
    if ends - now < CERTIFICATE_SOON:
        return note(key, text, "Have it renewed on the domain controller before then.", about=about)
    return ok(key, text, about=about)


def _clock(about: str, theirs: datetime, ours: datetime) -> Line:
    key = "directory.clock"
    difference = theirs - ours
    seconds = round(abs(difference.total_seconds()))
    side = "ahead of" if difference > timedelta(0) else "behind"
    text = f"Its clock is {seconds} s {side} this machine's." if seconds > 1 else "Both clocks agree."
    if abs(difference) > CLOCK_DIFFERENCE:
        return problem(key, text, about=about)
    return ok(key, text, about=about)
