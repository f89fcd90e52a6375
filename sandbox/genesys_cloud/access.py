"""Who may call, and how often: the OAuth client, its tokens, and their request budgets."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from sandbox.genesys_cloud import refusals

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response

    from sandbox.genesys_cloud.options import SandboxOptions

DEFAULT_CLIENT_ID = "5a4db0c5-7e57-4000-8000-5a4db0c50001"
ADDRESS_REFUSED = "IP address is not allowed"


@dataclass
class Window:
    """A fixed window of counting, which begins with its first request."""

    started: float = -math.inf
    count: int = 0

    def spend(self, now: float, length: float) -> float:
        """Count one request. Return the seconds until the window ends."""
        if now >= self.started + length:
            self.started, self.count = now, 0
        self.count += 1
        return self.started + length - now


@dataclass
class Token:
    value: str
    client_id: str
    expires_at: float
    requests: Window = field(default_factory=Window)


class Access:
    """Knows one OAuth client (client credentials) and the tokens that it fetched. Thread-safe."""

    def __init__(
        self,
        options: SandboxOptions,
        client_id: str = DEFAULT_CLIENT_ID,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret or secrets.token_urlsafe(32)
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, Token] = {}
        self._token_requests = Window()
        self._families: dict[str, Window] = {}  # by the beginning of a path, for the whole organisation

    # -- the token endpoint --------------------------------------------------------------------------------------

    def answer_token_request(self, authorization: str, content_type: str, body: bytes) -> Response:
        """Answer `POST /oauth/token`. Its errors have OAuth's shape, not ErrorBody's."""
        if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return refusals.oauth_error(
                400, "invalid_request", "content type must be application/x-www-form-urlencoded"
            )
        with self._lock:
            left = self._token_requests.spend(self._clock(), self._options.rate_window)
            limit = self._options.token_requests_per_window
            if limit is not None and self._token_requests.count > limit:
                text = f"rate limit exceeded; retry in {max(1, math.ceil(left))} seconds"
                return refusals.oauth_error(400, "invalid_request", text)
        if not self._options.address_is_allowed and self._options.address_checked_at != "api":
            return refusals.oauth_error(403, "access_denied", ADDRESS_REFUSED)
        form = parse_qs(body.decode("utf-8", "replace"))
        grant = form.get("grant_type", [""])[0]
        if grant != "client_credentials":
            why = f"grant type not supported: {grant}" if grant else "grant_type is missing"
            return refusals.oauth_error(400, "unsupported_grant_type" if grant else "invalid_request", why)
        login, password = basic_credentials(authorization)
        good = hmac.compare_digest(login.encode(), self.client_id.encode())
        good &= hmac.compare_digest(password.encode(), self.client_secret.encode())
        if not good:
            return refusals.oauth_error(
                self._options.bad_client_status, "invalid_client", "client not found or secret is wrong"
            )
        token = self.issue()
        valid = int(self._options.token_valid_seconds)
        return refusals.json_response({"access_token": token.value, "token_type": "bearer", "expires_in": valid})

    def issue(self) -> Token:
        token = Token(secrets.token_urlsafe(64), self.client_id, self._clock() + self._options.token_valid_seconds)
        with self._lock:
            self._tokens[token.value] = token
        return token

    def revoke(self, value: str | None = None) -> None:
        """Revoke one token; None: all."""
        with self._lock:
            if value is None:
                self._tokens.clear()
            else:
                self._tokens.pop(value, None)

    # -- each API request ----------------------------------------------------------------------------------------

    def authenticate(self, authorization: str) -> Token:
        """Return the token of a request. Raises RefusalError without a valid one, or from an address not allowed."""
        if not self._options.address_is_allowed and self._options.address_checked_at != "token":
            raise refusals.address_refused(ADDRESS_REFUSED)
        scheme, _, value = authorization.partition(" ")
        if not authorization or scheme.lower() != "bearer" or not value.strip():
            raise refusals.authentication_required()
        with self._lock:
            token = self._tokens.get(value.strip())
        if token is None or self._clock() >= token.expires_at:
            raise refusals.bad_credentials()
        return token

    def spend(self, token: Token, path: str) -> dict[str, str]:
        """Count a request and return the `inin-ratelimit-*` headers.

        Raises RefusalError (429) for a request over the budget of its endpoint family, or of the token.
        """
        options, now = self._options, self._clock()
        headers: dict[str, str] = {}
        with self._lock:
            if options.rate_allowed is not None:
                headers = self._spend(token.requests, options.rate_allowed, now)
            for beginning, allowed in options.family_rate_allowed.items():
                if path.startswith(beginning):
                    window = self._families.setdefault(beginning, Window())
                    of_family = self._spend(window, allowed, now)
                    headers = of_family if options.family_rate_headers else headers
        return headers

    def _spend(self, window: Window, allowed: int, now: float) -> dict[str, str]:
        left = window.spend(now, self._options.rate_window)
        if window.count > allowed:
            raise refusals.too_many_requests(max(1, math.ceil(left)))
        return _rate_headers(window.count, allowed, left)

    def require(self, *any_of: str) -> None:
        """Raise RefusalError (403) unless the OAuth client has one of these permissions."""
        if not set(any_of) & set(self._options.permissions):
            raise refusals.missing_permissions(any_of)


def _rate_headers(count: int, allowed: int, left: float) -> dict[str, str]:
    return {
        "inin-ratelimit-count": str(count),
        "inin-ratelimit-allowed": str(allowed),
        "inin-ratelimit-reset": str(math.ceil(left)),
    }


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Return (login, password); two empty texts if the header has no Basic authentication."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        login, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return login, password
