"""A `host` that is a name of several domain controllers (E9): two real Samba domain controllers under one DNS name.

Names are resolved by the test: `example.com` gives another domain controller at each look-up, as round robin does.
"""

from __future__ import annotations

import itertools
import socket
from typing import Any

import pytest

from genesys_ad_sync.errors import DirectoryBindError
from genesys_ad_sync.model import Cursor
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, RemoveMember, SetAttributes
from tests.support.pipeline import set_connection
from tests.support.small_company import connection_to, members, rows
from tests.support.two_controllers import TwoControllers, domain, two

__all__ = ["domain", "two"]


class Names:
    """Resolves the names of the domain. ``dead``: domain controllers whose own name resolves to nobody."""

    def __init__(self, *controllers: SandboxDirectory) -> None:
        self._turns = itertools.cycle(controllers)
        self._by_name = {dc.server_name: dc.host for dc in controllers}
        self.dead: set[str] = set()
        self.asked: list[str] = []
        self._honest = socket.getaddrinfo

    def getaddrinfo(self, host: Any, *rest: Any, **more: Any) -> Any:
        if host == "example.com":
            host = next(self._turns).host
        elif host in self._by_name:
            self.asked.append(host)
            host = "127.3.2.1" if host in self.dead else self._by_name[host]
        return self._honest(host, *rest, **more)


@pytest.fixture
def names(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> Names:
    """Let the connection have one name for both domain controllers."""
    names = Names(two.dc2, two.dc1)  # the next look-up gives the one that was not read last
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    set_connection(monkeypatch, "active_directory_default", {**connection_to(two.dc1), "host": "example.com"})
    return names


def cursor(two: TwoControllers) -> Cursor:
    stored = two.pipeline.journal.of("default").views.cursor()
    assert stored is not None
    return stored.cursor


def read(two: TwoControllers) -> str:
    return cursor(two).domain_controller


def test_the_domain_controller_that_was_read_last_is_read_again(two: TwoControllers, names: Names) -> None:
    """dc2 never hears of anything, and nothing is ever doubted."""
    for number in range(4):
        two.dc1.apply([SetAttributes("eve", {"telephoneNumber": str(number)})])
        two.dc1.apply([AddMember("voice", "fay") if number % 2 == 0 else RemoveMember("voice", "fay")])
        (row,) = rows(two.pipeline.run(mode="full" if number > 1 else "auto"))
        assert row[1:4] == ("fay", "success", None)
        assert read(two) == two.dc1.server_name
        assert cursor(two).doubted_since is None
    assert set(names.asked) == {two.dc1.server_name}


def test_where_it_is_dead_the_other_one_is_read_and_stays(two: TwoControllers, names: Names) -> None:
    two.dc1.apply([AddMember("voice", "fay")])
    two.pipeline.run()
    names.dead.add(two.dc1.server_name)
    while read(two) == two.dc1.server_name:  # until the common name gives the other one
        report = two.pipeline.run(mode="full")
    assert rows(report) == [("remove", "fay", "held", "other_domain_controller", None)]
    names.dead.clear()
    for _ in range(3):
        two.pipeline.run()
        assert read(two) == two.dc2.server_name
    assert "fay" in members(two.pipeline, "Voice")


def test_a_name_with_the_certificate_of_another_is_not_used(
    two: TwoControllers, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    names._by_name[two.dc1.server_name] = two.dc2.host  # a forged answer of DNS
    two.pipeline.run()
    assert names.asked == [two.dc1.server_name]
    assert read(two) == two.dc2.server_name


def test_a_login_that_it_refuses_is_tried_there_once_and_the_run_goes_on(
    two: TwoControllers, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesys_ad_sync.directory import connection

    honest, refused = connection._connect_to, []

    def connect_to(host: Any, *rest: Any) -> Any:
        if str(host) == two.dc1.server_name:
            refused.append(host)
            raise DirectoryBindError("a test")
        return honest(host, *rest)

    monkeypatch.setattr(connection, "_connect_to", connect_to)
    two.pipeline.run()
    assert len(refused) == 1
    assert read(two) == two.dc2.server_name


def test_hosts_that_name_their_domain_controllers_are_tried_in_their_order(
    two: TwoControllers, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = f"{two.dc2.server_name},{two.dc1.server_name}"
    set_connection(monkeypatch, "active_directory_default", {**connection_to(two.dc1), "host": both})
    two.pipeline.run()
    assert read(two) == two.dc2.server_name
    set_connection(monkeypatch, "active_directory_default", connection_to(two.dc1))
    two.pipeline.run()
    assert read(two) == two.dc1.server_name
