"""Turns the exceptions of requests into typed errors."""

from __future__ import annotations

from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from genesys_ad_sync.genesys.errors import CertificateRejected, ConnectionFailed


def no_answer(error: OSError, method: str, path: str, timeout: float) -> ConnectionFailed:
    """Return the typed error for an exception of requests.

    Its text is left out: it shows the whole URL.
    """
    facts: dict[str, Any] = {"method": method, "path": path}
    if not isinstance(error, requests.RequestException):  # nothing was sent
        return CertificateRejected(
            "A file with certificates cannot be used: check `verify` and `cert` of the connection, and the variables "
            f"REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of this worker ({type(error).__name__})",
            **facts,
        )
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return CertificateRejected(
            "The host's certificate does not verify: set `verify` of the connection to your CA's file", **facts
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return ConnectionFailed(
            "The proxy cannot be reached, or refuses the connection: check `proxies` of the connection, and the "
            "variables HTTPS_PROXY and NO_PROXY of this worker",
            **facts,
        )
    reason = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(error, requests.ConnectTimeout) or isinstance(reason, (NewConnectionError, ConnectTimeoutError)):
        return ConnectionFailed("The host cannot be reached", **facts)
    why = f"no answer within {timeout:g} s" if isinstance(error, requests.Timeout) else "the connection broke"
    return ConnectionFailed(f"No answer: {why} ({type(error).__name__})", ambiguous=True, **facts)
