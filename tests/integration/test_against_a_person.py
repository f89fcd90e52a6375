"""What a person undid or rejected stays so until AD reports something newer of that membership or account.

The view comes and goes for other reasons: a typo in the filter, a missing right, a lagging domain controller.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from genesys_ad_sync.journal import tables
from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddMember,
    Disable,
    Enable,
    Move,
    RemoveMember,
    Rename,
)
from tests.support.pipeline import Pipeline
from tests.support.rights import rights_lost
from tests.support.small_company import MANUAL, definition_keys, genesys_id, members, rows, small

__all__ = ["small"]

ASKED = {"removals": 0, "removals_percent": 100}


def redefine(pipeline: Pipeline, **more: Any) -> None:
    pipeline.redefine(**{**definition_keys(), **more})


def directory(**more: Any) -> dict[str, Any]:
    return {"directory": {**definition_keys()["directory"], **more}}


def reject(pipeline: Pipeline, run_id: str) -> dict[str, Any]:
    """Make a run that asks, and reject everything."""
    _, planned = pipeline.plan(run_id)
    pipeline.patch(run_id, planned)
    assert pipeline.asked(run_id) is not None
    pipeline.answer(run_id, "None")
    return pipeline.report(run_id)


def undo(pipeline: Pipeline, run_id: str) -> dict[str, Any]:
    return pipeline.run_approved("undo", undo_run=run_id)


def details(report: dict[str, Any], reason: str) -> list[dict[str, Any]]:
    return [row for row in report["details"] if row["reason"] == reason]


# -- how a view comes and goes ------------------------------------------------------------------------


def typo_in_the_filter(pipeline: Pipeline) -> None:
    redefine(pipeline, **directory(group_filter="(cn=Voyce)"))
    pipeline.run()
    redefine(pipeline)
    pipeline.run()


def other_base(pipeline: Pipeline) -> None:
    redefine(pipeline, **directory(group_base=OTHER_GROUPS))
    pipeline.run()
    redefine(pipeline)
    pipeline.run()


def group_invisible(pipeline: Pipeline) -> None:
    with rights_lost(pipeline.directory, "on one group", "voice"):
        pipeline.run(mode="full")
    pipeline.run(mode="full")


def members_invisible(pipeline: Pipeline) -> None:
    with rights_lost(pipeline.directory, "on member of one group", "voice"):
        pipeline.run(mode="full")
    pipeline.run(mode="full")


def group_moved_away_and_back(pipeline: Pipeline) -> None:
    pipeline.directory.apply([Move("voice", OTHER_GROUPS)])
    pipeline.run()
    pipeline.directory.apply([Move("voice", CONTACT_CENTER)])
    pipeline.run()


def group_renamed(pipeline: Pipeline) -> None:
    redefine(pipeline, **directory(group_filter="(|(cn=Voice)(cn=Chat))"))
    pipeline.run()
    pipeline.directory.apply([Rename("voice", "Voices")])
    pipeline.run()
    pipeline.directory.apply([Rename("voice", "Voice")])
    pipeline.run()


def rule_gone_and_back(pipeline: Pipeline) -> None:
    redefine(pipeline, groups=[{"name": "Nobody", "genesys_name": "Voice"}])
    pipeline.run()
    redefine(pipeline)
    pipeline.run()


COMINGS_AND_GOINGS = [
    typo_in_the_filter,
    other_base,
    group_invisible,
    members_invisible,
    group_moved_away_and_back,
    group_renamed,
    rule_gone_and_back,
]


# -- an undo ------------------------------------------------------------------------------------------


@pytest.fixture
def undone(small: Pipeline) -> Pipeline:
    """Run "bad" added eve and fay to Voice and removed bob; all of it was undone."""
    small.run("first")
    small.directory.apply([AddMember("voice", "eve"), AddMember("voice", "fay"), RemoveMember("voice", "bob")])
    assert small.run("bad")["successes"] == 3
    assert undo(small, "bad")["successes"] == 3
    assert as_undone(small)
    return small


def as_undone(pipeline: Pipeline) -> bool:
    return members(pipeline, "Voice") == {"ann", "bob", "cid", MANUAL}


@pytest.mark.parametrize("happens", COMINGS_AND_GOINGS)
def test_what_was_undone_outlives_a_view_that_comes_and_goes(
    undone: Pipeline, happens: Callable[[Pipeline], None]
) -> None:
    happens(undone)
    for mode in ("auto", "full", "auto"):
        report = undone.run(mode=mode)
        assert as_undone(undone)
        assert not report["failures"]
    assert {row[:4] for row in rows(report, "bob", "eve", "fay")} == {
        ("remove", "bob", "held", "undone"),
        ("add", "eve", "held", "undone"),
        ("add", "fay", "held", "undone"),
    }


def test_what_was_undone_outlives_nested_groups_off_and_on(small: Pipeline) -> None:
    small.directory.apply([RemoveMember("core", "eve")])
    small.run("first")
    small.directory.apply([AddMember("core", "eve"), AddMember("core", "fay")])
    assert small.run("bad")["successes"] == 2
    undo(small, "bad")
    redefine(small, **directory(nested_groups=False))
    small.run()
    redefine(small)
    small.run()
    assert {row[:4] for row in rows(small.run(mode="full"))} == {
        ("add", "eve", "held", "undone"),
        ("add", "fay", "held", "undone"),
    }
    assert members(small, "Chat") == {"dan"}


def test_what_was_undone_outlives_a_policy_that_comes_and_goes(small: Pipeline) -> None:
    """bob is disabled all the time: only the definition changes its mind about it."""
    small.run("first")
    small.directory.apply([Disable("fay"), AddMember("voice", "fay")])
    redefine(small, **directory(disabled_users="keep"))
    assert rows(small.run("bad"), "fay") == [("add", "fay", "success", None, None)]
    undo(small, "bad")
    redefine(small)
    small.run()
    redefine(small, **directory(disabled_users="keep"))
    assert rows(small.run(), "fay") == [("add", "fay", "held", "undone", None)]
    assert "fay" not in members(small, "Voice")


def test_what_was_undone_outlives_views_without_dirsync(undone: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The typo again, and nothing that DirSync could say: each whole view is all that there is."""
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    typo_in_the_filter(undone)
    undone.run(mode="full")
    assert as_undone(undone)


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_a_newer_report_of_ad_ends_an_undo(undone: Pipeline, mode: str) -> None:
    """Also if the run that sees it reads everything: DirSync's answer goes with it."""
    undone.directory.apply([RemoveMember("voice", "eve"), AddMember("voice", "bob")])
    undone.run(mode=mode)
    undone.directory.apply([AddMember("voice", "eve"), RemoveMember("voice", "bob")])
    report = undone.run(mode=mode)
    assert {row[:4] for row in rows(report, "bob", "eve") if row[2] != "superseded"} == {
        ("add", "eve", "success", None),
        ("remove", "bob", "success", None),
    }
    assert members(undone, "Voice") == {"ann", "cid", "eve", MANUAL}


