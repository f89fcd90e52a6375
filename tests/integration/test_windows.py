"""Windows and overlapping runs, told with one person at a time. The fuzz (`test_fuzz_windows`) has the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.results import GroupReading
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryIncomplete, JournalConflict, LeaseBusy, LeaseLost
from genesys_ad_sync.model import Guid, RunKey, Status
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.poll import poll
from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddMember,
    Delete,
    Move,
    RemoveMember,
    SetAttributes,
)
from tests.support.pipeline import Pipeline, definition_for, set_connection
from tests.support.small_company import definition_keys, genesys_id, members, rows, small

__all__ = ["small"]


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def end_of(report: dict[str, Any]) -> datetime:
    """Until when a live run looked."""
    return time_of(report["window"]["end"])


def see(pipeline: Pipeline) -> datetime:
    """Poll in a new second of AD's clock without settling anything; return its time."""
    pipeline.directory.tick()
    return end_of(pipeline.run(dry_run=True))


@pytest.fixture
def ready(small: Pipeline) -> Pipeline:
    """After the first run."""
    small.run("first")
    return small


# -- which changes a run takes --


def test_the_first_run_is_full_and_the_second_begins_where_it_looked(small: Pipeline) -> None:
    first = small.run(mode="changes")
    assert first["window"]["start"] is None
    second = small.run()
    assert second["mode"] == "full"
    assert second["window"] is None or second["window"]["start"] == first["window"]["end"]
    third = small.run()
    assert third["mode"] == "changes"


def test_a_live_window_begins_at_the_last_live_poll_and_not_at_a_dry_or_bounded_one(ready: Pipeline) -> None:
    last = end_of(ready.run())
    see(ready)
    ready.run(run_type="backfill", window=(last, None))
    assert time_of(ready.run()["window"]["start"]) == last


def test_a_bounded_run_takes_its_window_and_no_other_change(ready: Pipeline) -> None:
    seen = see(ready)
    ready.directory.apply([AddMember("voice", "fay")])
    before = ready.run(run_type="backfill", window=(None, seen))
    assert rows(before, "fay") == []
    assert "fay" not in members(ready, "Voice")
    after = ready.run(run_type="backfill", window=(seen, None))
    assert rows(after, "fay") == [("add", "fay", "success", None, None)]
    assert after["window"]["end"] is not None


def test_a_change_of_unknown_time_belongs_to_every_window_that_its_interval_meets(ready: Pipeline) -> None:
    seen = see(ready)
    ready.directory.apply([AddMember("voice", "fay")])
    see(ready)
    hair = timedelta(microseconds=1)
    for window in ((seen - timedelta(days=1), seen), (seen + timedelta(days=1), seen + timedelta(days=2))):
        assert rows(ready.run(run_type="backfill", window=window, dry_run=True), "fay") == []
    for window in ((seen, seen + hair), (seen + hair, seen + 2 * hair)):
        report = ready.run(run_type="backfill", window=window, dry_run=True)
        assert rows(report, "fay") == [("add", "fay", "planned", None, None)]


def test_a_window_that_ends_in_the_future_says_what_is_not_in_it(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    report = ready.run(run_type="backfill", window=(end_of_first(ready), later))
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]
    assert any("ends after this poll" in note for note in report["notes"])
    ready.directory.apply([AddMember("voice", "dan")])
    assert rows(ready.run(), "dan") == [("add", "dan", "success", None, None)]


def end_of_first(pipeline: Pipeline) -> datetime:
    stored = pipeline.journal.of(pipeline.definition.name).views.cursor()
    assert stored is not None
    return stored.began_at


def test_an_old_window_never_undoes_newer_truth(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "bob")])
    first = see(ready)
    ready.directory.apply([RemoveMember("voice", "fay"), AddMember("voice", "bob")])
    see(ready)
    writes = len(ready.genesys.writes())
    report = ready.run(run_type="backfill", window=(end_of_first(ready), first))
    assert sorted((row[0], row[2], row[3]) for row in rows(report) if row[4] is None) == [
        ("add", "superseded", "newer_view"),
        ("remove", "superseded", "newer_view"),
    ]
    rest = ready.run()
    assert {row[2] for row in rows(rest)} == {"unchanged"}
    assert len(ready.genesys.writes()) == writes
    assert members(ready, "Voice") == {"ann", "bob", "cid", "mia"}


