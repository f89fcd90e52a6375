"""Links of several accounts that move in one run: two that are each other's, and one that is left over.

Active Directory is a real Samba; Genesys is the sandbox.
"""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import pytest

from sandbox.directory_objects import AddMember, RemoveMember, SetAttributes
from tests.integration.test_identity import link_of, relinked
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, genesys_id, members, small  # noqa: F401 (fixture)


@pytest.fixture
def swapped(small: Pipeline) -> Pipeline:
    """Return the small company after a run in which bob's and fay's mails were each other's."""
    small.directory.apply([AddMember("chat", "fay"), SetAttributes("bob", {"mail": "fay@example.com"})])
    small.directory.apply([SetAttributes("fay", {"mail": "bob@example.com"})])
    small.run()
    assert "fay" in members(small, "Voice")
    assert "bob" in members(small, "Chat")
    small.directory.apply([SetAttributes("bob", {"mail": "bob@example.com"})])
    small.directory.apply([SetAttributes("fay", {"mail": "fay@example.com"})])
    return small


def entries(pipeline: Pipeline) -> list[str]:
    return [f"{pipeline.directory.guid_of(name)}={genesys_id(name)}" for name in ("bob", "fay")]


def test_two_links_that_are_each_others_are_exchanged(swapped: Pipeline) -> None:
    run_id, options = relinked(swapped, *entries(swapped))
    swapped.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert (link_of(swapped, "bob"), link_of(swapped, "fay")) == (genesys_id("bob"), genesys_id("fay"))
    assert members(swapped, "Voice") == {"ann", "bob", "cid", "mia"}
    assert members(swapped, "Chat") == {"dan", "eve", "fay"}
    assert swapped.run(mode="full")["held"] == 0


@pytest.mark.parametrize("chosen", ["Voice", "Chat"])
def test_of_two_links_that_are_each_others_none_moves_alone(swapped: Pipeline, chosen: str) -> None:
    run_id, options = relinked(swapped, *entries(swapped))
    swapped.answer(run_id, *(option for option in options if option.startswith(chosen)))
    assert (link_of(swapped, "bob"), link_of(swapped, "fay")) == (genesys_id("fay"), genesys_id("bob"))
    assert "fay" in members(swapped, "Voice")
    assert "bob" in members(swapped, "Chat")
    report = swapped.report(run_id)
    assert {row["status"] for row in report["details"]} == {"held"}
    assert all("of the person whose Genesys user it was to take" in row["error"] for row in report["details"])


def test_an_account_without_memberships_gives_its_genesys_user_up(swapped: Pipeline) -> None:
    """Nobody is asked about it. Two accounts with one Genesys user would hold each other's changes for ever."""
    swapped.directory.apply([RemoveMember("chat", "fay")])
    swapped.run()
    run_id, options = relinked(swapped, *entries(swapped))
    swapped.answer(run_id, *(option for option in options if option.startswith("Voice")))
    assert link_of(swapped, "bob") == genesys_id("bob")
    assert link_of(swapped, "fay") != genesys_id("bob")
    assert members(swapped, "Voice") == {"ann", "bob", "cid", "mia"}
    swapped.directory.apply([AddMember("chat", "fay")])
    swapped.run()
    assert members(swapped, "Chat") == {"dan", "eve", "fay"}


def test_who_is_asked_of_the_rules_loses_the_user_that_the_same_run_gives_to_another(small: Pipeline) -> None:
    """Genesys user bob is fay's in truth, and the rules would find it for bob again."""
    small.directory.apply([AddMember("chat", "fay")])
    small.genesys.change_user(genesys_id("fay"), state="inactive")
    small.run()
    bob, fay = small.directory.guid_of("bob"), small.directory.guid_of("fay")
    run_id, options = relinked(small, bob, f"{fay}={genesys_id('bob')}")
    assert any(f"this run gives it to AD account {fay}" in note for note in small.report(run_id)["notes"])
    small.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert (link_of(small, "bob"), link_of(small, "fay")) == (None, genesys_id("bob"))
    assert "bob" in members(small, "Chat")
    assert "bob" not in members(small, "Voice")


def test_nobody_is_asked_in_vain_while_another_run_asks_about_the_same_person(small: Pipeline) -> None:
    """All that follows from a relink is approved by one answer, or nothing of it."""
    small.redefine(**{**definition_keys(), "limits": {**definition_keys()["limits"], "removals": 0}})
    small.run()
    ann = small.directory.guid_of("ann")
    small.directory.apply([RemoveMember("voice", "ann"), AddMember("chat", "ann")])
    small.patch(*small.plan("asks"))
    asked = small.asked("asks")
    assert asked is not None
    entry = f"{ann}={genesys_id('fay')}"
    small.patch(*small.plan("relinks", relink=[entry]))
    assert small.asked("relinks") is None
    report = small.report("relinks")
    assert {row["reason"] for row in report["details"]} == {"relink"}
    assert {row["remedy"] for row in report["details"]} == {
        "Answer in the task approve_removals of run asks, which asks about it. "
        f"No later run asks again: trigger the DAG with relink: {entry}."
    }
    small.answer("asks", asked.options[0])
    small.report("asks")
    run_id, options = relinked(small, entry)  # what the remedy says
    small.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert link_of(small, "ann") == genesys_id("fay")
    assert members(small, "Chat") == {"dan", "eve", "fay"}