def test_a_newer_report_that_a_dry_run_polls_ends_an_undo_too(undone: Pipeline) -> None:
    undone.directory.apply([RemoveMember("voice", "eve")])
    undone.run(dry_run=True)
    undone.directory.apply([AddMember("voice", "eve")])
    undone.run(dry_run=True)
    undone.run()
    assert members(undone, "Voice") == {"ann", "bob", "cid", "eve", MANUAL}


def test_an_account_that_is_disabled_and_enabled_again_ends_an_undo(undone: Pipeline) -> None:
    undone.directory.apply([Disable("eve")])
    undone.run()
    undone.directory.apply([Enable("eve")])
    assert ("add", "eve", "success", None, None) in rows(undone.run())
    assert members(undone, "Voice") == {"ann", "bob", "cid", "eve", MANUAL}


def test_an_undo_that_is_released_is_carried_out_by_that_run(undone: Pipeline) -> None:
    report = undone.run(release_run="undo")
    assert {row[:4] for row in rows(report)} == {
        ("remove", "bob", "success", None),
        ("add", "eve", "success", None),
        ("add", "fay", "success", None),
    }


def test_an_undo_of_a_definition_that_had_another_name_can_be_released(undone: Pipeline) -> None:
    """The journal took the rows over; the runs were those of another DAG."""
    with undone.journal._database.writing() as connection:
        connection.execute(update(tables.pin).values(dag_id="genesys_ad_group_sync__formerly"))
    assert all("sync__formerly/undo" in row["remedy"] for row in details(undone.run(), "undone"))
    report = undone.run(release_run="genesys_ad_group_sync__formerly/undo")
    assert report["successes"] == 3


def test_an_undo_undoes_what_only_a_view_that_came_and_went_has_changed_since(small: Pipeline) -> None:
    small.run("first")
    small.directory.apply([AddMember("voice", "eve")])
    small.run("bad")
    typo_in_the_filter(small)
    assert rows(undo(small, "bad")) == [("remove", "eve", "success", None, None)]


