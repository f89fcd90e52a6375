"""The connection to Genesys Cloud: from an Airflow connection to calls of the API.

Puts together OAuth (`oauth`), retries (`retries`) and pacing (`pacing`). Knows no group and no user: what is asked
is the domain's matter (`genesys_ad_sync.genesys`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import requests
from airflow.providers.http.hooks.http import HttpHook
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.client import ApiResponse, path_segment
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    CertificateRejected,
    ConnectionFailed,
    GenesysError,
    PermissionMissing,
    Throttled,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.paging import list_page, read_pages
from genesys_ad_sync.genesys.request_counts import RequestCounts
from genesys_ad_sync.genesys.responses import correlation_id, parse_answer
from genesys_ad_sync_airflow.genesys_cloud.connection import ConnectionSettings, read_connection
from genesys_ad_sync_airflow.genesys_cloud.oauth import (
    PROCESS_STORE,
    TOKEN_PATH,
    Token,
    TokenSource,
    TokenStore,
    fetch_token,
    hide_from_logs,
    token_key,
)
from genesys_ad_sync_airflow.genesys_cloud.pacing import Pacer, WindowPacer
from genesys_ad_sync_airflow.genesys_cloud.retries import RetryPolicy, retrying


class GenesysCloudHook(HttpHook):
    """Calls the Genesys Cloud Platform API with the token of an OAuth client (client credentials).

    The Airflow connection: host = region domain (`mypurecloud.de`) or AWS region (`eu-central-1`); login = client
    id; password = client secret; extra: `api_url` and `login_url` (instead of the region's hosts, for a sandbox or
    a proxy), `timeout` (seconds, default 30), `requests_per_minute` (a ceiling below Genesys' own, for each
    process by itself), and `verify`, `cert`, `proxies`, `trust_env` of HttpHook. No extra is ever sent as a header.

    A `GenesysClient` of the domain; usable from several threads. Everything it raises on purpose is a
    GenesysError, or a SettingsError for a connection that makes no sense.
    """

    conn_name_attr = "genesys_conn_id"
    default_conn_name = "genesys_cloud_default"
    conn_type = "genesys_cloud"
    hook_name = "Genesys Cloud"

    def __init__(
        self,
        genesys_conn_id: str = default_conn_name,
        *,
        rate_reserve: float = 0.0,
        retry_policy: RetryPolicy | None = None,
        pacer: Pacer | None = None,
        token_store: TokenStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        **http_hook_options: Any,
    ) -> None:
        """``rate_reserve``: percent of the rate limit that is left to others on the same token. ``retry_policy``,
        ``pacer`` and ``token_store`` replace the usual ones; ``clock`` and ``sleep`` are for tests."""
        super().__init__(method="GET", http_conn_id=genesys_conn_id, **http_hook_options)
        self.genesys_conn_id = genesys_conn_id
        self.request_counts = RequestCounts()
        self._retry_policy = retry_policy or RetryPolicy()
        self._rate_reserve = rate_reserve
        self._pacer_given = pacer
        self._token_store = token_store or PROCESS_STORE
        self._clock = clock
        self._sleep = sleep
        self._host_is_right = False  # it has answered as the API does
        self._lock = threading.RLock()
        self._of_thread = threading.local()

    # -- GenesysClient --------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        before_attempt: Callable[[], None] | None = None,
    ) -> ApiResponse:
        """See `GenesysClient.call`. What is repeated and when is told in `retries`."""
        one = _Call(method.upper(), path, params, json, headers, before_attempt)
        failed: GenesysError | None = None
        try:
            for attempt in retrying(self._retry_policy, method=one.method, idempotent=idempotent, sleep=self._sleep):
                with attempt:
                    try:
                        now = replace(one, json=json(failed)) if callable(json) else one
                        return self._attempt(now, again=attempt.retry_state.attempt_number > 1)
                    except GenesysError as error:
                        failed = error
                        raise
        except GenesysError as error:
            error.given_up = True
            raise
        raise AssertionError("tenacity ends with a result or an exception")

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """See `GenesysClient.pages`."""
        return read_pages(lambda number: list_page(self, path, number, params=params, page_size=page_size), path)

    def share_ceiling(self, instances: int) -> None:
        """See `GenesysClient.share_ceiling`."""
        self._pacer.share_ceiling(max(1, instances))

    # -- one attempt ----------------------------------------------------------------------------------

    def _attempt(self, one: _Call, again: bool) -> ApiResponse:
        try:
            return self._send(one, again)
        except AuthenticationFailed as error:
            if error.path == TOKEN_PATH:
                raise
            # The token may have been revoked before its time: once more, with a new one.
        return self._send(one, again=True)

    def _send(self, one: _Call, again: bool) -> ApiResponse:
        token = self._tokens.token()
        self._pacer.before()
        try:
            if one.before_attempt is not None:
                one.before_attempt()  # last of all: the waiting is over, the request goes out now
            response = self._exchange(one, token, again)
        except BaseException:
            self._pacer.observe({})  # no answer to learn from
            raise
        self._pacer.observe(response.headers)
        if response.status_code == 429:
            self.request_counts.was_throttled()
        elif response.status_code == 401:
            self._tokens.refused(token)
        try:
            body = parse_answer(one.method, one.path, response.status_code, response.headers, response.content)
        except UnexpectedAnswer as error:
            error.may_pass = error.may_pass or (self._host_is_right and not 300 <= response.status_code < 400)
            raise
        self._host_is_right = True
        return ApiResponse(response.status_code, body, correlation_id(response.headers))

    def _exchange(self, one: _Call, token: str, again: bool) -> requests.Response:
        session = self._session
        request = requests.Request(
            one.method,
            self.settings.api_url + one.path,
            params=dict(one.params or {}),
            json=one.json,
            headers=dict(one.headers or {}),
            auth=_Bearer(lambda: token),  # this very one: a 401 must tell which token was refused
        )
        prepared = session.prepare_request(request)
        options = session.merge_environment_settings(
            prepared.url or "", proxies=session.proxies, stream=False, verify=session.verify, cert=session.cert
        )
        self.request_counts.sent(one.method, one.path, again=again)
        try:
            return session.send(prepared, timeout=self.settings.timeout, allow_redirects=False, **options)
        except requests.RequestException as error:
            raise no_answer(error, one.method, one.path, self.settings.timeout) from None  # its text shows the URL

    # -- the token ------------------------------------------------------------------------------------

    @property
    def _tokens(self) -> TokenSource:
        settings = self.settings
        key = token_key(settings.login_url, settings.client_id, settings.client_secret)
        return TokenSource(key, self._fetch_token, self._token_store)

    def _fetch_token(self) -> Token:
        settings = self.settings
        self.request_counts.sent("POST", TOKEN_PATH)
        session = self._session
        try:
            token = fetch_token(
                login_url=settings.login_url,
                client_id=settings.client_id,
                client_secret=settings.client_secret,
                connection_id=settings.connection_id,
                timeout=settings.timeout,
                verify=session.verify,
                cert=session.cert,
                proxies=session.proxies,
                trust_env=session.trust_env,
            )
        except requests.RequestException as error:
            failure = no_answer(error, "POST", TOKEN_PATH, settings.timeout)
            failure.ambiguous = False  # to fetch a token twice does no harm, also on behalf of a POST
            raise failure from None
        except GenesysError as error:
            if isinstance(error, Throttled):
                self.request_counts.was_throttled()
            raise
        hide_from_logs(token.value)
        return token

    # -- from the Airflow connection to a session -----------------------------------------------------

    @property
    def settings(self) -> ConnectionSettings:
        """The connection, read once. Raises SettingsError, RegionUnknown, or Airflow's error if there is none."""
        with self._lock:  # before Python 3.12 cached_property locks by itself, after it does not
            return self._settings

    @cached_property
    def _settings(self) -> ConnectionSettings:
        settings = read_connection(self.http_conn_id, self.get_connection(self.http_conn_id))
        if settings.unknown_extra:
            names = ", ".join(settings.unknown_extra)
            self.log.warning("Nobody reads these extras of the connection %s: %s", self.http_conn_id, names)
        return settings

    @property
    def _pacer(self) -> Pacer:
        with self._lock:
            if self._pacer_given is None:
                self._pacer_given = WindowPacer(
                    requests_per_minute=self.settings.requests_per_minute,
                    reserve=self._rate_reserve / 100,
                    longest_wait=self._retry_policy.longest_wait,
                    clock=self._clock,
                    sleep=self._sleep,
                )
            return self._pacer_given

    @property
    def _session(self) -> requests.Session:
        """One per thread, as requests wants it; all of them use the same adapter and its pool of connections."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = self.get_conn()
        return self._of_thread.session

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """HttpHook's steps to a session, without asking Airflow for the connection each time."""
        self._set_base_url(None)
        session = self._configure_session_from_auth(requests.Session(), None)
        session = self._configure_session_from_extra(session, None, extra_options or {})
        session = self._configure_session_from_mount_adapters(session)
        session.headers.update({"Accept": "application/json", **(headers or {})})
        return session

    def _set_base_url(self, connection: Any) -> None:
        self.base_url = self.settings.api_url
        self._base_url_initialized = True

    def _configure_session_from_auth(self, session: requests.Session, connection: Any) -> requests.Session:
        session.auth = _Bearer(self._tokens.token)
        return session

    def _configure_session_from_extra(
        self, session: requests.Session, connection: Any, extra_options: dict[str, Any]
    ) -> requests.Session:
        # HttpHook sends every extra that it does not know as a header; it gets to see only those that it knows.
        known = SimpleNamespace(host=self.settings.api_url, extra_dejson=dict(self.settings.http_extra))
        safe = {"timeout": self.settings.timeout, "allow_redirects": False, **extra_options}
        return super()._configure_session_from_extra(session, known, safe)

    def check_response(self, response: requests.Response) -> None:
        """For HttpHook's own ``run()``: the same typed errors."""
        path = urlsplit(response.url).path
        method = response.request.method or ""
        parse_answer(method, path, response.status_code, response.headers, response.content)

    # -- the Test button ------------------------------------------------------------------------------

    def test_connection(self) -> tuple[bool, str]:
        """Gets a token, reads the number of groups, and looks for the rights that a sync needs.

        A handful of requests, without long waiting; writes nothing.
        """
        patience = self._retry_policy
        self._retry_policy = RetryPolicy(attempts=2, longest_wait=5.0)  # somebody is looking at the button
        try:
            host = urlsplit(self.settings.api_url).netloc
            page = list_page(self, "/api/v2/groups", 1, page_size=1)
            missing = [] if not page.entities else self._missing_rights(str(page.entities[0].get("id")))
        except GroupSyncError as error:
            return False, str(error)
        except Exception as error:
            # Airflow's own: no such connection, for one.
            return False, f"{type(error).__name__}: {error}"
        finally:
            self._retry_policy = patience
        found = f"{host} answers; it has {page.total} groups"
        if missing:
            return False, f"{found}. But the role of the OAuth client lacks {' and '.join(missing)}"
        return True, found

    def _missing_rights(self, group_id: str) -> list[str]:
        """SCIM wants the right to write even for reading, which makes it a test that writes nothing."""
        missing: list[str] = []
        search = {"pageSize": 1, "query": [{"type": "EXACT", "fields": ["state"], "value": "active"}]}
        for method, path, body in (
            ("GET", f"/api/v2/scim/v2/groups/{path_segment(group_id)}", None),
            ("POST", "/api/v2/users/search", search),
        ):
            try:
                self.call(method, path, json=body, idempotent=True)
            except PermissionMissing as error:
                missing.extend(error.permissions or (str(error),))
        return list(dict.fromkeys(missing))


@dataclass(frozen=True)
class _Call:
    """The arguments of ``call`` that every attempt needs."""

    method: str
    path: str
    params: Mapping[str, Any] | None
    json: Any
    headers: Mapping[str, str] | None
    before_attempt: Callable[[], None] | None


class _Bearer(requests.auth.AuthBase):
    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


# -- pure helpers -------------------------------------------------------------------------------------


def no_answer(error: requests.RequestException, method: str, path: str, timeout: float) -> ConnectionFailed:
    """The typed error for what requests raises. The text of the original is left out: it shows the whole URL."""
    facts: dict[str, Any] = {"method": method, "path": path}
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return CertificateRejected(
            "The host's certificate does not verify; set `verify` of the connection to your CA's file", **facts
        )
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)) or isinstance(
        reason, (NewConnectionError, ConnectTimeoutError)
    ):
        return ConnectionFailed("The host cannot be reached", **facts)
    why = f"no answer within {timeout:g} s" if isinstance(error, requests.Timeout) else "the connection broke"
    return ConnectionFailed(f"No answer: {why} ({type(error).__name__})", ambiguous=True, **facts)
