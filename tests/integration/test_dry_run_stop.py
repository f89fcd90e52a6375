"""`dry_run: true` is a stop: a run under way sends nothing more, whatever version of the definition it has."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.settings import load_definition
from genesys_ad_sync.writing import lane
from sandbox.directory_objects import AddMember, RemoveMember
from tests.integration.test_interleavings import once_before
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

BEFORE = {"Voice": {"ann", "bob", "cid", "mia"}, "Chat": {"dan", "eve"}}
AFTER = {"Voice": {"ann", "cid", "fay", "mia"}, "Chat": {"dan", "eve", "bob"}}


def _now(pipeline: Pipeline) -> dict[str, set[str]]:
    return {group: members(pipeline, group) for group in BEFORE}


def _write(pipeline: Pipeline, **more: Any) -> Path:
    """Write the definition's file."""
    keys = {
        **definition_keys(),
        "dry_run": False,
        "report": {"path": (pipeline.folder / "reports").as_uri()},
        **more,
    }
    path = pipeline.folder / "default.yaml"
    path.write_text(yaml.safe_dump(keys))
    return path


@pytest.fixture
def planned(small: Pipeline) -> tuple[Pipeline, str, dict[str, Any]]:
    """After `plan` of a run that would change both groups; the definition has a file, which says live."""
    small.definition = load_definition(_write(small))
    small.run()
    assert _now(small) == BEFORE
    small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "fay"), AddMember("chat", "bob")])
    run_id, planned = small.plan()
    assert planned["batches"]
    return small, run_id, planned


def _goes_on(pipeline: Pipeline) -> None:
    """Check that the next live run carries out what the stop has left."""
    pipeline.definition = load_definition(_write(pipeline))
    report = pipeline.run()
    assert _now(pipeline) == AFTER
    assert sorted(row[:3] for row in rows(report)) == [
        ("add", "bob", "success"),
        ("add", "fay", "success"),
        ("remove", "bob", "success"),
    ]


def _is_stopped(report: dict[str, Any], left: int, why: str) -> None:
    validate(report)
    assert (report["planned"], report["failures"], report["dry_run"]) == (left, 0, False)
    [note] = [note for note in report["notes"] if note.startswith("stopped: ")]
    assert why in note
    assert note.endswith(f"{left} changes were not sent; the next live run takes them up")


def test_a_definition_that_turns_dry_in_its_file_stops_the_run(
    planned: tuple[Pipeline, str, dict[str, Any]],
) -> None:
    small, run_id, batches = planned
    path = _write(small, dry_run=True)
    small.patch(run_id, batches)
    report = small.report(run_id)
    assert _now(small) == BEFORE
    _is_stopped(report, 3, f"{path} says dry_run: true")
    _goes_on(small)


@pytest.mark.parametrize("content", [None, "dry_run: [", "groups: []"], ids=["gone", "no yaml", "no definition"])
def test_a_definition_whose_file_is_gone_or_wrong_may_be_dry(
    planned: tuple[Pipeline, str, dict[str, Any]], content: str | None
) -> None:
    small, run_id, batches = planned
    path = small.folder / "default.yaml"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    small.patch(run_id, batches)
    assert _now(small) == BEFORE
    _is_stopped(small.report(run_id), 3, str(path))
    _goes_on(small)


def test_a_task_from_an_older_bundle_stops_when_a_newer_run_has_noted_it(
    planned: tuple[Pipeline, str, dict[str, Any]],
) -> None:
    """Its own checkout of the file goes on saying live."""
    small, run_id, batches = planned
    older = small.definition
    small.redefine(**definition_keys(), dry_run=True)
    assert small.run("newer")["dry_run"] is True
    small.definition = older
    small.patch(run_id, batches)
    assert _now(small) == BEFORE
    _is_stopped(small.report(run_id), 3, "is dry, or has another name, since run genesys_ad_group_sync/newer")
    _goes_on(small)


