"""Whose Genesys user a plan needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from genesys_ad_sync.model import Status
from genesys_ad_sync.run.users import states_of, users_of_targets, users_to_verify
from tests.support.sync_examples import change, definition, target


def test_who_may_claim_a_member_that_goes_is_looked_up_shown_or_not() -> None:
    task: Any = SimpleNamespace(definition=definition())
    facts: dict[str, Any] = {"wanted": {"bob": ("g1",)}, "unreadable": frozenset({"hidden"})}
    losing = target(changes=(change("remove", "ann"),), **facts)
    assert users_of_targets(task, [losing]) == {"ann", "bob", "hidden"}
    assert users_of_targets(task, [target(full=True, **facts)]) == {"bob", "hidden"}
    assert users_of_targets(task, [target(changes=(change("add", "ann"),), **facts)]) == {"ann"}


def test_who_may_be_added_and_whose_change_failed_is_looked_at_link_or_not() -> None:
    changes = (
        change("add", "ann"),
        change("remove", "bob"),
        change("remove", "cid", status=Status.FAILED),
        change("add", "dan", settled_by="dag/run"),
    )
    assert users_to_verify([target(changes=changes, wanted={"eve": ("g1",)})]) == {"ann", "cid"}
    assert users_to_verify([target(full=True, wanted={"eve": ("g1",)})]) == {"eve"}


def test_whom_genesys_does_not_show_has_an_unknown_state() -> None:
    task: Any = SimpleNamespace(genesys=SimpleNamespace(user_states=lambda _: {"x": "active"}))
    assert states_of(task, ["x", "y"]) == {"x": "active", "y": "unknown"}
