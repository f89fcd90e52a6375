"""Whose Genesys user a plan needs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from genesys_ad_sync.run.users import users_of_targets
from tests.support.sync_examples import change, definition, target


def test_who_may_claim_a_member_that_goes_is_looked_up_shown_or_not() -> None:
    task: Any = SimpleNamespace(definition=definition())
    facts: dict[str, Any] = {"wanted": {"bob": ("g1",)}, "unreadable": frozenset({"hidden"})}
    losing = target(changes=(change("remove", "ann"),), **facts)
    assert users_of_targets(task, [losing]) == {"ann", "bob", "hidden"}
    assert users_of_targets(task, [target(full=True, **facts)]) == {"bob", "hidden"}
    assert users_of_targets(task, [target(changes=(change("add", "ann"),), **facts)]) == {"ann"}
