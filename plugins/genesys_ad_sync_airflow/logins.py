"""The logins of a task, as Airflow knows them.

They say who triggered the run. There is also a key to make fingerprints with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from genesys_ad_sync.errors import DirectoryBindError
from genesys_ad_sync.genesys.errors import AuthenticationFailed
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import RunKey
from genesys_ad_sync.run.logins import Logins

LoginAttempt = Callable[[Sequence[str]], AbstractContextManager[None]]
"""Surrounds a login; takes what it depends on, secrets included."""

_SCRYPT: dict[str, Any] = {"n": 2**14, "r": 8, "p": 1, "maxmem": 2**26}


def logins_of(journal: Journal, run: RunKey, run_type: str, clock: Callable[[], datetime]) -> Logins:
    """Return the logins of a task."""
    return Logins(
        journal.refused_logins,
        run,
        is_manual=run_type == "manual",
        fingerprint=lambda parts: fingerprint(parts, _key(journal)),
        clock=clock,
    )


def directory_login(logins: Logins, connection_id: str) -> LoginAttempt:
    """Return what surrounds a bind to Active Directory."""
    return lambda parts: logins.attempt(f"active_directory {connection_id}", parts, DirectoryBindError)


def genesys_login(logins: Logins, connection_id: str) -> LoginAttempt:
    """Return what surrounds a request for a token of Genesys Cloud."""
    return lambda parts: logins.attempt(f"genesys_cloud {connection_id}", parts, AuthenticationFailed)


def fingerprint(parts: Sequence[str], key: bytes) -> str:
    """Return a text that differs when any part does.

    No part can be guessed from it without the key. Slow on purpose: without a Fernet key, whoever reads the journal
    knows the key.
    """
    return hashlib.scrypt(json.dumps(list(parts)).encode(), salt=hashlib.sha256(key).digest(), **_SCRYPT).hex()


def _key(journal: Journal) -> bytes:
    """Return Airflow's Fernet key; else the id of the journal.

    The Fernet key is not in the journal.
    """
    from airflow.sdk.configuration import conf

    key: str = conf.get("core", "fernet_key", fallback="") or journal.identity()[0]
    return key.encode()
