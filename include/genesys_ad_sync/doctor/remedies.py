"""Remedies for errors, from the error itself or from its kind."""

from __future__ import annotations

import re

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    CertificateRejected,
    ConnectionFailed,
    GenesysError,
    IncompleteListing,
    PermissionMissing,
    ServerError,
    Throttled,
    UnexpectedAnswer,
)

_ADDRESS_WORDS = re.compile(r"\bip[ -]?address|allow(ed)? ?list|access_denied", re.IGNORECASE)

ADDRESS = (
    "Put the address by which this machine reaches the internet on the list of allowed IP addresses of the OAuth "
    "client, and on the organisation's own list if there is one. Do so for each worker. "
    "That the address is the cause is a guess from Genesys' words."
)
PRIVATE_OR_DIVISION = (
    "Give the role of the OAuth client Directory > Private Group > View, and assign the role for each division whose "
    "groups and people the sync concerns."
)


def remedy_of(error: GroupSyncError) -> str | None:
    """Return the remedy for an error.

    None: the error's own text says it, or the catalogue does.
    """
    if not isinstance(error, GenesysError):
        return None
    if is_about_address(error):
        return ADDRESS
    if isinstance(error, IncompleteListing):
        return f"Run the check again. If the problem remains: {PRIVATE_OR_DIVISION}"
    if isinstance(error, PermissionMissing):
        return _for_permissions(error)
    return _by_kind(error)


def is_about_address(error: GenesysError) -> bool:
    """Return whether Genesys' words are about the address of the caller."""
    refused = isinstance(error, (AuthenticationFailed, PermissionMissing))
    return refused and _ADDRESS_WORDS.search(f"{error.code} {_said(error)}") is not None


def _said(error: GenesysError) -> str:
    """Return the words of Genesys, without the guesses that are written behind them."""
    return error.message.partition(" A guess:")[0] if isinstance(error, AuthenticationFailed) else error.message


def _for_permissions(error: PermissionMissing) -> str:
    named = ", ".join(error.permissions)
    if not named:
        return f"See which right the call needs in docs/connections.md. {PRIVATE_OR_DIVISION}"
    guess = " (a guess: Genesys names no right)" if error.is_guess else ""
    return (
        f"Give the role of the OAuth client {named}{guess}, and assign the role for each division that the sync "
        "concerns. A change of rights takes up to five minutes."
    )


_KINDS: tuple[tuple[type[GenesysError], str], ...] = (
    (AuthenticationFailed, "Check login and password of the connection, and that the client's grant type is Client "
     "Credentials."),
    (CertificateRejected, "Set `verify` of the connection to the file of the certificate authority, such as that "
     "of a proxy."),
    (ConnectionFailed, "Check the host of the connection, the firewall, and `proxies` of the connection."),
    (Throttled, "Use an OAuth client for this integration only, or have the limit raised. Then check again."),
    (ServerError, "Run the check again later. If the problem remains, give Genesys' support the correlation id."),
    (UnexpectedAnswer, "Check host, `api_url` and `proxies` of the connection."),
)  # fmt: skip


def _by_kind(error: GenesysError) -> str | None:
    return next((remedy for kind, remedy in _KINDS if isinstance(error, kind)), None)
