"""Memberships that Active Directory ends at a time that it announced (D7).

Real: Samba, its members and its clock. Documented: the control, TTL-DNs and that a member goes without a word of
DirSync (see `tests/support/temporary_links.py`), since Samba has no temporary links. How a TTL-DN looks beside the
extended form is documented nowhere, so that each form is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sandbox.directory_objects import AddMember, RemoveMember
from tests.support import temporary_links
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, members, rows, small
from tests.support.temporary_links import TemporaryLinks

__all__ = ["small"]

HOUR = timedelta(hours=1)
GONE = ("remove", "cid", "success", None, None)


@pytest.fixture
def links(small: Pipeline) -> TemporaryLinks:
    links = TemporaryLinks()
    small.directory_hook = links.session
    keys = definition_keys()
    small.redefine(**{**keys, "limits": {**keys["limits"], "shrink_percent": 30, "min_group_size": 2}})
    return links


def test_an_end_that_was_announced_is_told(small: Pipeline, links: TemporaryLinks) -> None:
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run()
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}
    assert rows(small.run()) == []
    links.later = 2 * HOUR
    assert rows(small.run()) == [GONE]
    assert rows(small.run()) == []
    assert small.journal.of("default").changes.unsettled() == []


@pytest.mark.parametrize(
    "form",
    [
        temporary_links.before,
        temporary_links.around,
        temporary_links.behind_the_guid,
        temporary_links.instead_of_the_guid,
    ],
)
def test_whatever_form_a_temporary_member_has_it_is_read_and_its_end_is_known(
    small: Pipeline, links: TemporaryLinks, form: Callable[[bytes, int], bytes]
) -> None:
    links.form = form
    small.directory.apply([RemoveMember("voice", "cid")])
    small.run()
    small.directory.apply([AddMember("voice", "cid")])  # told by DirSync
    links.ends["Cid"] = small.directory.clock() + HOUR
    assert rows(small.run()) == [("add", "cid", "success", None, None)]
    small.run(mode="full")
    links.later = 2 * HOUR
    assert rows(small.run()) == [GONE]


@pytest.mark.parametrize("refused", [False, True])
def test_where_dirsync_says_no_end_the_group_is_asked(small: Pipeline, links: TemporaryLinks, refused: bool) -> None:
    links.in_dirsync, links.refused_in_dirsync = False, refused
    small.directory.apply([RemoveMember("voice", "cid")])
    small.run()
    small.directory.apply([AddMember("voice", "cid")])
    links.ends["Cid"] = small.directory.clock() + HOUR
    report = small.run()
    assert not any("read completely again" in note for note in report["notes"])
    links.later = 2 * HOUR
    assert rows(small.run()) == [GONE]


def test_the_last_member_goes_when_its_time_has_come(small: Pipeline, links: TemporaryLinks) -> None:
    small.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run()
    links.later = 2 * HOUR
    report = small.run()
    assert rows(report) == [GONE]
    assert not any("shrink_percent" in note for note in report["notes"])
    assert members(small, "Voice") == {"mia"}


def test_a_temporary_member_of_a_nested_group_leaves_the_groups_above(small: Pipeline, links: TemporaryLinks) -> None:
    links.ends["Eve"] = small.directory.clock() + HOUR
    small.run()
    assert members(small, "Chat") == {"dan", "eve"}
    links.later = 2 * HOUR
    assert rows(small.run()) == [("remove", "eve", "success", None, None)]


def test_a_nested_group_whose_own_link_ends_takes_its_members_along(small: Pipeline, links: TemporaryLinks) -> None:
    links.ends["Core"] = small.directory.clock() + HOUR
    small.run()
    links.later = 2 * HOUR
    assert rows(small.run()) == [("remove", "eve", "success", None, None)]


def test_an_end_that_was_put_off_ends_nothing(small: Pipeline, links: TemporaryLinks) -> None:
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run()
    links.ends["Cid"] += 10 * HOUR  # and DirSync does not say so
    links.later = 2 * HOUR
    assert rows(small.run()) == []
    links.later = 5 * HOUR
    assert rows(small.run()) == []
    links.later = 12 * HOUR
    assert rows(small.run()) == [GONE]


def test_a_membership_that_was_made_permanent_stays(small: Pipeline, links: TemporaryLinks) -> None:
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run()
    del links.ends["Cid"]
    links.later = 2 * HOUR
    assert rows(small.run()) == []
    assert small.journal.of("default").announced.links(small.directory.clock() + 99 * HOUR) == {}
    assert rows(small.run(mode="full")) == []


def test_an_announced_end_is_news_after_a_rejection(small: Pipeline, links: TemporaryLinks) -> None:
    small.redefine(**{**definition_keys(), "protect": ["Voice"]})
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run_approved("first")
    small.directory.apply([RemoveMember("voice", "bob")])
    links.later = 2 * HOUR
    run_id, planned = small.plan()
    small.patch(run_id, planned)
    asked = small.asked(run_id)
    assert asked is not None
    small.answer(run_id, "None")
    small.report(run_id)
    assert rows(small.run(), "cid") == [("remove", "cid", "held", "rejected", None)]
    links.ends["Cid"] += 10 * HOUR  # granted once more, which DirSync tells
    small.directory.apply([RemoveMember("voice", "cid"), AddMember("voice", "cid")])
    small.run()
    links.later = 12 * HOUR
    assert rows(small.run(), "cid") == [("remove", "cid", "held", "protected", None)]


def test_a_domain_controller_without_the_control_is_not_asked(small: Pipeline, links: TemporaryLinks) -> None:
    links.supported = False
    links.ends["Cid"] = small.directory.clock() + HOUR
    small.run()
    assert links.answered == 0


# -- dynamic objects ----------------------------------------------------------------------------------


def test_an_account_that_dies_leaves_its_groups(small: Pipeline, links: TemporaryLinks) -> None:
    links.dynamic["Cid"] = small.directory.clock() + HOUR
    small.run()
    assert "cid" in members(small, "Voice")
    links.later = 2 * HOUR
    assert [row[:1] + row[2:] for row in rows(small.run())] == [("remove", "success", None, None)]
    assert members(small, "Voice") == {"ann", "bob", "mia"}
    assert rows(small.run()) == []


def test_a_nested_group_that_dies_takes_its_members_along(small: Pipeline, links: TemporaryLinks) -> None:
    links.dynamic["Core"] = small.directory.clock() + HOUR
    small.run()
    links.later = 2 * HOUR
    assert rows(small.run()) == [("remove", "eve", "success", None, None)]


def test_an_account_whose_life_was_extended_stays(small: Pipeline, links: TemporaryLinks) -> None:
    links.dynamic["Cid"] = small.directory.clock() + HOUR
    small.run()
    links.dynamic["Cid"] += 10 * HOUR
    links.later = 2 * HOUR
    assert rows(small.run()) == []
    links.later = 12 * HOUR
    assert len(rows(small.run())) == 1
    assert members(small, "Voice") == {"ann", "bob", "mia"}


def test_where_everything_is_read_at_each_poll_an_announced_end_counts_too(
    small: Pipeline, links: TemporaryLinks
) -> None:
    """DirSync cannot follow this filter."""
    keys = definition_keys()
    small.redefine(
        **{
            **keys,
            "directory": {
                **keys["directory"],
                "group_filter": "(&(objectClass=group)(!(memberOf=CN=No,DC=example,DC=com)))",
            },
            "limits": {**keys["limits"], "shrink_percent": 30, "min_group_size": 2},
        }
    )
    links.ends["Cid"], links.dynamic["Dan"] = [small.directory.clock() + HOUR] * 2
    assert any("every poll reads the whole view" in note for note in small.run()["notes"])
    links.later = 2 * HOUR
    assert sorted(row[0] + row[2] for row in rows(small.run())) == ["removesuccess", "removesuccess"]
    assert members(small, "Voice") == {"ann", "bob", "mia"}
    assert members(small, "Chat") == {"eve"}