def test_what_was_settled_is_listed_again_with_who_did_it_and_not_done_again(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "bob")])
    live = ready.run("live")
    assert live["successes"] == 2
    writes = len(ready.genesys.writes())
    window = (end_of_first(ready), end_of(live) + timedelta(seconds=2))
    for _ in range(2):
        again = ready.run(run_type="backfill", window=window)
        assert ("add", "fay", "success", None, "live") in rows(again)
        assert all(row[4] for row in rows(again))
    assert len(ready.genesys.writes()) == writes


def test_a_window_may_be_the_first_run_of_all(small: Pipeline) -> None:
    """It sets no baseline and takes nothing over: the first live run compares everything as if it were the first."""
    small.genesys.change_members(genesys_id("Voice"), add=[genesys_id("ann")])
    small.definition = definition_for(small.folder, **{**definition_keys(), "limits": {"new_pairs": "approve"}})
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    bounded = small.run("backfill", run_type="backfill", window=(now - hour, now + hour))
    assert rows(bounded) == []
    assert any("the journal began" in note for note in bounded["notes"])
    assert members(small, "Voice") == {"ann", "mia"}
    assert small.journal.of("default").grants.of_groups([genesys_id("Voice")]) == []
    assert not any(pair.has_baseline for pair in small.journal.of("default").pairs.active())
    live = small.run("live")
    assert {row[2] for row in rows(live)} == {"success"}
    assert (live["mode"], members(small, "Voice")) == ("full", {"ann", "bob", "cid", "mia"})
    small.directory.apply([RemoveMember("voice", "ann")])
    assert rows(small.run()) == [("remove", "ann", "success", None, None)]


@pytest.mark.parametrize("backwards", [False, True])
def test_missed_windows_in_either_order_end_in_the_same_membership(ready: Pipeline, backwards: bool) -> None:
    cuts = [end_of_first(ready)]
    for changes in (
        [AddMember("voice", "fay")],
        [RemoveMember("voice", "fay"), AddMember("voice", "dan")],
        [RemoveMember("voice", "ann"), AddMember("voice", "fay")],
    ):
        ready.directory.apply(changes)
        cuts.append(see(ready))
    windows = list(pairwise(cuts))
    for window in reversed(windows) if backwards else windows:
        ready.run(run_type="backfill", window=window)
    ready.run()
    assert members(ready, "Voice") == {"bob", "cid", "dan", "fay", "mia"}
    writes = len(ready.genesys.writes())
    assert rows(ready.run(mode="full")) == []
    assert len(ready.genesys.writes()) == writes


# -- overlap --


def test_two_runs_that_planned_the_same_change_write_it_once(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "bob")])
    live, planned = ready.plan()
    window = {"run_type": "backfill", "window": (end_of_first(ready), None)}
    bounded, planned_too = ready.plan(**window)
    ready.patch(live, planned)
    writes = len(ready.genesys.writes())
    ready.patch(bounded, planned_too)
    assert len(ready.genesys.writes()) == writes
    mine, other = ready.report(live), ready.report(bounded, **window)
    assert mine["successes"] == 2
    assert {row[4] for row in rows(other) if row[:2] in (("add", "fay"), ("remove", "bob"))} == {live}


