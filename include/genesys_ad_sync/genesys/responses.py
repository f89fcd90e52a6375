"""From an answer of Genesys Cloud to its result or its error.

Knows HTTP statuses and the two error bodies of the API (ErrorBody, ScimError); does no I/O.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    GenesysError,
    NotFound,
    PermissionMissing,
    ServerError,
    Throttled,
    UnexpectedAnswer,
    VersionConflict,
)
from genesys_ad_sync.text import one_line

_LONGEST_WORDS = 2000
"""Characters of a foreign text that are looked at."""

_Meaning = tuple[type[GenesysError], str]
"""An error, and its text where Genesys sends none."""

_SERVER_FAILS: _Meaning = (ServerError, "Genesys Cloud fails")
_CHANGED: _Meaning = (VersionConflict, "The object was changed meanwhile")
_REFUSED: _Meaning = (BadRequest, "The request is refused")
_MEANINGS: dict[int, _Meaning] = {
    HTTPStatus.UNAUTHORIZED: (AuthenticationFailed, "The access token is not accepted"),
    HTTPStatus.FORBIDDEN: (PermissionMissing, "A permission is missing"),
    HTTPStatus.NOT_FOUND: (NotFound, "The object does not exist"),
    HTTPStatus.REQUEST_TIMEOUT: _SERVER_FAILS,
    HTTPStatus.CONFLICT: _CHANGED,
    HTTPStatus.PRECONDITION_FAILED: _CHANGED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (BadRequest, "The request is too large"),
    HTTPStatus.TOO_MANY_REQUESTS: (Throttled, "Too many requests"),
}
# Whatever the body says, these are not a version conflict.
_BY_STATUS_ALONE = (AuthenticationFailed, Throttled, ServerError)
# These count without a body of the API, too: a gateway in front sends them as HTML.
_FROM_ANY_SENDER = (*_BY_STATUS_ALONE, VersionConflict)

_OWN = frozenset({"code", "status", "contextId", "schemas"})
"""Keys of ErrorBody and ScimError that a gateway's ``{"message": "no route"}`` lacks."""

# Permissions by call, for a 403 that names none (reference/genesys-cloud-api.md, §2 to §4).
_NEEDED = (
    ("", "/scim/v2/groups", "directory:group:edit"),
    ("GET", "/groups", "directory:group:view"),
    ("", "/groups", "directory:group:edit"),
    ("POST", "/users/search", "directory:user:view"),
    ("GET", "/users", "directory:user:view"),
    ("PATCH", "/users", "directory:user:edit"),
)


