"""`check --scratch-group`: what is tried on a group made for it, what is told, and which groups are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from genesys_ad_sync.doctor.catalogue import CATALOGUE
from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow.cli.tree import main
from genesys_ad_sync_airflow.journal_connection import journal_address
from sandbox.active_directory import SandboxDirectory
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.check_world import FOLDER_OF_DEFINITIONS, CheckWorld
from tests.support.small_company import MANUAL, content, definition_keys, genesys_id, genesys_seed

SCRATCH, ONE, TWO = genesys_id("Scratch"), genesys_id("one"), genesys_id("two")
_OF_A_GROUP = {"mapping.groups", "mapping.people"}


@pytest.fixture(scope="module")
def small_directory() -> Iterator[SandboxDirectory]:
    with SandboxDirectory.start(content()) as directory:
        yield directory


@pytest.fixture
def world(small_directory: SandboxDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckWorld]:
    """Return a small company with a scratch group of two, to which no role can be given."""
    seed = genesys_seed()
    seed["users"] += [
        {"id": user_id, "name": name, "email": f"{name}@example.com", "username": f"{name}@example.com"}
        for user_id, name in ((ONE, "one"), (TWO, "two"))
    ]
    seed["groups"].append({"id": SCRATCH, "name": "Scratch", "individuals": [ONE, TWO]})
    with SandboxGenesys.start(seed, SandboxOptions(rate_allowed=None)) as genesys, ExitStack() as stack:
        made = CheckWorld(small_directory, genesys, tmp_path, monkeypatch, stack)
        made.prepare()
        define(made)
        switch_roles_off(genesys, monkeypatch, SCRATCH)
        yield made


def switch_roles_off(genesys: SandboxGenesys, monkeypatch: pytest.MonkeyPatch, group_id: str) -> None:
    """Let the sandbox show a group to which no role can be given: it has no switch for that."""
    kind = type(genesys.state.groups[group_id])
    usual = kind.as_json

    def as_json(group: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        shown: dict[str, Any] = usual(group, *args, **kwargs)
        return {**shown, "rolesEnabled": False} if group.id == group_id else shown

    monkeypatch.setattr(kind, "as_json", as_json)


def define(world: CheckWorld, name: str = "default", **keys: Any) -> None:
    """Write a sync definition of the small company."""
    values = {
        **definition_keys(),
        "genesys": {"verify_within": "PT2S"},
        "report": {"path": (world.folder / "reports").as_uri()},
        **keys,
    }
    (world.folder / FOLDER_OF_DEFINITIONS / f"{name}.yaml").write_text(yaml.safe_dump(values))


def run(*more: str, group: str = SCRATCH, twice: str | None = None) -> Result:
    options = ["check", "--json", "--scratch-group", group, "--yes-change", group if twice is None else twice]
    return CliRunner().invoke(main, [*options, *more])


def texts(result: Result) -> dict[str, str]:
    """Return what was found, by check."""
    [document] = json.loads(result.stdout)
    return {row["check"]: row["text"] for row in document["lines"]}


def outcomes(result: Result) -> dict[str, str]:
    [document] = json.loads(result.stdout)
    return {row["check"]: row["outcome"] for row in document["lines"]}


def test_everything_is_tried_and_the_group_is_as_it_was(world: CheckWorld) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    found = texts(done)
    assert found.keys() == {key for key in CATALOGUE if key.startswith("scratch.")} - {"scratch.group"}
    assert "not proven" not in {outcome for key, outcome in outcomes(done).items() if key != "scratch.inactive"}
    assert found["scratch.version"] == (
        "one removal: +1, one addition: +1, the same addition again: +0, two removals: +1, two additions: +1."
    )
    assert "empties the group" in found["scratch.bare_remove"]  # the sandbox's strictest reading
    assert found["scratch.inactive"] == "Not tried: both test users are active."
    assert set(world.genesys.individuals(SCRATCH)) == {ONE, TWO}
    assert {entry["path"].split("/groups/")[1].split("/")[0] for entry in world.genesys.writes()} == {SCRATCH}


READINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a bare remove honours its values": (
        {"scim_bare_remove": "honour_values"},
        "scratch.bare_remove",
        "only the member in its value",
    ),
    "a bare remove is refused": ({"scim_bare_remove": "refuse"}, "scratch.bare_remove", "It is refused"),
    "a step for each member": ({"version_bump": "per_member"}, "scratch.version", "two additions: +2"),
    "a step of ten": ({"version_step": 10}, "scratch.version", "one removal: +10"),
    "a step for nothing": ({"unchanged_bumps_version": True}, "scratch.version", "the same addition again: +1"),
    "an unknown id is ignored": ({"unknown_member": "ignore"}, "scratch.unknown_member", "was added"),
    "an unknown id is refused": (
        {"unknown_member": "refuse"},
        "scratch.unknown_member",
        "whole request is refused",
    ),
    "no second addition": ({"member_already_there": "refuse"}, "scratch.again", "Adding a member again is refused"),
    "no removal of strangers": ({"member_not_there": "refuse"}, "scratch.again", "Removing a non-member is refused"),
    "a search that is case-sensitive": (
        {"search_exact": "match_case"},
        "scratch.search_case",
        "the search is case-sensitive",
    ),
    "a conflict as 400": ({"conflict": "400"}, "scratch.stale_version", "answered 400"),
}


@pytest.mark.parametrize("name", READINGS)
def test_each_reading_of_the_api_is_told_as_it_is(world: CheckWorld, name: str) -> None:
    options, key, words = READINGS[name]
    world.genesys.set_options(**options)
    assert words in texts(run())[key]
    assert set(world.genesys.individuals(SCRATCH)) == {ONE, TWO}


@pytest.mark.parametrize(("shown", "words"), [(True, "is listed among"), (False, "is not listed")])
def test_an_inactive_test_user_shows_whether_inactive_members_are_listed(
    world: CheckWorld, *, shown: bool, words: str
) -> None:
    world.genesys.change_user(TWO, state="inactive")
    if not shown:
        world.genesys.set_options(individuals_states=["active"])
    done = run("--test-user", ONE, "--test-user", TWO)
    assert words in texts(done)["scratch.inactive"]
    assert set(world.genesys.individuals(SCRATCH)) == {ONE, TWO}


def test_a_missing_right_to_write_is_a_problem_and_the_rest_is_not_tried(world: CheckWorld) -> None:
    world.genesys.set_options(permissions=["directory:group:view", "directory:user:view"])
    done = run()
    assert done.exit_code == 1
    assert outcomes(done)["scratch.add"] == "problem"
    assert outcomes(done)["scratch.bare_remove"] == "not proven"


def test_a_write_that_is_accepted_and_lost_is_a_problem(world: CheckWorld) -> None:
    world.genesys.add_fault("lost_write", path=f"/groups/{SCRATCH}", times=None)
    done = run()
    assert "not seen within 2 s" in texts(done)["scratch.remove"]
    assert done.exit_code == 1


# -- refusals -----------------------------------------------------------------------------------------


def refused(world: CheckWorld, *more: str, **options: Any) -> str:
    """Return why the group is refused; nothing may have been written."""
    done = run(*more, **options)
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert world.genesys.writes() == []
    return str(said["error"] if isinstance(said, dict) else said[0]["lines"][0]["text"])


@pytest.mark.parametrize("twice", ["", ONE, SCRATCH.upper()])
def test_a_group_that_is_not_named_twice_is_refused(world: CheckWorld, twice: str) -> None:
    assert f"--yes-change {SCRATCH}" in refused(world, twice=twice)


def test_a_group_that_is_mapped_by_attribute_is_refused(world: CheckWorld) -> None:
    assert "maps an AD group to this group" in refused(world, group=genesys_id("Voice"))


def test_a_group_that_another_definition_maps_is_refused(world: CheckWorld) -> None:
    define(world, "other", groups=[{"name": "Voice", "genesys_name": "Scratch"}])
    assert "sync definition other maps an AD group" in refused(world, "--definition", "default")


def test_a_group_whose_id_a_definition_names_is_refused_whether_the_ad_group_exists_or_not(world: CheckWorld) -> None:
    rule = {"dn": "CN=Gone,DC=example,DC=com", "genesys_id": SCRATCH}
    define(world, "other", groups=[rule])
    assert "sync definition other names this group" in refused(world, "--definition", "default")


def test_a_group_is_refused_if_it_cannot_be_known_what_a_definition_maps(world: CheckWorld) -> None:
    define(world, "other", directory={"group_base": "OU=Gone,DC=example,DC=com"})
    assert "It is not known what the sync definition other maps" in refused(world, "--definition", "default")
    define(world, "other", surprise=True)
    assert "surprise" in refused(world, "--definition", "default")


def test_a_protected_group_is_refused(world: CheckWorld) -> None:
    define(world, protect=["scra*"])
    assert "`protect:`" in refused(world)


def test_a_group_that_was_fed_once_is_refused(world: CheckWorld) -> None:
    from datetime import datetime, timezone

    from genesys_ad_sync.model import GroupPair

    now = datetime.now(timezone.utc)
    with Journal.open(journal_address()) as journal:
        pairs = journal.of("default").pairs
        pairs.replace([GroupPair("11111111-1111-1111-1111-111111111111", SCRATCH, "Scratch", 0)], now)
        pairs.replace([], now)
    assert "feeds this group, or did" in refused(world)


def test_a_group_that_can_have_roles_is_refused(world: CheckWorld) -> None:
    other = genesys_id("with roles")
    world.genesys.load_seed(
        {
            **world.genesys.snapshot(),
            "groups": [*world.genesys.snapshot()["groups"], {"id": other, "name": "R", "individuals": [ONE, TWO]}],
        }
    )
    assert "Roles may be assigned" in refused(world, group=other)


def test_a_group_with_another_member_is_refused(world: CheckWorld) -> None:
    world.genesys.change_members(SCRATCH, add=[genesys_id(MANUAL)])
    assert "3 are known" in refused(world)
    assert "1 members of the group are not its two test users" in refused(world, "--test-user", ONE, "--test-user", TWO)


def test_a_group_that_rules_fill_is_refused(world: CheckWorld) -> None:
    world.genesys.change_group(SCRATCH, dynamic=True)
    assert "dynamic membership" in refused(world)
    world.genesys.change_group(SCRATCH, dynamic=False, rule_members=[genesys_id(MANUAL)])
    assert "1 members of the group are not" in refused(world)


def test_two_inactive_test_users_are_refused(world: CheckWorld) -> None:
    world.genesys.change_user(ONE, state="inactive")
    world.genesys.change_user(TWO, state="inactive")
    assert "at least one must be active" in refused(world)


def test_a_group_that_genesys_does_not_show_is_refused(world: CheckWorld) -> None:
    assert "Genesys has no group" in refused(world, group=genesys_id("nothing"))


def test_options_of_the_scratch_group_alone_are_refused(world: CheckWorld) -> None:
    done = CliRunner().invoke(main, ["check", "--yes-change", SCRATCH])
    assert (done.exit_code, "belong to --scratch-group" in done.stderr) == (1, True)
