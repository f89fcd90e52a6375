"""What Genesys Cloud can answer that is no result, as a tree, and the one place that tells which is which.

Knows HTTP statuses and the two error bodies of the API (ErrorBody, ScimError); does no I/O. Texts show the method
and the path only: never a query, a whole URL, a token or a mail address.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from genesys_ad_sync.errors import GroupSyncError


class GenesysError(GroupSyncError):
    """A call to Genesys Cloud that gave no result.

    ``status``: HTTP status, None if there was no answer. ``code``: Genesys' own (``missing.permissions``, or a
    scimType). ``retry_after``: seconds. ``ambiguous``: the service may have carried the request out all the same.
    ``given_up``: it was repeated as often as makes sense, so whoever asked need not repeat it at once.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
        retry_after: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = shown_path(path) if path else None
        self.status = status
        self.code = code
        self.correlation_id = correlation_id
        self.retry_after = retry_after
        self.ambiguous = ambiguous
        self.given_up = False

    def __str__(self) -> str:
        where = f"{self.method} {self.path}" if self.path else ""
        answer = " ".join(str(part) for part in (self.status, self.code) if part)
        facts = [where, f"answered {answer}" if answer else ""]
        if self.correlation_id:
            facts.append(f"correlation id {self.correlation_id}")
        told = ", ".join(fact for fact in facts if fact)
        return f"{self.message} ({told})" if told else self.message


class AuthenticationFailed(GenesysError):
    """401, or the login host does not accept the OAuth client."""


class PermissionMissing(GenesysError):
    """403. ``permissions``: those that Genesys names, else those that the reference names for the call."""

    def __init__(self, message: str, *, permissions: tuple[str, ...] = (), **facts: Any) -> None:
        super().__init__(message, **facts)
        self.permissions = permissions


class NotFound(GenesysError):
    """404, said by Genesys Cloud itself (a 404 page of something in between is an UnexpectedAnswer)."""


class BadRequest(GenesysError):
    """400 and the other refusals of what was asked for (405, 413, 415, ...). Nothing has been carried out."""


class VersionConflict(GenesysError):
    """409, or 400 "does not match the current version", or SCIM's invalidVers. Read again before repeating."""


class Throttled(GenesysError):
    """429, or the token endpoint's 400 "rate limit exceeded". Nothing has been carried out."""


class ServerError(GenesysError):
    """408 and 5xx: whether the request was carried out is not known."""


