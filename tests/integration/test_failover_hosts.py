"""Two domain controllers in one connection, of which one is dead, hangs, dies in the middle, or refuses the cookie.

Lagging ones and ones that never come back: `test_lagging_controller`. One name for both: `test_one_name_for_several`.
Real: both Sambas and what they answer. Documented: the refusal of a cookie, by a proxy, since Samba refuses none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, RemoveMember
from tests.integration.test_refused_cookies import Refusal
from tests.support.ldap_proxy import proxy_before
from tests.support.pipeline import set_connection
from tests.support.small_company import connection_to, members, rows
from tests.support.two_controllers import TwoControllers, domain, two

__all__ = ["domain", "two"]

HELD = ("held", "other_domain_controller", None)
DONE = ("success", None, None)


@pytest.fixture
def both(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> TwoControllers:
    """Let the connection name both, dc1 first."""
    connection = connection_to(two.dc1, two.dc2)
    connection["extra"] |= {"connect_timeout": 30, "receive_timeout": 30}
    set_connection(monkeypatch, "active_directory_default", connection)
    return two


@contextmanager
def dead(dc: SandboxDirectory) -> Iterator[None]:
    dc.kill()
    try:
        yield
    finally:
        dc.restart()


@contextmanager
def hanging(dc: SandboxDirectory) -> Iterator[None]:
    """Its machine accepts connections, and nobody answers."""
    dc.freeze()
    try:
        yield
    finally:
        dc.thaw()


def read(two: TwoControllers) -> str:
    stored = two.pipeline.journal.of("default").views.cursor()
    assert stored is not None
    return stored.cursor.domain_controller


@pytest.mark.parametrize("fails", [dead, hanging], ids=["dead", "hanging"])
def test_the_next_host_goes_on_and_what_only_the_first_one_knew_stays(both: TwoControllers, fails: Any) -> None:
    both.dc1.apply([AddMember("voice", "fay")])  # dc2 does not hear of it
    assert rows(both.pipeline.run()) == [("add", "fay", *DONE)]
    with fails(both.dc1):
        both.dc2.apply([RemoveMember("voice", "bob")])
        assert ("remove", "bob", *DONE) in rows(both.pipeline.run())
        assert read(both) == both.dc2.server_name
        assert rows(both.pipeline.run(mode="full")) == [("remove", "fay", *HELD)]
        assert members(both.pipeline, "Voice") == {"ann", "cid", "fay", "mia"}
    both.replicate()
    both.pipeline.run()
    assert read(both) == both.dc1.server_name
    assert rows(both.pipeline.run(mode="full")) == []
    assert members(both.pipeline, "Voice") == {"ann", "cid", "fay", "mia"}


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_run_whose_controller_dies_is_retried_on_the_next_host(
    both: TwoControllers, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    both.dc1.apply([RemoveMember("voice", "bob"), AddMember("voice", "fay")])
    both.dc2.replicate_from(both.dc1)
    honest, killed = LdapSession.dirsync, []

    def dirsync(self: LdapSession, *asked: Any) -> Any:
        if not killed:
            both.dc1.kill()
            killed.append(True)
        return honest(self, *asked)

    monkeypatch.setattr(LdapSession, "dirsync", dirsync)
    try:
        with pytest.raises(DirectoryError):
            both.pipeline.run("tried", mode=mode)
        report = both.pipeline.run("tried", mode=mode)
        assert sorted(rows(report)) == [("add", "fay", *DONE), ("remove", "bob", *DONE)]
        assert read(both) == both.dc2.server_name
    finally:
        both.dc1.restart()
    assert rows(both.pipeline.run()) == []


@pytest.mark.parametrize("lags", [False, True])
def test_a_cookie_that_the_other_one_refuses_takes_nobody_away(
    two: TwoControllers, monkeypatch: pytest.MonkeyPatch, lags: bool
) -> None:
    two.dc1.apply([AddMember("voice", "fay")])
    two.run_on(two.dc1)
    two.dc1.apply([RemoveMember("voice", "bob")])
    if not lags:
        two.dc2.replicate_from(two.dc1)
    with proxy_before(two.dc2) as proxy:
        proxy.answer = refusal = Refusal(two.pipeline, 2)
        set_connection(monkeypatch, "active_directory_default", proxy.connection())
        report = two.pipeline.run()
        assert refusal.count >= 1
        assert any("read completely again" in note and "0000203D" in note for note in report["notes"])
        expected = [("remove", "fay", *HELD)] if lags else [("remove", "bob", *DONE)]
        assert rows(report) == expected
        assert not any("read completely again" in note for note in two.pipeline.run()["notes"]), (
            "the new cookie is used"
        )
    two.replicate()
    two.run_on(two.dc1)
    two.run_on(two.dc1, mode="full")
    assert members(two.pipeline, "Voice") == {"ann", "cid", "fay", "mia"}
