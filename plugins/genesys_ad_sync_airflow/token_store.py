"""One access token for all tasks.

It is kept in the journal, encrypted with Airflow's Fernet key, and renewed by one task at a time. Every worker can read
the journal and has the key, so a run of many short processes asks the login host once.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync_airflow.genesys_cloud.oauth import Token, TokenStore, hide_from_logs

LOCK_LASTS = 60.0  # seconds; whoever fetches a token longer than that has died
LOCK_POLL = 0.2

log = logging.getLogger(__name__)


def token_store(journal: Callable[[], Journal]) -> TokenStore | None:
    """Return the store that all tasks share; None without a usable Fernet key.

    Then each process keeps a token of its own.
    """
    cipher = airflow_cipher()
    return None if cipher is None else JournalTokenStore(journal, cipher)


def airflow_cipher() -> MultiFernet | None:
    """Return a cipher of Airflow's Fernet keys (`core.fernet_key`), the newest first; None without one."""
    from airflow.sdk.configuration import conf

    keys = [key.strip() for key in (conf.get("core", "fernet_key", fallback="") or "").split(",") if key.strip()]
    try:
        return MultiFernet([Fernet(key) for key in keys]) if keys else None
    except ValueError:
        log.warning("core.fernet_key is not a Fernet key: the access token is not shared between processes")
        return None


class JournalTokenStore:
    """A `TokenStore` that keeps the token in the journal and in memory.

    What it has read it keeps in memory, so that a request costs no look into the database.
    """

    def __init__(
        self,
        journal: Callable[[], Journal],
        cipher: MultiFernet,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._journal = journal
        self._cipher = cipher
        self._clock = clock
        self._sleep = sleep
        self._read: dict[str, tuple[Token, bytes]] = {}
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"

    def get(self, key: str) -> Token | None:
        with self._lock:
            known = self._read.get(key)
        if known is not None and known[0].renew_at > self._clock():
            return known[0]
        stored = self._journal().secrets.get(key)
        if stored is None:
            return None
        encrypted, renew_at = stored
        try:
            value = json.loads(self._cipher.decrypt(encrypted))["token"]
        except (InvalidToken, ValueError, KeyError):
            return None  # the key was changed: a new token replaces it
        token = Token(value, renew_at.timestamp())
        hide_from_logs(value)
        with self._lock:
            self._read[key] = (token, encrypted)
        return token

    def put(self, key: str, token: Token) -> None:
        encrypted = self._cipher.encrypt(json.dumps({"token": token.value}).encode())
        self._journal().secrets.put(key, encrypted, datetime.fromtimestamp(token.renew_at, timezone.utc))
        with self._lock:
            self._read[key] = (token, encrypted)

    def forget(self, key: str, value: str) -> None:
        with self._lock:
            known = self._read.get(key)
        if known is None or known[0].value != value:
            return
        # The journal first: a thread that finds nothing in memory must not read the refused token there.
        self._journal().secrets.forget(key, known[1])
        with self._lock:
            if self._read.get(key) == known:
                del self._read[key]

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        with self._lock:
            in_process = self._locks.setdefault(key, threading.Lock())
        with in_process:
            while not self._try_lock(key):
                self._sleep(LOCK_POLL)
                if self._fresh_in_journal(key):  # somebody else has renewed it: nothing to be locked any more
                    break
            try:
                yield
            finally:
                self._journal().secrets.unlock(key, self._owner)

    def _try_lock(self, key: str) -> bool:
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        return self._journal().secrets.lock(key, self._owner, now=now, until=now + timedelta(seconds=LOCK_LASTS))

    def _fresh_in_journal(self, key: str) -> bool:
        stored = self._journal().secrets.get(key)
        return stored is not None and stored[1].timestamp() > self._clock() and self.get(key) is not None
