"""The hook against a stub that answers what a test wants.

It covers token, headers, retries, faults and the Test button. The connection comes from AIRFLOW_CONN_… only;
there is no Airflow database.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest

from genesys_ad_sync.errors import GroupSyncError, SettingsError
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    CertificateRejected,
    ConnectionFailed,
    PermissionMissing,
    RegionUnknown,
    ServerError,
    Throttled,
    UnexpectedAnswer,
    VersionConflict,
)
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import (
    ProcessTokenStore,
    Token,
    TokenSource,
    fetch_token,
    token_key,
)
from genesys_ad_sync_airflow.genesys_cloud.regions import REGIONS, region_domain
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from tests.support.stub_genesys import Answer, FakeClock, Received, StubGenesys, error_body, running_stub

CONN = "AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubGenesys]:
    with running_stub() as stub:
        monkeypatch.setenv(CONN, stub.connection())
        yield stub


@pytest.fixture
def new_hook(clock: FakeClock) -> Callable[..., GenesysCloudHook]:
    store = ProcessTokenStore()  # one "process" per test

    def make(**options: Any) -> GenesysCloudHook:
        given = {"clock": clock, "sleep": clock.sleep, "token_store": store, "retry_policy": HttpRetryPolicy(jitter=0)}
        return GenesysCloudHook(**{**given, **options})

    return make


@pytest.fixture
def hook(stub: StubGenesys, new_hook: Callable[..., GenesysCloudHook]) -> GenesysCloudHook:
    return new_hook()


NewHook = Callable[..., GenesysCloudHook]
GROUPS = "/api/v2/groups"


# -- a plain call -------------------------------------------------------------------------------------


def test_a_call_sends_what_it_is_told_and_gives_the_answer(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [Answer(202, {"ok": True}, {"inin-correlation-id": "corr-1"})]
    answer = hook.call("patch", "/api/v2/x/1", params={"a": "b c"}, json={"n": 1}, headers={"If-Match": '"3"'})
    assert (answer.status, answer.body, answer.correlation_id) == (202, {"ok": True}, "corr-1")
    [sent] = stub.calls
    assert (sent.method, sent.path, sent.query, sent.json) == ("PATCH", "/api/v2/x/1", {"a": ["b c"]}, {"n": 1})
    assert sent.headers["Authorization"] == "Bearer token-1"
    assert sent.headers["If-Match"] == '"3"'


def test_one_connection_is_kept_for_all_calls_of_a_thread(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    for _ in range(5):
        hook.call("GET", GROUPS)
    assert len({request.client_port for request in stub.calls}) == 1


def test_own_extras_are_never_sent_as_headers(
    stub: StubGenesys,
    new_hook: NewHook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(CONN, stub.connection(requests_per_minute=250, verify=True, typo_secret="hush", trust_env=False))
    new_hook().call("GET", GROUPS)
    for request in stub.received:
        told = json.dumps(request.headers).lower()
        for hidden in ("api_url", "login_url", "timeout", "requests_per_minute", "verify", "typo_secret", "hush"):
            assert hidden not in told
    logged = caplog.text + capsys.readouterr().out  # Airflow's loggers write to stdout here
    assert "Ignored unknown extras" in logged
    assert "typo_secret" in logged
    assert "hush" not in logged


def test_httphooks_own_run_gets_the_token_and_the_typed_errors_too(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [Answer(200, {"total": 0}), error_body(403, "missing.permissions", "…permission(s): a:b:c")]
    assert hook.run(GROUPS).json() == {"total": 0}
    with pytest.raises(PermissionMissing, match="a:b:c"):
        hook.run(GROUPS)
    assert stub.calls[0].headers["Authorization"] == "Bearer token-1"


def test_the_hook_can_be_used_by_several_threads(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: hook.call("GET", GROUPS).status, range(60)))
    assert answers == [200] * 60
    assert stub.tokens == 1
    assert hook.request_counts.as_dict()["by_endpoint"] == {"GET /api/v2/groups": 60, "POST /oauth/token": 1}
    assert len({request.client_port for request in stub.calls}) <= 5


# -- the token ----------------------------------------------------------------------------------------


def test_the_token_is_asked_for_as_genesys_documents_it(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    hook.call("GET", GROUPS)
    request = stub.received[0]
    assert (request.method, request.path) == ("POST", "/oauth/token")
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"client-id:client-secret").decode()
    assert request.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
    assert parse_qs(request.body.decode()) == {"grant_type": ["client_credentials"]}


def test_the_token_is_shared_by_the_hooks_of_a_process(stub: StubGenesys, new_hook: NewHook) -> None:
    for _ in range(3):
        new_hook().call("GET", GROUPS)
    assert stub.tokens == 1


def test_another_secret_does_not_get_the_old_clients_token(
    stub: StubGenesys, new_hook: NewHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_hook().call("GET", GROUPS)
    monkeypatch.setenv(CONN, stub.connection().replace("client-secret", "new-secret"))
    new_hook().call("GET", GROUPS)
    assert stub.tokens == 2


def test_a_token_is_renewed_before_it_ends() -> None:
    fetched: list[int] = []
    now = [0.0]

    def fetch() -> Token:
        fetched.append(1)
        return Token(f"t{len(fetched)}", renew_at=now[0] + 240)

    source = TokenSource("key", fetch, ProcessTokenStore(), clock=lambda: now[0])
    assert source.token() == source.token() == "t1"
    now[0] = 239
    assert source.token() == "t1"
    now[0] = 240
    assert source.token() == "t2"


@pytest.mark.parametrize(("lifetime", "good_for"), [(86400, 86340), (300, 240), (40, 20)])
def test_a_token_is_good_until_a_minute_before_its_end(stub: StubGenesys, lifetime: int, good_for: int) -> None:
    stub.lifetime = lifetime
    token = fetch_token(
        login_url=stub.url, client_id="i", client_secret="s", connection_id="c", timeout=60, clock=lambda: 1000.0
    )
    assert token == Token("token-1", renew_at=1000 + good_for)


@pytest.mark.parametrize(
    ("lifetime", "good_for"),
    [
        *(("soon", 240), ("3600.5", 3540.5), (True, 240), ([1], 240), (None, 240), ("", 240)),
        *((0, 240), (-5, 240), (float("nan"), 240), (float("inf"), 172_740), (10**18, 172_740), (10**400, 240)),
    ],
)
def test_an_odd_lifetime_keeps_no_token_from_being_used(stub: StubGenesys, lifetime: Any, good_for: float) -> None:
    """Neither is the login host asked before each request, nor is a token kept for ever."""
    stub.token_answers = [Answer(200, {"access_token": "token-1", "expires_in": lifetime})]
    token = fetch_token(
        login_url=stub.url, client_id="i", client_secret="s", connection_id="c", timeout=60, clock=lambda: 1000.0
    )
    assert token == Token("token-1", renew_at=1000 + good_for)


@pytest.mark.parametrize("value", ["", None, 123, ["x"], "a\r\nX-Evil: 1", "a b", "t\u00f6ken", "\u2603"])
def test_what_cannot_be_sent_is_no_token(stub: StubGenesys, hook: GenesysCloudHook, value: Any) -> None:
    stub.token_answers = [Answer(200, {"access_token": value, "expires_in": 3600})]
    with pytest.raises(UnexpectedAnswer, match="returns no token"):
        hook.call("GET", GROUPS)
    assert stub.calls == []


def test_after_a_401_there_is_one_new_token_and_one_more_try(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [error_body(401, "bad.credentials", "Invalid login credentials.")]
    assert hook.call("POST", "/api/v2/x").status == 200  # nothing was carried out, so also a POST
    assert [request.headers["Authorization"] for request in stub.calls] == ["Bearer token-1", "Bearer token-2"]
    assert hook.request_counts.retried == 1


def test_a_second_401_ends_it(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.otherwise = lambda _: error_body(401, "bad.credentials", "Invalid login credentials.")
    with pytest.raises(AuthenticationFailed):
        hook.call("GET", GROUPS)
    assert len(stub.calls) == 2
    assert stub.tokens == 2


def test_threads_that_meet_a_401_at_once_fetch_one_new_token(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    hook.call("GET", GROUPS)
    together = threading.Barrier(4)

    def revoked(request: Received) -> Answer:
        old = request.headers["Authorization"] == "Bearer token-1"
        return error_body(401, "bad.credentials", "revoked") if old else Answer(200, {})

    stub.otherwise = revoked
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: hook.call("GET", GROUPS, before_attempt=_once(together)), range(4)))
    assert stub.tokens == 2


def test_a_token_that_another_task_fetched_may_have_died_too(stub: StubGenesys, new_hook: NewHook) -> None:
    store = ProcessTokenStore()
    hook = new_hook(token_store=store)
    key = token_key(stub.url, "client-id", "client-secret")
    store.put(key, Token("dead-1", 1e12))

    def only_a_new_token_is_good(request: Received) -> Answer:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if token == "dead-1":
            store.put(key, Token("dead-2", 1e12))  # by another task, and revoked soon after
        return error_body(401, "bad.credentials", "revoked") if token.startswith("dead") else Answer(200, {})

    stub.otherwise = only_a_new_token_is_good
    assert hook.call("POST", "/api/v2/x").status == 200
    assert (len(stub.calls), stub.tokens) == (3, 1)


def test_a_token_that_was_good_and_died_is_renewed_however_often(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    for number in range(1, 5):
        assert hook.call("GET", GROUPS).status == 200
        stub.answers = [error_body(401, "bad.credentials", "revoked")]
        assert stub.tokens == number
    assert hook.call("GET", GROUPS).status == 200


def _once(barrier: threading.Barrier) -> Callable[[], None]:
    first = [True]

    def wait() -> None:
        if first:
            first.pop()
            barrier.wait(60)

    return wait


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_client_is_told_with_the_fields_to_check(
    stub: StubGenesys, hook: GenesysCloudHook, status: int
) -> None:
    stub.token_answers = [Answer(status, {"error": "invalid_client", "description": "client not found: client-id"})]
    with pytest.raises(AuthenticationFailed) as caught:
        hook.call("GET", GROUPS)
    text = str(caught.value)
    for expected in ("Login (client id)", "Password", "genesys_cloud_default", stub.url.partition("//")[2]):
        assert expected in text
    assert "client-secret" not in text
    assert stub.calls == []
    assert len(stub.received) == 1  # not tried again


def test_the_login_hosts_own_words_are_shown_and_the_guess_is_called_one(
    stub: StubGenesys, hook: GenesysCloudHook
) -> None:
    refusal = {"error": "access_denied", "error_description": "IP address is not allowed"}
    stub.token_answers = [Answer(403, refusal)]
    with pytest.raises(AuthenticationFailed) as caught:
        hook.call("GET", GROUPS)
    text = str(caught.value)
    assert "IP address is not allowed" in text
    assert "A guess: the allowed IP addresses" in text
    assert "Password" not in text


@pytest.mark.parametrize("key", ["error", "error_description", "description", "message"])
def test_the_login_hosts_words_are_made_safe(stub: StubGenesys, hook: GenesysCloudHook, key: str) -> None:
    words = "client-secret is wrong\r\nforged \x1b[2J Basic Y2xpZW50 for mia@x.example"
    stub.token_answers = [Answer(401, {"error": "invalid_client", key: words})]
    with pytest.raises(AuthenticationFailed) as caught:
        hook.call("GET", GROUPS)
    text = str(caught.value)
    assert "*** is wrong forged \ufffd[2J (token) for (address)" in text
    for part in ("client-secret", "\r", "\n", "\x1b", "Y2xpZW50", "mia@"):
        assert part not in text


def test_a_login_host_that_answers_an_error_body_is_shown_too(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.token_answers = [error_body(403, "forbidden", "Organisation is suspended")]
    with pytest.raises(AuthenticationFailed, match="Organisation is suspended"):
        hook.call("GET", GROUPS)


def test_the_token_endpoints_rate_limit_is_a_400_and_is_repeated(
    stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock
) -> None:
    limited = {"error": "invalid_request", "error_description": "rate limit exceeded; retry later"}
    stub.token_answers = [Answer(400, limited, {"Retry-After": "7"}), Answer(400, {**limited})]
    assert hook.call("POST", "/api/v2/x").status == 200
    assert clock.slept == [7, 2]
    assert len(stub.received) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, b"<html>", {"Content-Type": "text/html"}),
        Answer(drop=True),
        Answer(200, {"access_token": "x"}, cut=5),
    ],
    ids=["503", "connection broken", "cut off"],
)
def test_a_login_host_that_fails_is_asked_again_also_for_a_post(
    stub: StubGenesys, hook: GenesysCloudHook, answer: Answer
) -> None:
    stub.token_answers = [answer]
    assert hook.call("POST", "/api/v2/x").status == 200
    assert len(stub.calls) == 1


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", {"token": "x"}, b"", [1]])
def test_a_login_host_that_gives_no_token_is_told(stub: StubGenesys, hook: GenesysCloudHook, body: Any) -> None:
    stub.token_answers = [Answer(200, body)]
    with pytest.raises(UnexpectedAnswer, match=r"returns no token.*login_url"):
        hook.call("GET", GROUPS)


def test_neither_token_nor_secret_is_logged_or_shown(
    stub: StubGenesys,
    hook: GenesysCloudHook,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.answers = [error_body(503, "service.unavailable", "x"), error_body(401, "bad.credentials", "x")]
    with caplog.at_level(logging.DEBUG):
        hook.call("GET", GROUPS)
    shown = caplog.text + capsys.readouterr().out + repr(hook.settings) + repr(Token("token-1", 0.0))
    assert "token-1" not in shown
    assert "token-2" not in shown
    assert "client-secret" not in shown


# -- retries and faults -------------------------------------------------------------------------------


def test_a_429_is_repeated_after_what_it_says(stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock) -> None:
    stub.answers = [error_body(429, "too.many.requests.retry.after", "…", Retry_After="42")]
    assert hook.call("POST", "/api/v2/x").status == 200
    assert clock.slept == [42]
    counts = hook.request_counts
    assert (counts.total, counts.retried, counts.throttled) == (3, 1, 1)


def test_a_429_that_wants_too_long_a_wait_is_handed_back(
    stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock
) -> None:
    stub.answers = [error_body(429, "too.many.requests.retry.after", "…", Retry_After="900")]
    with pytest.raises(Throttled) as caught:
        hook.call("GET", GROUPS)
    assert caught.value.retry_after == 900
    assert clock.slept == []
    assert len(stub.calls) == 1


def test_a_used_up_budget_is_waited_for_before_the_next_request(
    stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock
) -> None:
    used_up = {"inin-ratelimit-count": "300", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "25"}
    stub.answers = [Answer(200, {}, used_up)]
    hook.call("GET", GROUPS)
    hook.call("GET", GROUPS)
    assert clock.slept == [25]


def test_an_endpoint_family_with_a_limit_of_its_own_does_not_slow_the_others(
    stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock
) -> None:
    began, spent = clock.now, {60: 0, 300: 0}

    def limited(request: Received) -> Answer:
        limit = 60 if "/scim/" in request.path else 300
        spent[limit] += 1
        left = began + 60 - clock.now
        if left <= 0:
            return error_body(501, "too.slow", "All of this fits into one minute")
        headers = {"allowed": limit, "count": spent[limit], "reset": math.ceil(left)}
        return Answer(200, {}, {f"inin-ratelimit-{name}": str(value) for name, value in headers.items()})

    stub.otherwise = limited
    for number in range(250):
        hook.call("GET", f"/api/v2/groups/{number}/individuals")
        if number % 5 == 0:
            hook.call("PATCH", f"/api/v2/scim/v2/groups/{number}", json={})
    assert spent == {60: 50, 300: 250}


def test_a_429_of_one_endpoint_family_stops_that_family_alone(
    stub: StubGenesys, hook: GenesysCloudHook, clock: FakeClock
) -> None:
    stub.answers = [error_body(429, "too.many.requests.retry.after", "…", Retry_After="900")]
    with pytest.raises(Throttled):
        hook.call("PATCH", "/api/v2/scim/v2/groups/g", json={})
    assert hook.call("GET", GROUPS).status == 200
    assert clock.slept == []
    with pytest.raises(Throttled):
        hook.call("PATCH", "/api/v2/scim/v2/groups/h", json={})
    assert len(stub.calls) == 2


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_failing_service_is_asked_again_where_that_is_harmless(
    stub: StubGenesys, hook: GenesysCloudHook, status: int
) -> None:
    failing = error_body(status, "x", "x")
    stub.answers = [failing]
    assert hook.call("GET", GROUPS).status == 200
    stub.answers = [failing]
    assert hook.call("PATCH", "/api/v2/x", idempotent=True).status == 200
    stub.answers = [failing]
    with pytest.raises(ServerError) as caught:
        hook.call("POST", "/api/v2/x")
    assert caught.value.ambiguous


@pytest.mark.parametrize("answer", [Answer(drop=True), Answer(200, {"a": "b"}, cut=3)], ids=["reset", "cut off"])
def test_a_connection_that_breaks_after_sending_is_ambiguous_for_a_post_and_repeated_for_the_idempotent(
    stub: StubGenesys, hook: GenesysCloudHook, answer: Answer
) -> None:
    stub.answers = [answer]
    with pytest.raises(ConnectionFailed) as caught:
        hook.call("POST", "/api/v2/x")
    assert caught.value.ambiguous
    stub.answers = [answer]
    assert hook.call("PATCH", "/api/v2/x", idempotent=True).status == 200
    stub.answers = [answer]
    assert hook.call("GET", GROUPS).status == 200


@pytest.mark.parametrize(
    ("before", "maybe_done"),
    [
        ([], False),
        ([error_body(429, "too.many.requests", "x")], False),
        ([error_body(401, "bad.credentials", "x")], False),
        ([error_body(409, "general.conflict", "x")], False),
        ([error_body(503, "service.unavailable", "x")], True),
        ([Answer(drop=True)], True),
        ([Answer(drop=True), error_body(429, "too.many.requests", "x")], True),
    ],
    ids=["nothing", "429", "401", "409", "503", "reset", "reset, then 429"],
)
def test_a_refusal_tells_whether_an_attempt_before_it_may_have_been_carried_out(
    stub: StubGenesys, hook: GenesysCloudHook, before: list[Answer], maybe_done: bool
) -> None:
    """Genesys carries nothing out that it answers with 401, 409 or 429."""
    stub.answers = [*before, error_body(400, "bad.request", "x")]
    with pytest.raises(BadRequest) as caught:
        hook.call("PATCH", "/api/v2/x", idempotent=True)
    assert caught.value.maybe_done is maybe_done


def test_truncated_json_is_read_again(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [Answer(200, b'{"entities": [')]
    assert hook.call("GET", GROUPS).body == {}
    stub.otherwise = lambda _: Answer(200, b'{"entities": [')
    with pytest.raises(UnexpectedAnswer, match="cut off"):
        hook.call("GET", GROUPS)


def test_html_is_no_answer_and_not_asked_for_again(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})]
    with pytest.raises(UnexpectedAnswer, match="a page"):
        hook.call("GET", GROUPS)
    assert len(stub.calls) == 1


def test_a_redirect_is_not_followed(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    with running_stub() as elsewhere:
        stub.answers = [Answer(302, None, {"Location": elsewhere.url + GROUPS})]
        with pytest.raises(UnexpectedAnswer, match="redirect"):
            hook.call("GET", GROUPS)
        assert elsewhere.received == []


def test_the_token_request_is_not_redirected_either(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    with running_stub() as elsewhere:
        stub.token_answers = [Answer(307, None, {"Location": elsewhere.url + "/oauth/token"})]
        with pytest.raises(UnexpectedAnswer):
            hook.call("GET", GROUPS)
        assert elsewhere.received == []


def test_a_host_that_is_not_there_was_never_reached(
    stub: StubGenesys, new_hook: NewHook, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv(CONN, stub.connection(api_url=url))
        with pytest.raises(ConnectionFailed, match="cannot be reached") as caught:
            new_hook().call("POST", "/api/v2/users/externalid/HR/E-77", params={"secret": "x"})
    assert not caught.value.ambiguous
    assert len(clock.slept) == 5
    assert "E-77" not in str(caught.value)
    assert caught.value.__suppress_context__  # the original's text shows the URL


def test_a_missing_file_with_certificates_is_an_error_of_ours(
    new_hook: NewHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONN, StubGenesys("https://127.0.0.1:1").connection())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/ca.pem")
    with pytest.raises(CertificateRejected, match="REQUESTS_CA_BUNDLE"):
        new_hook().call("GET", GROUPS)


def test_a_proxy_that_fails_is_named(new_hook: NewHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"http://ann:s3cr3t-Xy@127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv(CONN, StubGenesys("https://genesys.invalid").connection(proxy=proxy))
        with pytest.raises(ConnectionFailed, match="HTTPS_PROXY") as failed:
            new_hook().call("GET", GROUPS)
    assert not failed.value.ambiguous
    assert "s3cr3t" not in str(failed.value)


def test_every_request_has_a_timeout(stub: StubGenesys, new_hook: NewHook, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        new_hook().call("GET", GROUPS)  # fetches the token, which is kept: the short time is for the silent host only
        monkeypatch.setenv(CONN, stub.connection(api_url=url, timeout=0.1))
        with pytest.raises(ConnectionFailed, match=r"no answer within 0\.1 s") as caught:
            new_hook().call("POST", "/api/v2/x")
        assert caught.value.ambiguous
        monkeypatch.setenv(CONN, stub.connection(login_url=url, timeout=0.1))
        with pytest.raises(ConnectionFailed, match=r"no answer within 0\.1 s"):
            new_hook(retry_policy=HttpRetryPolicy(attempts=1), token_store=ProcessTokenStore()).call("GET", GROUPS)


def test_the_caller_is_told_before_each_attempt_and_can_end_it(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    told: list[int] = []
    stub.answers = [error_body(503, "x", "x"), error_body(401, "x", "x")]
    hook.call("GET", GROUPS, before_attempt=lambda: told.append(len(stub.calls)))
    assert told == [0, 1, 2]

    class LeaseGone(Exception):
        pass

    def gone() -> None:
        raise LeaseGone

    with pytest.raises(LeaseGone):
        hook.call("GET", GROUPS, before_attempt=gone)
    assert len(stub.calls) == 3


def test_a_conflict_is_repeated_only_when_the_caller_vouches_for_it(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.answers = [error_body(409, "general.conflict", "x")]
    assert hook.call("PATCH", "/api/v2/x", idempotent=True).status == 200
    stub.answers = [error_body(409, "general.conflict", "x")]
    with pytest.raises(VersionConflict):
        hook.call("PATCH", "/api/v2/x")


def test_links_of_answers_are_never_followed(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    with running_stub() as elsewhere:
        links = {"nextUri": elsewhere.url + "/x", "lastUri": elsewhere.url + "/x"}

        def answer(request: Received) -> Answer:
            number = int(request.query["pageNumber"][0])
            return Answer(
                200, {"entities": [{"id": str(number)}], "total": 3, "pageCount": 3, "pageNumber": number, **links}
            )

        stub.otherwise = answer
        assert [entity["id"] for entity in hook.pages(GROUPS, page_size=1)] == ["1", "2", "3"]
        assert elsewhere.received == []
        assert [request.query["pageSize"] for request in stub.calls] == [["1"]] * 3


# -- the connection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["mypurecloud.de", "eu-central-1", "EU_CENTRAL_1", "https://api.mypurecloud.de/", "login.mypurecloud.de:443"],
)
def test_the_host_may_be_a_domain_an_aws_region_or_one_of_its_hosts(host: str) -> None:
    assert region_domain(host) == "mypurecloud.de"


@pytest.mark.parametrize(
    "host", ["", None, "us.genesys.cloud", "mypurecloud.de.evil.example", "purecloud.de", "http://"]
)
def test_an_unknown_region_is_told_with_the_known_ones(host: str | None) -> None:
    with pytest.raises(RegionUnknown) as caught:
        region_domain(host)
    for region, domain in REGIONS.items():
        assert f"{domain} ({region})" in str(caught.value)
    assert len(REGIONS) == 18


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"host": "nowhere.example", "extra": {}}, RegionUnknown, "nowhere.example"),
        ({"host": "", "extra": {"api_url": "https://a.example"}}, RegionUnknown, "login_url"),
        ({"login": ""}, SettingsError, "Login"),
        ({"password": ""}, SettingsError, "Password"),
        ({"extra": {"timeout": "soon"}}, SettingsError, "timeout"),
        ({"extra": {"timeout": 0}}, SettingsError, "timeout"),
        ({"extra": {"requests_per_minute": -1}}, SettingsError, "requests_per_minute"),
        ({"extra": {"api_url": "genesys.example"}}, SettingsError, "api_url"),
    ],
)
def test_a_connection_that_makes_no_sense_is_told(
    new_hook: NewHook, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], error: type[Exception], text: str
) -> None:
    good = {"conn_type": "genesys_cloud", "host": "mypurecloud.de", "login": "id", "password": "secret"}
    monkeypatch.setenv(CONN, json.dumps({**good, **fields}))
    with pytest.raises(error, match=text):
        new_hook().call("GET", GROUPS)


def test_the_regions_hosts_are_used_and_form_texts_are_understood(
    new_hook: NewHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"timeout": "12.5", "requests_per_minute": "200", "verify": "false", "api_url": ""}
    monkeypatch.setenv(
        CONN,
        json.dumps({"conn_type": "genesys_cloud", "host": "eu-west-1", "login": "i", "password": "s", "extra": extra}),
    )
    settings = new_hook().settings
    assert (settings.api_url, settings.login_url) == ("https://api.mypurecloud.ie", "https://login.mypurecloud.ie")
    assert (settings.timeout, settings.requests_per_minute) == (12.5, 200)
    assert settings.http_extra == {"verify": False}
    assert settings.unknown_extra == ()


# -- the Test button ----------------------------------------------------------------------------------


def an_organisation(request: Received) -> Answer:
    if request.path == GROUPS:
        return Answer(200, {"entities": [{"id": "g1"}], "total": 42, "pageCount": 42, "pageNumber": 1})
    return Answer(200, {"id": "g1"})


def test_the_test_button_tells_host_and_number_of_groups(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    stub.otherwise = an_organisation
    assert hook.test_connection() == (True, f"{stub.url.partition('//')[2]} answers; it has 42 groups")
    assert {request.method for request in stub.calls} == {"GET", "POST"}
    assert {request.path for request in stub.calls if request.method == "POST"} == {"/api/v2/users/search"}


def test_the_test_button_tells_which_rights_are_missing(stub: StubGenesys, hook: GenesysCloudHook) -> None:
    def answer(request: Received) -> Answer:
        if request.path == GROUPS:
            return an_organisation(request)
        return error_body(403, "not.authorized", "You are not authorized")

    stub.otherwise = answer
    ok, text = hook.test_connection()
    assert not ok
    assert "A guess" in text
    assert "may lack directory:group:edit" in text
    assert "may lack directory:user:view" in text
    assert "Genesys says: You are not authorized" in text


@pytest.mark.parametrize(
    ("token_answer", "answer", "text"),
    [
        (Answer(401, {"error": "invalid_client"}), Answer(200, {}), "refuses the OAuth client"),
        (None, Answer(200, b"<html>"), "a page"),
        (None, error_body(403, "missing.permissions", "permission(s): directory:group:view"), "directory:group:view"),
    ],
)
def test_the_test_button_tells_what_is_wrong(
    stub: StubGenesys, hook: GenesysCloudHook, token_answer: Answer | None, answer: Answer, text: str
) -> None:
    stub.token_answers = [token_answer] if token_answer else []
    stub.otherwise = lambda _: answer
    ok, told = hook.test_connection()
    assert not ok
    assert text in told


def test_the_test_button_tells_that_there_is_no_such_connection(new_hook: NewHook) -> None:
    ok, told = new_hook(genesys_conn_id="not_there").test_connection()
    assert not ok
    assert "not_there" in told


def test_every_error_is_one_of_ours() -> None:
    assert issubclass(RegionUnknown, GroupSyncError)
    assert issubclass(Throttled, GroupSyncError)


def test_importing_the_hook_loads_no_oauth_library() -> None:
    """Airflow imports it in every process that parses DAGs."""
    code = (
        "import sys, genesys_ad_sync_airflow.genesys_cloud.hook; "
        "print([m for m in sys.modules if m.startswith('authlib')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_python_path())
    assert done.stdout.strip().splitlines()[-1] == "[]"


def _python_path() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(["include", "plugins"])}
