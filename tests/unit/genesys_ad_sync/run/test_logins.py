"""A refused login: who waits, for how long, and what ends the waiting."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from genesys_ad_sync.errors import DirectoryBindError, DirectoryUnreachable
from genesys_ad_sync.genesys.errors import AuthenticationFailed
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.run.logins import LONGEST_PAUSE, Logins, pause
from tests.support.journal import T0, journal, journal_url, minutes  # noqa: F401 (fixtures)

OLD, NEW = ("svc", "old-password"), ("svc", "new-password")


class Airflow:
    """Tasks of runs, each with a login; ``tried`` is what the server got to see."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.now: datetime = T0
        self.right: Sequence[str] = NEW
        self.tried: list[Sequence[str]] = []

    def login(
        self,
        run: str,
        parts: Sequence[str],
        *,
        is_manual: bool = False,
        connection: str = "ad",
        error: type[DirectoryBindError | AuthenticationFailed] = DirectoryBindError,
    ) -> bool:
        logins = Logins(
            self.journal.refused_logins,
            RunKey("dag", run),
            is_manual,
            fingerprint=lambda parts: f"#{hash(tuple(parts))}",
            clock=lambda: self.now,
        )
        try:
            with logins.attempt(connection, parts, error):
                self.tried.append(parts)
                if parts != self.right:
                    raise error("refused")
        except error:
            return False
        return True


@pytest.fixture
def airflow(journal: Journal) -> Airflow:
    return Airflow(journal)


@pytest.mark.parametrize("error", [DirectoryBindError, AuthenticationFailed])
def test_after_one_refusal_the_next_schedules_wait_a_growing_while(
    airflow: Airflow, error: type[DirectoryBindError | AuthenticationFailed]
) -> None:
    tries = []
    for tick in range(24 * 4):
        before = len(airflow.tried)
        assert not airflow.login(f"r{tick}", OLD, error=error)
        tries += [tick] * (len(airflow.tried) - before)
        airflow.now += minutes(15)
    assert tries == [0, 2, 6, 14, 30, 46, 62, 78, 94]


def test_the_pauses_double_up_to_the_longest() -> None:
    assert [pause(times) / minutes(1) for times in (1, 2, 3, 4, 5, 1000)] == [30, 60, 120, 240, 240, 240]
    assert pause(10**9) == LONGEST_PAUSE


def test_a_connection_that_changed_is_tried_at_once_and_success_ends_the_waiting(airflow: Airflow) -> None:
    airflow.login("r1", OLD)
    assert airflow.login("r2", NEW)
    assert airflow.journal.refused_logins.get("ad") is None
    airflow.right = OLD
    assert not airflow.login("r3", NEW)
    refused = airflow.journal.refused_logins.get("ad")
    assert refused is not None
    assert refused.times == 1


def test_another_wrong_password_begins_to_count_anew(airflow: Airflow) -> None:
    for number in range(3):
        airflow.login(f"r{number}", OLD)
        airflow.now += timedelta(hours=5)
    airflow.login("r4", ("svc", "also wrong"))
    refused = airflow.journal.refused_logins.get("ad")
    assert refused is not None
    assert refused.times == 1


def test_a_manual_run_tries_at_once_but_only_one_of_its_tasks(airflow: Airflow) -> None:
    airflow.login("r1", OLD)
    for _ in range(5):  # the mapped tasks of the run
        assert not airflow.login("manual", OLD, is_manual=True)
    assert airflow.tried == [OLD, OLD]
    assert not airflow.login("another", OLD, is_manual=True)
    assert airflow.tried == [OLD, OLD, OLD]
    airflow.now += minutes(2)  # a person cleared the task
    airflow.right = OLD
    assert airflow.login("another", OLD, is_manual=True)


def test_a_scheduled_run_does_not_wait_for_another_connection(airflow: Airflow) -> None:
    airflow.login("r1", OLD)
    assert airflow.login("r1", NEW, connection="other")


def test_the_error_says_how_often_since_when_and_what_ends_it(journal: Journal) -> None:
    logins = Logins(journal.refused_logins, RunKey("dag", "r1"), False, lambda _: "#", lambda: T0)
    with pytest.raises(DirectoryBindError), logins.attempt("ad", OLD, DirectoryBindError):
        raise DirectoryBindError("refused")
    with pytest.raises(DirectoryBindError) as waits, logins.attempt("ad", OLD, DirectoryBindError):
        raise AssertionError("it must not be tried")
    for part in ("refused once", "dag/r1", T0.isoformat(timespec="seconds"), "triggers a run", "2024-05-01T12:30:00"):
        assert part in str(waits.value)


def test_an_error_that_is_about_no_login_makes_nobody_wait(journal: Journal) -> None:
    logins = Logins(journal.refused_logins, RunKey("dag", "r1"), False, lambda _: "#", lambda: T0)
    with pytest.raises(DirectoryUnreachable), logins.attempt("ad", OLD, DirectoryBindError):
        raise DirectoryUnreachable("no route")
    assert journal.refused_logins.get("ad") is None
