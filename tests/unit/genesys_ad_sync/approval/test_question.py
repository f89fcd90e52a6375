"""What an approver is asked, and what each answer means."""

from __future__ import annotations

from typing import Any

import pytest

from genesys_ad_sync.approval import ALL, NONE, UNDECIDED, chosen_groups, chosen_rows, is_decided, question
from genesys_ad_sync.approval.question import SINGLES
from genesys_ad_sync.model import Row
from tests.support.approval_examples import row

OPTIONS = {"G": "Sales: 2 removals", "H": "Support: 1 removal"}


def test_it_offers_all_groups_each_group_none_and_no_decision() -> None:
    made = question([row("a"), row("b"), row("c", "H", "Support")], "hash")
    assert made.options == [ALL, "Sales: 2 removals", "Support: 1 removal", NONE, UNDECIDED]
    assert made.subject == "Approve 3 removals in 2 Genesys groups?"


def test_two_groups_of_one_name_have_options_of_their_own() -> None:
    made = question([row("a"), row("b", "H", "Sales")], "hash")
    assert len(set(made.options)) == len(made.options) == 5
    assert {group.option for group in made.groups} == {"Sales: 1 removal (G)", "Sales: 1 removal (H)"}


@pytest.mark.parametrize(
    ("chosen", "approved"),
    [
        ([ALL], {"G", "H"}),
        ([ALL, "Sales: 2 removals"], {"G", "H"}),
        (["Sales: 2 removals"], {"G"}),
        (["Sales: 2 removals", UNDECIDED], {"G"}),
        ([UNDECIDED], set()),
        ([NONE], set()),
        ([NONE, ALL], set()),
        ([NONE, "Sales: 2 removals"], set()),
        (["Sales: 3 removals"], set()),
        (["Sales: 2 removals", "Sales: 3 removals"], set()),
        ([], set()),
    ],
)
def test_only_what_was_chosen_without_contradiction_is_approved(chosen: list[str], approved: set[str]) -> None:
    assert chosen_groups(OPTIONS, chosen) == approved


def test_the_form_as_it_opens_is_no_decision() -> None:
    assert not is_decided([UNDECIDED])
    assert not is_decided([])
    assert is_decided([NONE])


def strangers(*users: str, group: str = "G", **changed: Any) -> list[Row]:
    return [row(user, group, about={"member": f"{user[0]} Miller"}, **changed) for user in users]


def test_members_whom_ad_does_not_own_can_be_chosen_one_by_one() -> None:
    made = question([row("a"), *strangers("b", "c")], "hash")
    assert made.options == ["Sales: 3 removals", "Sales: only b Miller", "Sales: only c Miller", NONE, UNDECIDED]
    options = {"G": "Sales: 3 removals"}
    assert chosen_rows(options, made.singles, ["Sales: only b Miller"]) == {"G:b:remove"}
    assert chosen_groups(options, ["Sales: only b Miller"], made.singles) == set()
    for beside in (NONE, "Sales: only x"):
        assert chosen_rows(options, made.singles, ["Sales: only b Miller", beside]) == set()
        assert chosen_groups(options, ["Sales: 3 removals", beside], made.singles) == set()
    assert chosen_groups(options, ["Sales: 3 removals", "Sales: only b Miller"], made.singles) == {"G"}


def test_a_single_member_needs_no_line_of_its_own() -> None:
    assert question(strangers("b"), "hash").options == ["Sales: 1 removal", NONE, UNDECIDED]


def test_each_line_of_a_member_is_unique_also_in_groups_of_one_name() -> None:
    made = question([*strangers("ba", "bb"), *strangers("ba", "bb", group="H")], "hash")
    assert len(set(made.options)) == len(made.options) == 9
    assert len(made.singles) == 4


def test_a_form_offers_members_of_some_groups_only_if_there_are_too_many() -> None:
    many = strangers(*(f"m{n}" for n in range(SINGLES)), group="H")
    made = question([*many, *strangers("b", "c")], "hash")
    assert {key.split(":")[0] for key in made.singles} == {"H"}
    assert "Sales: 2 removals" in made.options
