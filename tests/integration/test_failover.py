"""Several domain controllers, of which one may lag behind the other; and ones that were put back to an older state."""

from __future__ import annotations

import base64
import subprocess
import uuid
from typing import Any

import pytest

from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.directory.vector_reader import VectorReader
from genesys_ad_sync.errors import CursorRejected
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember, Rename, SetAttributes
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, members, rows, small
from tests.support.two_controllers import TwoControllers, domain, hours_pass, two

__all__ = ["domain", "small", "two"]


def refuse_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = LdapSession.dirsync

    def dirsync(self: LdapSession, naming_context: str, ldap_filter: str, attributes: Any, cookie: bytes) -> Any:
        if cookie:
            raise CursorRejected("a test")
        return honest(self, naming_context, ldap_filter, attributes, cookie)

    # The cookie that a snapshot itself begins with must work, so only the first refusal counts.
    def once(self: LdapSession, *arguments: Any) -> Any:
        monkeypatch.setattr(LdapSession, "dirsync", honest)
        return dirsync(self, *arguments)

    monkeypatch.setattr(LdapSession, "dirsync", once)


def test_failover_uses_the_same_cookie_and_nothing_is_lost_or_doubled(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("chat", "fay")])
    assert rows(two.run_on(two.dc1)) == [("add", "fay", "success", None, None)]
    # dc2 has not heard of fay; and something happens there.
    two.dc2.apply([RemoveMember("voice", "bob"), AddMember("voice", "eve")])
    report = two.run_on(two.dc2)
    assert not any("read completely again" in note for note in report["notes"])
    assert sorted(rows(report)) == [("add", "eve", "success", None, None), ("remove", "bob", "success", None, None)]
    two.dc1.replicate_from(two.dc2)
    two.dc2.replicate_from(two.dc1)
    writes = len(two.pipeline.genesys.writes())
    for dc in (two.dc1, two.dc2, two.dc1):
        assert rows(two.run_on(dc)) == []
    assert len(two.pipeline.genesys.writes()) == writes
    assert members(two.pipeline, "Voice") == {"ann", "cid", "eve", "mia"}
    assert members(two.pipeline, "Chat") == {"dan", "eve", "fay"}


def test_a_lagging_whole_view_takes_nothing_away_and_is_superseded_when_it_has_caught_up(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("chat", "ann")])
    two.run_on(two.dc1)
    report = two.run_on(two.dc2, mode="full")
    assert rows(report) == [("remove", "ann", "held", "other_domain_controller", None)]
    assert "ann" in members(two.pipeline, "Chat")
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "ann", "held", "other_domain_controller", None)]
    two.dc2.replicate_from(two.dc1)
    report = two.run_on(two.dc2)
    assert ("remove", None, "superseded", "newer_view", None) in rows(report)
    assert "ann" in members(two.pipeline, "Chat")


def test_who_was_enabled_and_is_still_disabled_on_a_lagging_controller_loses_nothing(two: TwoControllers) -> None:
    two.dc1.apply([Disable("cid")])
    two.dc2.replicate_from(two.dc1)
    two.run_on(two.dc1)
    two.dc1.apply([Enable("cid")])
    assert rows(two.run_on(two.dc1)) == [("add", "cid", "success", None, None)]
    two.dc2.apply([RemoveMember("voice", "bob")])  # so that Voice is read completely
    assert rows(two.run_on(two.dc2), "cid") in ([], [("remove", "cid", "held", "other_domain_controller", None)])
    assert rows(two.run_on(two.dc2, mode="full"), "cid") == [("remove", "cid", "held", "other_domain_controller", None)]
    assert members(two.pipeline, "Voice") == {"ann", "cid", "mia"}
    two.dc2.replicate_from(two.dc1)
    two.run_on(two.dc2)
    assert rows(two.run_on(two.dc2, mode="full"), "cid") == []
    assert members(two.pipeline, "Voice") == {"ann", "cid", "mia"}


