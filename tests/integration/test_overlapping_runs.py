"""Two runs of one definition in step with each other: neither takes for certain what the other has only begun."""

from __future__ import annotations

from collections import Counter

from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.resolve_users import resolve_users
from sandbox import company
from sandbox.directory_objects import AddMember, RemoveMember
from tests.support.pipeline import Pipeline


def test_an_inactive_person_whom_the_other_run_has_just_found_gets_no_membership(pipeline: Pipeline) -> None:
    truth = pipeline.directory.truth_by_name()
    runs = ("one", "two")
    for run_id in runs:
        poll(pipeline.task(run_id, "poll"), pipeline.request())
        map_groups(pipeline.task(run_id, "map_groups"))
        resolve_users(pipeline.task(run_id, "resolve_users"))
    planned = {run_id: plan(pipeline.task(run_id, "plan")) for run_id in runs}
    for run_id in runs:
        pipeline.patch(run_id, planned[run_id])
        assert pipeline.report(run_id)["failures"] == 0
    expected = company.expected_individuals(truth, truth)
    assert {group: set(pipeline.genesys.individuals(group)) for group in expected} == expected


def test_whom_the_other_run_polls_after_resolve_users_is_looked_up_by_plan(pipeline: Pipeline) -> None:
    """Neither held for want of a look-up, nor left out."""
    pipeline.run()
    pipeline.directory.apply([RemoveMember("billing", "lena.lang")])
    poll(pipeline.task("one", "poll"), pipeline.request())
    map_groups(pipeline.task("one", "map_groups"))
    resolve_users(pipeline.task("one", "resolve_users"))
    pipeline.directory.apply([AddMember("support", "quirin.quast"), AddMember("gold", "quirin.quast")])
    poll(pipeline.task("two", "poll"), pipeline.request())
    planned = plan(pipeline.task("one", "plan"))
    pipeline.patch("one", planned)
    report = pipeline.report("one")
    assert Counter(row["action"] for row in report["details"] if row["status"] == "success") == {"add": 2, "remove": 1}
    assert not any(row["reason"] == "genesys_unreadable" for row in report["details"])
