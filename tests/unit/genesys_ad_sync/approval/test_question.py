"""What an approver is asked, and what each answer means."""

from __future__ import annotations

import pytest

from genesys_ad_sync.approval import ALL, NONE, UNDECIDED, chosen_groups, is_decided, question
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