def test_the_stop_takes_effect_between_two_groups(
    planned: tuple[Pipeline, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, run_id, batches = planned
    small.definition = small.definition.model_copy(
        update={"genesys": small.definition.genesys.model_copy(update={"workers": 1})}
    )
    once_before(monkeypatch, lane, "read_back", lambda: _write(small, dry_run=True) and None)
    small.patch(run_id, batches)
    report = small.report(run_id)
    written = [group for group in BEFORE if _now(small)[group] != BEFORE[group]]
    assert len(written) == 1
    assert _now(small)[written[0]] == AFTER[written[0]]
    assert report["successes"] + report["planned"] == 3
    assert report["successes"] > 0
    _is_stopped(report, report["planned"], "says dry_run: true")
    small.definition = load_definition(_write(small))
    small.run()
    assert _now(small) == AFTER


def test_what_was_approved_before_the_stop_is_not_sent(small: Pipeline) -> None:
    limits = {"limits": {"removals": 0}}
    small.definition = load_definition(_write(small, **limits))
    small.run()
    small.directory.apply([RemoveMember("voice", "bob")])
    run_id, _ = small.plan()
    asked = small.asked(run_id)
    assert asked is not None
    _write(small, **limits, dry_run=True)
    small.answer(run_id, asked.options[0])
    report = small.report(run_id)
    assert members(small, "Voice") == BEFORE["Voice"]
    assert report["approval"]["decision"] == "approved"
    _is_stopped(report, 1, "says dry_run: true")
    # the approval was for that run: a later one asks again
    small.definition = load_definition(_write(small, **limits))
    later, planned = small.plan()
    assert planned["batches"] == []
    again = small.asked(later)
    assert again is not None
    small.answer(later, again.options[0])
    assert members(small, "Voice") == BEFORE["Voice"] - {"bob"}


def test_a_stopped_first_comparison_is_made_again(small: Pipeline) -> None:
    small.definition = load_definition(_write(small))
    run_id, planned = small.plan()
    _write(small, dry_run=True)
    small.patch(run_id, planned)
    small.report(run_id)
    assert not any(pair.has_baseline for pair in small.journal.of("default").pairs.active())
    small.definition = load_definition(_write(small))
    small.run()
    assert _now(small) == BEFORE


def test_a_run_of_an_older_version_does_not_lift_the_stop(planned: tuple[Pipeline, str, dict[str, Any]]) -> None:
    """A cleared run has the version of the file that it began with."""
    small, _, _ = planned
    older = small.definition
    _write(small).unlink()  # an older bundle has a folder of its own
    small.redefine(**definition_keys(), dry_run=True)
    small.run("stop")
    long_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    small.redefine(**definition_keys())
    assert older.dry_run is small.definition.dry_run is False
    _run_due(small, "cleared", long_ago)
    assert _now(small) == BEFORE
    _run_due(small, "newest", datetime.now(timezone.utc))
    assert _now(small) == AFTER


def _run_due(pipeline: Pipeline, run_id: str, due_at: datetime) -> None:
    ask = pipeline.request
    pipeline.request = lambda **asked: dataclasses.replace(ask(**asked), due_at=due_at)  # type: ignore[method-assign]
    try:
        pipeline.run(run_id)
    finally:
        pipeline.request = ask  # type: ignore[method-assign]


def test_a_run_that_is_refused_sets_the_stop_all_the_same(planned: tuple[Pipeline, str, dict[str, Any]]) -> None:
    small, run_id, batches = planned
    older = small.definition
    small.redefine(**definition_keys(), dry_run=True)
    with pytest.raises(ParamError):
        small.plan("refused", dry_run=False)
    small.definition = older
    small.patch(run_id, batches)
    assert _now(small) == BEFORE


def test_no_param_makes_a_dry_definition_write(small: Pipeline) -> None:
    small.redefine(**definition_keys(), dry_run=True)
    with pytest.raises(ParamError, match="says dry_run: true, and the param dry_run: false does not overrule it"):
        small.plan(dry_run=False)
    assert small.run(dry_run=True)["dry_run"] is True
    assert members(small, "Voice") == {"mia"}