# -- a rejection --------------------------------------------------------------------------------------


@pytest.fixture
def rejected(small: Pipeline) -> Pipeline:
    """olivia has rejected in run "asked" that eve comes into Voice and bob leaves it. Voice is protected since then."""
    small.run("first")
    redefine(small, protect=["Voice"])
    small.directory.apply([AddMember("voice", "eve"), RemoveMember("voice", "bob")])
    report = reject(small, "asked")
    assert {row[2:4] for row in rows(report)} == {("held", "rejected")}
    return small


def redefine_protected(pipeline: Pipeline, **more: Any) -> None:
    pipeline.redefine(**{**definition_keys(), "protect": ["Voice"], **more})


@pytest.mark.parametrize("happens", COMINGS_AND_GOINGS)
def test_what_was_rejected_outlives_a_view_that_comes_and_goes(
    rejected: Pipeline, happens: Callable[[Pipeline], None]
) -> None:
    happens(rejected)
    for mode in ("auto", "full"):
        report = rejected.run(mode=mode)
        assert members(rejected, "Voice") == {"ann", "bob", "cid", MANUAL}
    assert {row[:4] for row in rows(report, "bob", "eve")} >= {
        ("add", "eve", "held", "rejected"),
        ("remove", "bob", "held", "rejected"),
    }


def test_a_rejected_removal_outlives_a_policy_that_comes_and_goes(small: Pipeline) -> None:
    small.run("first")
    small.directory.apply([Disable("bob")])
    redefine(small, limits=ASKED)
    reject(small, "asked")
    redefine(small, **directory(disabled_users="keep"))
    small.run()
    redefine(small)
    for mode in ("auto", "full"):
        assert rows(small.run(mode=mode), "bob") == [("remove", "bob", "held", "rejected", None)]


def test_a_newer_report_of_ad_ends_a_rejection(rejected: Pipeline) -> None:
    rejected.directory.apply([RemoveMember("voice", "eve"), AddMember("voice", "bob")])
    rejected.run()
    rejected.directory.apply([AddMember("voice", "eve"), RemoveMember("voice", "bob")])
    report = rejected.run_approved("again")
    assert {row[:4] for row in rows(report) if row[2] != "superseded"} == {
        ("add", "eve", "success", None),
        ("remove", "bob", "success", None),
    }


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_rejected_removal_ends_with_the_account(rejected: Pipeline, how: str) -> None:
    """bob is in no group any more that the view holds: only his account tells."""
    end_of_the_account(how, rejected)
    report = rejected.run()
    assert rows(report, "bob") == [("remove", "bob", "held", "protected", None)]
    redefine(rejected)
    assert rows(rejected.run(), "bob") == [("remove", "bob", "success", None, None)]


def test_a_rejected_removal_of_a_disabled_account_stays_rejected(small: Pipeline) -> None:
    """That the account is disabled was known when the person said no."""
    small.run("first")
    redefine(small, limits=ASKED)
    small.directory.apply([Disable("bob")])
    reject(small, "asked")
    redefine(small)
    for mode in ("auto", "full"):
        assert rows(small.run(mode=mode), "bob") == [("remove", "bob", "held", "rejected", None)]


def test_a_rejected_row_names_the_run_the_person_the_time_and_the_remedy(rejected: Pipeline) -> None:
    for report in (rejected.report("asked"), rejected.run(), rejected.run(mode="full")):
        for row in details(report, "rejected"):
            assert "by olivia" in row["remedy"]
            assert "release_run: genesys_ad_group_sync/asked" in row["remedy"]
            assert row["remedy"].count("20") >= 1
    report = rejected.run_approved("later", release_run="genesys_ad_group_sync/asked")
    assert {row[2] for row in rows(report, "bob", "eve")} == {"success"}


# -- released = as it was before the answer -----------------------------------------------------------


@pytest.mark.follows_remedy("scope_changed")
def test_a_release_gives_a_doubtful_removal_its_doubt_back(small: Pipeline) -> None:
    """bob is out of the scope that was edited; a person rejected that, and released it."""
    small.run("first")
    small.directory.apply([Disable("bob")])
    redefine(small, **directory(disabled_users="keep"))
    small.run()
    redefine(small)
    report = reject(small, "asked")
    assert rows(report, "bob") == [("remove", "bob", "held", "rejected", None)]
    small.plan("released", release_run="asked")
    assert small.asked("released") is not None
    small.patch("released", {"batches": []})
    assert rows(small.report("released"), "bob") == [("remove", "bob", "held", "scope_changed", None)]
    assert "bob" in members(small, "Voice")
    small.answer("released", "Voice: 1 removal")
    assert "bob" not in members(small, "Voice")


