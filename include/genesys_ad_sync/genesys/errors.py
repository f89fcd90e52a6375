"""Errors of calls to Genesys Cloud. `responses` decides which answer is which error.

GenesysError
├── AuthenticationFailed      the token or the OAuth client is refused
├── PermissionMissing         the role lacks a permission
├── ClientRefused             several groups are refused in the same way, and none accepted
├── NotFound                  Genesys itself says that the object does not exist
├── BadRequest                the request is refused; nothing was carried out
├── VersionConflict           the object changed since it was read
├── Throttled                 the rate limit; nothing was carried out
├── ServerError               it may have been carried out
├── UnexpectedAnswer          not an answer of the API
│   └── IncompleteListing     pages that do not add up
├── ConnectionFailed          no answer
│   └── CertificateRejected   the certificate does not verify
├── AmbiguousExternalId       several groups carry the same externalId
└── RegionUnknown             the connection's host is not a known region

Texts show the method and the path only: never a query, a whole URL, a token or a mail address.
"""

from __future__ import annotations

import re
from typing import Any

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.text import FOREIGN_WORDS


class GenesysError(GroupSyncError):
    """A call to Genesys Cloud without a result.

    - ``status``: HTTP status; None if there was no answer.
    - ``code``: Genesys' own (``missing.permissions``, or a scimType).
    - ``retry_after``: seconds.
    - ``ambiguous``: the service may have carried out the request.
    - ``maybe_done``: an earlier attempt of this request was ambiguous, so this answer may be to a repetition.
    - ``given_up``: it was repeated as often as makes sense, so the caller need not repeat it at once.
    - ``words``: Genesys' own text, which may name people. It is for the report alone: `report_text`.
    """

    def __init__(  # noqa: PLR0913  the facts of an answer, each optional and by name
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
        words: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.words = words
        self.method = method
        self.path = shown_path(path) if path else None
        self.status = status
        self.code = shown_token(code)
        self.correlation_id = shown_token(correlation_id)
        self.retry_after = retry_after
        self.ambiguous = ambiguous
        self.maybe_done = False
        self.given_up = False

    def __str__(self) -> str:
        """Return the text for logs and exceptions.

        Of Genesys's own words, it has only code and correlation id.
        """
        where = f"{self.method} {self.path}" if self.path else ""
        answer = " ".join(str(part) for part in (self.status, self.code) if part)
        facts = [where, f"answered {answer}" if answer else ""]
        if self.correlation_id:
            facts.append(f"correlation id {self.correlation_id}")
        details = ", ".join(fact for fact in facts if fact)
        return f"{self.message} ({details})" if details else self.message

    def report_text(self) -> str:
        """Return the text for the report, with Genesys' own words."""
        return f"{self}. {FOREIGN_WORDS}{self.words}" if self.words else str(self)


class AuthenticationFailed(GenesysError):
    """401, or the login host does not accept the OAuth client."""


class PermissionMissing(GenesysError):
    """403: the OAuth client lacks a permission.

    ``permissions``: as named by Genesys, else (``is_guess``) as named by the reference for the call.
    """

    def __init__(
        self, message: str, *, permissions: tuple[str, ...] = (), is_guess: bool = False, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.permissions = permissions
        self.is_guess = is_guess


class ClientRefused(GenesysError):
    """Genesys refuses the writes of this client, whatever the group."""


class NotFound(GenesysError):
    """404 of Genesys Cloud itself. A 404 page of a proxy is an UnexpectedAnswer."""


class BadRequest(GenesysError):
    """400 and other refusals of a request (405, 413, 415, ...). Nothing was carried out."""


class VersionConflict(GenesysError):
    """409, 412, or a refusal of a stale version. Read again before repeating."""


class Throttled(GenesysError):
    """429, or the token endpoint's 400 "rate limit exceeded". Nothing was carried out."""


class ServerError(GenesysError):
    """408 and 5xx. It is unknown whether the request was carried out."""


class UnexpectedAnswer(GenesysError):
    """HTML, a redirect, JSON of another shape.

    ``cut_off``: the answer broke off. ``may_pass``: repeating the request may help, because the answer broke off, or
    because the host has answered as the API before and this answer came from a proxy.
    """

    def __init__(self, message: str, *, cut_off: bool = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.cut_off = cut_off
        self.may_pass = cut_off


class IncompleteListing(UnexpectedAnswer):
    """Pages that do not add up to their total.

    Often the list was changed while it was read. ``missing``: entities that the total counts beyond those that were
    answered; None: something else is wrong.
    """

    missing: int | None = None


class ConnectionFailed(GenesysError):
    """No answer. ``ambiguous`` False: the request was never sent."""


class CertificateRejected(ConnectionFailed):
    """The host's TLS certificate does not verify; trying again does not help."""


class AmbiguousExternalId(GenesysError):
    """Several Genesys groups, ``group_ids``, carry the same SCIM externalId."""

    def __init__(self, message: str, *, group_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.group_ids = group_ids


class RegionUnknown(GenesysError):
    """The connection's host is not a known Genesys Cloud region."""


def needs_a_person(error: GenesysError) -> bool:
    """Return whether every request fails, because a right or a secret is missing."""
    return isinstance(
        error, (AuthenticationFailed, PermissionMissing, ClientRefused, CertificateRejected, RegionUnknown)
    )


def concerns_all_groups(error: GenesysError) -> bool:
    """Return whether a person is needed, whichever group was asked for.

    A 403 may be about one group.
    """
    return needs_a_person(error) and not isinstance(error, PermissionMissing)


def passes_by_itself(error: GenesysError) -> bool:
    """Return whether the same request may succeed later, so that the task should be retried."""
    passing = (Throttled, ServerError, ConnectionFailed, UnexpectedAnswer)
    return isinstance(error, passing) and not needs_a_person(error)


def shown_token(text: str | None) -> str | None:
    """Return a code or an id, if it looks like one.

    The server chooses it, and it gets into logs.
    """
    if not text:
        return None
    return text if re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", text) else "(not shown)"


def shown_path(path: str) -> str:
    """Return the path without the query and without a user's external key."""
    path = path.partition("?")[0]
    return re.sub(r"(/externalid/[^/]+/).+", r"\1{key}", path)