def test_a_complete_reading_for_proof_on_a_lagging_controller_takes_nothing_away(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("voice", "fay")])
    two.run_on(two.dc1)
    two.dc2.apply([RemoveMember("voice", "bob")])  # so that Voice is read completely, where fay is not in it yet
    report = two.run_on(two.dc2)
    assert sorted(rows(report)) == [
        ("remove", "bob", "success", None, None),
        ("remove", "fay", "held", "other_domain_controller", None),
    ]
    assert members(two.pipeline, "Voice") == {"ann", "cid", "fay", "mia"}


def test_a_lagging_controller_is_doubted_in_later_runs_too(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("chat", "ann")])
    two.run_on(two.dc1)
    assert rows(two.run_on(two.dc2)) == []  # now the cursor is dc2's, and dc2 still has not heard of ann
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "ann", "held", "other_domain_controller", None)]
    assert "ann" in members(two.pipeline, "Chat")


def test_a_renamed_group_read_again_on_a_lagging_controller_loses_nobody(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("chat", "ann")])
    two.run_on(two.dc1)
    two.dc2.apply([Rename("chat", "Chat and more")])
    report = two.run_on(two.dc2)
    assert rows(report) == [("remove", "ann", "held", "other_domain_controller", None)]
    assert "ann" in members(two.pipeline, "Chat")
    two.dc2.apply([Rename("chat", "Chat")])


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_what_was_undone_outlives_a_lagging_controller_and_back(two: TwoControllers, mode: str) -> None:
    """bob's removal and eve's addition are undone. dc2 has heard of neither, and dc1 then reports both again."""
    two.dc1.apply([RemoveMember("voice", "bob"), AddMember("voice", "eve")])
    two.run_on(two.dc1, run_id="bad")
    two.pipeline.run_approved("undo", undo_run="bad")
    assert members(two.pipeline, "Voice") == {"ann", "bob", "cid", "mia"}
    two.dc2.apply([AddMember("chat", "fay"), RemoveMember("voice", "cid"), AddMember("voice", "cid")])
    for dc in (two.dc2, two.dc2, two.dc1, two.dc1, two.dc2, two.dc1):
        two.run_on(dc, mode=mode)
        assert members(two.pipeline, "Voice") == {"ann", "bob", "cid", "mia"}
    report = two.run_on(two.dc1, mode="full")
    assert {row[:4] for row in rows(report, "bob", "eve")} == {
        ("remove", "bob", "held", "undone"),
        ("add", "eve", "held", "undone"),
    }
    two.dc1.apply([AddMember("voice", "bob")])  # and this is news
    two.run_on(two.dc1)
    two.dc1.apply([RemoveMember("voice", "bob")])
    two.run_on(two.dc1)
    assert members(two.pipeline, "Voice") == {"ann", "cid", "mia"}


def test_what_was_rejected_outlives_a_lagging_controller_and_back(two: TwoControllers) -> None:
    two.pipeline.redefine(**{**definition_keys(), "limits": {"removals": 0}})
    two.dc1.apply([RemoveMember("voice", "bob")])
    two._use(two.dc1)
    two.pipeline.plan("asked")
    assert two.pipeline.asked("asked") is not None
    two.pipeline.answer("asked", "None")
    two.pipeline.report("asked")
    two.pipeline.redefine(**definition_keys())
    for dc, mode in ((two.dc2, "full"), (two.dc1, "full"), (two.dc1, "auto")):
        report = two.run_on(dc, mode=mode)
        assert "bob" in members(two.pipeline, "Voice")
    assert rows(report, "bob") == [("remove", "bob", "held", "rejected", None)]


def test_dirsync_with_the_old_cookie_confirms_what_the_whole_view_shows(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "ann", "success", None, None)]