class UnexpectedAnswer(GenesysError):
    """HTML, a redirect, JSON of another shape. ``cut_off``: the answer broke off. ``may_pass``: asking again may help
    (it broke off; or the caller knows that the host is the right one, so it was something in between)."""

    def __init__(self, message: str, *, cut_off: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.cut_off = cut_off
        self.may_pass = cut_off


class IncompleteListing(UnexpectedAnswer):
    """Pages that do not add up to the total that they tell. Often somebody changed the list meanwhile."""


class ConnectionFailed(GenesysError):
    """No answer. ``ambiguous`` False: the request was never sent."""


class CertificateRejected(ConnectionFailed):
    """The host's TLS certificate does not verify; trying again does not help."""


class AmbiguousExternalId(GenesysError):
    """Several Genesys groups carry the same SCIM externalId. ``group_ids``: which."""

    def __init__(self, message: str, *, group_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.group_ids = group_ids


class RegionUnknown(GenesysError):
    """The connection's host is no Genesys Cloud region."""


def needs_a_person(error: GenesysError) -> bool:
    """No repetition helps, and it concerns every request: a right or a secret is missing."""
    return isinstance(error, (AuthenticationFailed, PermissionMissing, CertificateRejected, RegionUnknown))


def passes_by_itself(error: GenesysError) -> bool:
    """Later the same request may well be answered: worth another try of the task."""
    passing = (Throttled, ServerError, ConnectionFailed, UnexpectedAnswer)
    return isinstance(error, passing) and not needs_a_person(error)


# -- from answer to result or error -------------------------------------------------------------------

# What a call needs, for a 403 that does not say it (reference/genesys-cloud-api.md, §2 to §4).
_NEEDED = (
    ("", "/scim/v2/groups", "directory:group:edit"),
    ("GET", "/groups", "directory:group:view"),
    ("", "/groups", "directory:group:edit"),
    ("POST", "/users/search", "directory:user:view"),
    ("GET", "/users", "directory:user:view"),
    ("PATCH", "/users", "directory:user:edit"),
)


def parse_answer(method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> Any:
    """The JSON of a good answer (None if it has no body). Raises the GenesysError that any other answer means.

    ``headers``: a mapping that does not mind upper and lower case.
    """
    told = _error_body(content)
    facts: dict[str, Any] = {
        "method": method,
        "path": path,
        "status": status,
        "correlation_id": correlation_id(headers, told),
    }
    if 200 <= status < 300:
        return _result(content, headers, facts)
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            "The answer is a redirect, which is not followed: check the host (or `api_url`) of the connection", **facts
        )

    message = _without_addresses(str(told.get("message") or told.get("detail") or ""))
    facts["code"] = str(told.get("code") or told.get("scimType") or "") or None
    lowered = message.lower()

    if status == 401:
        raise AuthenticationFailed(message or "The access token is not accepted", **facts)
    if status == 429:
        raise Throttled(
            message or "Too many requests", retry_after=retry_after(headers, message, rate_limited=True), **facts
        )
    if status == 408 or status >= 500:
        raise ServerError(message or "Genesys Cloud fails", retry_after=retry_after(headers), ambiguous=True, **facts)
    if status in (409, 412) or "does not match the current version" in lowered or facts["code"] == "invalidVers":
        raise VersionConflict(message or "Somebody changed it meanwhile", retry_after=retry_after(headers), **facts)
    if status == 413:  # may come from a gateway in front, as HTML
        raise BadRequest(message or "The request is too large", **facts)
    if not told:
        # Not said by the API: a proxy's page must not pass for "there is no such user".
        raise UnexpectedAnswer(
            "The answer is not from the Genesys Cloud API: check the host (or `api_url`) of the connection", **facts
        )
    if status == 403:
        permissions = _permissions(told, message)
        guessed = () if permissions else _needed(method, path)
        raise PermissionMissing(
            f"The role of the OAuth client lacks {', '.join(permissions or guessed) or 'a permission'}"
            + ("" if permissions else f"; Genesys says: {message or 'nothing more'}"),
            permissions=permissions or guessed,
            **facts,
        )
    if status == 404:
        raise NotFound(message or "There is no such thing", **facts)
    raise BadRequest(message or "The request is refused", **facts)


def correlation_id(headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> str | None:
    """What Genesys' support asks for: the header, else the ErrorBody's contextId."""
    found = headers.get("ININ-Correlation-Id") or (body or {}).get("contextId")
    return str(found) if found else None


def retry_after(
    headers: Mapping[str, str], message: str = "", *, rate_limited: bool = False, now: datetime | None = None
) -> float | None:
    """Seconds to wait: Retry-After (seconds, or an HTTP date), the text of a 429, or the end of the budget's window."""
    value = headers.get("Retry-After")
    if value is not None:
        seconds = header_number(value)
        if seconds is None:
            try:
                date = email.utils.parsedate_to_datetime(value)
            except ValueError:
                pass
            else:
                seconds = (date - (now or datetime.now(timezone.utc))).total_seconds()
        if seconds is not None:
            return max(0.0, seconds)
    if told := re.search(r"in \[(\d+)\] seconds", message):
        return float(told.group(1))
    if rate_limited and (reset := header_number(headers.get("inin-ratelimit-reset"))) is not None:
        return max(0.0, reset)
    return None


def shown_path(path: str) -> str:
    """The path as it may be shown: without query, and without an external key (it names a person)."""
    path = path.partition("?")[0]
    return re.sub(r"(/externalid/[^/]+/).+", r"\1{key}", path)


def _result(content: bytes, headers: Mapping[str, str], facts: Mapping[str, Any]) -> Any:
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except ValueError:
        # A body that says it is JSON, or begins as JSON, broke off; anything else is somebody else's page.
        begins = content.lstrip()[:1]
        says_json = "json" in (headers.get("Content-Type") or "").lower()
        is_json = begins in (b"{", b"[") or (says_json and begins != b"<")
        raise UnexpectedAnswer(
            "The answer is cut off or no valid JSON"
            if is_json
            else "The answer is no JSON but a page: check the host (or `api_url`) of the connection, and proxies",
            cut_off=is_json,
            ambiguous=True,
            **facts,
        ) from None  # the JSON error would show the body


def _error_body(content: bytes) -> dict[str, Any]:
    """ErrorBody or ScimError as a dict; empty if the body is neither."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    known = ("message", "code", "detail", "scimType")
    return body if isinstance(body, dict) and any(key in body for key in known) else {}


def _permissions(body: Mapping[str, Any], message: str) -> tuple[str, ...]:
    params = body.get("messageParams")
    told = message + " " + (" ".join(str(value) for value in params.values()) if isinstance(params, dict) else "")
    return tuple(dict.fromkeys(re.findall(r"\b(?!urn:)[a-z]\w*:\w+:[\w*]+", told, re.IGNORECASE)))


def _needed(method: str, path: str) -> tuple[str, ...]:
    return tuple(need for for_method, part, need in _NEEDED if for_method in ("", method) and part in path)[:1]


def _without_addresses(text: str) -> str:
    """Genesys repeats what it refuses; mail addresses do not belong into logs."""
    return re.sub(r"[^\s\"'<>\[\](){},;:=]+@[^\s\"'<>\[\](){},;:=]+", "(address)", text)[:500]


def header_number(value: str | None) -> float | None:
    """The number in a header; None if the header is missing or holds none."""
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None
