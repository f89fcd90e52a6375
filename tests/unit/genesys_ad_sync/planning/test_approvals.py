"""Which rows wait for an approver: limits, protected groups, a restored journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from genesys_ad_sync.model import ABOUT_KEYS, Doubt, Match, Reason
from genesys_ad_sync.planning import Plan
from genesys_ad_sync.report.remedies import remedy
from tests.support.planning_examples import removed
from tests.support.sync_examples import change, definition, genesys_group, grant, matches, planned, target, told


def leaving(count: int, id_: str = "G", owned: int = 0, **changed: Any) -> Any:
    """Return a Genesys group that ``count`` of its ``owned`` people leave."""
    users = [f"{id_}-{number:03}" for number in range(max(count, owned))]
    facts = {
        "genesys_group": genesys_group(id_, f"Team {id_}"),
        "members": frozenset(f"x-{user}" for user in users),
        "grants": tuple(grant(user, target=id_) for user in users),
        "changes": tuple(change("remove", user, id=number) for number, user in enumerate(users[:count])),
        **changed,
    }
    return target(**facts)


def known_of(*targets: Any) -> dict[str, Match]:
    return matches(*{one.user_guid for made in targets for one in made.changes if one.user_guid})


def statuses(made: Plan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in made.rows:
        word = row.reason.value if row.reason else row.status.value
        found.setdefault(row.genesys_group_id or "", set()).add(word)
    return found


def test_a_person_is_asked_about_what_ad_cannot_decide_and_the_row_names_the_domain_controllers() -> None:
    doubt = Doubt({"i1": 7}, {"dc1.example.com": 2}, "dc2.example.com")
    held = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER, trusted_dc="dc1", doubt=doubt)
    waits = removed(changes=(held,))
    asks = removed(changes=(replace(held, doubt=replace(doubt, ask=True)),))
    assert (waits.needs_approval, asks.needs_approval) == (frozenset(), {asks.rows[0].key})
    assert told(waits) == told(asks) == [("remove", "ann", "held", "other_domain_controller")]
    about = {
        "domain_controller": "dc1.example.com",
        "behind": "2 changes of dc1.example.com",
        "shown_by": "dc2.example.com",
        "since": held.observed_at.isoformat(),
    }
    assert waits.rows[0].about == about
    assert asks.rows[0].about == {**about, "ask": "yes"}
    assert waits.rows[0].about.keys() | asks.rows[0].about.keys() <= ABOUT_KEYS
    assert "dc1.example.com answers again" in (remedy(waits.rows[0]) or "")
    assert "approve_removals" in (remedy(asks.rows[0]) or "")
    both = replace(asks.rows[0], reason=Reason.MAPPING_CHANGED)
    assert "came back without this member" in (remedy(both) or "")


def test_nobody_is_asked_while_ad_may_still_decide_for_one_of_two_groups() -> None:
    asked = Doubt(ask=True)
    held = change("remove", "ann", held_reason=Reason.OTHER_DOMAIN_CONTROLLER, doubt=asked)
    other = change("remove", "ann", "g2", id=2, held_reason=Reason.OTHER_DOMAIN_CONTROLLER, doubt=Doubt())
    made = removed(sources=("g1", "g2"), changes=(held, other), grants=(grant("ann"), grant("ann", "g2")))
    assert made.needs_approval == frozenset()


def test_a_limit_of_a_group_holds_all_removals_of_that_group_and_no_others() -> None:
    policy = definition(limits={"removals": 2, "min_group_size": 1000})
    groups = (leaving(3, "G"), leaving(2, "H"))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"over_limit"}, "H": {"planned"}}
    assert made.fail_reason is None


def test_the_percentage_is_of_the_present_members_whom_ad_owns() -> None:
    policy = definition(limits={"removals_percent": 20, "min_group_size": 10})
    within, beyond = leaving(2, owned=10), leaving(3, owned=10)
    assert statuses(planned(within, known=known_of(within), policy=policy)) == {"G": {"planned"}}
    assert statuses(planned(beyond, known=known_of(beyond), policy=policy)) == {"G": {"over_limit"}}
    manual = replace(beyond, members=beyond.members | {f"manual-{n}" for n in range(90)})
    assert statuses(planned(manual, known=known_of(manual), policy=policy)) == {"G": {"over_limit"}}


def test_grants_of_people_who_are_no_members_make_no_group_larger() -> None:
    policy = definition(limits={"removals_percent": 20, "min_group_size": 10})
    group = leaving(3, owned=10)
    once = tuple(grant(f"once-{number}") for number in range(90))
    made = planned(replace(group, grants=group.grants + once), known=known_of(group), policy=policy)
    assert statuses(made) == {"G": {"over_limit"}}


def test_limits_of_run_and_day_hold_every_removal() -> None:
    groups = (leaving(3, "G"), leaving(3, "H"))
    known = known_of(*groups)
    per_run = definition(limits={"per_run": 5, "min_group_size": 1000})
    assert statuses(planned(*groups, known=known, policy=per_run)) == {"G": {"over_limit"}, "H": {"over_limit"}}
    per_day = definition(limits={"per_day": 10, "min_group_size": 1000})
    assert statuses(planned(*groups, known=known, policy=per_day, removed_today=4)) == {
        "G": {"planned"},
        "H": {"planned"},
    }
    assert statuses(planned(*groups, known=known, policy=per_day, removed_today=5)) == {
        "G": {"over_limit"},
        "H": {"over_limit"},
    }


def test_an_exceeded_limit_stops_no_add() -> None:
    group = leaving(3)
    group = replace(group, wanted={"new": ("g1",)}, changes=(*group.changes, change("add", "new", id=99)))
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 0}))
    assert told(made)[0] == ("add", "new", "planned", None)


def test_removals_that_no_limit_could_let_through_do_not_count() -> None:
    policy = definition(limits={"per_run": 3, "min_group_size": 1000})
    groups = (leaving(3, "G"), leaving(5, "H", complete=False))
    made = planned(*groups, known=known_of(*groups), policy=policy)
    assert statuses(made) == {"G": {"planned"}, "H": {"unproven"}}


def test_on_excess_fail_says_which_limit() -> None:
    group = leaving(3)
    made = planned(group, known=known_of(group), policy=definition(limits={"removals": 2, "on_excess": "fail"}))
    assert made.fail_reason is not None
    assert "limits.removals is 2" in made.fail_reason
    assert made.lanes == ()


def test_protected_groups_need_a_person_for_adds_and_removals_and_these_count() -> None:
    policy = definition(protect=["sal*"], limits={"per_run": 1, "min_group_size": 1000})
    protected = target(
        members=frozenset({"x-ann"}),
        grants=(grant("ann"),),
        wanted={"bob": ("g1",)},
        changes=(change("remove", "ann"), change("add", "bob", id=2)),
    )
    other = leaving(1, "H")
    made = planned(protected, other, known=matches("ann", "bob", "H-000"), policy=policy)
    assert statuses(made) == {"G": {"protected"}, "H": {"over_limit"}}


def test_a_restored_journal_holds_additions_and_removals() -> None:
    assert told(removed(context={"journal_restored": True})) == [("remove", "ann", "held", "journal_restored")]
    made = planned(
        target(wanted={"ann": ("g1",)}, changes=(change("add", "ann"),)),
        known=matches("ann"),
        journal_restored=True,
    )
    assert told(made) == [("add", "ann", "held", "journal_restored")]
    assert made.needs_approval == {"G:ann:add"}


def test_under_mirror_a_share_of_all_members_may_go_not_of_those_whom_ad_owns() -> None:
    """An AD group that looks empty in the first comparison would take everybody out: AD owns nobody yet."""
    facts = target(full=True, members=frozenset(f"x{number}" for number in range(40)))
    made = planned(facts, policy=definition(removals="mirror"))
    assert {row.reason for row in made.rows} == {Reason.OVER_LIMIT}
    assert len(made.needs_approval) == 40
