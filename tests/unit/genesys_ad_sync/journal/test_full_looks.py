"""Which run in mode full counts as the last look at all members in Genesys Cloud."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.journal.housekeeping import LARGE_VALUES_KEPT
from genesys_ad_sync.journal.scratch import _copy
from genesys_ad_sync.model import GroupResult, Mode
from genesys_ad_sync.run.facts import PLAN, UNDO, StoredPlan
from genesys_ad_sync.views.person import explain_genesys_user
from genesys_ad_sync.views.search import find_people
from tests.support.journal import DEFINITION, T0, begin, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import finish, looked_at, map_groups, poll

LARGE = ["x" * 40] * 100
Make = Callable[[Journal], None]


def failed_before_its_plan(journal: Journal) -> None:
    finish(journal, begin(journal, "failed", mode=Mode.FULL), planned=False)


def limited_to_some_groups(journal: Journal) -> None:
    run = begin(journal, "limited", mode=Mode.FULL, groups=("chat*",))
    journal.figures.save_groups(run, [GroupResult("G-chat", "Chat", ("chat",), True, 1, 1, 0, 0, 0, (), {})])
    finish(journal, run)


def undid_another_run(journal: Journal) -> None:
    run = begin(journal, "undo", mode=Mode.FULL)
    journal.facts.put(run, UNDO.key, UNDO.adapter.dump_python(RunKey("dag", "r1"), mode="json"))
    journal.figures.save_groups(run, [GroupResult("G-voice", "Voice", ("voice",), False, 3, None, 0, 0, None)])
    finish(journal, run)


ALL = [failed_before_its_plan, limited_to_some_groups, undid_another_run]


@pytest.fixture
def looked(journal: Journal) -> Journal:
    """Return a journal after a run in mode full that saw Mia as a member by hand."""
    poll(journal, {"voice": "ann", "chat": "bob"})
    map_groups(journal, "voice", "chat")
    looked_at(journal, "voice", **{"U-mia": "Mia Manual"})
    look = journal.runs.get(RunKey("dag", "full-voice"))
    journal.facts.put(look, UNDO.key, UNDO.adapter.dump_python(None, mode="json"))  # as each run does
    return journal


@pytest.mark.parametrize("then", ALL)
def test_a_run_that_did_not_look_at_all_members_hides_nobody(looked: Journal, then: Make) -> None:
    then(looked)
    last = looked.of(DEFINITION).lookups.last_results()
    assert last is not None
    assert last[0].key == RunKey("dag", "full-voice")
    assert [hit.genesys_user_id for hit in find_people(looked, "Mia")] == ["U-mia"]
    [answer] = explain_genesys_user(looked, "U-mia")
    assert [one.genesys_group_name for one in answer.memberships] == ["Voice"]


def test_runs_that_failed_are_not_searched_for_the_last_look_at_a_group(looked: Journal) -> None:
    for number in range(12):
        finish(looked, begin(looked, f"failed-{number}", mode=Mode.FULL), planned=False)
    assert looked.of(DEFINITION).lookups.last_looks(["G-voice"]).keys() == {"G-voice"}


@pytest.mark.parametrize("then", ALL)
def test_what_a_plan_without_network_goes_by_is_kept(looked: Journal, then: Make) -> None:
    look = looked.runs.get(RunKey("dag", "full-voice"))
    looked.facts.put(look, "mapping", LARGE)
    then(looked)
    assert looked.of(DEFINITION).housekeeping.forget_large_values(T0 + 2 * LARGE_VALUES_KEPT) == 0
    assert looked.of(DEFINITION).lookups.facts_since(look, "mapping") == [LARGE]


def test_a_copy_has_what_a_plan_without_network_goes_by_however_old_it_is(looked: Journal, tmp_path: Path) -> None:
    look = looked.runs.get(RunKey("dag", "full-voice"))
    looked.facts.put(look, "mapping", LARGE)
    for number in range(101):
        finish(looked, begin(looked, f"r{number}"))
    later = looked.runs.get(RunKey("dag", "r0"))
    looked.facts.put(later, "matches", LARGE)
    _copy(looked.database, tmp_path / "copy.db", T0 + timedelta(days=30))
    with Journal.open(f"sqlite:///{tmp_path / 'copy.db'}") as copy:
        lookups = copy.of(DEFINITION).lookups
        last = lookups.last_results()
        assert last is not None
        assert [result.genesys_group_id for result in last[1]] == ["G-voice"]
        assert (lookups.facts_since(last[0], "mapping"), lookups.facts_since(last[0], "matches")) == ([LARGE], [LARGE])


def test_the_plan_of_a_look_is_what_record_plan_stores(looked: Journal) -> None:
    """Guard against another key: every look would be unknown."""
    run = begin(looked, "new", mode=Mode.FULL)
    looked.facts.put(run, PLAN.key, PLAN.adapter.dump_python(StoredPlan("h", None, T0), mode="json"))
    looked.runs.finish(run, "success", T0)
    last = looked.of(DEFINITION).lookups.last_results()
    assert last is not None
    assert last[0].key == run.key
