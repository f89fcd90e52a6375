"""Another domain controller may not know yet what was heard from the one before: it grants and takes nothing by that.

What AD tells (an incremental DirSync answer) is believed from each of them. What one of them merely shows is doubted
until it is known to have heard of everything that the journal knew.
"""

from __future__ import annotations

import pytest

from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddMember,
    AddUser,
    Delete,
    Disable,
    Move,
    RemoveMember,
    SetAttributes,
    User,
)
from tests.integration.test_failover import refuse_cookies
from tests.support.small_company import definition_keys, genesys_id, members, rows
from tests.support.two_controllers import TwoControllers, domain, hours_pass, two

__all__ = ["domain", "two"]

HELD = ("held", "other_domain_controller", None)


# -- additions that contradict what is known -----------------------------------------------------------


def test_a_lagging_whole_view_gives_nobody_back_who_left_or_was_disabled(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann"), Disable("bob")])
    assert sorted(rows(two.run_on(two.dc1))) == [
        ("remove", "ann", "success", None, None),
        ("remove", "bob", "success", None, None),
    ]
    for mode in ("full", "auto", "full"):
        assert sorted(rows(two.run_on(two.dc2, mode=mode))) == [("add", "ann", *HELD), ("add", "bob", *HELD)]
        assert members(two.pipeline, "Voice") == {"cid", "mia"}
    assert {"dc1.example.com" in row["remedy"] for row in two.held()} == {True}
    two.dc2.replicate_from(two.dc1)
    two.run_on(two.dc2)
    assert rows(two.run_on(two.dc2, mode="full")) == []
    assert members(two.pipeline, "Voice") == {"cid", "mia"}


def test_a_lagging_reading_for_proof_gives_nobody_back(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann"), Disable("bob")])
    two.run_on(two.dc1)
    two.dc2.apply([RemoveMember("voice", "cid")])  # so that Voice is read completely
    assert sorted(rows(two.run_on(two.dc2))) == [
        ("add", "ann", *HELD),
        ("add", "bob", *HELD),
        ("remove", "cid", "success", None, None),
    ]
    assert members(two.pipeline, "Voice") == {"mia"}


def test_who_is_told_of_as_a_new_member_and_as_disabled_at_once_leaves(two: TwoControllers) -> None:
    """The other one has granted it. To this one, both arrive together."""
    two.dc2.apply([AddMember("chat", "bob")])
    two.run_on(two.dc2)
    assert "bob" in members(two.pipeline, "Chat")
    two.run_on(two.dc1)
    two.dc2.apply([Disable("bob")])
    two.run_on(two.dc1)
    two.replicate()
    assert ("remove", "bob", "success", None, None) in rows(two.run_on(two.dc1))
    assert "bob" not in members(two.pipeline, "Chat")


def test_an_account_that_was_deleted_stays_out_though_a_lagging_controller_shows_it(two: TwoControllers) -> None:
    mail = SetAttributes("fay", {"mail": None})  # else two accounts would carry it
    two.dc1.apply([mail, AddUser(User("ann2", "Ann 2", mail="fay@example.com")), AddMember("voice", "ann2")])
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc1)) == [("add", "fay", "success", None, None)]
    two.dc1.apply([Delete("ann2")])
    assert rows(two.run_on(two.dc1)) == [("remove", "fay", "success", None, None)]
    assert [row[2:4] for row in rows(two.run_on(two.dc2, mode="full"))] == [("held", "other_domain_controller")]
    assert "fay" not in members(two.pipeline, "Voice")


def test_after_the_failback_the_first_controller_gives_nobody_back_either(two: TwoControllers) -> None:
    two.run_on(two.dc2)
    two.dc2.apply([RemoveMember("voice", "ann")])
    assert rows(two.run_on(two.dc2)) == [("remove", "ann", "success", None, None)]
    assert rows(two.run_on(two.dc1, mode="full")) == [("add", "ann", *HELD)]
    assert "ann" not in members(two.pipeline, "Voice")


def test_a_mail_that_changed_does_not_tell_that_the_account_is_enabled(two: TwoControllers) -> None:
    two.dc1.apply([Disable("bob")])
    assert rows(two.run_on(two.dc1)) == [("remove", "bob", "success", None, None)]
    two.dc2.apply([SetAttributes("bob", {"telephoneNumber": "1", "sAMAccountName": "bob"})])
    two.dc2.apply([SetAttributes("bob", {"mail": "bob@example.com "})])
    assert rows(two.run_on(two.dc2), "bob") == [("add", "bob", *HELD)]
    assert "bob" not in members(two.pipeline, "Voice")
    two.dc2.apply([SetAttributes("bob", {"mail": "bob@example.com"})])


def test_an_addition_that_contradicts_nothing_waits_for_nobody(
    two: TwoControllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.run_on(two.dc1)
    two.dc2.apply([AddMember("voice", "fay")])
    two.use(two.dc2)
    refuse_cookies(monkeypatch)
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    assert sorted(rows(two.pipeline.run(mode="full"))) == [
        ("add", "ann", *HELD),
        ("add", "fay", "success", None, None),
    ]


def test_who_is_added_again_on_the_new_controller_is_added_at_once(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc1)) == [("remove", "ann", "success", None, None)]
    two.dc1.apply([AddMember("chat", "fay")])  # dc2 lags
    two.run_on(two.dc1)
    two.dc2.apply([AddMember("voice", "ann")])
    assert ("add", "ann", "success", None, None) in rows(two.run_on(two.dc2, mode="full"))


