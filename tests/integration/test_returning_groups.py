"""A group that was out of view comes back: who is missing now may have left, or may only not be shown."""

from __future__ import annotations

import pytest

from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddGroup,
    AddMember,
    Delete,
    Group,
    Move,
    RemoveMember,
)
from tests.integration.test_failover import refuse_cookies
from tests.support.pipeline import Pipeline
from tests.support.rights import MEMBER, changed_rights
from tests.support.small_company import definition_keys, genesys_id, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

EVERYTHING = "(D;;GA;;;{who})"
READ_MEMBER = f"(OD;;RP;{MEMBER};;{{who}})"
EVERYBODY = {"ann", "bob", "cid", "mia"}


def _hidden(small: Pipeline, name: str = "voice", ace: str = EVERYTHING):
    return changed_rights(small.directory, small.directory.dn_of(name), ace)


def test_a_group_that_comes_back_without_its_members_loses_nobody(small: Pipeline) -> None:
    small.run()
    with _hidden(small):
        assert {row[2:4] for row in rows(small.run(mode="full"))} == {("held", "mapping_changed")}
    with _hidden(small, ace=READ_MEMBER):
        for mode in ("full", "auto", "full"):
            report = small.run(mode=mode)
            assert not [row for row in rows(report) if row[:3] == ("remove", row[1], "success")]
            assert members(small, "Voice") == EVERYBODY
            assert mode != "full" or any("lack more members" in note for note in report["notes"])
    small.run(mode="full")
    assert rows(small.run(mode="full")) == []
    assert members(small, "Voice") == EVERYBODY


@pytest.mark.follows_remedy("mapping_changed")
def test_who_is_missing_in_a_group_that_comes_back_is_asked_about(small: Pipeline) -> None:
    small.run()
    with _hidden(small):
        small.run(mode="full")
        small.directory.apply([RemoveMember("voice", "ann")])
        small.run()
    run_id, planned = small.plan(mode="full")
    small.patch(run_id, planned)
    assert members(small, "Voice") == EVERYBODY
    asked = small.asked(run_id)
    assert asked is not None
    report = small.report(run_id, mode="full")
    assert rows(report, "ann") == [("remove", "ann", "held", "mapping_changed", None)]
    assert {row[2:4] for row in rows(report, "bob", "cid")} == {("unchanged", "already_so")}
    small.answer(run_id, asked.options[0])
    assert rows(small.report(run_id, mode="full"), "ann") == [("remove", "ann", "success", None, None)]
    assert members(small, "Voice") == {"bob", "cid", "mia"}
    assert rows(small.run(mode="full")) == []


def test_who_leaves_one_group_stays_while_another_one_that_lists_the_person_is_out_of_view(small: Pipeline) -> None:
    small.directory.apply([AddGroup(Group("nights", "Nights", ("ann", "dan"), info=genesys_id("Voice")))])
    small.run()
    with _hidden(small, "nights"):
        small.run(mode="full")
        small.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
        for mode in ("auto", "full"):
            assert ("remove", "ann", "held", "mapping_changed", None) in rows(small.run(mode=mode))
        assert members(small, "Voice") == {"ann", "cid", "dan", "mia"}
    small.run(mode="full")
    assert members(small, "Voice") == {"ann", "cid", "dan", "mia"}
    small.directory.apply([RemoveMember("nights", "ann")])
    assert rows(small.run()) == [("remove", "ann", "success", None, None)]


@pytest.mark.parametrize("how_back", ["auto", "full"])
def test_who_left_while_the_group_was_outside_is_removed_because_ad_told_it(small: Pipeline, how_back: str) -> None:
    small.run()
    small.directory.apply([Move("voice", OTHER_GROUPS)])
    small.run()
    small.directory.apply([RemoveMember("voice", "ann"), AddMember("voice", "fay")])
    small.run()
    small.directory.apply([Move("voice", CONTACT_CENTER)])
    report = small.run(mode=how_back)
    assert rows(report, "ann") == [("remove", "ann", "success", None, None)]
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]
    assert members(small, "Voice") == {"bob", "cid", "fay", "mia"}


