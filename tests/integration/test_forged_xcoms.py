"""XComs carry lanes and counts. Whoever can write one decides nothing: outcomes and answers are in the journal."""

from __future__ import annotations

from contextlib import suppress

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE
from genesys_ad_sync.stages.approve_removals import reread_sources
from genesys_ad_sync.stages.patch import patch
from sandbox.directory_objects import RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import MANUAL, definition_keys, members, rows, small  # noqa: F401 (fixture)


def test_a_forged_xcom_approves_nothing(small: Pipeline) -> None:  # noqa: F811
    small.redefine(**{**definition_keys(), "limits": {"removals": 0, "empty_group": "allow"}})
    small.run("first")
    before = members(small, "Voice")
    assert {"ann", "bob", "cid", MANUAL} == before
    small.directory.apply([RemoveMember("voice", "bob")])
    run_id, planned = small.plan("second")
    small.patch(run_id, planned)
    assert small.asked(run_id) is not None  # and nobody answers
    for lane in (*range(-2, 8), *range(FIRST_APPROVED_LANE, FIRST_APPROVED_LANE + 8)):
        for name in ("patch", "patch_approved"):
            task = small.task(run_id, f"{name}[{lane}]")
            with suppress(GroupSyncError):
                reread_sources(task, lane)
                patch(task, lane)
    assert members(small, "Voice") == before
    assert [row[2:4] for row in rows(small.report(run_id), "bob")] == [("held", "over_limit")]
