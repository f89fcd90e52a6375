"""The command `probe` where no domain controller answers. The rest is tried on Samba."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from genesys_ad_sync_airflow.cli.tree import main
from tests.support.ldap_listener import accept_login, listening

BASE = "OU=a,DC=corp,DC=test"


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        use(monkeypatch, free.getsockname()[1])


def use(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    connection = {
        "conn_type": "active_directory", "host": "127.0.0.1", "port": port, "login": "ann", "password": "Geheimnis",
        "extra": {"transport": "plain"},
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT", json.dumps(connection))


def probe(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probe", "--base", BASE, *arguments])


def test_a_server_that_is_not_there_is_an_error_in_words_and_in_json() -> None:
    done = probe("--json")
    assert done.exit_code == 1
    assert "No domain controller could be used" in done.stderr
    assert "No domain controller could be used" in json.loads(done.stdout)["error"]


def test_a_refused_login_is_an_error_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(lambda request: accept_login(request, 49, b"data 52e")) as listener:
        use(monkeypatch, listener.port)
        done = probe()
    assert done.exit_code == 1
    assert "login or password is wrong" in done.stderr
    assert "Geheimnis" not in done.output


def test_a_connection_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.secrets.metastore.MetastoreBackend.get_connection", lambda *_: None)
    done = probe("--connection", "nowhere")
    assert done.exit_code == 1
    assert "There is no Airflow connection nowhere" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        ("--write-test-ou", BASE),
        ("--yes-change", BASE),
        ("--write-test-ou", BASE, "--yes-change", "OU=b,DC=corp,DC=test"),
    ],
)
def test_consent_is_asked_for_before_anything_is_sent(given: tuple[str, ...]) -> None:
    done = probe(*given)
    assert done.exit_code == 1
    assert "name the same organizational unit" in done.stderr


def test_consent_may_be_written_in_another_case(tmp_path: Path) -> None:
    done = probe("--write-test-ou", BASE, "--yes-change", "ou=A, dc=corp,dc=test", "--record", str(tmp_path / "r"))
    assert "No domain controller could be used" in done.stderr


def test_a_recording_that_is_not_private_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = probe("--record", str(tmp_path))
    assert done.exit_code == 1
    assert "mode 0700" in done.stderr