def test_a_patch_that_is_run_late_asks_the_newest_view(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    old, planned = ready.plan()
    ready.directory.apply([RemoveMember("voice", "fay")])
    ready.run()
    writes = len(ready.genesys.writes())
    ready.patch(old, planned)  # a person cleared this one task
    assert len(ready.genesys.writes()) == writes
    assert "fay" not in members(ready, "Voice")
    validate(ready.report(old))


def test_a_re_run_keeps_what_it_settled_before(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    ready.run("same")
    ready.directory.apply([AddMember("voice", "dan")])
    report = ready.run("same", clear_number=1)
    validate(report)
    assert report["attempt"] == 2
    assert sorted(rows(report)) == [("add", "dan", "success", None, None), ("add", "fay", "success", None, None)]
    assert (ready.folder / "reports" / ready.dag_id / "same.1.json").exists()
    bounded = {"run_type": "backfill", "window": (end_of_first(ready), None), "clear_number": 2}
    third = ready.run("same", **bounded)
    validate(third)
    assert set(rows(report)) <= set(rows(third))


def test_a_dry_run_that_takes_the_name_of_a_killed_live_run_writes_nothing(ready: Pipeline) -> None:
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.plan("same")  # killed here, deleted in Airflow, and triggered again under its name
    report = ready.run("same", dry_run=True)
    assert report["dry_run"]
    assert rows(report) == [("remove", "bob", "planned", None, None)]
    assert "bob" in members(ready, "Voice")
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]


def test_a_killed_run_gives_way_when_its_lease_runs_out_and_cannot_write_any_more(ready: Pipeline) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    task = ready.task("dead", "patch[0]")
    fence = ready.journal.leases.acquire(
        task.organisation, RunKey(ready.dag_id, "dead"), "patch[0]", now=task.clock(), ttl=task.lease_ttl
    )
    run_id, planned = ready.plan()
    with pytest.raises(LeaseBusy):
        ready.patch(run_id, planned)
    assert "fay" not in members(ready, "Voice")
    ready.clock_offset += task.lease_ttl + timedelta(seconds=1)
    ready.patch(run_id, planned)
    assert "fay" in members(ready, "Voice")
    run = ready.journal.runs.get(RunKey(ready.dag_id, run_id))
    with pytest.raises(LeaseLost):
        ready.journal.rows.mark_sending(run, [], fence, task.clock())


def test_a_killed_patch_is_taken_up_where_it_ended(ready: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    run_id, planned = ready.plan()

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:  # the request was sent, nothing of it was recorded
        patched.setattr(ready.journal.rows, "record_outcomes", die)
        with pytest.raises(Killed):
            patch(ready.task(run_id, "patch[0]"), planned["batches"][0]["lane"])
    assert "fay" in members(ready, "Voice")
    writes = len(ready.genesys.writes())
    ready.patch(run_id, planned)
    assert len(ready.genesys.writes()) == writes
    assert rows(ready.report(run_id)) == [("add", "fay", "success", None, None)]


@pytest.mark.parametrize("stage", ["plan", "patch"])
def test_what_was_granted_is_owned_although_the_task_was_killed_right_after_it_said_so(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    ready.directory.apply([AddMember("voice", "fay")])
    if stage == "plan":  # somebody was faster than the run
        ready.genesys.change_members(genesys_id("Voice"), add=[genesys_id("fay")])
    honest = ready.journal.rows.record_outcomes

    class Killed(BaseException):
        pass

    def record_and_die(run: Any, rows: Any, **named: Any) -> Any:
        honest(run, rows, **named)
        raise Killed

    run_id, planned = ready.plan("killed") if stage == "patch" else ("killed", None)
    with monkeypatch.context() as patched:
        patched.setattr(ready.journal.rows, "record_outcomes", record_and_die)
        with pytest.raises(Killed):
            ready.patch(run_id, planned) if planned else ready.plan(run_id)
    if planned is None:
        _, planned = ready.plan(run_id)
    ready.patch(run_id, planned)
    ready.report(run_id)
    ready.directory.apply([RemoveMember("voice", "fay")])
    # AD owns it in both cases; what was there by hand before needs a person
    expected = ("held", "was_manual", None) if stage == "plan" else ("success", None, None)
    assert rows(ready.run()) == [("remove", "fay", *expected)]


# -- reading AD --


def test_a_poll_that_is_retried_keeps_what_its_first_try_had_to_say(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: Any) -> None:
        raise DirectoryIncomplete("a test")

    with monkeypatch.context() as patched:
        patched.setattr("genesys_ad_sync.stages.poll._prove", break_off)
        with pytest.raises(DirectoryIncomplete):
            poll(ready.task("twice", "poll"), ready.request(mode="full"))
    report = ready.run("twice", mode="full")
    assert report["attempt"] == 1
    assert len([note for note in report["notes"] if "mode full" in note]) == 1


def test_another_run_that_polls_meanwhile_is_no_reason_to_fail(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.directory.apply([RemoveMember("voice", "bob")])
    honest, conflicts = ready.journal.of(ready.definition.name).views.advance, iter([0, 1])

    def advance(*arguments: Any, **named: Any) -> int:
        if next(conflicts, None) is not None:
            raise JournalConflict("a test")
        return honest(*arguments, **named)

    monkeypatch.setattr(ready.journal.of(ready.definition.name).views, "advance", advance)
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]


def test_who_is_moved_between_nested_groups_while_they_are_read_is_not_lost(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.directory.apply([RemoveMember("chat", "dan")])  # so that Chat is read completely for proof
    chat, core = ready.directory.guid_of("chat"), ready.directory.guid_of("core")
    honest = DirectoryReader.read_groups

    def torn(self: DirectoryReader, guids: Iterable[Guid]) -> GroupReading:
        """Core is read after eve was moved to Chat, and Chat before."""
        wanted = set(guids)
        early = honest(self, wanted)
        ready.directory.apply([AddMember("chat", "eve"), RemoveMember("core", "eve")])
        late = honest(self, wanted)
        view = replace(early.view, members={**early.view.members, core: late.view.members[core]})
        return replace(early, view=view)

    monkeypatch.setattr(DirectoryReader, "read_groups", torn)
    report = ready.run()
    assert rows(report, "eve") == []
    assert members(ready, "Chat") == {"eve"}
    assert chat in {group["guid"] for row in report["details"] for group in row["directory_groups"]}


def test_a_full_answer_to_a_question_for_changes_is_not_taken_for_one(
    ready: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready.directory.apply([RemoveMember("voice", "bob")])
    honest = LdapSession.dirsync
    full = iter([b""])
    monkeypatch.setattr(
        LdapSession,
        "dirsync",
        lambda self, context, where, what, cookie: honest(self, context, where, what, next(full, cookie)),
    )
    report = ready.run()
    assert any("returned everything" in note for note in report["notes"])
    assert rows(report) == [("remove", "bob", "success", None, None)]


@pytest.mark.parametrize("account", ["reader", "limited"])
def test_a_deleted_user_is_found_at_once_and_a_note_says_if_tombstones_cannot_be_seen(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch, account: str
) -> None:
    set_connection(monkeypatch, "active_directory_default", small.directory.connection(account))  # type: ignore[arg-type]
    small.run()
    small.directory.apply([Delete("bob")])
    report = small.run()
    told = [note for note in report["notes"] if "dsacls" in note]
    assert rows(report) == [("remove", "bob", "success", None, None)]
    if account == "reader":
        assert told == []
    else:
        assert len(told) == 1
        assert "CN=Deleted Objects,DC=example,DC=com" in told[0]
    assert members(small, "Voice") == {"ann", "cid", "mia"}


def test_a_group_that_left_the_scope_and_came_back_is_as_it_should_be(ready: Pipeline) -> None:
    ready.directory.apply([Move("voice", OTHER_GROUPS)])
    report = ready.run()
    assert {row[2:4] for row in rows(report)} == {("held", "mapping_changed")}
    assert members(ready, "Voice") == {"ann", "bob", "cid", "mia"}
    ready.directory.apply([RemoveMember("voice", "bob"), Move("voice", CONTACT_CENTER)])
    ready.run()
    ready.run()
    assert members(ready, "Voice") == {"ann", "cid", "mia"}
    assert all(
        change.status in (None, Status.HELD) or change.settled_by
        for change in ready.journal.of("default").changes.unsettled()
    )


def test_other_rules_of_membership_take_nothing_away_by_themselves(ready: Pipeline) -> None:
    keys = definition_keys()
    ready.directory.apply([RemoveMember("voice", "bob")])
    ready.redefine(**{**keys, "directory": {**keys["directory"], "nested_groups": False}})
    report = ready.run()
    assert sorted(rows(report)) == [
        ("remove", "bob", "success", None, None),  # DirSync told it
        ("remove", "eve", "held", "scope_changed", None),
    ]
    assert rows(ready.run(mode="full")) == [("remove", "eve", "held", "scope_changed", None)]
    assert "eve" in members(ready, "Chat")
    ready.redefine(**keys)
    ready.run()
    assert rows(ready.run(mode="full")) == []
    assert members(ready, "Chat") == {"dan", "eve"}


def test_another_attribute_to_read_casts_no_doubt_on_removals(ready: Pipeline) -> None:
    keys = definition_keys()
    ready.directory.apply([RemoveMember("voice", "bob")])
    extra = {"directory": "employeeNumber", "genesys": "external_id", "authority": "HR"}
    ready.redefine(**{**keys, "users": [*keys["users"], extra]})
    report = ready.run()
    assert any("was read completely again" in note for note in report["notes"])
    assert rows(report) == [("remove", "bob", "success", None, None)]


def test_a_changed_mail_loses_nobody(ready: Pipeline) -> None:
    ready.directory.apply([SetAttributes("bob", {"mail": "robert@example.com"}), RemoveMember("voice", "bob")])
    assert rows(ready.run()) == [("remove", "bob", "success", None, None)]
    assert genesys_id("bob") not in ready.genesys.individuals(genesys_id("Voice"))
