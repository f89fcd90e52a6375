"""A removal needs a proof that is not older than the poll that recorded it, whichever run the proof is of."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.resolve_users import resolve_users
from sandbox.directory_objects import CONTACT_CENTER, AddMember, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

UNPROVEN = [("remove", "bob", "held", "unproven", None)]
EVERYBODY = {"ann", "bob", "cid", "mia"}


def _bob_leaves_while_nothing_can_be_proven(small: Pipeline) -> None:
    """Another run records it, and does not see the canary."""
    small.directory.apply([RemoveMember("voice", "bob")])
    keys = definition_keys()
    small.redefine(**{**keys, "directory": {**keys["directory"], "canary": f"CN=nobody,{CONTACT_CENTER}"}})
    assert UNPROVEN[0] in rows(small.run())
    small.redefine(**keys)


def _removal(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [row for row in rows(report, "bob") if row[0] == "remove"]


def _finish(small: Pipeline, run_id: str, **asked: Any) -> dict[str, Any]:
    map_groups(small.task(run_id, "map_groups"))
    resolve_users(small.task(run_id, "resolve_users"))
    small.patch(run_id, plan(small.task(run_id, "plan")))
    return small.report(run_id, **asked)


@pytest.mark.follows_remedy("unproven")
@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_run_that_waited_between_poll_and_plan_removes_nobody_by_its_older_proof(small: Pipeline, mode: str) -> None:
    small.run()
    small.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "cid")])
    poll(small.task("one", "poll"), small.request(mode=mode))  # Voice is read completely
    _bob_leaves_while_nothing_can_be_proven(small)
    report = _finish(small, "one", mode=mode)
    assert _removal(report) == UNPROVEN
    assert "bob" in members(small, "Voice")
    assert rows(small.run(), "bob") == [("remove", "bob", "success", None, None)]


def test_a_plan_that_is_cleared_later_removes_nobody_by_its_older_proof(small: Pipeline) -> None:
    small.run("old", mode="full")
    _bob_leaves_while_nothing_can_be_proven(small)
    assert _removal(_finish(small, "old", mode="full")) == UNPROVEN
    assert members(small, "Voice") == EVERYBODY


def test_a_late_retry_of_patch_removes_nobody_by_its_older_proof(small: Pipeline) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "bob")])
    old, planned = small.plan("old")
    small.directory.apply([AddMember("voice", "bob")])
    small.run(dry_run=True)
    _bob_leaves_while_nothing_can_be_proven(small)
    small.patch(old, planned)
    assert _removal(small.report(old)) == UNPROVEN
    assert members(small, "Voice") == EVERYBODY


def test_what_is_told_between_two_readings_of_a_poll_is_proven_in_the_same_run(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesys_ad_sync.polling.poller import DirectoryPoller

    small.run()
    small.directory.apply([RemoveMember("chat", "dan")])
    honest = DirectoryPoller.read_completely

    def read_completely(self: DirectoryPoller, *arguments: Any) -> Any:
        monkeypatch.setattr(DirectoryPoller, "read_completely", honest)
        result = honest(self, *arguments)
        small.directory.apply([RemoveMember("voice", "bob")])
        self.poll(full=False)
        return result

    monkeypatch.setattr(DirectoryPoller, "read_completely", read_completely)
    assert sorted(rows(small.run())) == [
        ("remove", "bob", "success", None, None),
        ("remove", "dan", "success", None, None),
    ]
