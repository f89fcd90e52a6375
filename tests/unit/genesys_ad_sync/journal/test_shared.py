"""What tasks share about Genesys Cloud: encrypted secrets with a lock, external ids, and whether a reading is fresh."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

from genesys_ad_sync.journal import Journal, RunKey
from tests.support.journal import T0, in_processes, journal, journal_url, minutes  # noqa: F401 (fixtures)

OURS, OTHERS = RunKey("dag", "r1"), RunKey("dag", "r2")
TTL = timedelta(minutes=5)


def test_a_secret_is_kept_until_it_is_replaced(journal: Journal) -> None:
    assert journal.secrets.get("k") is None
    journal.secrets.put("k", b"one", T0)
    journal.secrets.put("k", b"two", T0 + minutes(1))
    assert journal.secrets.get("k") == (b"two", T0 + minutes(1))


def test_only_the_very_same_secret_is_forgotten(journal: Journal) -> None:
    journal.secrets.put("k", b"two", T0)
    journal.secrets.forget("k", b"one")
    assert journal.secrets.get("k") == (b"two", T0)
    journal.secrets.forget("k", b"two")
    assert journal.secrets.get("k") is None


def test_one_at_a_time_renews_a_secret(journal: Journal) -> None:
    assert journal.secrets.lock("k", "a", now=T0, until=T0 + minutes(1))
    assert not journal.secrets.lock("k", "b", now=T0, until=T0 + minutes(1))
    assert journal.secrets.lock("other", "b", now=T0, until=T0 + minutes(1))
    journal.secrets.unlock("k", "b")  # not b's to unlock
    assert not journal.secrets.lock("k", "b", now=T0, until=T0 + minutes(1))
    journal.secrets.unlock("k", "a")
    assert journal.secrets.lock("k", "b", now=T0, until=T0 + minutes(1))


def test_a_lock_of_somebody_who_died_ends_by_itself_and_the_secret_stays(journal: Journal) -> None:
    journal.secrets.put("k", b"one", T0)
    journal.secrets.lock("k", "dead", now=T0, until=T0 + minutes(1))
    assert journal.secrets.lock("k", "b", now=T0 + minutes(1), until=T0 + minutes(2))
    assert journal.secrets.get("k") == (b"one", T0)


def lock(url: str, owner: str) -> bool:
    with Journal.open(url) as opened:
        return opened.secrets.lock("k", owner, now=T0, until=T0 + minutes(1))


def test_of_processes_that_ask_at_once_one_gets_the_lock(journal_url: str) -> None:
    with Journal.open(journal_url):
        pass
    assert sorted(in_processes(lock, [(journal_url, str(n)) for n in range(4)])) == [False, False, False, True]


def test_external_ids_are_kept_per_organisation_also_those_that_nobody_carries(journal: Journal) -> None:
    journal.external_ids.save("org", {"ERP-1": "g1", "ERP-2": None}, T0)
    journal.external_ids.save("org", {"ERP-2": "g2"}, T0 + minutes(1))
    assert journal.external_ids.get("org", ["ERP-1", "ERP-2", "ERP-3"]) == {
        "ERP-1": ("g1", T0),
        "ERP-2": ("g2", T0 + minutes(1)),
    }
    assert journal.external_ids.get("elsewhere", ["ERP-1"]) == {}


def test_the_fence_is_foretold_unless_another_run_comes_in_between(journal: Journal) -> None:
    foretold = journal.leases.next_fence("org", OURS, now=T0)
    assert journal.leases.acquire("org", OURS, "patch[0]", now=T0, ttl=TTL) == foretold
    assert journal.leases.next_fence("org", OURS, now=T0) == foretold  # our other tasks write under it, too
    journal.leases.release("org", OURS, "patch[0]")
    foretold = journal.leases.next_fence("org", RunKey("dag", "r3"), now=T0)
    journal.leases.acquire("org", OTHERS, "patch[0]", now=T0, ttl=TTL)
    journal.leases.release("org", OTHERS, "patch[0]")
    assert journal.leases.acquire("org", RunKey("dag", "r3"), "patch[0]", now=T0, ttl=TTL) != foretold


def test_while_another_run_writes_no_fence_is_foretold(journal: Journal) -> None:
    journal.leases.acquire("org", OTHERS, "patch[0]", now=T0, ttl=TTL)
    assert journal.leases.next_fence("org", OURS, now=T0) is None
    assert journal.leases.next_fence("org", OURS, now=T0 + TTL) is not None  # it has died


# -- what the newest definition says --


def _note(journal: Journal, run_id: str, due: float, *, dry_run: bool) -> None:
    run = RunKey("dag", run_id)
    journal.of("d").definitions.note(dry_run=dry_run, due_at=T0 + minutes(due), run=run, at=T0 + minutes(60))


def _noted(journal: Journal) -> tuple[bool, str] | None:
    noted = journal.of("d").definitions.noted()
    return None if noted is None else (noted.dry_run, noted.run.run_id)


def test_the_newest_run_says_what_the_definition_says(journal: Journal) -> None:
    assert _noted(journal) is None
    _note(journal, "live", 0, dry_run=False)
    assert _noted(journal) == (False, "live")
    _note(journal, "dry", 1, dry_run=True)
    assert _noted(journal) == (True, "dry")
    assert journal.of("another").definitions.noted() is None
    _note(journal, "live again", 2, dry_run=False)
    assert _noted(journal) == (False, "live again")


def test_an_older_run_sets_the_stop_and_does_not_lift_it(journal: Journal) -> None:
    _note(journal, "stop", 5, dry_run=True)
    _note(journal, "older and live", 4, dry_run=False)
    assert _noted(journal) == (True, "stop")
    _note(journal, "live", 6, dry_run=False)
    _note(journal, "older and dry", 1, dry_run=True)  # it may be wrong about that, and stops all the same
    assert _noted(journal) == (True, "older and dry")
    _note(journal, "in between and live", 5.5, dry_run=False)  # older than what said live
    assert _noted(journal) == (True, "older and dry")
    _note(journal, "newest and live", 7, dry_run=False)
    assert _noted(journal) == (False, "newest and live")


def test_a_run_that_was_due_at_the_same_time_may_lift_the_stop(journal: Journal) -> None:
    """A retried poll of the run itself: its file may have been edited in between."""
    _note(journal, "run", 5, dry_run=True)
    _note(journal, "run", 5, dry_run=False)
    assert _noted(journal) == (False, "run")
