"""`undo_run` and `release_run`, told with one person at a time: what is newer, what is left alone, which run."""

from __future__ import annotations

import pytest

from include.sandbox.directory_objects import AddGroup, Group, RemoveMember
from tests.fixtures.pipeline import Pipeline
from tests.fixtures.small_company import MANUAL, definition_keys, genesys_id, members, rows, small

__all__ = ["small"]

ONE_REMOVAL = {"removals": 1, "removals_percent": 100}


@pytest.fixture
def ready(small: Pipeline) -> Pipeline:
    """After the first run. Nights feeds the Genesys group Voice, too."""
    small.directory.apply([AddGroup(Group("nights", "Nights", ("dan",), info=genesys_id("Voice")))])
    small.run("first")
    return small


def reject_two_removals(pipeline: Pipeline, run_id: str) -> None:
    pipeline.redefine(**{**definition_keys(), "limits": ONE_REMOVAL})
    pipeline.directory.apply([RemoveMember("voice", "bob"), RemoveMember("voice", "cid")])
    pipeline.plan(run_id)
    assert pipeline.asked(run_id)
    pipeline.answer(run_id, "None")
    assert {row[2:4] for row in rows(pipeline.report(run_id))} == {("held", "rejected")}
    pipeline.redefine(**definition_keys())


# -- what was undone stays so --


def test_the_undo_of_a_mirrored_removal_stays_undone_until_it_is_released(ready: Pipeline) -> None:
    """Mia is nobody whom AD knows."""
    ready.redefine(**{**definition_keys(), "removals": "mirror"})
    assert rows(ready.run("bad", mode="full")) == [("remove", MANUAL, "success", None, None)]
    assert rows(ready.run("undo", undo_run="bad")) == [("add", MANUAL, "success", None, None)]
    assert rows(ready.run(mode="full")) == [("remove", MANUAL, "held", "undone", None)]
    assert MANUAL in members(ready, "Voice")
    assert rows(ready.run(mode="full", release_run="undo")) == [("remove", MANUAL, "success", None, None)]
