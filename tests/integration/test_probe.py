"""The command `probe` on a real Samba: the table, what it may change, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest
from click.testing import CliRunner, Result

from genesys_ad_sync.directory.recording import VARIABLE
from genesys_ad_sync.errors import DirectoryIncomplete
from genesys_ad_sync.probe import walk
from genesys_ad_sync.probe.probe_ou import ProbeOu
from genesys_ad_sync_airflow.cli.tree import main
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER, PEOPLE
from tests.support.replay import steps
from tests.support.small_company import content

FEW = 5
CHANGES = [
    "idle", "add a member", "remove a member", "disable an account", "delete an account", "restore it",
    "rename an account", "rename a group", f"add {FEW} members", "nest a group",
]  # fmt: skip


@pytest.fixture(scope="module")
def samba() -> Iterator[SandboxDirectory]:
    with SandboxDirectory.start(content()) as directory:
        yield directory


@pytest.fixture
def ou(samba: SandboxDirectory, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Make an empty test OU of this test, and the connections ``active_directory_default`` and ``writer``."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setattr(walk, "MANY_MEMBERS", FEW)
    set_connection(monkeypatch, "active_directory_default", samba.connection())
    set_connection(monkeypatch, "writer", samba.connection("admin"))
    dn = f"OU={request.node.name.replace('[', ' ').replace(']', '')},{BASE_DN}"
    connection = samba.ldap()
    connection.add(dn, ["organizationalUnit"])
    connection.unbind()
    return dn


def set_connection(monkeypatch: pytest.MonkeyPatch, name: str, connection: dict[str, Any]) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


def probe(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probe", "--base", CONTACT_CENTER, *arguments])


def change(dn: str, folder: Path, *more: str) -> Result:
    named = ("--write-test-ou", dn, "--yes-change", dn, "--write-connection", "writer", "--record", str(folder))
    return probe(*named, *more)


def inside(samba: SandboxDirectory, dn: str) -> list[str]:
    connection = samba.ldap()
    _, _, response, _ = connection.search(dn, "(objectClass=*)", ldap3.LEVEL, attributes=["1.1"])
    connection.unbind()
    return [entry["dn"] for entry in response if entry["type"] == "searchResEntry"]


def findings(done: Result) -> dict[str, dict[str, str]]:
    return {found["check"]: found for found in json.loads(done.stdout)["findings"]}


# -- reading ------------------------------------------------------------------------------------------


def test_a_read_only_probe_says_what_differs_and_writes_nothing(samba: SandboxDirectory, ou: str) -> None:
    before = samba.truth()
    done = probe("--json")
    assert done.exit_code == 2  # Samba has no times of memberships
    found = findings(done)
    assert found["times of memberships"]["verdict"] == "DIFFERS"
    assert found["controls"]["verdict"] == "as assumed"
    assert "Samba" in found["domain controller"]["answer"]
    assert found["damaged cookie"]["verdict"] == "as assumed"
    assert json.loads(done.stdout)["recording"] is None
    assert samba.truth() == before
    assert "this domain controller" in probe().stdout


def test_an_account_without_tombstones_is_said(
    samba: SandboxDirectory, ou: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, "limited", samba.connection("limited"))
    found = findings(probe("--connection", "limited", "--json"))
    assert found["deleted objects"]["verdict"] == "DIFFERS"


def test_a_base_that_is_not_there_is_an_error(ou: str) -> None:
    done = CliRunner().invoke(main, ["probe", "--base", f"OU=Nowhere,{BASE_DN}"])
    assert done.exit_code == 1
    assert "--base does not exist" in done.stderr


def test_a_refused_login_is_an_error(samba: SandboxDirectory, ou: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, "active_directory_default", {**samba.connection(), "password": "wrong"})
    done = probe()
    assert done.exit_code == 1
    assert "login or password is wrong" in done.stderr


# -- changing -----------------------------------------------------------------------------------------


def test_the_walk_is_recorded_replayable_and_leaves_nothing(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    folder = tmp_path / "recording"
    done = change(ou, folder, "--json")
    found = findings(done)
    assert {check: found[check]["verdict"] for check in CHANGES} == dict.fromkeys(CHANGES, "as assumed")
    assert inside(samba, ou) == []
    assert VARIABLE not in os.environ
    recorded = steps(folder)
    assert [name for name in recorded if name[0].isalpha()][2:] == [check.replace(" ", "-") for check in CHANGES]
    text = "".join(path.read_text() for path in folder.iterdir()).lower()
    for secret in ("ann", "voice", "example", "probe-", "unicodepwd", "svc-", "people"):
        assert secret not in text


@pytest.mark.parametrize("given", [("--write-test-ou",), ("--yes-change",), ("--write-test-ou", "--yes-change")])
def test_a_test_ou_must_be_named_twice(samba: SandboxDirectory, ou: str, given: tuple[str, ...]) -> None:
    names = {"--write-test-ou": ou, "--yes-change": f"OU=Other,{BASE_DN}"}
    done = probe(*(part for option in given for part in (option, names[option])))
    assert done.exit_code == 1
    assert "Nothing was changed" in done.stderr.replace("\n", " ")
    assert inside(samba, ou) == []


@pytest.mark.parametrize(
    ("dn", "why"),
    [
        (PEOPLE, "not empty"),
        (f"OU=Nowhere,{BASE_DN}", "does not exist"),
        (BASE_DN, "must lie below"),
        ("OU=Elsewhere,DC=other", "must lie below"),
        (f"CN=Program Data,{BASE_DN}", "is not an organizational unit"),
        ("no DN", "is not a distinguished name"),
    ],
)
def test_another_place_than_an_empty_ou_is_refused(
    samba: SandboxDirectory, ou: str, tmp_path: Path, dn: str, why: str
) -> None:
    before = samba.truth()
    done = change(dn, tmp_path / "recording")
    assert done.exit_code == 1
    assert why in done.stderr
    assert samba.truth() == before


def test_an_account_that_may_not_write_changes_nothing(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, "writer", samba.connection())
    done = change(ou, tmp_path / "recording")
    assert done.exit_code == 1
    assert "refuses to create the user u1" in done.stderr
    assert "lacks the right" in done.stderr
    assert inside(samba, ou) == []


def test_one_refused_change_does_not_end_the_walk(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = ProbeOu._write

    def refuse_restores(self: ProbeOu, how: str, *arguments: Any, **options: Any) -> Any:
        if options.get("controls"):
            return {"result": 50, "description": "insufficientAccessRights", "message": "00002098: x"}
        return honest(self, how, *arguments, **options)

    monkeypatch.setattr(ProbeOu, "_write", refuse_restores)
    done = change(ou, tmp_path / "recording", "--json")
    found = findings(done)
    assert found["restore it"]["verdict"] == "not known"
    assert "code 50, 00002098" in found["restore it"]["answer"]
    assert found["nest a group"]["verdict"] == "as assumed"
    assert inside(samba, ou) == []


class Broken(Exception):
    """Something that nobody has foreseen."""


@pytest.mark.parametrize("error", [DirectoryIncomplete("the connection broke"), KeyboardInterrupt(), Broken()])
def test_it_cleans_up_after_a_failure(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ProbeOu, "disable", fail)
    done = change(ou, tmp_path / "recording")
    assert inside(samba, ou) == []
    assert done.exit_code == {"KeyboardInterrupt": 130}.get(type(error).__name__, 1)
    if isinstance(error, DirectoryIncomplete):
        assert "the connection broke" in done.stderr
        assert "add a member" in done.stdout  # what was found out until then


def test_it_cleans_up_when_it_is_terminated(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProbeOu, "disable", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert change(ou, tmp_path / "recording").exit_code == 130
    assert inside(samba, ou) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_cleans_up_over_a_new_connection_if_the_old_one_is_gone(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: ProbeOu, *_: object) -> None:
        self._session.connection.socket.close()
        self._write("delete", ou)

    monkeypatch.setattr(ProbeOu, "disable", lose)
    done = change(ou, tmp_path / "recording")
    assert done.exit_code == 1
    assert "broke during a change" in done.stderr
    assert inside(samba, ou) == []


def test_it_says_what_it_cannot_delete(
    samba: SandboxDirectory, ou: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest: Callable[..., Any] = ProbeOu._write

    def keep_groups(self: ProbeOu, how: str, dn: str, *arguments: Any, **options: Any) -> Any:
        if how == "delete" and "group" in dn:
            return {"result": 50, "description": "insufficientAccessRights", "message": ""}
        return honest(self, how, dn, *arguments, **options)

    monkeypatch.setattr(ProbeOu, "_write", keep_groups)
    done = change(ou, tmp_path / "recording", "--json")
    assert done.exit_code == 1
    (left,) = inside(samba, ou)
    assert left in done.stderr
    assert left in json.loads(done.stdout)["error"]
