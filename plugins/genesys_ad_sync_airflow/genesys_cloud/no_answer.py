"""Turns the exceptions of requests into typed errors."""

from __future__ import annotations

from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from genesys_ad_sync.genesys.errors import CertificateRejected, ConnectionFailed


def no_answer(error: requests.RequestException, method: str, path: str, timeout: float) -> ConnectionFailed:
    """Return the typed error for an exception of requests.

    Its text is left out: it shows the whole URL.
    """
    facts: dict[str, Any] = {"method": method, "path": path}
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return CertificateRejected(
            "The host's certificate does not verify: set `verify` of the connection to your CA's file", **facts
        )
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError)) or isinstance(
        reason, (NewConnectionError, ConnectTimeoutError)
    ):
        return ConnectionFailed("The host cannot be reached", **facts)
    why = f"no answer within {timeout:g} s" if isinstance(error, requests.Timeout) else "the connection broke"
    return ConnectionFailed(f"No answer: {why} ({type(error).__name__})", ambiguous=True, **facts)