# -- a journal that was restored ----------------------------------------------------------------------


def test_what_was_undone_is_not_done_again_unasked_by_a_restored_journal(undone: Pipeline) -> None:
    _lose_journal(undone)
    _, planned = undone.plan("after")
    undone.patch("after", planned)
    assert as_undone(undone)
    report = undone.report("after")
    assert {row[:4] for row in rows(report, "eve", "fay")} == {
        ("add", "eve", "held", "journal_restored"),
        ("add", "fay", "held", "journal_restored"),
    }


def _lose_journal(pipeline: Pipeline) -> None:
    with pipeline.journal._database.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            connection.execute(delete(table))
        first = {"id": 1, "journal_id": tables.new_id(), "run_counter": 0, "fence_counter": 0}
        connection.execute(insert(tables.meta), [first])


def test_a_lost_journal_is_trusted_again_although_an_addition_fails_for_ever(small: Pipeline) -> None:
    small.run("first")
    _lose_journal(small)
    small.directory.apply([AddMember("chat", "fay"), AddMember("chat", "bob")])
    small.genesys.add_fault("status", method="PATCH", path=genesys_id("Chat"), status=400, times=None)
    report = small.run_approved("after")
    assert ("add", "fay", "failed", "refused", None) in rows(report)
    small.directory.apply([RemoveMember("voice", "bob")])
    assert ("remove", "bob", "success", None, None) in rows(small.run(), "bob")


# -- an addition against AD ---------------------------------------------------------------------------


@pytest.fixture
def fired(small: Pipeline) -> Pipeline:
    """Run "fire" removed bob, whom AD has taken out of Voice."""
    small.run("first")
    small.directory.apply([RemoveMember("voice", "bob")])
    small.run("fire")
    return small


@pytest.mark.follows_remedy("against_ad")
def test_an_undo_asks_before_it_adds_somebody_whom_ad_does_not_want(fired: Pipeline) -> None:
    _, planned = fired.plan("undo", undo_run="fire")
    fired.patch("undo", planned)
    assert "bob" not in members(fired, "Voice")
    assert rows(fired.report("undo")) == [("add", "bob", "held", "against_ad", None)]
    asked = fired.asked("undo")
    assert asked is not None
    assert "AD does not want" in asked.body
    fired.answer("undo", "Voice: 1 addition")
    assert rows(fired.report("undo")) == [("add", "bob", "success", None, None)]
    assert "bob" in members(fired, "Voice")


@pytest.mark.parametrize("on_excess", ["hold", "fail"])
def test_it_asks_whatever_the_limits_say(fired: Pipeline, on_excess: str) -> None:
    redefine(fired, limits={"on_excess": on_excess})
    fired.plan("undo", undo_run="fire")
    assert fired.asked("undo") is not None


def test_every_run_lists_who_is_kept_against_ad_with_the_person_and_the_remedy(fired: Pipeline) -> None:
    undo(fired, "fire")
    for asked in ({}, {"mode": "changes"}, {"mode": "full"}, {"dry_run": True}):
        report = fired.run(**asked)
        assert rows(report) == [("remove", "bob", "held", "undone", None)]
        [row] = details(report, "undone")
        assert "by olivia" in row["remedy"]
        assert "release_run: genesys_ad_group_sync/undo" in row["remedy"]


def end_of_the_account(how: str, pipeline: Pipeline) -> None:
    from sandbox.directory_objects import Delete, SetAttributes

    change = {
        "disabled": Disable("bob"),
        "deleted": Delete("bob"),
        "expired": SetAttributes("bob", {"accountExpires": "132223104000000000"}),
    }[how]
    pipeline.directory.apply([change])


@pytest.mark.parametrize("how", ["disabled", "deleted", "expired"])
def test_who_is_kept_against_ad_goes_when_the_account_ends(fired: Pipeline, how: str) -> None:
    """bob is in no group that the view holds."""
    undo(fired, "fire")
    end_of_the_account(how, fired)
    assert rows(fired.run(), "bob") == [("remove", "bob", "success", None, None)]
    assert "bob" not in members(fired, "Voice")
    assert rows(fired.run(mode="full")) == []


