"""A removal ends what a definition that fed the Genesys group before remembers of the membership."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, Grant, Reason, Row, Status
from genesys_ad_sync.writing.ownership import drop_grants_of_settled_removals
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)

BOB, CID = Grant("G", "x-bob", "bob", "g1"), Grant("G", "x-cid", "cid", "g1")
REMOVED = Row(Action.REMOVE, Status.SUCCESS, "G", "bob", ("g1",), genesys_user_id="x-bob")


@pytest.mark.parametrize(
    ("row", "left"),
    [
        (REMOVED, [CID]),
        (replace(REMOVED, status=Status.UNCHANGED, reason=Reason.ALREADY_SO), [BOB, CID]),  # that may be theirs
        (replace(REMOVED, status=Status.UNCHANGED, reason=Reason.STILL_GRANTED), [BOB, CID]),
        (replace(REMOVED, status=Status.HELD, reason=Reason.UNPROVEN), [BOB, CID]),
    ],
    ids=["removed", "out already", "still granted", "held"],
)
def test_who_was_removed_is_owned_by_no_former_feeder(journal: Journal, row: Row, left: list[Grant]) -> None:
    """Who is put back by hand afterwards stays, also when the former definition feeds the group again."""
    for name in ("former", "present"):
        journal.of(name).grants.add([BOB, CID], T0)
    task: Any = SimpleNamespace(journal=journal.of("present"), clock=lambda: T0)
    drop_grants_of_settled_removals(task, [row])
    assert sorted(journal.of("former").grants.of_groups(["G"]), key=str) == left
