"""The access token: fetched, kept, renewed before its end and after a 401.

Authlib speaks OAuth. A `TokenStore` keeps the token; the one here keeps it in the memory of the process.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, quote_plus, urlsplit

import requests

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    ServerError,
    Throttled,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.responses import json_object, retry_after, words_of

_SENDABLE = re.compile(r"[!-~]+")  # in a header
TOKEN_PATH = "/oauth/token"  # noqa: S105  # a path, no secret
RENEW_BEFORE = 60.0  # seconds before its end; Genesys' own Go client does the same
SHORTEST_LIFETIME = 300.0  # seconds; assumed if the answer has no lifetime
LONGEST_LIFETIME = 172_800.0  # seconds; two days are the most that Genesys lets a client choose


@dataclass(frozen=True)
class Token:
    """``renew_at``: when to fetch the next one, in seconds since the epoch."""

    value: str = field(repr=False)
    renew_at: float


class TokenStore(Protocol):
    """Keeps tokens by key. The key does not show the secret."""

    def get(self, key: str) -> Token | None:
        """Return the kept token; None if there is none."""
        ...

    def put(self, key: str, token: Token) -> None:
        """Keep the token in place of an older one."""
        ...

    def forget(self, key: str, value: str) -> None:
        """Drop the token if it was not renewed meanwhile."""
        ...

    def lock(self, key: str) -> AbstractContextManager[Any]:
        """Return a lock to hold while fetching, so that a token is fetched only once."""
        ...


class ProcessTokenStore:
    """One token for all hooks of this process."""

    def __init__(self) -> None:
        self._tokens: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> Token | None:
        return self._tokens.get(key)

    def put(self, key: str, token: Token) -> None:
        with self._lock:
            self._tokens[key] = token

    def forget(self, key: str, value: str) -> None:
        with self._lock:
            if key in self._tokens and self._tokens[key].value == value:
                del self._tokens[key]

    def lock(self, key: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())


PROCESS_STORE = ProcessTokenStore()


class TokenSource:
    """The token of one OAuth client. ``fetch`` asks the login host. Usable from several threads."""

    def __init__(
        self, key: str, fetch: Callable[[], Token], store: TokenStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key
        self._fetch = fetch
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._dead: set[str] = set()  # refused here; another task may not know yet, and keep it in the store
        self._lost = False  # a token died, and no other was accepted since
        self._unproven: set[str] = set()  # fetched in place of one that died, and not accepted by the API since

    def token(self) -> str:
        """Return a valid token that was not refused; fetch one if needed."""
        if valid := self._stored():
            return valid
        with self._store.lock(self._key):
            if valid := self._stored():  # another thread or task fetched it meanwhile
                return valid
            token = self._fetch()
            with self._lock:
                if self._lost:
                    self._unproven.add(token.value)
                self._dead.discard(token.value)
            self._store.put(self._key, token)
            return token.value

    def accepted(self, value: str) -> None:
        """Note that the API took the token. A later 401 then means that it died."""
        if self._lost:
            with self._lock:
                if value not in self._dead:
                    self._lost = False
                self._unproven.discard(value)

    def refused(self, value: str) -> bool:
        """Note that the API answered 401 for the token. Return whether another token may help.

        It does not if this one was fetched in place of one that died: then the client itself is refused.
        """
        with self._lock:
            self._lost = True
            self._dead.add(value)
            may_help = value not in self._unproven
        self._store.forget(self._key, value)
        return may_help

    def _stored(self) -> str | None:
        token = self._store.get(self._key)
        if token is not None and token.value in self._dead:
            # Another thread read it from the shared store just before it was dropped: look there again.
            self._store.forget(self._key, token.value)
            token = self._store.get(self._key)
        if token is None or token.value in self._dead or token.renew_at <= self._clock():
            return None
        return token.value


def token_key(login_url: str, client_id: str, client_secret: str) -> str:
    """Return one key per client and secret.

    So a new secret gets a new token.
    """
    return hashlib.sha256("\0".join((login_url, client_id, client_secret)).encode()).hexdigest()


def fetch_token(
    *,
    login_url: str,
    client_id: str,
    client_secret: str,
    connection_id: str,
    timeout: float,
    clock: Callable[[], float] = time.time,
    **session_options: Any,
) -> Token:
    """Request a token from the login host (client credentials; the client authenticates by Basic).

    ``session_options``: `verify`, `cert`, `proxies`, `trust_env` of requests. Raises AuthenticationFailed for a
    wrong client, Throttled for the rate limit that this endpoint answers as 400, ServerError, UnexpectedAnswer, and
    the exceptions of requests if there is no answer.
    """
    # Imported late: Authlib takes 0.3 s, and Airflow imports the hook to list the connection types.
    from authlib.integrations.base_client import OAuthError
    from authlib.integrations.requests_client import OAuth2Session

    answers: list[requests.Response] = []

    def keep(response: requests.Response) -> requests.Response:
        answers.append(response)
        return response

    began = clock()
    try:
        with OAuth2Session(client_id, client_secret, **session_options) as session:
            session.register_compliance_hook("access_token_response", keep)
            session.fetch_token(
                login_url + TOKEN_PATH, grant_type="client_credentials", timeout=timeout, allow_redirects=False
            )
    except OAuthError as error:
        said = {"error": str(error.error or ""), "error_description": str(error.description or "")}
        _raise_for(answers[-1], login_url, connection_id, {**said, **_body(answers[-1])}, client_secret)
    except requests.HTTPError:
        _raise_for(answers[-1], login_url, connection_id, _body(answers[-1]), client_secret)
    except (ValueError, KeyError, TypeError, OverflowError):
        if not answers:
            raise  # else Authlib minds something of the answer, such as its lifetime
    return _token_of(answers[-1], began, login_url, connection_id, client_secret)


def _token_of(response: requests.Response, began: float, login_url: str, connection_id: str, secret: str) -> Token:
    """Return the token of an answer.

    Raises UnexpectedAnswer for one without a token that can be sent.
    """
    body = json_object(response.content)
    value = body.get("access_token")
    if not isinstance(value, str) or not _SENDABLE.fullmatch(value):
        _raise_for(response, login_url, connection_id, _body(response), secret)
    lifetime = _lifetime(body.get("expires_in"))
    return Token(str(value), began + lifetime - min(RENEW_BEFORE, lifetime / 2))


def _lifetime(value: Any) -> float:
    """Return the seconds that a token lives, as its answer says.

    A number that cannot be meant counts as none: each request would fetch a token, or a dead one would be kept.
    """
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return SHORTEST_LIFETIME
    return min(seconds, LONGEST_LIFETIME) if seconds > 1 else SHORTEST_LIFETIME


def _body(response: requests.Response) -> dict[str, Any]:
    return {key: value for key, value in json_object(response.content).items() if value}


def _raise_for(
    response: requests.Response, login_url: str, connection_id: str, body: Mapping[str, Any], secret: str
) -> Any:
    """Raise the error that the answer means.

    Its own words are shown in logs, too: no person is named at the login host.
    """
    shown = {key: _without(secret, value) for key, value in body.items() if isinstance(value, str)}
    error, words = shown.get("error", ""), words_of(shown)
    facts: dict[str, Any] = {
        "method": "POST",
        "path": TOKEN_PATH,
        "status": response.status_code,
        "code": error or None,
        "correlation_id": response.headers.get("ININ-Correlation-Id"),
    }
    host = urlsplit(login_url).netloc
    said = f". It says: {words}" if words else ""
    status = response.status_code
    # None of these errors is ambiguous: fetching a token twice does no harm.
    if status == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in words.lower():
        raise Throttled(
            f"The login host {host} limits the rate of token requests{said}",
            retry_after=retry_after(response.headers, words, rate_limited=True),
            **facts,
        ) from None
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ServerError(
            f"The login host {host} fails{said}", retry_after=retry_after(response.headers), **facts
        ) from None
    if status in (400, 401, 403) and words:
        raise AuthenticationFailed(
            f"The login host {host} refuses the OAuth client{said}. {_guess(error, connection_id)}", **facts
        ) from None
    raise UnexpectedAnswer(
        f"The login host {host} returns no token: check the Host (or `login_url`) of the connection {connection_id}"
        + said,
        **facts,
    ) from None


def _without(secret: str, text: str) -> str:
    """Return a text in which the login host does not repeat the secret."""
    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        text = text.replace(form, "***")
    return text


def _guess(error: str, connection_id: str) -> str:
    """Return the possible cause.

    The error's name says little, and its words were shown before.
    """
    if error in ("invalid_client", "unauthorized_client", "invalid_grant", "unsupported_grant_type"):
        return (
            f"A guess: check Login (client id) and Password (client secret) of the connection {connection_id}, and "
            f"that its Host names the client's region; the client's grant type must be Client Credentials"
        )
    return (
        f"A guess: the allowed IP addresses of the OAuth client, or of the organisation, may lack the address of this "
        f"machine. Otherwise check the client in Genesys Cloud and the connection {connection_id}"
    )


class Bearer(requests.auth.AuthBase):
    """Send the token with a request. ``token`` returns it."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


def hide_from_logs(secret: str) -> None:
    """Let Airflow replace a secret with *** in every log."""
    from airflow.sdk.log import mask_secret

    mask_secret(secret)