def _held_by_the_whole_view(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> None:
    """dc2 has not heard of everything, and DirSync cannot say what is new of what it shows."""
    two.dc1.apply([SetAttributes("eve", {"mail": "eve2@example.com"})])
    two.run_on(two.dc1)
    two.dc2.apply([RemoveMember("voice", "ann")])
    two.use(two.dc2)
    refuse_cookies(monkeypatch)
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    report = two.pipeline.run()
    assert any("was read completely again" in note for note in report["notes"])
    assert rows(report, "ann") == [("remove", "ann", "held", "other_domain_controller", None)]
    assert "ann" in members(two.pipeline, "Voice")
    two.dc1.apply([SetAttributes("eve", {"mail": "eve@example.com"})])


@pytest.mark.follows_remedy("other_domain_controller")
def test_the_old_controller_confirms_it(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> None:
    _held_by_the_whole_view(two, monkeypatch)
    assert rows(two.run_on(two.dc2), "ann") == [("remove", "ann", "held", "other_domain_controller", None)]
    two.dc1.replicate_from(two.dc2)
    assert rows(two.run_on(two.dc1), "ann") == [("remove", "ann", "success", None, None)]


def test_the_new_controller_confirms_it_when_it_has_heard_of_everything(
    two: TwoControllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    _held_by_the_whole_view(two, monkeypatch)
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc2), "ann") == [("remove", "ann", "success", None, None)]


def test_where_nothing_is_known_of_replication_a_second_view_confirms_it_after_three_hours(
    two: TwoControllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VectorReader, "complete", lambda _, cursor: cursor)
    _held_by_the_whole_view(two, monkeypatch)
    hours_pass(two.pipeline.journal, 2.9)
    assert rows(two.run_on(two.dc2), "ann") == [("remove", "ann", "held", "other_domain_controller", None)]
    hours_pass(two.pipeline.journal, 0.2)
    assert rows(two.run_on(two.dc2), "ann") == [("remove", "ann", "success", None, None)]


def test_an_old_copy_put_back_is_noticed_and_healed_by_a_whole_view(small: Pipeline) -> None:
    small.directory.apply([RemoveMember("voice", "bob")])
    small.run()
    copy = small.directory.copy_of_database()
    small.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "cid")])
    small.run()
    assert members(small, "Voice") == {"ann", "fay", "mia"}
    small.directory.put_back(copy)
    report = small.run()
    assert any("went back" in note for note in report["notes"])
    # What the copy lacks may stand on other domain controllers, and what it has may have ended there.
    assert sorted(rows(report)) == [
        ("add", "cid", "held", "other_domain_controller", None),
        ("remove", "fay", "held", "other_domain_controller", None),
    ]
    hours_pass(small.journal, 3.1)
    assert sorted(rows(small.run())) == [
        ("add", "cid", "success", None, None),
        ("remove", "fay", "success", None, None),
    ]
    assert members(small, "Voice") == {"ann", "cid", "mia"}
    assert not any("read completely again" in note for note in small.run()["notes"])


def test_a_new_invocation_id_asks_for_the_whole_view(small: Pipeline) -> None:
    small.run()
    give_new_invocation_id(small.directory)
    small.directory.apply([AddMember("voice", "fay")])
    report = small.run()
    assert any("another invocationId" in note for note in report["notes"])
    assert rows(report) == [("add", "fay", "success", None, None)]
    small.directory.apply([RemoveMember("voice", "fay")])
    assert rows(small.run()) == [("remove", "fay", "success", None, None)]


def give_new_invocation_id(directory: SandboxDirectory) -> None:
    """As a restore from a backup does."""
    directory.kill()
    ldif = (
        "dn: CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,"
        f"{directory.base_dn}\nchangetype: modify\nreplace: invocationId\n"
        f"invocationId:: {base64.b64encode(uuid.uuid4().bytes).decode()}\n"
    )
    database = directory.path / "private" / "sam.ldb"
    subprocess.run(
        ["ldbmodify", "-H", str(database), "--relax"], input=ldif, text=True, check=True, capture_output=True
    )
    directory.restart()