@pytest.mark.parametrize("how", ["disabled", "deleted", "expired"])
def test_an_account_that_has_ended_is_never_put_back(fired: Pipeline, how: str) -> None:
    end_of_the_account(how, fired)
    fired.plan("undo", undo_run="fire")
    assert fired.asked("undo") is None
    [row] = fired.report("undo")["details"]
    assert (row["status"], row["reason"]) == ("held", "against_ad")
    assert "does not add it" in row["error"]
    assert "bob" not in members(fired, "Voice")


@pytest.mark.parametrize("how", ["disabled", "deleted", "expired"])
def test_an_account_that_ends_while_the_undo_waits_is_not_put_back(fired: Pipeline, how: str) -> None:
    fired.plan("undo", undo_run="fire")
    assert fired.asked("undo") is not None
    end_of_the_account(how, fired)
    fired.answer("undo", "Voice: 1 addition")
    assert rows(fired.report("undo")) == [("add", "bob", "held", "against_ad", None)]
    assert "bob" not in members(fired, "Voice")


@pytest.mark.parametrize("how", ["disabled", "deleted", "expired"])
def test_whom_a_run_removed_because_the_account_ended_no_undo_puts_back(small: Pipeline, how: str) -> None:
    """Bob is still listed in the AD group where his account is only disabled or expired."""
    small.run("first")
    end_of_the_account(how, small)
    assert rows(small.run("fire", mode="full"), "bob") == [("remove", "bob", "success", None, None)]
    for run_id, undone in (("undo", "fire"), ("again", "fire")):
        small.plan(run_id, undo_run=undone)
        assert small.asked(run_id) is None
        assert rows(small.report(run_id), "bob") == [("add", "bob", "held", "against_ad", None)]
    assert "bob" not in members(small, "Voice")


def test_an_undo_of_an_undo_asks_again_before_it_adds_against_ad(fired: Pipeline) -> None:
    undo(fired, "fire")
    assert rows(fired.run_approved("second", undo_run="undo"), "bob") == [("remove", "bob", "success", None, None)]
    _, planned = fired.plan("third", undo_run="second")
    fired.patch("third", planned)
    assert rows(fired.report("third"), "bob") == [("add", "bob", "held", "against_ad", None)]
    assert fired.asked("third") is not None
    assert "bob" not in members(fired, "Voice")


def test_a_rejected_undo_that_is_released_adds_nobody(fired: Pipeline) -> None:
    fired.plan("undo", undo_run="fire")
    assert fired.asked("undo") is not None
    fired.answer("undo", "None")
    fired.report("undo")
    for run_id, asked in (("released", {"release_run": "undo"}), ("later", {}), ("full", {"mode": "full"})):
        assert rows(fired.run(run_id, **asked)) == []
    assert "bob" not in members(fired, "Voice")


def test_an_undo_of_a_removal_that_ad_wants_again_asks_nobody(small: Pipeline) -> None:
    """A rule was wrong: Voice lost bob, whom its AD group lists."""
    small.run("first")
    redefine(small, exclude={"users": ["nobody"]}, **directory(disabled_users="remove"))
    small.directory.apply([RemoveMember("voice", "bob")])
    small.run("bad")
    small.directory.apply([AddMember("voice", "bob")])
    small.plan("waits", dry_run=True)
    assert rows(small.run("undo", undo_run="bad")) == [("add", "bob", "superseded", "newer_view", None)]


# -- questions of runs that are gone ------------------------------------------------------------------


def test_the_question_of_a_run_that_is_gone_is_asked_by_the_next_one(small: Pipeline) -> None:
    small.run("first")
    redefine(small, limits=ASKED)
    small.directory.apply([RemoveMember("voice", "bob")])
    small.plan("deleted")
    assert small.asked("deleted") is not None
    small.plan("second")
    assert small.asked("second") is None  # the first one asks
    small.awaits_answer = lambda key: key.run_id != "deleted"
    small.plan("third")
    assert small.asked("third") is not None
    assert any("genesys_ad_group_sync/deleted" in note for note in small.report("third")["notes"])


def test_a_mirrored_removal_that_was_undone_stays_undone(small: Pipeline) -> None:
    redefine(small, removals="mirror")
    assert rows(small.run_approved("bad", mode="full"), MANUAL) == [("remove", MANUAL, "success", None, None)]
    assert rows(undo(small, "bad"), MANUAL) == [("add", MANUAL, "success", None, None)]
    small.clock_offset = timedelta(days=2)
    assert rows(small.run(), MANUAL) == [("remove", MANUAL, "held", "undone", None)]
