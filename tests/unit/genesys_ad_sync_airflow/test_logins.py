"""Fingerprints of connections, and a new secret that is used without a restart."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.errors import DirectoryBindError
from genesys_ad_sync.genesys.errors import AuthenticationFailed
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from genesys_ad_sync_airflow.logins import directory_login, fingerprint, genesys_login, logins_of
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.stub_genesys import Answer, StubGenesys, running_stub

CONN = "AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT"
AD = "AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT"


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubGenesys]:
    with running_stub() as stub:
        monkeypatch.setenv(CONN, stub.connection())
        yield stub


def use(monkeypatch: pytest.MonkeyPatch, stub: StubGenesys, **fields: Any) -> None:
    monkeypatch.setenv(CONN, json.dumps({**json.loads(stub.connection()), **fields}))


def refused() -> Answer:
    return Answer(401, {"error": "invalid_client"})


def hook(journal: Journal, run: str, run_type: str = "scheduled") -> GenesysCloudHook:
    logins = logins_of(journal, RunKey("dag", run), run_type, lambda: T0)
    return GenesysCloudHook(
        token_store=ProcessTokenStore(), login_attempt=genesys_login(logins, "genesys_cloud_default")
    )


def token_requests(stub: StubGenesys) -> int:
    return sum(request.path == "/oauth/token" for request in stub.received)


# -- fingerprints -------------------------------------------------------------------------------------


def test_a_fingerprint_depends_on_each_part_and_on_the_key() -> None:
    one = fingerprint(["svc", "secret"], b"key")
    assert one == fingerprint(["svc", "secret"], b"key")
    others = [(["svc", "secret2"], b"key"), (["svcs", "ecret"], b"key"), (["svc", "secret"], b"other")]
    assert one not in {fingerprint(parts, key) for parts, key in others}
    assert "secret" not in one


@pytest.mark.parametrize("fernet", ["", "A" * 43 + "="])
def test_the_journal_holds_neither_secret_nor_login(
    journal: Journal, journal_url: str, stub: StubGenesys, monkeypatch: pytest.MonkeyPatch, fernet: str
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", fernet)
    stub.token_answers = [refused()]
    with pytest.raises(AuthenticationFailed):
        hook(journal, "r1").call("GET", "/api/v2/groups")
    assert journal.refused_logins.get("genesys_cloud genesys_cloud_default") is not None
    for file in Path(journal_url.removeprefix("sqlite:///")).parent.glob("journal.db*"):
        assert b"client-secret" not in file.read_bytes()


# -- Genesys Cloud ------------------------------------------------------------------------------------


def test_one_refused_token_stops_the_run_and_the_next_schedule_waits(journal: Journal, stub: StubGenesys) -> None:
    stub.token_answers = [refused()]
    first = hook(journal, "r1")
    for each in (first, first, hook(journal, "r1"), hook(journal, "r2")):
        with pytest.raises(AuthenticationFailed):
            each.call("GET", "/api/v2/groups")
    assert token_requests(stub) == 1


def test_a_manual_run_asks_at_once(journal: Journal, stub: StubGenesys) -> None:
    stub.token_answers = [refused()]
    with pytest.raises(AuthenticationFailed):
        hook(journal, "r1").call("GET", "/api/v2/groups")
    hook(journal, "m1", "manual").call("GET", "/api/v2/groups")
    hook(journal, "r3").call("GET", "/api/v2/groups")  # and its success ends the waiting


def test_a_new_secret_in_the_connection_is_used_by_the_next_request_that_needs_it(
    journal: Journal, stub: StubGenesys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same hook, as in a task that has been running for hours when its token ends."""
    running = hook(journal, "r1")
    running.call("GET", "/api/v2/groups")
    use(monkeypatch, stub, password="new-secret")
    stub.answers = [Answer(401, {"code": "authentication.required"})]
    running.call("GET", "/api/v2/groups")
    last = [request for request in stub.received if request.path == "/oauth/token"][-1]
    assert last.headers["Authorization"] == "Basic Y2xpZW50LWlkOm5ldy1zZWNyZXQ="  # client-id:new-secret
    assert token_requests(stub) == 2


def test_a_run_does_not_go_on_as_another_client(
    journal: Journal, stub: StubGenesys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client may belong to another organisation."""
    running = hook(journal, "r1")
    running.call("GET", "/api/v2/groups")
    use(monkeypatch, stub, login="other-client", password="new-secret")
    stub.answers = [Answer(401, {"code": "authentication.required"})]
    running.call("GET", "/api/v2/groups")
    last = [request for request in stub.received if request.path == "/oauth/token"][-1]
    assert last.headers["Authorization"] == "Basic Y2xpZW50LWlkOmNsaWVudC1zZWNyZXQ="  # client-id:client-secret


def test_a_secret_that_was_corrected_is_tried_at_once_by_the_schedule(
    journal: Journal, stub: StubGenesys, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.token_answers = [refused()]
    with pytest.raises(AuthenticationFailed):
        hook(journal, "r1").call("GET", "/api/v2/groups")
    use(monkeypatch, stub, password="new-secret")
    hook(journal, "r2").call("GET", "/api/v2/groups")
    assert token_requests(stub) == 2


# -- Active Directory ---------------------------------------------------------------------------------


def test_a_bind_is_refused_once_and_a_new_password_is_used_at_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def connect(settings: Any) -> str:
        tried.append(settings.password)
        if settings.password != "new":
            raise DirectoryBindError("refuses the login")
        return "session"

    def use_password(password: str) -> None:
        fields = {"conn_type": "active_directory", "host": "dc1", "login": "svc", "password": password}
        monkeypatch.setenv(AD, json.dumps(fields))

    def directory(run: str) -> ActiveDirectoryHook:
        logins = logins_of(journal, RunKey("dag", run), "scheduled", lambda: T0 + timedelta(seconds=1))
        return ActiveDirectoryHook(login_attempt=directory_login(logins, "active_directory_default"))

    monkeypatch.setattr("genesys_ad_sync.directory.connection.connect", connect)
    use_password("old")
    running = directory("r1")
    for each in (running, running, directory("r2")):
        with pytest.raises(DirectoryBindError):
            each.get_conn()
    assert tried == ["old"]
    use_password("new")
    assert running.get_conn() == "session"  # type: ignore[comparison-overlap]
    assert tried == ["old", "new"]