def parse_response(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> Any:
    """Return the JSON of a good answer; None if it has no body.

    ``headers``: a mapping that ignores case. Raises the GenesysError that any other answer means.
    """
    error_body = _error_body(content, status)
    facts: dict[str, Any] = {
        "method": method,
        "path": path,
        "status": status,
        "correlation_id": correlation_id(headers, error_body),
    }
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _result(content, headers, facts)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise UnexpectedAnswer(
            "The answer is a redirect, which is not followed: check the host (or `api_url`) of the connection", **facts
        )
    raise _error(error_body, headers, facts)


def _error(body: Mapping[str, Any], headers: Mapping[str, str], facts: dict[str, Any]) -> GenesysError:
    """Return the error that status and body mean.

    ``body``: an ErrorBody or ScimError; empty if it is neither.
    """
    status = facts["status"]
    words = words_of(body)
    facts = {**facts, "code": str(body.get("code") or body.get("scimType") or "") or None, "words": words}
    error, text = _meaning(status, facts["code"], words)
    is_signed = bool(body) and (error is not NotFound or "ININ-Correlation-Id" in headers or bool(_OWN & body.keys()))
    if not is_signed and error not in _FROM_ANY_SENDER and status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # A proxy's page must not pass for "there is no such user".
        return UnexpectedAnswer(
            "The answer is not from the Genesys Cloud API: check the host (or `api_url`) of the connection", **facts
        )
    if error is PermissionMissing:
        return _permission_error(body, words, facts)
    if error is Throttled:
        facts["retry_after"] = retry_after(headers, words, rate_limited=True)
    elif error in (ServerError, VersionConflict):
        facts["retry_after"] = retry_after(headers)
    return error(text, ambiguous=error is ServerError, **facts)


def _meaning(status: int, code: str | None, words: str) -> _Meaning:
    meaning = _MEANINGS.get(status, _SERVER_FAILS if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _REFUSED)
    is_stale = "does not match the current version" in words.lower() or code == "invalidVers"
    return _CHANGED if is_stale and meaning[0] not in _BY_STATUS_ALONE else meaning


def _permission_error(body: Mapping[str, Any], words: str, facts: Mapping[str, Any]) -> PermissionMissing:
    named = _permissions(body, words)
    guessed = () if named else _needed(facts["method"], facts["path"])
    if named:
        text = f"The role of the OAuth client lacks {', '.join(named)}"
    else:
        text = (
            f"Genesys refuses the request. A guess: the role of the OAuth client may lack "
            f"{', '.join(guessed) or 'a permission'}, or the division of the group or user"
        )
    return PermissionMissing(text, permissions=named or guessed, is_guess=not named, **facts)


def correlation_id(headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> str | None:
    """Return the id that Genesys' support asks for: the header, else the ErrorBody's contextId."""
    found = headers.get("ININ-Correlation-Id") or (body or {}).get("contextId")
    return str(found) if found else None


def retry_after(
    headers: Mapping[str, str], message: str = "", *, rate_limited: bool = False, now: datetime | None = None
) -> float | None:
    """Return the seconds to wait before a repetition; None if the answer does not say.

    Looks at Retry-After (seconds, or an HTTP date), the text of a 429, and the end of the budget's window.
    """
    seconds = _seconds_of_header(headers.get("Retry-After"), now)
    if seconds is not None:
        return max(0.0, seconds)
    if in_text := re.search(r"in \[(\d+)\] seconds", message):
        return float(in_text.group(1))
    if rate_limited and (reset := header_number(headers.get("inin-ratelimit-reset"))) is not None:
        return max(0.0, reset)
    return None


def _seconds_of_header(value: str | None, now: datetime | None) -> float | None:
    seconds = header_number(value)
    if value is None or seconds is not None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:  # HTTP dates are UTC; "-0000" and a missing zone are read as no zone at all
        date = date.replace(tzinfo=timezone.utc)
    return (date - (now or datetime.now(timezone.utc))).total_seconds()


def _result(content: bytes, headers: Mapping[str, str], facts: Mapping[str, Any]) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        # A body that claims to be JSON, or begins as JSON, broke off; anything else is a page of another sender.
        begins = content.lstrip()[:1]
        says_json = "json" in (headers.get("Content-Type") or "").lower()
        is_json = begins in (b"{", b"[") or (says_json and begins != b"<")
        raise UnexpectedAnswer(
            "The answer is cut off, or is not valid JSON"
            if is_json
            else "The answer is a page instead of JSON: check the host (or `api_url`) of the connection, and proxies",
            cut_off=is_json,
            ambiguous=True,
            **facts,
        ) from None  # the JSON error would show the body


def _error_body(content: bytes, status: int) -> dict[str, Any]:
    """Return an ErrorBody or ScimError as a dict; empty if the body is neither.

    OAuth's shape counts for 401 and 403 only. A proxy's 404 must not pass for "there is no such user".
    """
    known = {"message", "code", "detail", "scimType"}
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        known |= {"error", "error_description"}
    body = json_object(content)
    return body if known & body.keys() else {}


def json_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds; empty if it holds none."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def words_of(body: Mapping[str, Any]) -> str:
    """Return the words of an error body, in any of its shapes.

    The shapes are ErrorBody, ScimError and OAuth's. The words are made safe to show.
    """
    said = [body.get(key) for key in ("message", "detail", "error_description", "description")]
    words = next((text for text in said if isinstance(text, str) and text), "")
    error = body.get("error")
    if isinstance(error, str) and error and error not in words:
        words = f"{error}: {words}" if words else error
    return safe_words(words)


def _permissions(body: Mapping[str, Any], message: str) -> tuple[str, ...]:
    params = body.get("messageParams")
    text = message + " " + (" ".join(str(value) for value in params.values()) if isinstance(params, dict) else "")
    found = re.findall(r"\b(?!urn:)[a-z]\w{0,40}:\w{1,40}:[\w*]{1,40}", text[:_LONGEST_WORDS], re.IGNORECASE | re.ASCII)
    return tuple(dict.fromkeys(found))


def _needed(method: str, path: str) -> tuple[str, ...]:
    return tuple(need for for_method, part, need in _NEEDED if for_method in ("", method) and part in path)[:1]


def safe_words(text: str) -> str:
    """Return a foreign text on one line, shortened, without mail addresses and tokens.

    Anything that may be a token counts as one. Genesys repeats what it refuses; a proxy may answer in its place.
    """
    text = one_line(text[:_LONGEST_WORDS])
    text = re.sub(r"[^\s\"'<>\[\](){},;:=]+@[^\s\"'<>\[\](){},;:=]+", "(address)", text)
    return re.sub(r"(?i)\b(?:bearer|basic)\s+\S+|[A-Za-z0-9+/_.~-]{40,}=*", "(token)", text)[:500]


def header_number(value: str | None) -> float | None:
    """Return the number in a header; None if the header is missing or holds none."""
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
