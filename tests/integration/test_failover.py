"""Several domain controllers, of which one may lag behind the other; and ones that were put back to an older state."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import CursorRejected
from genesys_ad_sync.journal.store import Journal
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember, Rename
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.pipeline import Pipeline, set_connection
from tests.support.small_company import (
    connection_to,
    content,
    genesys_seed,
    members,
    pipeline_on,
    rows,
    small,
)

__all__ = ["small"]


@pytest.fixture(scope="module")
def domain() -> Iterator[tuple[SandboxDirectory, SandboxDirectory]]:
    """Two domain controllers of one domain. They hear of each other only when a test says so."""
    with SandboxDirectory.start(content(), replicating=True) as dc1, dc1.join() as dc2:
        yield dc1, dc2


class TwoControllers:
    """A pipeline and its two domain controllers, both on the same state and the first run done by the first."""

    def __init__(
        self, pipeline: Pipeline, dc1: SandboxDirectory, dc2: SandboxDirectory, use: Callable[..., None]
    ) -> None:
        self.pipeline, self.dc1, self.dc2, self._use = pipeline, dc1, dc2, use

    def run_on(self, dc: SandboxDirectory, **asked: Any) -> dict[str, Any]:
        self._use(dc)
        return self.pipeline.run(**asked)


@pytest.fixture
def two(
    domain: tuple[SandboxDirectory, SandboxDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TwoControllers]:
    dc1, dc2 = domain
    for here, there in ((dc1, dc2), (dc2, dc1)):
        here.replicate_from(there)
    truth = dc1.truth_by_name()
    for group, wanted in {"voice": {"ann", "bob", "cid"}, "chat": {"dan", "eve"}}.items():  # as before the last test
        dc1.apply([AddMember(group, name) for name in sorted(wanted - truth[group])])
        dc1.apply([RemoveMember(group, name) for name in sorted(truth[group] - wanted)])
    dc2.replicate_from(dc1)

    def use(dc: SandboxDirectory) -> None:
        set_connection(monkeypatch, "active_directory_default", connection_to(dc))

    with (
        SandboxGenesys.start(genesys_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        Journal.open(f"sqlite:///{tmp_path / 'journal.db'}") as journal,
    ):
        set_connection(monkeypatch, "genesys_cloud_default", genesys.connection())
        one = TwoControllers(pipeline_on(dc1, genesys, tmp_path, journal), dc1, dc2, use)
        one.run_on(dc1)
        assert members(one.pipeline, "Voice") == {"ann", "bob", "cid", "mia"}
        yield one


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
    assert not any("whole view" in note for note in report["notes"])
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


def test_dirsync_with_the_old_cookie_confirms_what_the_whole_view_shows(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "ann", "success", None, None)]


def _held_by_the_whole_view(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    two._use(two.dc2)
    refuse_cookies(monkeypatch)
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    report = two.pipeline.run()
    assert any("whole view was taken again" in note for note in report["notes"])
    assert rows(report) == [("remove", "ann", "held", "other_domain_controller", None)]
    assert "ann" in members(two.pipeline, "Voice")


@pytest.mark.follows_remedy("other_domain_controller")
def test_the_old_controller_confirms_it(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> None:
    _held_by_the_whole_view(two, monkeypatch)
    assert rows(two.run_on(two.dc2)) == [("remove", "ann", "held", "other_domain_controller", None)]
    assert rows(two.run_on(two.dc1)) == [("remove", "ann", "success", None, None)]


def test_a_second_view_an_hour_later_confirms_it(two: TwoControllers, monkeypatch: pytest.MonkeyPatch) -> None:
    _held_by_the_whole_view(two, monkeypatch)
    monkeypatch.setattr(replica_trust, "REPLICATION_TIME", timedelta(seconds=-5))  # an hour has passed
    assert rows(two.run_on(two.dc2)) == [("remove", "ann", "success", None, None)]


def test_an_old_copy_put_back_is_noticed_and_healed_by_a_whole_view(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.directory.apply([RemoveMember("voice", "bob")])
    small.run()
    copy = small.directory.copy_of_database()
    small.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "cid")])
    small.run()
    assert members(small, "Voice") == {"ann", "fay", "mia"}
    small.directory.put_back(copy)
    report = small.run()
    assert any("went back" in note for note in report["notes"])
    # What the copy lacks may stand on other domain controllers; what it has is taken.
    assert sorted(rows(report)) == [
        ("add", "cid", "success", None, None),
        ("remove", "fay", "held", "other_domain_controller", None),
    ]
    monkeypatch.setattr(replica_trust, "REPLICATION_TIME", timedelta(seconds=-5))
    assert rows(small.run()) == [("remove", "fay", "success", None, None)]
    assert members(small, "Voice") == {"ann", "cid", "mia"}
    assert not any("whole view" in note for note in small.run()["notes"])


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