def test_a_doubted_addition_of_a_member_by_hand_is_not_taken_over(two: TwoControllers) -> None:
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.run_on(two.dc1)
    two.pipeline.genesys.change_members(genesys_id("Voice"), add=[genesys_id("ann")])
    two.run_on(two.dc2, mode="full")
    two.dc2.replicate_from(two.dc1)
    two.run_on(two.dc2)
    two.run_on(two.dc2, mode="full")
    assert "ann" in members(two.pipeline, "Voice")


# -- for how long --------------------------------------------------------------------------------------


def _known_by_dc1_only(two: TwoControllers) -> None:
    two.dc1.apply([AddMember("voice", "dan")])
    assert rows(two.run_on(two.dc1)) == [("add", "dan", "success", None, None)]


def test_an_edited_scope_does_not_hide_that_the_controller_lags(two: TwoControllers) -> None:
    """Nested groups are switched off during a failover: the edit explains that Eve goes, not that Dan does."""
    _known_by_dc1_only(two)
    keys = definition_keys()
    two.pipeline.redefine(**{**keys, "directory": {**keys["directory"], "nested_groups": False}})
    assert sorted(rows(two.run_on(two.dc2), "dan", "eve")) == [
        ("remove", "dan", *HELD),
        ("remove", "eve", "held", "scope_changed", None),
    ]


def test_hours_of_lag_take_nobody_away_and_a_person_is_asked_when_the_other_one_is_lost(two: TwoControllers) -> None:
    _known_by_dc1_only(two)
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "dan", *HELD)]
    hours_pass(two.pipeline.journal, 2)
    assert rows(two.run_on(two.dc2, mode="full")) == [("remove", "dan", *HELD)]
    run_id, planned = two.pipeline.plan(mode="full")
    two.pipeline.patch(run_id, planned)
    assert two.pipeline.asked(run_id) is None
    hours_pass(two.pipeline.journal, 2)  # longer than directory.replication_time
    run_id, planned = two.pipeline.plan(mode="full")
    two.pipeline.patch(run_id, planned)
    assert "dan" in members(two.pipeline, "Voice")
    asked = two.pipeline.asked(run_id)
    assert asked is not None
    assert "dc1.example.com has not been read since" in asked.body.replace("\\", "")
    two.pipeline.answer(run_id, asked.options[0])
    assert rows(two.pipeline.report(run_id, mode="full")) == [("remove", "dan", "success", None, None)]
    assert "dan" not in members(two.pipeline, "Voice")


def test_while_the_other_one_answers_nobody_is_asked(two: TwoControllers) -> None:
    _known_by_dc1_only(two)
    two.run_on(two.dc2, mode="full")
    hours_pass(two.pipeline.journal, 4)
    two.use(two.dc1)
    run_id, planned = two.pipeline.plan()
    two.pipeline.patch(run_id, planned)
    assert two.pipeline.asked(run_id) is None
    report = two.pipeline.report(run_id)
    assert ("remove", None, "superseded", "newer_view", None) in rows(report)
    assert "held" not in {row[2] for row in rows(report)}
    assert "dan" in members(two.pipeline, "Voice")


def test_what_the_controller_is_known_to_have_heard_is_believed_at_once(
    two: TwoControllers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hour has passed, and DirSync cannot say it: the up-to-dateness vector does."""
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    two.use(two.dc2)
    refuse_cookies(monkeypatch)
    monkeypatch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
    assert rows(two.pipeline.run()) == [("remove", "ann", "success", None, None)]


def test_the_view_of_a_lost_controller_is_not_doubted_for_ever(two: TwoControllers) -> None:
    """dc1 never comes back. What dc2 shows of new changes needs nobody after the first whole view."""
    _known_by_dc1_only(two)
    two.run_on(two.dc2, mode="full")
    two.dc2.apply([RemoveMember("voice", "ann")])
    two.use(two.dc2)
    with pytest.MonkeyPatch.context() as patch:
        refuse_cookies(patch)
        patch.setattr("genesys_ad_sync.polling.poller.DirectoryPoller._delta_as_evidence", lambda *_: None)
        report = two.pipeline.run()
    assert sorted(rows(report)) == [("remove", "ann", "success", None, None), ("remove", "dan", *HELD)]


# -- one name for several ------------------------------------------------------------------------------


def test_with_one_name_for_two_controllers_nothing_waits_for_ever(two: TwoControllers) -> None:
    for number in range(4):  # each run another one, and something happens all the time
        dc, other = (two.dc1, two.dc2) if number % 2 else (two.dc2, two.dc1)
        dc.apply([SetAttributes("eve", {"mail": f"eve{number}@example.com"})])
        two.run_on(dc)
        other.replicate_from(dc)
    two.dc1.apply([Move("voice", OTHER_GROUPS)])
    assert {row[2:4] for row in rows(two.run_on(two.dc1))} == {("held", "mapping_changed")}
    two.dc1.apply([RemoveMember("voice", "ann")])
    two.dc2.replicate_from(two.dc1)
    two.run_on(two.dc2)
    two.dc2.apply([SetAttributes("eve", {"mail": "eve@example.com"})])
    two.dc2.apply([Move("voice", CONTACT_CENTER)])
    two.run_on(two.dc2)
    two.dc1.replicate_from(two.dc2)
    two.run_on(two.dc1)
    two.run_on(two.dc2)
    assert rows(two.run_on(two.dc1)) == []
    assert members(two.pipeline, "Voice") == {"bob", "cid", "mia"}
