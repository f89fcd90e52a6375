"""Deletions, where the account of the connection may not see tombstones: on a real Samba, with an ordinary account."""

from __future__ import annotations

import pytest

from genesys_ad_sync.directory.reader import DirectoryReader
from sandbox.directory_objects import AddMember, AddUser, Delete, RemoveMember, SetPrimaryGroup, User
from tests.support.pipeline import Pipeline, set_connection
from tests.support.small_company import connection_to, definition_keys, genesys_id, members, rows, small

__all__ = ["small"]


@pytest.fixture
def limited(small: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Return the small company, read by an account that sees no tombstones, after the first run."""
    set_connection(monkeypatch, "active_directory_default", connection_to(small.directory, account="limited"))
    small.redefine(**{**definition_keys(), "limits": {**definition_keys()["limits"], "shrink_percent": 100}})
    report = small.run()
    assert any("cannot see deleted objects" in note for note in report["notes"])
    return small


def test_a_deleted_account_is_out_with_the_next_run(limited: Pipeline) -> None:
    limited.directory.apply([Delete("cid")])
    assert ("remove", "cid", "success", None, None) in rows(limited.run(run_type="scheduled"))
    assert "cid" not in members(limited, "Voice")
    assert rows(limited.run()) == []


def test_a_deletion_deep_in_nested_groups_is_found(limited: Pipeline) -> None:
    limited.directory.apply([Delete("eve")])  # in core, in team, in chat
    found = rows(limited.run(), "eve")
    assert found
    assert {row[2] for row in found} == {"success"}


def test_an_account_that_was_made_anew_is_held_until_a_person_settles_it_as_the_row_says(limited: Pipeline) -> None:
    """Nobody knows that the old account was deleted. The remedy can be followed as it is written."""
    old = limited.directory.guid_of("cid")
    limited.directory.apply([Delete("cid")])
    assert ("remove", "cid", "success", None, None) in rows(limited.run())
    limited.directory.apply([AddUser(User("cid", "Cid", mail="cid@example.com")), AddMember("voice", "cid")])
    new = limited.directory.guid_of("cid")
    for mode in ("auto", "full"):
        [row] = [row for row in limited.run(mode=mode)["details"] if row["reason"] == "ambiguous"]
        assert (row["action"], row["status"], row["rivals"][0]["guid"]) == ("add", "held", old)
        assert "No AD group lists it any more." in row["remedy"]
        assert "exclude" not in row["remedy"]
    entry = row["remedy"].partition("relink: ")[2].removesuffix(".")
    assert entry == f"{new}={genesys_id('cid')}"
    run_id, planned = limited.plan(relink=[entry])
    limited.patch(run_id, planned)
    form = limited.asked(run_id)
    assert form is not None
    limited.answer(run_id, form.options[0])
    limited.report(run_id)
    assert "cid" in members(limited, "Voice")
    assert rows(limited.run(mode="full")) == []
    limited.directory.apply([RemoveMember("voice", "cid")])
    assert rows(limited.run(), "cid") == [("remove", "cid", "success", None, None)]


def test_a_loss_above_shrink_percent_is_not_believed(limited: Pipeline) -> None:
    limited.redefine(**{**definition_keys(), "limits": {"shrink_percent": 30, "min_group_size": 2}})
    limited.directory.apply([Delete("ann"), Delete("bob")])
    report = limited.run()
    assert not [row for row in rows(report) if row[0] == "remove" and row[2] == "success"]
    assert {"ann", "bob"} <= members(limited, "Voice")
    assert any("shrink_percent" in note for note in report["notes"])


def test_an_idle_run_costs_few_requests_and_reads_no_group_completely(
    limited: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    honest = DirectoryReader.read_groups
    monkeypatch.setattr(DirectoryReader, "read_groups", lambda self, guids: read.append(guids) or honest(self, guids))
    assert rows(limited.run()) == []
    assert read == []


def test_a_member_by_primary_group_is_no_loss(limited: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    limited.directory.apply([AddMember("voice", "fay"), SetPrimaryGroup("fay", "voice")])
    limited.run()
    assert "fay" in members(limited, "Voice")
    read = []
    honest = DirectoryReader.read_groups
    monkeypatch.setattr(DirectoryReader, "read_groups", lambda self, guids: read.append(guids) or honest(self, guids))
    limited.directory.apply([Delete("bob")])
    assert ("remove", "bob", "success", None, None) in rows(limited.run())
    read.clear()
    assert rows(limited.run()) == []
    assert read == []


# -- what is not believed ------------------------------------------------------------------------------

LOST = ("held", "unexplained_loss", None)


@pytest.mark.follows_remedy("unexplained_loss")
def test_a_loss_that_is_not_believed_is_listed_person_by_person_until_a_person_says_that_it_is_real(
    limited: Pipeline,
) -> None:
    limited.redefine(**{**definition_keys(), "limits": {"shrink_percent": 30, "min_group_size": 2}})
    limited.directory.apply([Delete("ann"), Delete("bob")])
    for mode in ("auto", "full", "auto"):
        report = limited.run(mode=mode)
        assert sorted(rows(report)) == [("remove", "ann", *LOST), ("remove", "bob", *LOST)]
        assert {"limits.shrink_percent: 100" in row["remedy"] for row in report["details"]} == {True}
    assert limited.journal.of("default").changes.unsettled() == []
    limited.redefine(**{**definition_keys(), "limits": {**definition_keys()["limits"], "shrink_percent": 100}})
    report = limited.run()
    assert sorted(row[:3] for row in rows(report)) == [("remove", "ann", "success"), ("remove", "bob", "success")]


def test_the_last_member_of_a_group_is_listed_and_a_member_by_another_group_is_not(limited: Pipeline) -> None:

    limited.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob"), AddMember("chat", "eve")])
    limited.run()
    limited.redefine(**definition_keys())
    limited.directory.apply([Delete("cid")])
    assert rows(limited.run()) == [("remove", "cid", *LOST)]
    assert "cid" in members(limited, "Voice")
    assert rows(limited.run(groups=["Chat"])) == []


def test_a_member_of_a_nested_group_that_is_not_believed_to_be_gone_is_listed(limited: Pipeline) -> None:
    limited.redefine(**definition_keys())
    limited.directory.apply([Delete("eve")])
    assert rows(limited.run()) == [("remove", "eve", *LOST)]
