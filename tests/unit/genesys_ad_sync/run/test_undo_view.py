"""Who is who by now, when an undo would restore a membership."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, Grant, GroupPair, Link, Row, Status
from genesys_ad_sync.run.undo_view import granted_otherwise, linked_otherwise
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import definition, poll

ANN = Row(Action.ADD, Status.SUCCESS, "G", "ann", ("g1",), genesys_user_id="x")
"""Added as Genesys user x, by the AD account ann."""


def task_of(journal: Journal) -> Any:
    mapping = SimpleNamespace(pairs=[GroupPair("g1", "G", "Voice", 0)])
    facts = SimpleNamespace(required=lambda _: mapping)
    return SimpleNamespace(journal=journal.of(DEFINITION), facts=facts, definition=definition())


@pytest.mark.parametrize(
    ("members", "quinn", "expected"),
    [("ann quinn", "x", {ANN.key}), ("ann", "x", set()), ("ann quinn", "y", set()), ("ann quinn", None, set())],
    ids=["wanted as another account", "not wanted", "that account is another user", "no link"],
)
def test_a_user_whom_ad_wants_through_another_account_is_granted_otherwise(
    journal: Journal, members: str, quinn: str | None, expected: set[str]
) -> None:
    poll(journal, {"g1": members})
    of = journal.of(DEFINITION)
    of.grants.add([Grant("G", "x", "ann", "g1"), Grant("G", "x", "quinn", "g1")], T0)
    of.links.save([Link("ann", "z", "relink", T0), *([Link("quinn", quinn, "mail=email", T0)] if quinn else [])])
    assert granted_otherwise(task_of(journal), [ANN]) == expected


@pytest.mark.parametrize(("user", "expected"), [("x", set()), ("z", {("G", "ann")}), (None, set())])
def test_an_account_whose_link_has_moved_is_another_user(
    journal: Journal, user: str | None, expected: set[tuple[str, str]]
) -> None:
    journal.of(DEFINITION).links.save([Link("ann", user, "mail=email", T0)] if user else [])
    assert linked_otherwise(task_of(journal), [ANN]) == expected
