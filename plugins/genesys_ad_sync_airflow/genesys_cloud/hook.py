"""From an Airflow connection of type ``genesys_cloud`` to calls of the API.

Puts together OAuth (`oauth`), retries (`retries`) and pacing (`pacing`). Knows no group and no user: the domain decides
what is requested (`genesys_ad_sync.genesys`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from airflow.providers.http.hooks.http import HttpHook

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.client import ApiResponse, path_segment
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    GenesysError,
    PermissionMissing,
    Throttled,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.paging import list_page, read_pages
from genesys_ad_sync.genesys.request_counts import RequestCounts, endpoint_family
from genesys_ad_sync.genesys.responses import correlation_id, parse_response
from genesys_ad_sync.text import FOREIGN_WORDS
from genesys_ad_sync_airflow import metrics
from genesys_ad_sync_airflow.genesys_cloud.connection import GenesysConnection, read_connection, with_new_secret
from genesys_ad_sync_airflow.genesys_cloud.no_answer import no_answer
from genesys_ad_sync_airflow.genesys_cloud.oauth import (
    PROCESS_STORE,
    TOKEN_PATH,
    Bearer,
    Token,
    TokenSource,
    TokenStore,
    fetch_token,
    hide_from_logs,
    token_key,
)
from genesys_ad_sync_airflow.genesys_cloud.pacing import Pacer, WindowPacer
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy, retrying

if TYPE_CHECKING:
    from genesys_ad_sync_airflow.logins import LoginAttempt

TOKENS_PER_ATTEMPT = 4
"""A token may die while it waits for the rate limit; four in a row do not."""


class GenesysCloudHook(HttpHook):
    """Calls the Genesys Cloud Platform API with the token of an OAuth client (client credentials).

    The Airflow connection:
    - host: the region's domain (`mypurecloud.de`) or AWS region (`eu-central-1`);
    - login: client id; password: client secret;
    - extra `api_url` and `login_url`: used instead of the region's hosts, for a sandbox or a proxy;
    - extra `transport`: `plain` allows http:// for another host than this machine;
    - extra `timeout`: seconds, default 30;
    - extra `requests_per_minute`: a ceiling below Genesys' own, for each process;
    - extra `verify`, `cert`, `proxies`, `trust_env` of HttpHook. No extra is ever sent as a header.

    A `GenesysClient` of the domain; usable from several threads. It raises a GenesysError, or a SettingsError for a
    wrong connection.
    """

    conn_name_attr = "genesys_conn_id"
    default_conn_name = "genesys_cloud_default"
    conn_type = "genesys_cloud"
    hook_name = "Genesys Cloud"

    def __init__(  # noqa: PLR0913  what is replaced for a task or a test, each by name
        self,
        genesys_conn_id: str = default_conn_name,
        *,
        rate_reserve: float = 0.0,
        retry_policy: HttpRetryPolicy | None = None,
        pacer: Pacer | None = None,
        token_store: TokenStore | None = None,
        login_attempt: LoginAttempt = lambda _: nullcontext(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        **http_hook_options: Any,
    ) -> None:
        """Make a hook. It reads the Airflow connection at its first call.

        ``rate_reserve``: percent of the rate limit that is left to other clients of the token. ``retry_policy``,
        ``pacer`` and ``token_store`` replace the usual ones; ``login_attempt`` surrounds each request for a token,
        and may refuse it; ``clock`` and ``sleep`` are for tests.
        """
        super().__init__(method="GET", http_conn_id=genesys_conn_id, **http_hook_options)
        self.genesys_conn_id = genesys_conn_id
        self.request_counts = RequestCounts()
        self._retry_policy = retry_policy or HttpRetryPolicy()
        self._rate_reserve = rate_reserve
        self._pacer_given = pacer
        self._token_store = token_store or PROCESS_STORE
        self._login_attempt = login_attempt
        self._token_source: TokenSource | None = None
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
        """Send a request; see `GenesysClient.call`. `retries` decides which requests are repeated."""
        request = _Request(method.upper(), path, params, json, headers, before_attempt)
        failed: GenesysError | None = None
        try:
            for attempt in retrying(
                self._retry_policy, method=request.method, idempotent=idempotent, sleep=self._sleep
            ):
                with attempt:
                    try:
                        current = replace(request, json=json(failed)) if callable(json) else request
                        return self._attempt(current, again=attempt.retry_state.attempt_number > 1)
                    except GenesysError as error:
                        error.maybe_done = failed is not None and (failed.maybe_done or failed.ambiguous)
                        failed = error
                        raise
        except GenesysError as error:
            error.given_up = True
            raise
        raise AssertionError("tenacity ends with a result or an exception")

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Iterate over a listing; see `GenesysClient.pages`."""
        return read_pages(lambda number: list_page(self, path, number, params=params, page_size=page_size), path)

    def share_ceiling(self, instances: int) -> None:
        """Divide the connection's ceiling; see `GenesysClient.share_ceiling`."""
        self._pacer.share_ceiling(max(1, instances))

    # -- one attempt ----------------------------------------------------------------------------------

    def _attempt(self, request: _Request, *, again: bool) -> ApiResponse:
        """Send the request; once more with each newer token while tokens die.

        Nothing was carried out where the answer is 401.
        """
        for number in range(TOKENS_PER_ATTEMPT):
            token = self._tokens.token()
            try:
                return self._send(request, token, again=again or number > 0)
            except AuthenticationFailed as error:
                if not self._tokens.refused(token) or number == TOKENS_PER_ATTEMPT - 1:
                    raise
                self.log.info("The access token is no longer accepted, so the next one is taken: %s", error)
        raise AssertionError("the last token ends the loop")

    def _send(self, request: _Request, token: str, *, again: bool) -> ApiResponse:
        family = endpoint_family(request.path)
        with metrics.throttled_time():
            self._pacer.before(family)
        try:
            if request.before_attempt is not None:
                request.before_attempt()  # last of all: the waiting is over, the request goes out now
            response = self._exchange(request, token, again=again)
        except BaseException:
            self._pacer.observe({}, family)  # no answer to learn from
            raise
        self._pacer.observe(response.headers, family)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self.request_counts.was_throttled()
        elif response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR and (
            response.status_code != HTTPStatus.UNAUTHORIZED
        ):
            self._tokens.accepted(token)
        try:
            body = parse_response(
                request.method, request.path, response.status_code, response.headers, response.content
            )
        except UnexpectedAnswer as error:
            redirected = HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST
            error.may_pass = error.may_pass or (self._host_is_right and not redirected)
            raise
        self._host_is_right = True
        return ApiResponse(response.status_code, body, correlation_id(response.headers))

    def _exchange(self, request: _Request, token: str, *, again: bool) -> requests.Response:
        session = self._session
        prepared = session.prepare_request(
            requests.Request(
                request.method,
                self.settings.api_url + request.path,
                params=dict(request.params or {}),
                json=request.json,
                headers=dict(request.headers or {}),
                auth=Bearer(lambda: token),  # this very token: a 401 must show which one was refused
            )
        )
        options = session.merge_environment_settings(
            prepared.url or "", proxies=session.proxies, stream=False, verify=session.verify, cert=session.cert
        )
        self.request_counts.sent(request.method, request.path, again=again)
        try:
            answer = session.send(prepared, timeout=self.settings.timeout, allow_redirects=False, **options)
            metrics.count_request(request.method, request.path, answer.status_code, answer.headers)
            return answer
        except OSError as error:  # of requests; a plain one if a file with certificates is missing
            metrics.count_request(request.method, request.path, None)
            # The text of the cause shows the URL.
            raise no_answer(error, request.method, request.path, self.settings.timeout) from None

    # -- the token ------------------------------------------------------------------------------------

    @property
    def _tokens(self) -> TokenSource:
        """One for all threads: it knows which tokens were refused."""
        with self._lock:
            if self._token_source is None:
                settings = self.settings
                key = token_key(settings.login_url, settings.client_id, settings.client_secret)
                self._token_source = TokenSource(key, self._fetch_token, self._token_store)
            return self._token_source

    def _fetch_token(self) -> Token:
        settings = with_new_secret(self.settings, self.get_connection(self.http_conn_id))
        session = self._session
        options = {name: getattr(session, name) for name in ("verify", "cert", "proxies", "trust_env")}
        try:
            with self._login_attempt((settings.login_url, settings.client_id, settings.client_secret)):
                self.request_counts.sent("POST", TOKEN_PATH)
                token = fetch_token(
                    login_url=settings.login_url,
                    client_id=settings.client_id,
                    client_secret=settings.client_secret,
                    connection_id=settings.connection_id,
                    timeout=settings.timeout,
                    **options,
                )
        except OSError as error:
            failure = no_answer(error, "POST", TOKEN_PATH, settings.timeout)
            failure.ambiguous = False  # fetching a token twice does no harm, also for a POST
            raise failure from None
        except GenesysError as error:
            if isinstance(error, Throttled):
                self.request_counts.was_throttled()
            raise
        hide_from_logs(token.value)
        return token

    # -- from the Airflow connection to a session -----------------------------------------------------

    @property
    def settings(self) -> GenesysConnection:
        """The connection, read once.

        Raises SettingsError or RegionUnknown, or Airflow's error if there is no such connection.
        """
        with self._lock:  # before Python 3.12 cached_property has a lock of its own, since then it has none
            return self._settings

    @cached_property
    def _settings(self) -> GenesysConnection:
        settings = read_connection(self.http_conn_id, self.get_connection(self.http_conn_id))
        if settings.unknown_extra:
            names = ", ".join(settings.unknown_extra)
            self.log.warning("Ignored unknown extras of the connection %s: %s", self.http_conn_id, names)
        for secret in settings.proxy_secrets:
            hide_from_logs(secret)
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
        """One session per thread; all use the same adapter and its pool of connections."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = self.get_conn()
        return session

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Build a session by HttpHook's steps, without reading the Airflow connection each time."""
        self._set_base_url(None)
        session = self._configure_session_from_auth(requests.Session(), None)
        session = self._configure_session_from_extra(session, None, extra_options or {})
        session = self._configure_session_from_mount_adapters(session)
        session.headers.update({"Accept": "application/json", **(headers or {})})
        return session

    def _set_base_url(self, connection: Any) -> None:  # noqa: ARG002  HttpHook's
        self.base_url = self.settings.api_url
        self._base_url_initialized = True

    def _configure_session_from_auth(
        self,
        session: requests.Session,
        connection: Any,  # noqa: ARG002  HttpHook's
    ) -> requests.Session:
        session.auth = Bearer(self._tokens.token)
        return session

    def _configure_session_from_extra(
        self,
        session: requests.Session,
        connection: Any,  # noqa: ARG002  HttpHook's
        extra_options: dict[str, Any],
    ) -> requests.Session:
        # HttpHook sends every extra that it does not know as a header, so it sees only those that it knows.
        known = SimpleNamespace(host=self.settings.api_url, extra_dejson=dict(self.settings.http_extra))
        safe = {"timeout": self.settings.timeout, "allow_redirects": False, **extra_options}
        return super()._configure_session_from_extra(session, known, safe)

    def check_response(self, response: requests.Response) -> None:
        """Raise the same typed errors for HttpHook's own ``run()``."""
        path = urlsplit(response.url).path
        method = response.request.method or ""
        parse_response(method, path, response.status_code, response.headers, response.content)

    # -- the Test button ------------------------------------------------------------------------------

    def test_connection(self) -> tuple[bool, str]:
        """Get a token, read the number of groups, and check the needed rights.

        Sends few requests, does not wait long, and writes nothing.
        """
        patience = self._retry_policy
        self._retry_policy = HttpRetryPolicy(attempts=2, longest_wait=5.0)  # a person waits for the answer
        try:
            host = urlsplit(self.settings.api_url).netloc
            page = list_page(self, "/api/v2/groups", 1, page_size=1)
            missing = [] if not page.entities else self._missing_rights(str(page.entities[0].get("id")))
        except GroupSyncError as error:
            return False, str(error)
        except Exception as error:  # noqa: BLE001  the button shows any error: Airflow's own, if there is no such connection
            return False, f"{type(error).__name__}: {error}"
        finally:
            self._retry_policy = patience
        found = f"{host} answers; it has {page.total} groups"
        if missing:
            return False, f"{found}. But {'. '.join(missing)}"
        return True, found

    def _missing_rights(self, group_id: str) -> list[str]:
        """Return what the client may not do, in words.

        SCIM demands the right to write even for reading, so nothing is written.
        """
        missing: list[str] = []
        search = {"pageSize": 1, "query": [{"type": "EXACT", "fields": ["state"], "value": "active"}]}
        for method, path, body in (
            ("GET", f"/api/v2/scim/v2/groups/{path_segment(group_id)}", None),
            ("POST", "/api/v2/users/search", search),
        ):
            try:
                self.call(method, path, json=body, idempotent=True)
            except PermissionMissing as error:
                missing.append(f"{error.message}. {FOREIGN_WORDS}{error.words}" if error.words else error.message)
        return list(dict.fromkeys(missing))


@dataclass(frozen=True)
class _Request:
    """The arguments of ``call`` that every attempt needs."""

    method: str
    path: str
    params: Mapping[str, Any] | None
    json: Any
    headers: Mapping[str, str] | None
    before_attempt: Callable[[], None] | None
