"""Which changes of a poll are held, because what is known already speaks against them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Action, Change, DirectoryUser, Guid, Reason, Scope, StoredCursor
from genesys_ad_sync.polling.doubts import (
    Step,
    contradicting,
    hold_doubtful,
    membership_rules,
    why_doubted,
    without_hold_if_told,
)
from tests.support.journal import T0, change, cursor, user

SCOPE = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), ("mail",))
EDITED = replace(SCOPE, group_filter="(y=*)")
LEFT, CAME = change("g", "ann", Action.REMOVE), change("g", "ann")


@dataclass
class Known:
    """What the journal knows: who left a group, which accounts are deleted, and accounts as last seen."""

    left: set[tuple[Guid, Guid]] = field(default_factory=set)
    deleted: set[Guid] = field(default_factory=set)
    people: tuple[DirectoryUser, ...] = ()

    @property
    def journal(self) -> DefinitionJournal:
        def removed(asked: Iterable[tuple[Guid, Guid]]) -> set[tuple[Guid, Guid]]:
            return self.left & set(asked)

        views = SimpleNamespace(
            deleted_users=lambda: frozenset(self.deleted),
            users=lambda guids: {one.guid: one for one in self.people if one.guid in guids},
        )
        return cast("DefinitionJournal", SimpleNamespace(changes=SimpleNamespace(removed=removed), views=views))


NOTHING = Known()


def step(*, doubted: bool = True, scope: Scope = SCOPE, delta: Delta | None = None) -> Step:
    """Return a poll of dc2, after polls of dc1. ``scope``: of those polls."""
    fresh = cursor(domain_controller="dc2.example.com", invocation_id="i2")
    seen = replace(fresh, doubted_since=T0, trusted_dc="dc1.example.com") if doubted else fresh
    return Step(StoredCursor(cursor(), scope.fingerprint, 1, T0), fresh, seen, delta, frozenset(), T0)


def held(*changes: Change, known: Known = NOTHING, scope: Scope = SCOPE, **more: Any) -> list[Reason | None]:
    """Return the reasons of the changes, none of which AD reported."""
    shown = more.pop("shown", changes)
    made = hold_doubtful(known.journal, scope, step(**more), changes, changes, shown)
    return [one.held_reason for one in made]


def test_an_edited_scope_and_another_domain_controller_are_doubted_and_nothing_else() -> None:
    assert why_doubted(step(doubted=False), SCOPE) is None
    assert why_doubted(step(), SCOPE) is Reason.OTHER_DOMAIN_CONTROLLER
    assert why_doubted(step(doubted=False, scope=EDITED), SCOPE) is Reason.SCOPE_CHANGED
    more = replace(SCOPE, user_attributes=("mail", "employeenumber"), group_attributes=("info",))
    assert membership_rules(more) == membership_rules(SCOPE)
    assert why_doubted(step(doubted=False, scope=more), SCOPE) is None


def test_a_removal_that_is_only_shown_is_held_and_names_both_domain_controllers() -> None:
    [one] = hold_doubtful(NOTHING.journal, SCOPE, step(), [LEFT], [LEFT], [LEFT])
    assert (one.held_reason, one.trusted_dc) == (Reason.OTHER_DOMAIN_CONTROLLER, "dc1.example.com")
    assert one.doubt is not None
    assert one.doubt.shown_by == "dc2.example.com"
    assert held(LEFT, doubted=False) == [None]
    told = hold_doubtful(NOTHING.journal, SCOPE, step(), [LEFT], [], [LEFT])
    assert [one.held_reason for one in told] == [None]


def test_an_edited_scope_holds_its_removals_and_no_addition() -> None:
    assert held(LEFT, change("g", "bob"), doubted=False, scope=EDITED) == [Reason.SCOPE_CHANGED, None]
    gone = Known(deleted={"bob"})
    assert held(change("g", "bob"), doubted=False, scope=EDITED, known=gone) == [None]


def test_what_the_domain_controller_shows_is_its_own_whatever_was_edited() -> None:
    other = change("g", "bob", Action.REMOVE)  # only by the edited scope
    reasons = held(LEFT, other, scope=EDITED, shown=[LEFT])
    assert reasons == [Reason.OTHER_DOMAIN_CONTROLLER, Reason.SCOPE_CHANGED]


@pytest.mark.parametrize(
    ("known", "is_held"),
    [
        (NOTHING, False),
        (Known(left={("g", "ann")}), True),
        (Known(left={("h", "ann")}), False),
        (Known(deleted={"ann"}), True),
        (Known(deleted={"bob"}), False),
        (Known(people=(user("ann", disabled=True),)), True),
        (Known(people=(user("ann", expired=True),)), False),  # expired_users: keep
        (Known(people=(user("ann"),)), False),
    ],
)
def test_an_addition_is_held_where_it_contradicts_the_journal(known: Known, is_held: bool) -> None:
    assert held(CAME, known=known) == [Reason.OTHER_DOMAIN_CONTROLLER if is_held else None]
    assert contradicting(known.journal, [CAME], SCOPE) == ([CAME] if is_held else [])


def test_what_ad_reported_of_a_group_out_of_view_is_not_held() -> None:
    reported = Delta(cursor(), T0, {"g": (frozenset(), frozenset({"ann"}))}, frozenset(), frozenset(), {}, 1)
    hidden = [replace(LEFT, held_reason=Reason.MAPPING_CHANGED), change("g", "bob", Action.REMOVE)]
    unreported = change("g", "cid", Action.REMOVE, held_reason=Reason.MAPPING_CHANGED)
    doubted = replace(LEFT, held_reason=Reason.OTHER_DOMAIN_CONTROLLER)
    changes = [*hidden, unreported, doubted]
    reasons = [one.held_reason for one in without_hold_if_told(changes, reported)]
    assert reasons == [None, None, Reason.MAPPING_CHANGED, Reason.OTHER_DOMAIN_CONTROLLER]
    assert without_hold_if_told(changes, None) == changes
