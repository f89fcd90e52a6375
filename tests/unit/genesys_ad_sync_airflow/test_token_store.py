"""One access token for all processes, encrypted in the journal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import airflow.sdk.log  # noqa: F401  # a second that each of the processes would take for itself
import pytest
from cryptography.fernet import Fernet, MultiFernet

from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync_airflow import token_store
from genesys_ad_sync_airflow.genesys_cloud.oauth import Token, TokenSource
from genesys_ad_sync_airflow.token_store import JournalTokenStore
from tests.support.journal import in_processes, journal, journal_url  # noqa: F401  # fixtures

KEY = Fernet.generate_key()


def store(journal: Journal, key: bytes = KEY, **more: object) -> JournalTokenStore:  # noqa: F811  # the fixture's value
    return JournalTokenStore(lambda: journal, MultiFernet([Fernet(key)]), **more)  # type: ignore[arg-type]


def later(seconds: float = 1000.0) -> float:
    return time.time() + seconds


def test_a_token_that_one_process_fetched_is_found_by_another(journal: Journal) -> None:  # noqa: F811
    renew_at = later()
    store(journal).put("k", Token("secret-token", renew_at))
    found = store(journal).get("k")
    assert found is not None
    assert found.value == "secret-token"
    assert found.renew_at == pytest.approx(renew_at, abs=1)


def test_the_journal_does_not_hold_it_in_the_clear(journal: Journal, journal_url: str) -> None:  # noqa: F811
    store(journal).put("k", Token("secret-token", later()))
    stored = journal.secrets.get("k")
    assert stored is not None
    assert b"secret-token" not in stored[0]
    files = Path(journal_url.removeprefix("sqlite:///")).parent.glob("journal.db*")
    assert all(b"secret-token" not in file.read_bytes() for file in files)


def test_with_another_key_there_is_no_token_and_a_new_one_replaces_it(journal: Journal) -> None:  # noqa: F811
    store(journal).put("k", Token("old", later()))
    other = store(journal, Fernet.generate_key())
    assert other.get("k") is None
    other.put("k", Token("new", later()))
    found = other.get("k")
    assert found is not None
    assert found.value == "new"


def test_an_old_key_still_opens_it_while_keys_are_rotated(journal: Journal) -> None:  # noqa: F811
    store(journal).put("k", Token("t", later()))
    rotated = JournalTokenStore(lambda: journal, MultiFernet([Fernet(Fernet.generate_key()), Fernet(KEY)]))
    assert rotated.get("k") is not None


def test_a_refused_token_is_forgotten_but_not_the_one_that_replaced_it(journal: Journal) -> None:  # noqa: F811
    mine, other = store(journal), store(journal)
    mine.put("k", Token("first", later()))
    assert other.get("k") is not None
    mine.forget("k", "first")
    assert mine.get("k") is None
    mine.put("k", Token("second", later()))
    other.forget("k", "first")  # it had not heard of the second
    found = other.get("k")
    assert found is not None
    assert found.value == "second"


def test_a_token_that_has_ended_is_not_good_enough(journal: Journal) -> None:  # noqa: F811
    fetched = []

    def fetch() -> Token:
        fetched.append(1)
        return Token("new", later())

    mine = store(journal)
    mine.put("k", Token("old", later(-1)))
    assert TokenSource("k", fetch, mine).token() == "new"
    assert len(fetched) == 1


def fetch_in_process(url: str, notes: str, key: bytes) -> str:
    def fetch() -> Token:
        with Path(notes).open("a") as file:
            file.write("fetched\n")
        time.sleep(0.5)
        return Token("the-token", later())

    with Journal.open(url) as opened:
        return TokenSource("k", fetch, store(opened, key)).token()


def test_processes_that_start_at_once_fetch_one_token(journal_url: str, tmp_path: Path) -> None:  # noqa: F811
    with Journal.open(journal_url):
        pass
    notes = tmp_path / "notes"
    answers = in_processes(fetch_in_process, [(journal_url, str(notes), KEY)] * 4)
    assert answers == ["the-token"] * 4
    assert notes.read_text().count("fetched") == 1


def test_whoever_died_while_fetching_is_not_waited_for_for_ever(journal: Journal) -> None:  # noqa: F811
    now = [1000.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    dead = store(journal, clock=lambda: now[0], sleep=sleep)
    never_left = dead.lock("k")
    never_left.__enter__()
    mine = store(journal, clock=lambda: now[0], sleep=sleep)
    with mine.lock("k"):
        pass
    assert 50 < sum(slept) < 70


def test_without_a_usable_fernet_key_each_process_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "not a key")
    with caplog.at_level(logging.WARNING):
        assert token_store.token_store(lambda: pytest.fail("not to be opened")) is None
    assert "not a key" not in caplog.text
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", f"{Fernet.generate_key().decode()},{KEY.decode()}")
    assert token_store.airflow_cipher() is not None


class _SlowForgetting:
    """The journal's secrets: a token is dropped only after another thread has looked for one."""

    def __init__(self, secrets: Any) -> None:
        self._secrets = secrets
        self._forgetting = False
        self._read_meanwhile = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._secrets, name)

    def get(self, key: str) -> Any:
        found = self._secrets.get(key)
        if self._forgetting:
            self._read_meanwhile.set()
        return found

    def forget(self, key: str, value: bytes) -> None:
        self._forgetting = True
        self._read_meanwhile.wait(2)
        self._secrets.forget(key, value)


def numbered_tokens() -> tuple[list[str], Callable[[], Token]]:
    fetched: list[str] = []

    def fetch() -> Token:
        fetched.append(f"token-{len(fetched) + 2}")
        return Token(fetched[-1], later())

    return fetched, fetch


def test_threads_whose_token_died_never_get_the_dead_one_again(journal: Journal) -> None:  # noqa: F811
    class Slow:
        secrets = _SlowForgetting(journal.secrets)

    mine = JournalTokenStore(Slow, MultiFernet([Fernet(KEY)]))  # type: ignore[arg-type]  # no more of it is used
    mine.put("k", Token("token-1", later()))
    fetched, fetch = numbered_tokens()
    source = TokenSource("k", fetch, mine)
    assert source.token() == "token-1"

    def meet_a_401(_: int) -> str:
        source.refused("token-1")
        return source.token()

    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(meet_a_401, range(5))) == {"token-2"}
    assert source.token() == "token-2"
    assert fetched == ["token-2"]


def test_a_task_whose_token_died_takes_the_one_that_another_task_fetched(journal: Journal) -> None:  # noqa: F811
    fetched, fetch = numbered_tokens()
    one, other = TokenSource("k", fetch, store(journal)), TokenSource("k", fetch, store(journal))
    assert one.token() == other.token() == "token-2"
    one.refused("token-2")
    assert one.token() == "token-3"
    other.refused("token-2")
    assert other.token() == "token-3"
    assert fetched == ["token-2", "token-3"]
