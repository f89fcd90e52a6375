"""A page of a group's members says the same as `explain group`, and its history what AD showed."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.views import group_page
from genesys_ad_sync.views.group import explain_group
from genesys_ad_sync.views.group_page import Asked, GroupPage, find_group
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import (
    Action,
    Reason,
    Status,
    change,
    definition,
    grant,
    looked_at,
    map_groups,
    poll,
    run_with,
)

NOW = T0 + timedelta(hours=1)


def page(journal: Journal, group_id: str = "G-voice", **asked: object) -> GroupPage:
    hit = find_group(journal, "default", group_id)
    assert hit is not None
    return group_page.group_page(journal, hit, {"default": definition()}, Asked(**asked), now=NOW)  # type: ignore[arg-type]


@pytest.fixture
def company(journal: Journal) -> Journal:
    people = {"gus": {"disabled": True}}
    poll(
        journal, {"voice": "ann bob inner gus", "inner": "cid deep", "deep": "inner fay", "other": "dan eve"}, **people
    )
    map_groups(journal, "voice")
    grant(journal, "voice", "ann", "cid", "dan", "eve")
    mine = journal.of("default").grants
    mine.sleep([one for one in mine.of_groups(["G-voice"]) if one.user_guid == "eve"], T0)
    looked_at(journal, "voice", **{"U-mia": "Mia", "U-ann": "Ann"})
    return journal


def test_it_says_the_same_as_explain_group(company: Journal) -> None:
    hit = find_group(company, "default", "G-voice")
    assert hit is not None
    explained = explain_group(company, hit, {"default": definition()}, now=NOW)
    found = page(company).answer
    assert (
        found.by_origin == explained.by_origin == {"ad": 2, "to add": 2, "to remove": 1, "by hand": 1, "not certain": 1}
    )
    assert found.members == explained.members
    assert found.sources == explained.sources


def test_it_has_one_page_of_the_members(company: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody = page(company).answer.members
    monkeypatch.setattr(group_page, "MEMBERS_OF_A_PAGE", 3)
    pages = [page(company, page=number) for number in (1, 2, 3)]
    assert [member for one in pages for member in one.answer.members] == list(everybody)
    assert {(one.pages, one.members) for one in pages} == {(3, 7)}
    assert page(company, page=99).page == 3
    assert page(company, page=-1).page == 1


def test_members_are_filtered_by_origin_and_by_name(company: Journal) -> None:
    assert [member.guid for member in page(company, origin="to add").answer.members] == ["bob", "fay"]
    named = page(company, text="FAY")
    assert [member.guid for member in named.answer.members] == ["fay"]
    assert (named.members, named.answer.by_origin["ad"]) == (1, 2)


def test_the_history_has_the_newest_changes_first_and_what_is_held_apart(company: Journal) -> None:
    run_with(company, "r1", change("voice", "dan", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT)
    run_with(company, "r2", change("voice", "ann"), Status.SUCCESS)
    run_with(company, "r3", change("other", "eve"), Status.SUCCESS)
    found = page(company)
    assert [(one.action, one.guid, one.status, one.run) for one in found.history] == [
        ("add", "ann", "success", "dag/r2"),
        ("remove", "dan", "held", "dag/r1"),
    ]
    assert [(one.guid, one.reason) for one in found.held] == [("dan", "over_limit")]


def test_a_group_that_no_rule_maps_is_not_found(company: Journal) -> None:
    assert find_group(company, "default", "G-other") is None
    assert find_group(company, "other", "G-voice") is None
    map_groups(company)
    assert page(company).answer.by_origin["to remove"] == 3
