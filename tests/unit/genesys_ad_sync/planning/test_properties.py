"""The truths of design.md, for any view of AD, journal, state of Genesys and completeness that hypothesis finds.

PROPERTY_EXAMPLES=2000 in the environment searches longer.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genesys_ad_sync.model import (
    SETTLED,
    Action,
    Change,
    Evidence,
    Grant,
    Guid,
    Match,
    MatchStatus,
    Objection,
    Reason,
    Row,
    RowKey,
    RunKey,
    Status,
)
from genesys_ad_sync.planning import Plan, PlanContext, Target, plan, recheck
from genesys_ad_sync.planning.inputs import LimitFacts
from genesys_ad_sync.settings import SyncDefinition
from tests.support.sync_examples import NOON, change, definition, genesys_group

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "60"))
USERS = [f"u{number}" for number in range(6)]
IDS = [f"x{number}" for number in range(6)]
STRANGERS = ["s0", "s1"]
FEEDING = {"G": ("g1", "g2"), "H": ("g3",)}
RETIRED = frozenset({"g9"})

subsets = st.frozensets(st.sampled_from([*IDS, *STRANGERS]))


@st.composite
def match_tables(draw: st.DrawFn) -> dict[str, Match]:
    table = {}
    for user in USERS:
        kind = draw(st.sampled_from([*MatchStatus, MatchStatus.MATCHED, MatchStatus.MATCHED, None]))
        own = f"x{user[1]}"
        id_ = draw(st.sampled_from([own, own, own, *IDS]))
        if kind in {MatchStatus.MATCHED, MatchStatus.INACTIVE}:
            table[user] = Match(user, kind, id_, "mail=email")
        elif kind is MatchStatus.ORPHANED:
            table[user] = Match(user, kind, reason=Reason.NO_GENESYS_USER)
        elif kind is MatchStatus.AMBIGUOUS:
            table[user] = Match(user, kind, reason=Reason.AMBIGUOUS, candidates=tuple(draw(subsets)))
    return table


@st.composite
def targets(draw: st.DrawFn, group: str, first_id: int) -> Target:
    feeding = draw(st.sampled_from([FEEDING[group], FEEDING[group], FEEDING[group][:1], ()]))
    effective = {}
    if feeding:
        for user in draw(st.frozensets(st.sampled_from(USERS))):
            effective[user] = tuple(sorted(draw(st.frozensets(st.sampled_from(feeding), min_size=1))))
    groups = st.sampled_from([*FEEDING[group], "g9"])
    grants = draw(
        st.frozensets(
            st.builds(Grant, st.just(group), st.sampled_from(IDS), st.sampled_from(USERS), groups), max_size=6
        )
    )
    changes = tuple(_change(draw, groups, first_id + number) for number in range(draw(st.integers(0, 6))))
    return Target(
        genesys_group=genesys_group(group, f"Team {group}"),
        sources=feeding,
        full=draw(st.booleans()),
        wanted=effective,
        complete=draw(st.booleans()),
        members=draw(st.one_of(subsets, subsets, subsets, st.none())),
        grants=tuple(sorted(grants, key=str)),
        changes=changes,
        claimed_by=draw(st.sampled_from([None, None, None, "other"])),
        former_sources=RETIRED,
        unreadable=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"hidden"})])),
        mirror_confirmed=draw(st.sampled_from([True, True, False])),
        empty_sources=draw(st.sampled_from([(), (), feeding[:1]])),
        proven_by=draw(st.sampled_from([None, 5, 5, 3])),
        listed_last=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"u0", "u1"})])),
        unconfirmed=draw(st.sampled_from([frozenset(), frozenset(), frozenset(feeding[:1])])),
    )


def _change(draw: st.DrawFn, groups: st.SearchStrategy[str], id_: int) -> Change:
    action = draw(st.sampled_from(["add", "remove"]))
    status = draw(st.sampled_from([None, None, Status.FAILED, Status.HELD, Status.SUCCESS, Status.SUPERSEDED]))
    fields: dict[str, Any] = {
        "id": id_,
        "status": status,
        "settled_by": "run-0" if status in SETTLED else None,
        "held_reason": draw(
            st.sampled_from([None, None, None, None, Reason.SCOPE_CHANGED, Reason.OTHER_DOMAIN_CONTROLLER])
        ),
        "poll": draw(st.sampled_from([0, 2, 4])),
        "evidence": draw(st.sampled_from([Evidence.TOLD, Evidence.SEEN])),
    }
    user: str | None = draw(st.sampled_from(USERS))
    if action == "remove" and draw(st.integers(0, 9)) == 0:
        user, fields["genesys_user_id"] = None, draw(st.sampled_from([*IDS, *STRANGERS]))
    return change(action, user, draw(groups), **fields)


policies = st.builds(
    lambda removals, on_excess, limit, percent, protect, empty, adds, adds_percent: definition(
        removals=removals,
        protect=protect,
        limits={
            "removals": limit,
            "per_run": limit + 1,
            "per_day": limit + 2,
            "removals_percent": percent,
            "min_group_size": 2,
            "on_excess": on_excess,
            "empty_group": empty,
            "additions": adds,
            "additions_per_run": adds + 1,
            "additions_percent": adds_percent,
        },
    ),
    st.sampled_from(["granted", "granted", "mirror", "never"]),
    st.sampled_from(["approve", "hold", "fail"]),
    st.sampled_from([0, 1, 2, 50]),
    st.sampled_from([20, 100]),
    st.sampled_from([[], [], ["Team H"], ["H"]]),
    st.sampled_from(["approve", "hold", "allow"]),
    st.sampled_from([0, 1, 2, 50]),
    st.sampled_from([None, 20, 100]),
)

keys_elsewhere = st.builds(
    lambda group, user, action: f"{group}:{user}:{action}",
    st.sampled_from(["G", "H", "I"]),
    st.sampled_from([*USERS, "else"]),
    st.sampled_from(["add", "remove"]),
)
counts = st.dictionaries(st.sampled_from(["G", "H", "I"]), st.sampled_from([1, 2, 600]), max_size=2)


@st.composite
def limit_facts(draw: st.DrawFn) -> LimitFacts:
    before = st.sampled_from([(), (), (), ("removals",)])
    return LimitFacts(
        removed=draw(counts),
        added=draw(counts),
        unverified=draw(st.frozensets(keys_elsewhere, max_size=1)),
        most_owned=draw(counts),
        elsewhere=draw(st.dictionaries(keys_elsewhere, before, max_size=2)),
        went_over=draw(st.dictionaries(st.sampled_from([1, 2, 101]), before, max_size=1)),
        approved=draw(st.dictionaries(keys_elsewhere, st.just("dag/asks"), max_size=1)),
    )


accounts = st.frozensets(st.sampled_from(USERS), max_size=2)
decisions = st.dictionaries(
    keys_elsewhere,
    st.builds(
        lambda last_change: Objection(Reason.REJECTED, RunKey("dag", "asked"), NOON, last_change),
        st.sampled_from([0, 3, 103, 999]),
    ),
    max_size=2,
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Target], dict[str, Match], SyncDefinition, PlanContext]:
    context = PlanContext(
        observed_at=NOON,
        limits=draw(st.one_of(st.just(LimitFacts()), limit_facts())),
        journal_restored=draw(st.sampled_from([False, False, True])),
        excluded_users=draw(accounts),
        deleted_users=draw(st.one_of(st.just(frozenset()), accounts)),
        disabled_users=draw(st.one_of(st.just(frozenset()), accounts)),
        objections=draw(st.one_of(st.just({}), decisions)),
        groups_hidden=draw(st.sampled_from([False, False, False, True])),
        user_states=draw(
            st.dictionaries(st.sampled_from(IDS), st.sampled_from(["active", "inactive", "deleted", "unknown"]))
        ),
        mirror_once=draw(st.sampled_from([False, False, False, True])),
    )
    return [draw(targets("G", 1)), draw(targets("H", 101))], draw(match_tables()), draw(policies), context


IDENTIFIED = {MatchStatus.MATCHED, MatchStatus.INACTIVE}
World = tuple[list[Target], dict[str, Match], SyncDefinition, PlanContext]


def made_for(world: World) -> Plan:
    groups, known, policy, context = world
    return plan(groups, known, (), policy, context)


def applied(world: World, made: Plan) -> World:
    """Return the world after a run that wrote everything planned, and settled what it could."""
    groups, known, policy, context = world
    after = []
    for group in groups:
        rows = [row for row in made.rows if row.genesys_group_id == group.genesys_group.id]
        present, grants = set(group.members or ()), set(group.grants)
        settled: set[int] = set()
        for row in rows:
            if row.status in SETTLED or row.status is Status.PLANNED:
                settled |= set(row.change_ids)
            if row.status is not Status.PLANNED:
                continue
            assert row.genesys_user_id is not None
            if row.action is Action.ADD:
                assert row.user_guid is not None
                present.add(row.genesys_user_id)
                grants |= {
                    Grant(group.genesys_group.id, row.genesys_user_id, row.user_guid, guid) for guid in row.group_guids
                }
            else:
                present.discard(row.genesys_user_id)
                grants = {grant for grant in grants if grant.genesys_user_id != row.genesys_user_id}
        after.append(
            replace(
                group,
                members=None if group.members is None else frozenset(present),
                grants=tuple(sorted(grants, key=str)),
                changes=tuple(one for one in group.changes if one.id not in settled and one.status not in SETTLED),
            )
        )
    return after, known, policy, context


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_plan_that_was_applied_leaves_nothing_to_write(world: World) -> None:
    made = made_for(world)
    after, known, policy, context = applied(world, made)
    again = plan(
        after, known, (), without_limits(policy), replace(context, journal_restored=False, limits=LimitFacts())
    )
    held = {row.key for row in made.rows if row.status is Status.HELD}
    assert [row for row in again.rows if row.status is Status.PLANNED and row.key not in held] == []


def without_limits(policy: SyncDefinition) -> SyncDefinition:
    """Lift the limits: a second plan that is empty because of them would prove nothing."""
    limits = policy.limits.model_copy(
        update={
            "removals": 999,
            "per_run": 999,
            "per_day": 9999,
            "removals_percent": 100,
            "empty_group": "allow",
            "additions": 999,
            "additions_per_run": 999,
            "additions_percent": None,
        }
    )
    return policy.model_copy(update={"limits": limits})


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_member_is_removed_unless_it_is_proven_owned_and_unclaimed(world: World) -> None:
    groups, known, policy, context = world
    by_id = {group.genesys_group.id: group for group in groups}
    for row in made_for(world).rows:
        if row.action is not Action.REMOVE or row.status is not Status.PLANNED:
            continue
        group = by_id[row.genesys_group_id or ""]
        grants = [grant for grant in group.grants if grant.genesys_user_id == row.genesys_user_id]
        assert group.complete
        behind = unsettled_behind(row, group)
        assert group.proven_by is None or all(one.poll <= group.proven_by for one in behind)
        assert not any(one.held_reason for one in newest_of_groups(behind))
        assert not is_decided_against(row, behind, context)
        assert not context.groups_hidden
        assert group.members is not None
        assert row.genesys_user_id in group.members or (row.unseen and grants)
        assert group.claimed_by is None
        assert group.sources
        assert policy.removals != "never"
        assert grants or (policy.removals == "mirror" and not context.mirror_once)
        if not grants:  # could not be read, could not be identified and is not there are three things
            assert not group.unreadable
            assert group.mirror_confirmed
            assert not group.empty_sources
            assert all(user in known and known[user].status in IDENTIFIED for user in group.wanted)
            assert not group.unconfirmed.issuperset(group.sources)
        assert {grant.group_guid for grant in grants} <= set(group.sources)
        assert group.wanted.keys() <= known.keys()  # one who was not looked up may be this member
        assert row.user_guid not in group.listed_last
        claimants = group.wanted.keys() - context.without_veto
        assert claimants.isdisjoint(grant.user_guid for grant in grants)
        assert not context.journal_restored
        assert row.user_guid not in context.excluded_users
        for user in claimants:
            assert row.genesys_user_id not in known[user].possible_ids


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_only_active_genesys_users_whom_ad_wants_are_added(world: World) -> None:
    groups, known, _, context = world
    by_id = {group.genesys_group.id: group for group in groups}
    for row in made_for(world).rows:
        if row.action is Action.ADD and row.status is Status.PLANNED:
            group = by_id[row.genesys_group_id or ""]
            assert row.user_guid in group.wanted
            assert row.user_guid not in context.excluded_users
            assert known[row.user_guid].status is MatchStatus.MATCHED
            assert known[row.user_guid].genesys_user_id == row.genesys_user_id
            assert group.claimed_by is None
            assert group.members is not None
            assert row.genesys_user_id not in group.members
            assert not context.journal_restored
            assert set(row.group_guids) == set(group.wanted[row.user_guid]) - group.unconfirmed != set()
            behind = unsettled_behind(row, group)
            assert not is_decided_against(row, behind, context)
            assert not doubted_by(behind).issuperset(row.group_guids)
            assert is_this_user_alone(row.user_guid, row.genesys_user_id, known, context)


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_ad_owns_only_what_it_wants_and_a_comparison_found_in_genesys(world: World) -> None:
    groups, known, _, context = world
    by_id = {group.genesys_group.id: group for group in groups}
    for grant in made_for(world).new_grants:
        group = by_id[grant.genesys_group_id]
        assert grant.group_guid in set(group.wanted[grant.user_guid]) - group.unconfirmed
        if grant.genesys_user_id in {one.genesys_user_id for one in group.grants}:
            continue  # it passes from one AD group or account to another
        assert group.full
        assert group.claimed_by is None
        assert grant.genesys_user_id in (group.members or ())
        assert grant.user_guid not in context.excluded_users
        assert is_this_user_alone(grant.user_guid, grant.genesys_user_id, known, context)


def unsettled_behind(row: Row, group: Target) -> list[Change]:
    return [one for one in group.changes if one.id in row.change_ids and one.status not in SETTLED]


def newest_of_groups(changes: list[Change]) -> list[Change]:
    """Return the newest change of each AD group."""
    return list({one.group_guid: one for one in sorted(changes, key=lambda one: one.id or 0)}.values())


def doubted_by(changes: list[Change]) -> set[Guid]:
    newest = newest_of_groups(changes)
    return {one.group_guid for one in newest if one.held_reason is Reason.OTHER_DOMAIN_CONTROLLER}


def is_decided_against(row: Row, behind: list[Change], context: PlanContext) -> bool:
    objection = context.objections.get(row.key)
    told = max((one.id or 0 for one in behind if one.evidence is Evidence.TOLD), default=0)
    return objection is not None and told <= objection.last_change


def is_this_user_alone(user: Guid, genesys_id: str, known: dict[str, Match], context: PlanContext) -> bool:
    others = [match for other, match in known.items() if other not in context.without_veto | {user}]
    return known[user].genesys_user_id == genesys_id and not any(genesys_id in one.possible_ids for one in others)


def written_by(made: Plan, action: Action) -> Counter[str]:
    """Count what a plan writes, by Genesys group."""
    return Counter(
        row.genesys_group_id or "" for row in made.rows if row.action is action and row.status is Status.PLANNED
    )


def elsewhere_of(world: World, made: Plan, action: Action) -> Counter[str]:
    known = {row.key for row in made.rows}
    keys = [RowKey.parse(key) for key in world[3].limits.elsewhere if key not in known]
    return Counter(key.target for key in keys if key.action is action)


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_limits_of_removals_are_never_exceeded(world: World) -> None:
    groups, _, policy, context = world
    made, limits, facts = made_for(world), policy.limits, context.limits
    here, pending = written_by(made, Action.REMOVE), elsewhere_of(world, made, Action.REMOVE)
    if not here:
        return
    total = (here + pending).total()
    assert total <= limits.per_run
    assert sum(facts.removed.values()) + total <= limits.per_day
    for group in groups:
        id_ = group.genesys_group.id
        present = group.members or frozenset()
        owned = present if policy.removals == "mirror" else present & {g.genesys_user_id for g in group.grants}
        removed, before = facts.removed.get(id_, 0), len(owned) + facts.removed.get(id_, 0)
        if not here[id_]:
            continue
        count = here[id_] + pending[id_]
        assert count <= limits.removals
        assert before < limits.min_group_size or (count + removed) * 100 <= limits.removals_percent * before
        assert not {id_, group.genesys_group.name} & set(policy.protect)


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_limits_of_additions_are_never_exceeded(world: World) -> None:
    groups, _, policy, context = world
    made, limits, facts = made_for(world), policy.limits, context.limits
    here, pending = written_by(made, Action.ADD), elsewhere_of(world, made, Action.ADD)
    if not here:
        return
    assert (here + pending).total() <= limits.additions_per_run
    for group in groups:
        id_ = group.genesys_group.id
        added = facts.added.get(id_, 0)
        before = len(group.members or ()) - added
        if not here[id_]:
            continue
        count = here[id_] + pending[id_]
        assert count <= limits.additions
        if limits.additions_percent is not None and before >= limits.min_group_size:
            assert (count + added) * 100 <= limits.additions_percent * before
        assert not {id_, group.genesys_group.name} & set(policy.protect)


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_group_of_two_or_more_is_emptied_without_a_person(world: World) -> None:
    groups, _, policy, context = world
    made = made_for(world)
    if policy.limits.empty_group == "allow":
        return
    for group in groups:
        id_ = group.genesys_group.id
        owned = {grant.genesys_user_id for grant in group.grants} & (group.members or frozenset())
        own = [row for row in made.rows if row.genesys_group_id == id_ and row.status is Status.PLANNED]
        leaving = {row.genesys_user_id for row in own if row.action is Action.REMOVE}
        if owned & leaving and not any(row.action is Action.ADD for row in own):
            most = max(len({grant.genesys_user_id for grant in group.grants}), context.limits.most_owned.get(id_, 0))
            assert owned - leaving or most <= 1


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_went_over_or_was_approved_elsewhere_is_not_written(world: World) -> None:
    _, _, policy, context = world
    facts = context.limits
    for row in made_for(world).rows:
        if row.status is Status.PLANNED and row.reason is None:
            assert row.key not in facts.approved
            assert not any(facts.went_over.get(id_) for id_ in row.change_ids)
        if row.reason in {Reason.OVER_LIMIT, Reason.OVER_ADDITIONS, Reason.EMPTY_GROUP}:
            assert row.status is Status.HELD
            assert row.about["limit"].startswith("limits.")
    if policy.limits.on_excess != "approve":
        reasons = {row.reason for row in made_for(world).rows if row.key in made_for(world).needs_approval}
        assert not reasons & {Reason.OVER_LIMIT, Reason.OVER_ADDITIONS}


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_rows_are_unique_and_every_unsettled_change_stands_in_exactly_one(world: World) -> None:
    groups, *_ = world
    rows = made_for(world).rows
    assert len({row.key for row in rows}) == len(rows)
    listed = Counter(id_ for row in rows for id_ in row.change_ids)
    assert listed == Counter(one.id for group in groups for one in group.changes if one.status not in SETTLED)
    assert all((row.lane is not None) == (row.status is Status.PLANNED) for row in rows)
    assert all(row.reason is not None for row in rows if row.status in {Status.HELD, Status.ORPHANED, Status.SKIPPED})


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_every_row_without_a_change_is_given_to_the_journal(world: World) -> None:
    made = made_for(world)
    recorded = {key for key, _ in made.comparison_changes}
    lasting = [
        row for row in made.rows if (row.user_guid or row.genesys_user_id) and row.reason is not Reason.MAPPING_CHANGED
    ]
    if world[3].mirror_once:  # a stranger's removal ends with the run
        lasting = [row for row in lasting if not row.about.get("member")]
    assert recorded == {row.key for row in lasting if not row.change_ids and not row.settled_by}


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_the_same_facts_give_the_same_plan_whatever_their_order(world: World) -> None:
    groups, known, policy, context = world
    turned = [replace(group, changes=group.changes[::-1], grants=group.grants[::-1]) for group in reversed(groups)]
    backwards = plan(turned, dict(reversed(known.items())), (), policy, context)
    assert backwards.rows == made_for(world).rows
    assert backwards.hash == made_for(world).hash


@given(worlds(), worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_recheck_keeps_what_still_holds_and_never_grows(world: World, other: World) -> None:
    groups, known, policy, context = world
    context = replace(context, objections={})  # the caller leaves out those that have ended
    made = made_for((groups, known, policy, context))
    for group, changed in zip(groups, other[0], strict=True):
        frozen = [
            row for row in made.rows if row.genesys_group_id == group.genesys_group.id and row.status is Status.PLANNED
        ]
        assert recheck(frozen, group, known, policy, context) == tuple(frozen)
        later = recheck(frozen, changed, other[1], policy, context)
        assert [(row.key, row.genesys_user_id) for row in later] == [(row.key, row.genesys_user_id) for row in frozen]
        for row in later:
            if row.status is Status.PLANNED and row.action is Action.REMOVE:
                assert changed.complete
                assert row.user_guid not in changed.wanted


@given(worlds())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_dry_run_decides_the_same_and_gives_nothing_to_write(world: World) -> None:
    groups, known, policy, context = world
    dry = plan(groups, known, (), policy, replace(context, dry_run=True))
    assert dry.lanes == ()
    assert dry.rows == tuple(replace(row, lane=None) for row in made_for(world).rows)
