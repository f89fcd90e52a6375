"""Why a domain controller was not used: certificates and logins, in words. Pure.

A cause is named only where the server or OpenSSL names it. Everything else shows its number.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass

from genesys_ad_sync.directory.hosts import Transport

# Codes of OpenSSL's X509_verify_cert (x509_vfy.h).
_CA_REMEDY = (
    "`ca_certs_file` or `ca_certs` of the connection must hold the certificate authority that signed it, with the "
    "authorities above it. {now}"
)
_NAME_REMEDY = "Set `server_name` of the connection to the name in the certificate."
_CERTIFICATE_REMEDIES = {
    9: "It, or an authority above it, is not valid yet. Compare the clocks of this machine and of the domain "
    "controller.",
    10: "It, or an authority above it, has expired. Have it renewed on the domain controller.",
    18: "It is self-signed. Have one issued by a certificate authority, or put this certificate itself into "
    "`ca_certs_file` or `ca_certs` of the connection.",
    23: "It was revoked. Have a new one issued for the domain controller.",
    62: _NAME_REMEDY,
    64: _NAME_REMEDY,
    66: "Its key is too short for the rules of this machine. Have one with a longer key issued.",
    67: "The key of an authority above it is too short for the rules of this machine.",
    68: "It, or an authority above it, is signed in a way that is too weak for the rules of this machine.",
    **dict.fromkeys((2, 19, 20, 21, 27), _CA_REMEDY),
}


def certificate_problem(error: ssl.SSLCertVerificationError, ca_source: str | None) -> str:
    """Return what is wrong with a certificate, and the remedy where one is known.

    ``ca_source``: the field with the certificate authorities; None: those of the system.
    """
    code = getattr(error, "verify_code", None)
    reason = (getattr(error, "verify_message", None) or str(error)).rstrip(".")
    now = f"Now {ca_source} is used." if ca_source else "Now both are empty: the authorities of this system are used."
    remedy = _CERTIFICATE_REMEDIES.get(code, "") if code is not None else ""
    text = f"the certificate does not verify: {reason} (code {code}). {remedy.format(now=now)}"
    return text.strip()


_CHECK_LOGIN = "Check login and password of the connection."
_OF_ACCOUNT = "Have the account of the connection corrected in Active Directory."
# A refused bind carries "data 52e" or the like in its text: Windows' error numbers, in hexadecimal (winerror.h).
_BIND_REFUSALS = {
    "525": ("the account does not exist", _CHECK_LOGIN),
    "52e": ("login or password is wrong", _CHECK_LOGIN),
    "52f": ("a restriction of the account forbids this login, such as an authentication policy", _OF_ACCOUNT),
    "530": ("the account may not log in at this time of day", _OF_ACCOUNT),
    "531": ("the account may not log in from this computer", _OF_ACCOUNT),
    "532": ("the account's password has expired", "Set a new one, and put it into the connection."),
    "533": ("the account is disabled", _OF_ACCOUNT),
    "568": ("the account is in too many groups to log in", _OF_ACCOUNT),
    "569": ("the account lacks the right to log in over the network", _OF_ACCOUNT),
    "701": ("the account has expired", _OF_ACCOUNT),
    "773": ("the account must change its password first", "Set a new one, and put it into the connection."),
    "775": ("the account is locked out", "Wait, or have it unlocked. Then check whether the password is right."),
}
"""Number -> reason, remedy."""
# The domain controller could not check the password. It says nothing about the account, and another one may know.
_NOT_CHECKED = {"51f": "it cannot reach a domain controller that can check the password"}
_NUMBER = re.compile(r"\bdata ([0-9a-f]+)", re.IGNORECASE)

INVALID_CREDENTIALS = 49
STRONGER_AUTH_REQUIRED, CONFIDENTIALITY_REQUIRED = 8, 13


@dataclass(frozen=True)
class BindRefusal:
    """``about_login``: the login itself was refused, so that another attempt counts towards locking the account."""

    text: str
    about_login: bool


def bind_refusal(code: int, description: str, message: str, transport: Transport) -> BindRefusal:
    """Return what the answer to a bind means."""
    if code in (STRONGER_AUTH_REQUIRED, CONFIDENTIALITY_REQUIRED) and transport is Transport.PLAIN:
        return BindRefusal(
            "refuses a login over an unprotected connection. Set `transport` of the connection to ldaps or starttls.",
            about_login=True,
        )
    found = _NUMBER.search(message)
    number = found.group(1).lower() if found else None
    shown = f"{description}, code {code}" + (f", data {number}" if number else "")
    if code != INVALID_CREDENTIALS:
        return BindRefusal(f"bind refused: {shown}", about_login=False)
    if number in _NOT_CHECKED:
        return BindRefusal(f"bind refused: {_NOT_CHECKED[number]} ({shown})", about_login=False)
    unknown = ("the reason is not known; a guess: wrong login or password", _CHECK_LOGIN)
    reason, remedy = _BIND_REFUSALS.get(number or "", unknown)
    return BindRefusal(
        f"refuses the login: {reason} ({shown}). No other domain controller was tried, because each attempt counts "
        f"towards locking the account. {remedy}",
        about_login=True,
    )
