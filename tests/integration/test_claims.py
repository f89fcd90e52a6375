"""Which of two definitions feeds a Genesys group: how a claim ends, and how it does not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.settings import parse_definition
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.resolve_users import resolve_users
from genesys_ad_sync.views.claims import note_as_far_as_named
from sandbox.directory_objects import AddMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, genesys_id, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

VOICE = genesys_id("Voice")
BOTH = frozenset({"a", "b"})
ONLY_CHAT = {"groups": [{"name": "Chat", "genesys_id": genesys_id("Chat")}]}


def use(pipeline: Pipeline, name: str, **more: Any) -> Pipeline:
    """Let the following runs be of that definition."""
    keys = {
        **definition_keys(),
        "dry_run": False,
        "report": {"path": (pipeline.folder / "reports").as_uri()},
        **more,
    }
    pipeline.definition = parse_definition(yaml.safe_dump(keys), name=name)
    pipeline.dag_id = pipeline.definition.dag_id
    pipeline.definitions = pipeline.definitions or BOTH
    return pipeline


def feeder(pipeline: Pipeline, group: str = "Voice") -> str | None:
    """Return the definition that has the claim on a Genesys group."""
    task, claims = pipeline.task("none", "none"), pipeline.journal.of("nobody").claims
    return claims.take(task.organisation, [genesys_id(group)], task.clock(), dry_run=True).get(genesys_id(group))


def held(report: dict[str, Any]) -> set[tuple[str, str | None]]:
    return {(row["reason"], row["genesys_group"]["name"]) for row in report["details"] if row["status"] == "held"}


@pytest.mark.parametrize("by", ["definition", "param"])
def test_a_dry_run_ends_the_claim_on_a_group_that_its_definition_no_longer_maps(small: Pipeline, by: str) -> None:
    use(small, "b").run()
    assert feeder(small) == "b"
    use(small, "b", **ONLY_CHAT, dry_run=by == "definition").run(dry_run=True)
    assert feeder(small) is None
    assert feeder(small, "Chat") == "b"
    report = use(small, "a").run()
    assert feeder(small) == "a"
    assert held(report) == set()  # Chat is b's and has nothing to change


def test_an_emergency_stop_hands_nothing_over(small: Pipeline) -> None:
    use(small, "b").run()
    use(small, "b", dry_run=True).run()
    small.directory.apply([AddMember("voice", "fay")])
    report = use(small, "a").run()
    assert feeder(small) == "b"
    assert ("claimed_by", "Voice") in held(report)
    assert "fay" not in members(small, "Voice")


def test_a_dry_definition_takes_no_claim(small: Pipeline) -> None:
    use(small, "b", dry_run=True).run()
    assert small.journal.claims.list() == []


def test_a_dry_run_with_older_rules_keeps_what_a_newer_run_claimed_meanwhile(small: Pipeline) -> None:
    older = use(small, "b", **ONLY_CHAT, dry_run=True).task("older", "poll")
    poll(older, small.request(dry_run=True))
    dry = small.definition
    use(small, "b").run("newer")
    assert feeder(small) == "b"
    small.definition = dry
    for stage in (map_groups, resolve_users, plan):
        stage(small.task("older", stage.__name__))
    assert feeder(small) == "b"


def test_a_person_releases_a_claim(small: Pipeline) -> None:
    use(small, "b").run()
    small.directory.apply([AddMember("voice", "fay")])
    report = use(small, "a").run()
    [row] = [row for row in report["details"] if row["reason"] == "claimed_by" and row["genesys_group"]["id"] == VOICE]
    assert f'release_claim: ["{VOICE}"]' in row["remedy"]
    assert "the definition b" in row["remedy"]

    dry = small.run(dry_run=True, release_claim=[VOICE])
    assert f"dry run: the claim of sync definition b on Genesys group {VOICE} was not released" in dry["notes"]
    assert feeder(small) == "b"

    report = small.run(release_claim=[VOICE])
    released = f"the claim of sync definition b on Genesys group {VOICE} was released"
    assert released in report["notes"]
    hidden = note_as_far_as_named(released, lambda name: name == "a")
    assert hidden == f"the claim of another sync on Genesys group {VOICE} was released"
    assert feeder(small) == "a"
    assert feeder(small, "Chat") == "b"
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]

    small.directory.apply([AddMember("voice", "eve")])
    assert ("claimed_by", "Voice") in held(use(small, "b").run())


def test_a_claim_that_is_not_there_or_is_ones_own_cannot_be_released(small: Pipeline) -> None:
    use(small, "b").run()
    for name, groups, why in (
        ("a", [VOICE, "nonsense"], "no sync definition has a claim on Genesys group nonsense"),
        ("b", [VOICE], "is fed by this sync definition, b. Remove its rule"),
    ):
        with pytest.raises(ParamError, match=why):
            use(small, name).plan(release_claim=groups)
        assert feeder(small) == "b"


def test_a_retried_poll_releases_once(small: Pipeline) -> None:
    use(small, "b").run()
    use(small, "a")
    for _ in range(2):
        poll(small.task("retried", "poll"), small.request(release_claim=[VOICE]))
    assert feeder(small) is None
    small.run("retried", release_claim=[VOICE])
    assert feeder(small) == "a"


def test_a_cleared_run_releases_nothing_twice_and_does_not_fail(small: Pipeline) -> None:
    use(small, "b").run()
    use(small, "a")
    for _ in range(2):
        report = small.run("cleared", release_claim=[VOICE])
        assert f"the claim of sync definition b on Genesys group {VOICE} was released" in report["notes"]
        assert feeder(small) == "a"
    with pytest.raises(ParamError, match="is fed by this sync definition"):
        small.plan("another", release_claim=[VOICE])


def test_a_definition_that_moves_to_another_organisation_gives_up_the_former_one(small: Pipeline) -> None:
    use(small, "b").run()
    small.journal.of("b").claims.take("https://api.elsewhere.example", [VOICE], small.task("x", "x").clock())
    small.run()
    assert {claim.organisation for claim in small.journal.claims.list()} == {small.task("x", "x").organisation}
