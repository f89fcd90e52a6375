"""`removals: mirror`: who is merely not identified is not a stranger, and a beginning asks a person.

Voice has mia by hand. Ann, bob and cid are wanted there.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.report.schema import validate
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember, SetAttributes
from tests.support.pipeline import Pipeline
from tests.support.rights import MEMBER, change_rights
from tests.support.small_company import definition_keys, genesys_id, members, rows, small

__all__ = ["small"]

USER_ACCOUNT_CONTROL = "bf967a68-0de6-11d0-a285-00aa003049e2"
MAIL = "bf967961-0de6-11d0-a285-00aa003049e2"


def mirror(pipeline: Pipeline, **more: Any) -> None:
    pipeline.redefine(**{**definition_keys(), "removals": "mirror", **more})


def add_by_hand(pipeline: Pipeline, group: str, *people: str) -> None:
    pipeline.genesys.change_members(genesys_id(group), add=[genesys_id(name) for name in people])


def asked_about(pipeline: Pipeline, run_id: str) -> list[str]:
    """Return the lines of the form, without those that every form has."""
    asked = pipeline.asked(run_id)
    return [] if asked is None else [o for o in asked.options if o not in {"All groups", "None", "Undecided"}]


def finish(pipeline: Pipeline, *chosen: str, **asked: Any) -> dict[str, Any]:
    """Make a run and answer its question, if it has one."""
    run_id, planned = pipeline.plan(**asked)
    pipeline.patch(run_id, planned)
    if pipeline.asked(run_id) is not None:
        pipeline.answer(run_id, *(chosen or ("None",)))
    report = pipeline.report(run_id, **asked)
    validate(report)
    return report


@pytest.fixture
def mirrored(small: Pipeline) -> Pipeline:
    """Return a mirror whose first comparison a person has approved: mia is out, and everybody is identified."""
    mirror(small)
    finish(small, "Voice: 1 removal")
    assert members(small, "Voice") == {"ann", "bob", "cid"}
    return small


# -- who is not identified ----------------------------------------------------------------------------


UNIDENTIFIED = {
    "her mails differ": [SetAttributes("fay", {"mail": "fay.elsewhere@example.net"})],
    "AD has no mail of hers": [SetAttributes("fay", {"mail": None})],
    "two accounts have her mail": [SetAttributes("eve", {"mail": "fay@example.com"}), AddMember("voice", "eve")],
}


@pytest.mark.parametrize("how", UNIDENTIFIED)
def test_a_member_may_be_the_one_whom_nobody_identifies(mirrored: Pipeline, how: str) -> None:
    """Fay is wanted in Voice, and a member. What AD says of her does not lead to her Genesys user."""
    add_by_hand(mirrored, "Voice", "fay", "mia")
    mirrored.directory.apply([*UNIDENTIFIED[how], AddMember("voice", "fay")])
    run_id, planned = mirrored.plan(mode="full")
    mirrored.patch(run_id, planned)
    assert {"fay", "mia"} <= members(mirrored, "Voice")
    report = mirrored.report(run_id, mode="full")
    assert ("remove", "mia", "held", "unidentified_members", None) in rows(report, "mia")
    assert [row[2] for row in rows(report, "fay") if row[0] == "remove"] in ([], ["held"])
    mia = next(row for row in report["details"] if row["user_id"] == genesys_id("mia"))
    assert mirrored.directory.guid_of("fay") in [rival["guid"] for rival in mia["rivals"]]
    assert "mia@example.com" in mia["remedy"]
    asked = mirrored.asked(run_id)
    assert asked is not None
    assert "Fay" in asked.body
    assert "mia@example.com" in asked.body
    assert "None of the members to remove is in one of them" not in asked.body


@pytest.mark.follows_remedy("unidentified_members")
def test_a_person_may_approve_what_is_not_identified(mirrored: Pipeline) -> None:
    add_by_hand(mirrored, "Voice", "mia")
    mirrored.directory.apply([SetAttributes("fay", {"mail": "fay.elsewhere@example.net"}), AddMember("voice", "fay")])
    assert rows(finish(mirrored, "Voice: 1 removal", mode="full"), "mia") == [("remove", "mia", "success", None, None)]
    assert "mia" not in members(mirrored, "Voice")


@pytest.mark.parametrize("attribute", ["mail", "username"])
def test_a_member_that_matches_an_unidentified_person_is_never_offered(mirrored: Pipeline, attribute: str) -> None:
    """No rule finds fay. Yet a value of hers, by which nobody looks, is that of a member."""
    mirrored.directory.apply(
        [
            SetAttributes("fay", {"mail": "elsewhere@example.net", "userPrincipalName": "FAY@corp.example.com"}),
            AddMember("voice", "fay"),
        ]
    )
    mirrored.genesys.change_user(
        genesys_id("fay"), **{"email" if attribute == "mail" else attribute: "fay@corp.example.com"}
    )
    if attribute == "mail":
        mirrored.genesys.change_user(genesys_id("fay"), username="somebody@example.com")
    add_by_hand(mirrored, "Voice", "fay", "mia")
    run_id, planned = mirrored.plan(mode="full")
    mirrored.patch(run_id, planned)
    assert asked_about(mirrored, run_id) == ["Voice: 1 removal"]  # mia, and not fay
    mirrored.answer(run_id, "Voice: 1 removal")
    assert members(mirrored, "Voice") >= {"fay"}
    assert "mia" not in members(mirrored, "Voice")
    report = mirrored.report(run_id, mode="full")
    assert ("remove", "fay", "held", "unidentified_members", None) in rows(report, "fay")


@pytest.mark.parametrize("unreadable", ["the account", "userAccountControl"])
def test_a_member_may_be_an_account_that_cannot_be_read(mirrored: Pipeline, unreadable: str) -> None:
    ace = "(D;;GA;;;{who})" if unreadable == "the account" else f"(OD;;RP;{USER_ACCOUNT_CONTROL};;{{who}})"
    change_rights(mirrored.directory, mirrored.directory.dn_of("fay"), ace)
    mirrored.directory.apply([AddMember("voice", "fay")])
    add_by_hand(mirrored, "Voice", "fay")
    run_id, planned = mirrored.plan(mode="full")
    mirrored.patch(run_id, planned)
    assert "fay" in members(mirrored, "Voice")
    report = mirrored.report(run_id, mode="full")
    assert rows(report, "fay") == [("remove", "fay", "held", "unidentified_members", None)]
    assert mirrored.directory.guid_of("fay") in [rival["guid"] for rival in report["details"][0]["rivals"]]


def test_a_mail_that_cannot_be_read_identifies_nobody(mirrored: Pipeline) -> None:
    change_rights(mirrored.directory, mirrored.directory.dn_of("fay"), f"(OD;;RP;{MAIL};;{{who}})")
    mirrored.directory.apply([AddMember("voice", "fay")])
    add_by_hand(mirrored, "Voice", "fay")
    report = finish(mirrored, mode="full")
    assert "fay" in members(mirrored, "Voice")
    assert ("remove", "fay", "held", "unidentified_members", None) in rows(report, "fay")  # by userPrincipalName


def test_who_stops_being_identified_between_plan_and_patch_stops_the_removal(mirrored: Pipeline) -> None:
    add_by_hand(mirrored, "Voice", "mia")
    run_id, planned = mirrored.plan(mode="full")
    mirrored.directory.apply([SetAttributes("fay", {"mail": "elsewhere@example.net"}), AddMember("voice", "fay")])
    mirrored.run(dry_run=True)  # polls
    mirrored.patch(run_id, planned)
    assert "mia" in members(mirrored, "Voice")
    report = mirrored.report(run_id, mode="full")
    assert rows(report, "mia") == [("remove", "mia", "held", "unidentified_members", None)]


def test_a_stranger_goes_without_a_question_if_everybody_is_identified(mirrored: Pipeline) -> None:
    add_by_hand(mirrored, "Voice", "mia")
    report = mirrored.run(mode="full")
    assert rows(report, "mia") == [("remove", "mia", "success", None, None)]


# -- beginnings ---------------------------------------------------------------------------------------


@pytest.mark.follows_remedy("first_mirror")
def test_the_first_comparison_of_a_mirror_asks_until_it_is_answered(small: Pipeline) -> None:
    mirror(small)
    run_id, planned = small.plan()
    small.patch(run_id, planned)
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}
    assert asked_about(small, run_id) == ["Voice: 1 removal"]
    small.answer(run_id, "Undecided", by=None)
    report = small.report(run_id)
    assert rows(report, "mia") == [("remove", "mia", "held", "first_mirror", None)]
    assert report["notes"] == [] or not any("mia" in note for note in report["notes"])

    again, _ = small.plan(mode="full")  # the baseline is set, and still nobody has answered
    assert asked_about(small, again) == ["Voice: 1 removal"]
    small.answer(again, "None")
    assert rows(small.report(again, mode="full"), "mia") == [("remove", "mia", "held", "rejected", None)]

    add_by_hand(small, "Voice", "fay")  # the question was answered, though by no
    assert rows(small.run(mode="full"), "fay") == [("remove", "fay", "success", None, None)]


def test_a_policy_changed_to_mirror_asks_once_whatever_baseline_there_is(small: Pipeline) -> None:
    small.run()
    mirror(small)
    assert rows(finish(small, mode="full"), "mia") == [("remove", "mia", "held", "rejected", None)]
    assert "mia" in members(small, "Voice")


def test_a_mirror_whose_account_cannot_read_member_empties_no_group(small: Pipeline) -> None:
    change_rights(small.directory, small.directory.dn_of("voice"), f"(OD;;RP;{MEMBER};;{{who}})")
    add_by_hand(small, "Voice", "ann", "bob", "cid")
    mirror(small)
    for mode in ("auto", "full", "full"):
        run_id, planned = small.plan(mode=mode)
        small.patch(run_id, planned)
        assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}
        asked = asked_about(small, run_id)
        small.report(run_id, mode=mode)
        assert asked[0] == "Voice: 4 removals"


def test_a_mirror_whose_rule_names_a_wrong_attribute_empties_no_group(small: Pipeline) -> None:
    add_by_hand(small, "Voice", "ann", "bob", "cid")
    mirror(small, users=[{"directory": "description", "genesys": "email"}])
    run_id, planned = small.plan()
    small.patch(run_id, planned)
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}
    small.answer(run_id, *asked_about(small, run_id))
    assert members(small, "Voice") == {"ann", "bob", "cid"}  # their mails are those of wanted people: never offered
    report = small.report(run_id)
    assert ("remove", "ann", "held", "unidentified_members", None) in rows(report, "ann")


def test_a_feeding_group_that_reads_as_having_nobody_asks_until_it_has_had_members_again(mirrored: Pipeline) -> None:
    mirrored.directory.apply([RemoveMember("voice", name) for name in ("ann", "bob", "cid")])
    mirrored.run()  # AD told so, and owned them
    assert members(mirrored, "Voice") == set()
    add_by_hand(mirrored, "Voice", "mia")
    run_id, planned = mirrored.plan(mode="full")
    mirrored.patch(run_id, planned)
    assert "mia" in members(mirrored, "Voice")
    mirrored.answer(run_id, "Voice: 1 removal")
    assert rows(mirrored.report(run_id, mode="full"), "mia") == [("remove", "mia", "success", None, None)]

    add_by_hand(mirrored, "Voice", "mia")  # a person has said that the group is meant to be empty
    assert rows(mirrored.run(mode="full"), "mia") == [("remove", "mia", "success", None, None)]

    mirrored.directory.apply([AddMember("voice", "ann")])
    mirrored.run()
    mirrored.directory.apply([RemoveMember("voice", "ann")])
    mirrored.run()
    add_by_hand(mirrored, "Voice", "mia")
    assert rows(finish(mirrored, mode="full"), "mia") == [("remove", "mia", "held", "rejected", None)]
    assert "mia" in members(mirrored, "Voice")


def test_a_group_whose_members_are_all_disabled_reads_as_having_nobody(mirrored: Pipeline) -> None:
    mirrored.directory.apply([Disable(name) for name in ("ann", "bob", "cid")])
    mirrored.run()
    add_by_hand(mirrored, "Voice", "mia")
    run_id, planned = mirrored.plan(mode="full")
    mirrored.patch(run_id, planned)
    report = mirrored.report(run_id, mode="full")
    assert rows(report, "mia") == [("remove", "mia", "held", "empty_group", None)]
    assert "Voice" in report["details"][0]["remedy"]
    mirrored.directory.apply([Enable("ann")])
    assert rows(mirrored.run(), "mia") == [("remove", "mia", "success", None, None)]


# -- a policy that was another one before ---------------------------------------------------------------


def test_a_removal_that_only_the_mirror_wanted_ends_with_the_mirror(mirrored: Pipeline) -> None:
    add_by_hand(mirrored, "Voice", "mia")
    mirror(mirrored, protect=["Voice"])
    finish(mirrored, "Undecided", mode="full")
    mirrored.redefine(**definition_keys())
    assert rows(mirrored.run(), "mia") == [("remove", "mia", "skipped", "not_owned", None)]
    assert rows(mirrored.run(mode="full"), "mia") == []
    assert "mia" in members(mirrored, "Voice")


# -- mirror_once --------------------------------------------------------------------------------------


@pytest.fixture
def leftovers(small: Pipeline) -> Pipeline:
    """Return a company in which mia, dan and fay are in Voice by hand, and AD wants none of them there."""
    add_by_hand(small, "Voice", "dan", "fay")
    small.run()
    return small


def once(pipeline: Pipeline, **more: Any) -> tuple[str, list[str]]:
    """Plan and patch with `mirror_once`; return the run id and the options of its form."""
    run_id, planned = pipeline.plan(mirror_once=True, **more)
    pipeline.patch(run_id, planned)
    return run_id, asked_about(pipeline, run_id)


def test_mode_full_lists_the_members_that_ad_does_not_own(leftovers: Pipeline) -> None:
    report = leftovers.run("full", mode="full")
    validate(report)
    voice = next(group for group in report["groups"] if group["genesys_group"]["name"] == "Voice")
    assert voice["manual_member_ids"] == sorted(genesys_id(name) for name in ("mia", "dan", "fay"))
    assert voice["manual_members"] == 3
    text = (leftovers.folder / "reports" / leftovers.dag_id / "full.html").read_text()
    assert ">mia</bdi>" in text
    changes = leftovers.run()
    assert [group["manual_member_ids"] for group in changes["groups"]] == [None] * len(changes["groups"])


def test_an_excluded_account_is_no_manual_member(leftovers: Pipeline) -> None:
    leftovers.redefine(**{**definition_keys(), "exclude": {"groups": [], "users": ["Dan"]}})
    report = leftovers.run(mode="full")
    voice = next(group for group in report["groups"] if group["genesys_group"]["name"] == "Voice")
    assert voice["manual_member_ids"] == sorted(genesys_id(name) for name in ("mia", "fay"))


@pytest.mark.follows_remedy("mirror_once")
@pytest.mark.parametrize("on_excess", ["approve", "hold", "fail"])
def test_mirror_once_asks_about_each_member_whatever_the_limits_say(leftovers: Pipeline, on_excess: str) -> None:
    limits = {"removals": 0, "per_run": 0, "per_day": 0, "on_excess": on_excess}
    leftovers.redefine(**{**definition_keys(), "limits": limits})
    run_id, options = once(leftovers)
    assert members(leftovers, "Voice") == {"ann", "bob", "cid", "dan", "fay", "mia"}
    assert options[0] == "Voice: 3 removals"
    assert len(options) == 4
    [only_mia] = [option for option in options if "mia@example.com" in option]
    leftovers.answer(run_id, only_mia)
    report = leftovers.report(run_id, mirror_once=True)
    validate(report)
    assert report["mode"] == "full"
    assert report["approval"]["decision"] == "approved_in_part"
    assert rows(report, "mia") == [("remove", "mia", "success", None, None)]
    assert rows(report, "dan", "fay") == [
        ("remove", "dan", "held", "mirror_once", None),
        ("remove", "fay", "held", "mirror_once", None),
    ]
    assert members(leftovers, "Voice") == {"ann", "bob", "cid", "dan", "fay"}


@pytest.mark.parametrize("answer", ["None", "Undecided"])
def test_what_mirror_once_was_not_allowed_ends_with_its_run(leftovers: Pipeline, answer: str) -> None:
    run_id, _ = once(leftovers)
    leftovers.answer(run_id, answer, by=None if answer == "Undecided" else "olivia")
    leftovers.report(run_id, mirror_once=True)
    for mode in ("auto", "full"):
        assert rows(leftovers.run(mode=mode), "mia", "dan", "fay") == []
    again, options = once(leftovers)
    assert options[0] == "Voice: 3 removals"
    leftovers.answer(again, "Voice: 3 removals")
    assert members(leftovers, "Voice") == {"ann", "bob", "cid"}


def test_mirror_once_never_offers_who_may_be_wanted(leftovers: Pipeline) -> None:
    # no rule looks for a user name; yet that of fay's Genesys user is a value of eve's
    eve = SetAttributes("eve", {"mail": "elsewhere@example.net", "userPrincipalName": "eve.upn@example.com"})
    leftovers.directory.apply([eve, AddMember("voice", "eve")])
    leftovers.genesys.change_user(genesys_id("fay"), username="Eve.UPN@example.com")
    leftovers.genesys.change_user(genesys_id("eve"), email="eve.two@example.com", username="eve.two@example.com")
    leftovers.journal.of("default").links.remove([leftovers.directory.guid_of("eve")])
    run_id, _ = once(leftovers)
    leftovers.answer(run_id, *asked_about(leftovers, run_id)[:1])
    report = leftovers.report(run_id, mirror_once=True)
    assert ("remove", "fay", "held", "unidentified_members", None) in rows(report, "fay")
    assert rows(leftovers.run(mode="full"), "fay") == []


def test_owned_removals_of_a_mirror_once_run_go_under_the_limits_as_ever(leftovers: Pipeline) -> None:
    leftovers.redefine(**{**definition_keys(), "limits": {"removals": 1}})
    leftovers.directory.apply([RemoveMember("voice", "ann")])
    run_id, options = once(leftovers)
    assert options[0] == "Voice: 3 removals"
    assert members(leftovers, "Voice") == {"bob", "cid", "dan", "fay", "mia"}
    leftovers.answer(run_id, "None")
    leftovers.report(run_id, mirror_once=True)


def test_what_mirror_once_asks_counts_in_no_limit_of_other_runs(leftovers: Pipeline) -> None:
    leftovers.redefine(**{**definition_keys(), "limits": {"removals": 1, "per_run": 1}})
    _, options = once(leftovers)
    assert options[0] == "Voice: 3 removals"
    leftovers.directory.apply([RemoveMember("voice", "ann")])
    assert rows(leftovers.run(), "ann") == [("remove", "ann", "success", None, None)]


def test_a_dry_mirror_once_asks_nobody_and_lists_everything(leftovers: Pipeline) -> None:
    report = leftovers.run(mirror_once=True, dry_run=True)
    assert {row[3] for row in rows(report, "mia", "dan", "fay")} == {"mirror_once"}
    assert rows(leftovers.run(mode="full")) == []


@pytest.mark.parametrize(
    ("asked", "definition", "said"),
    [
        ({"mode": "changes"}, {}, "mode is changes"),
        ({"undo_run": "run-1"}, {}, "undo_run"),
        ({"window": (None, datetime(2026, 1, 1, tzinfo=timezone.utc))}, {}, "window"),
        ({}, {"removals": "never"}, "removals: never"),
    ],
    ids=["changes", "undo", "window", "never"],
)
def test_mirror_once_is_refused_where_it_cannot_be_meant(
    leftovers: Pipeline, asked: dict[str, Any], definition: dict[str, Any], said: str
) -> None:
    leftovers.redefine(**{**definition_keys(), **definition})
    with pytest.raises(ParamError, match=said):
        leftovers.plan(mirror_once=True, **asked)


def test_an_undo_of_mirror_once_puts_the_member_back(leftovers: Pipeline) -> None:
    run_id, options = once(leftovers)
    leftovers.answer(run_id, options[0])
    leftovers.report(run_id, mirror_once=True)
    undo = leftovers.run_approved("undo", undo_run=run_id)  # AD does not want her there
    assert rows(undo, "mia") == [("add", "mia", "success", None, None)]
    assert "mia" in members(leftovers, "Voice")
    leftovers.run(mode="full")
    assert "mia" in members(leftovers, "Voice")
    assert rows(leftovers.run(mode="full"), "mia") == []