def test_who_leaves_a_group_that_moves_out_at_the_same_time_is_removed_when_it_is_back(small: Pipeline) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "ann"), Move("voice", OTHER_GROUPS)])
    assert {row[2:4] for row in rows(small.run())} == {("held", "mapping_changed")}
    small.directory.apply([Move("voice", CONTACT_CENTER)])
    assert rows(small.run(), "ann") == [("remove", "ann", "success", None, None)]
    assert members(small, "Voice") == {"bob", "cid", "mia"}


def test_a_filter_with_a_mistake_for_one_run_loses_nobody(small: Pipeline) -> None:
    small.run()
    keys = definition_keys()
    small.redefine(**{**keys, "directory": {**keys["directory"], "group_filter": "(cn=Voise)"}})
    small.run()
    small.directory.apply([RemoveMember("voice", "ann")])
    small.run()
    small.redefine(**keys)
    with _hidden(small, ace=READ_MEMBER):
        small.run()
        assert members(small, "Voice") >= {"bob", "cid", "mia"}
    small.run(mode="full")
    assert members(small, "Voice") == {"bob", "cid", "mia"}


def test_a_nested_group_that_comes_back_without_its_members_loses_nobody(small: Pipeline) -> None:
    small.run()
    with _hidden(small, "core"):
        small.run(mode="full")
    with _hidden(small, "core", READ_MEMBER):
        small.run(mode="full")
        small.run()
    assert members(small, "Chat") == {"dan", "eve"}


def test_tombstones_explain_an_empty_group_when_dirsync_can_tell_nothing(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.run()
    small.directory.apply([Delete(name) for name in ("ann", "bob", "cid")])
    refuse_cookies(monkeypatch)
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    assert [row[:4] for row in rows(small.run())] == [("remove", n, "success", None) for n in ("ann", "bob", "cid")]
    assert members(small, "Voice") == {"mia"}


def test_the_tombstone_of_a_group_counts_when_dirsync_can_tell_nothing(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deleted AD group lists nobody: whoever was in it, too, may leave another one."""
    second = Group("second", "Second", ("ann",), info=genesys_id("Voice"))
    small.directory.apply([AddGroup(second)])
    small.run()
    small.directory.apply([Delete("second")])
    with monkeypatch.context() as patch:
        refuse_cookies(patch)
        patch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
        small.run()
    small.directory.apply([RemoveMember("voice", "ann")])
    assert rows(small.run(), "ann")[-1][:4] == ("remove", "ann", "success", None)
    assert members(small, "Voice") == EVERYBODY - {"ann"}


def test_the_tombstone_of_a_nested_group_explains_a_loss_when_dirsync_can_tell_nothing(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.directory.apply([RemoveMember("chat", "dan")])
    small.run()
    assert members(small, "Chat") == {"eve"}
    small.directory.apply([Delete("core")])
    with monkeypatch.context() as patch:
        refuse_cookies(patch)
        patch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
        assert rows(small.run()) == [("remove", "eve", "success", None, None)]
    assert members(small, "Chat") == set()


def test_a_container_of_any_class_that_is_renamed_takes_its_groups_along(small: Pipeline) -> None:
    """An `organization`, in which AD allows units with groups in them."""
    admin = small.directory.ldap("admin")
    admin.add("O=Sales,DC=example,DC=com", "organization")
    admin.add("OU=Teams,O=Sales,DC=example,DC=com", "organizationalUnit")
    keys = definition_keys()
    whole_domain = {"group_base": "DC=example,DC=com", "group_filter": "(&(objectClass=group)(info=*))"}
    small.redefine(**{**keys, "directory": whole_domain})
    small.directory.apply([Move("voice", "OU=Teams,O=Sales,DC=example,DC=com")])
    small.run()
    assert rows(small.run()) == []
    done, result, _, _ = admin.modify_dn("O=Sales,DC=example,DC=com", "O=Marketing")
    assert done, result
    report = small.run()
    assert any("renamed or moved" in note for note in report["notes"])
    assert rows(report) == []
    voice = next(group for group in small.journal.of("default").views.groups_in_scope() if group.name == "Voice")
    assert voice.dn.endswith("OU=Teams,O=Marketing,DC=example,DC=com")
