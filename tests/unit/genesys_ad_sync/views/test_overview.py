"""How a sync does, in one sentence."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta
from typing import Any

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Mode
from genesys_ad_sync.views.history import History
from genesys_ad_sync.views.overview import Overview, overview
from tests.support.journal import DEFINITION, T0, journal, journal_url, minutes  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, Reason, Status, change, definition, key_of, poll, run_with

DAG = "genesys_ad_group_sync"
DAGS = (DAG, f"{DAG}_full")


def of(journal: Journal, after: timedelta = timedelta(minutes=30), **more: Any) -> Overview:
    mine = definition(**{"dry_run": "false", **more})
    return overview(journal, DEFINITION, mine, dag_ids=DAGS, history=History(), now=T0 + after)


def done(journal: Journal, run_id: str, person: str, status: Status = Status.SUCCESS, **values: Any) -> None:
    action = values.pop("action", Action.ADD)
    run_with(journal, run_id, change("support", person, action), status, **{"dag_id": DAG, **values})


def test_the_sentence_says_the_worst_first(journal: Journal) -> None:
    assert of(journal).headline.sentence == "This sync has not read Active Directory yet."
    poll(journal, {"support": "ada bob cyd"})
    done(journal, "r1", "ada")
    done(journal, "f1", "ada", dag_id=DAGS[1], mode=Mode.FULL)
    assert (of(journal).headline.level, of(journal).headline.sentence[:12]) == ("good", "All is well:")
    assert of(journal, dry_run="true").headline.sentence.startswith("Dry run:")
    done(journal, "r2", "bob", Status.HELD, reason=Reason.OVER_LIMIT)
    assert of(journal).headline.sentence == "The sync runs; 1 change waits."
    key = key_of("support", "bob", Action.ADD)
    run = journal.runs.get(journal.lookups.last_runs(1)[0].key)
    journal.of(DEFINITION).questions.open(run.key, {key: [1]}, last_change=9, at=T0, until=T0 + minutes(600))
    assert of(journal).headline.sentence == "1 change waits for an answer of a person."
    done(journal, "r3", "cyd", Status.FAILED, reason=Reason.REFUSED)
    assert (of(journal).headline.level, of(journal).headline.sentence[:16]) == ("bad", "1 change failed;")
    silent = of(journal, timedelta(days=4)).headline
    assert (silent.level, silent.sentence[:7]) == ("bad", "Silent:")


def test_the_newest_live_and_full_runs_are_shown(journal: Journal) -> None:
    poll(journal, {"support": "ada"})
    assert (of(journal).live, of(journal).full) == (None, None)
    done(journal, "f1", "ada", dag_id=DAGS[1], mode=Mode.FULL)
    done(journal, "r1", "ada")
    done(journal, "dry", "ada", dry_run=True)
    found = of(journal)
    assert found.live
    assert found.full
    assert (found.live.run_id, found.full.run_id) == ("r1", "f1")
    mine = overview(journal, DEFINITION, None, dag_ids=[DAG], history=History(), now=T0)
    assert mine.full is None
    assert {dag.dag_id for dag in mine.status.dags} == {DAG}


def test_what_was_written_without_approval_is_beside_the_limit(journal: Journal) -> None:
    poll(journal, {"support": "ada bob cyd"})
    done(journal, "r1", "ada", action=Action.REMOVE)
    done(journal, "r2", "bob", action=Action.REMOVE, lane=1_000_000)  # approved
    done(journal, "r3", "cyd", action=Action.REMOVE, at=T0 - timedelta(days=2))
    removals, additions = of(journal, limits="{per_day: 7}").limits
    assert (removals.used, removals.limit) == (1, 7)
    assert (additions.used, additions.limit) == (0, None)
    unknown = overview(journal, DEFINITION, None, dag_ids=DAGS, history=History(), now=T0)
    assert unknown.limits[0].limit is None
