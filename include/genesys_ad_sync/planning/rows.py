"""Turns changes and verdicts into the rows of the plan and of the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from genesys_ad_sync.model import (
    SETTLED,
    Action,
    Change,
    GenesysGroup,
    GroupResult,
    Guid,
    Reason,
    Row,
    SkippedGroup,
    Status,
)
from genesys_ad_sync.planning import strangers
from genesys_ad_sync.planning.evidence import age, change_ids
from genesys_ad_sync.planning.facts import Person, TargetFacts
from genesys_ad_sync.planning.inputs import PlanContext, UnmappedGroup
from genesys_ad_sync.planning.refusals import Waiting, with_answer
from genesys_ad_sync.planning.verdicts import Proposal, Verdict, decide

# -- one Genesys group --------------------------------------------------------------------------------


def rows_of_target(facts: TargetFacts) -> list[Row]:
    """Return one row per person and action of a target.

    Rows come from changes and, in a complete comparison, from differences.
    """
    folded: dict[tuple[Person, Action], list[Change]] = {}
    for change in facts.target.changes:
        folded.setdefault((facts.person_of(change), change.action), []).append(change)
    differing = set(_differences(facts))
    new = sorted(differing - folded.keys(), key=lambda key: (str(key[0]), key[1].value))
    rows = []
    for person, action in [*folded, *new]:
        changes = folded.get((person, action), [])
        row = _row_of(person, action, changes, facts, differs=(person, action) in differing)
        if row is not None:
            rows.append(row)
    if facts.target.full and facts.target.members is None:
        rows.append(_not_compared(facts))
    return rows


def _row_of(
    person: Person, action: Action, changes: Sequence[Change], facts: TargetFacts, *, differs: bool
) -> Row | None:
    """Return the row of one person and action; None if there is nothing to report."""
    unsettled = [change for change in changes if change.status not in SETTLED]
    if unsettled or differs:
        groups = tuple(sorted({change.group_guid for change in unsettled}))
        proposal = Proposal.of(person, action, groups, unsettled)
        verdict = decide(proposal, facts)
        if unsettled or not _is_in_sync(verdict, proposal, facts):
            return _row(proposal, verdict, unsettled, facts)
    return _listed_again(person, action, changes, facts) if changes else None


def _differences(facts: TargetFacts) -> Iterable[tuple[Person, Action]]:
    """Yield what may differ between AD and Genesys in a target that is compared completely.

    A target that could not be read differs in nothing.
    """
    target = facts.target
    if not target.full or target.members is None:
        return
    for guid in target.wanted:
        yield Person(guid), Action.ADD
    # Any other member was added by hand: counted as a manual member, and only `mirror` removes it.
    mirrored = facts.mirrors and not target.unconfirmed.issuperset(target.sources)
    for genesys_user_id in target.members - facts.wanted_ids:
        left_alone = facts.person(genesys_user_id).user_guid in facts.context.excluded_users & target.wanted.keys()
        left_alone = left_alone or strangers.stays_as_owner(genesys_user_id, facts)
        if genesys_user_id in facts.grants_of or (mirrored and not left_alone):
            yield facts.person(genesys_user_id), Action.REMOVE


def _is_in_sync(verdict: Verdict, proposal: Proposal, facts: TargetFacts) -> bool:
    """Return True if a difference turns out to need no row."""
    if verdict.status in {Status.UNCHANGED, Status.SUPERSEDED}:
        return True
    excluded_member = verdict.reason is Reason.EXCLUDED and proposal.action is Action.ADD and proposal.person.user_guid
    return bool(excluded_member and facts.known_ids(excluded_member) & facts.members)


def _row(proposal: Proposal, verdict: Verdict, changes: Sequence[Change], facts: TargetFacts) -> Row:
    target = facts.target
    groups = _groups_behind(proposal, verdict, facts)
    row = skeleton(proposal.person, proposal.action, verdict.status, groups, changes, facts.context)
    return dataclasses.replace(
        row,
        genesys_group_id=target.genesys_group.id,
        genesys_group={"id": target.genesys_group.id, "name": target.genesys_group.name},
        genesys_user_id=verdict.genesys_user_id or proposal.person.genesys_user_id,
        reason=verdict.reason,
        error=verdict.error or facts.context.remarks.get(proposal.person.user_guid or ""),
        unseen=verdict.unseen,
        about={**verdict.about, **_about_rivals(verdict, facts.context)},
        rivals=verdict.rivals,
        change_ids=change_ids(changes),
    )


def _about_rivals(verdict: Verdict, context: PlanContext) -> dict[str, str]:
    """Return the rivals of an ambiguous row that no AD group lists any more."""
    if verdict.reason is not Reason.AMBIGUOUS:
        return {}
    gone = dict.fromkeys(rival.guid for rival in verdict.rivals if rival.guid in context.gone_users)
    return {"gone": ", ".join(guid for guid in gone if guid)} if gone else {}


def _groups_behind(proposal: Proposal, verdict: Verdict, facts: TargetFacts) -> tuple[Guid, ...]:
    """Return the AD groups of a row, sorted.

    - Add: the AD groups that list the user now, because the grants will name them.
    - Removal: the AD groups that the user left, and those through which the membership was granted.
    """
    target, guid = facts.target, proposal.person.user_guid or ""
    wanted = set(target.wanted.get(guid, ()))
    groups = set(proposal.groups)
    if proposal.action is Action.ADD and verdict.reason is Reason.NEW_PAIR:
        groups = set(target.waiting(guid)[:1])
    elif proposal.action is Action.ADD:
        groups = set(target.granting(guid) or target.refused.get(guid, ())) or wanted or groups
    elif verdict.reason is Reason.STILL_GRANTED:
        groups -= wanted
    elif verdict.status is not Status.SUPERSEDED:
        groups |= {grant.group_guid for grant in facts.grants_by.get(guid, ())}
    return tuple(sorted(groups or target.sources))


def _not_compared(facts: TargetFacts) -> Row:
    """Return one row for all members: without Genesys, neither missing nor surplus members are known."""
    verdict = Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, error="the group was not compared")
    return _row(Proposal(Person(None), Action.ADD), verdict, (), facts)


def _listed_again(person: Person, action: Action, settled: Sequence[Change], facts: TargetFacts) -> Row:
    """Return a row for changes that another run, or an earlier try, settled.

    It settles nothing itself, and therefore has no change ids.
    """
    groups = tuple(sorted({change.group_guid for change in settled}))
    row = _with_outcome(
        skeleton(person, action, Status.UNCHANGED, groups, settled, facts.context), settled, facts.context
    )
    genesys_group = facts.target.genesys_group
    return dataclasses.replace(
        row,
        genesys_group_id=genesys_group.id,
        genesys_group={"id": genesys_group.id, "name": genesys_group.name},
        genesys_user_id=row.genesys_user_id or facts.only_id(person),
    )


def _with_outcome(row: Row, changes: Sequence[Change], context: PlanContext) -> Row:
    """Return the row with the outcome of the newest of its changes."""
    newest = max(changes, key=age)
    outcome = context.outcomes.get(newest.id) if newest.id is not None else None
    row = dataclasses.replace(row, status=newest.status or row.status, settled_by=newest.settled_by)
    if outcome is None:
        return row
    return dataclasses.replace(
        row,
        reason=outcome.reason,
        error=outcome.error,
        http_code=outcome.http_code,
        correlation_id=outcome.correlation_id,
    )


# -- changes that are not tried yet -------------------------------------------------------------------


def rows_of_waiting(waiting: Waiting, taken: Iterable[GenesysGroup], context: PlanContext) -> list[Row]:
    """Return a row for each postponed change that the report lists.

    ``taken``: the Genesys groups on which the run acts.
    """
    groups = {group.id: group for group in (*taken, *(target.genesys_group for target in waiting.targets))}
    rows = []
    for one in waiting.postponed:
        if one.is_listed:
            group = groups[one.key.target]
            guid = one.changes[0].user_guid
            person = Person(guid, None if guid else one.changes[0].genesys_user_id)
            guids = tuple(sorted({change.group_guid for change in one.changes}))
            row = skeleton(person, one.key.action, one.status, guids, one.changes, context)
            row = dataclasses.replace(
                row,
                genesys_group_id=group.id,
                genesys_group={"id": group.id, "name": group.name},
                change_ids=change_ids(one.changes),
            )
            rows.append(with_answer(row, one))
    return rows


# -- AD groups that feed nothing ----------------------------------------------------------------------


def rows_of_unmapped(group: UnmappedGroup, context: PlanContext) -> list[Row]:
    """Return one row per person and action, or one for the AD group."""
    guids = (group.skipped.group_guid,)
    if group.full:
        unsettled = [change for change in group.changes if change.status not in SETTLED]
        row = skeleton(Person(None), Action.ADD, Status.SKIPPED, guids, unsettled, context)
        return [_skipped(row, group.skipped, unsettled)]
    folded: dict[tuple[Person, Action], list[Change]] = {}
    for change in group.changes:
        person = Person(change.user_guid, None if change.user_guid else change.genesys_user_id)
        folded.setdefault((person, change.action), []).append(change)
    rows = []
    for (person, action), changes in folded.items():
        unsettled = [change for change in changes if change.status not in SETTLED]
        row = skeleton(person, action, Status.SKIPPED, guids, unsettled or changes, context)
        rows.append(_skipped(row, group.skipped, unsettled) if unsettled else _with_outcome(row, changes, context))
    return rows


def _skipped(row: Row, skipped: SkippedGroup, changes: Sequence[Change]) -> Row:
    # not seen is not the same as not there: what may be hidden is not settled
    status = Status.HELD if skipped.reason is Reason.GENESYS_UNREADABLE else row.status
    error, ids = skipped.detail or None, change_ids(changes)
    return dataclasses.replace(row, status=status, reason=skipped.reason, error=error, change_ids=ids)


# -- parts of a row -----------------------------------------------------------------------------------


def skeleton(
    person: Person,
    action: Action,
    status: Status,
    groups: tuple[Guid, ...],
    changes: Sequence[Change],
    context: PlanContext,
) -> Row:
    """Return a row with the newest times of its changes and with names."""
    newest = max(changes, key=age, default=None)
    times = [change.changed_at for change in changes if change.changed_at is not None]
    return Row(
        action=action,
        status=status,
        genesys_group_id=None,
        user_guid=person.user_guid,
        group_guids=groups,
        genesys_user_id=person.genesys_user_id,
        changed_at=max(times, default=None),
        observed_after=newest.observed_after if newest else None,
        observed_at=newest.observed_at if newest else context.observed_at,
        directory_groups=tuple(_named_group(guid, context) for guid in groups),
        directory_user=_named_user(person.user_guid, context),
    )


def _named_group(guid: Guid, context: PlanContext) -> dict[str, str | None]:
    group = context.groups.get(guid)
    return {"guid": guid, "dn": group.dn if group else None, "name": group.name if group else None}


def _named_user(guid: Guid | None, context: PlanContext) -> dict[str, str | None] | None:
    if guid is None:
        return None
    user = context.users.get(guid)
    return {"guid": guid, "dn": user.dn if user else None, "mail": user.mail if user else None}


# -- all rows -----------------------------------------------------------------------------------------


def order(row: Row) -> tuple[bool, str, bool, str]:
    """Return the sort key: by Genesys group, adds before removals, unmapped last."""
    group = row.genesys_group_id or ",".join(row.group_guids)
    return row.genesys_group_id is None, group, row.action is Action.REMOVE, row.user_guid or row.genesys_user_id or ""


def comparison_changes(row: Row, context: PlanContext, proven_by: int) -> Iterable[Change]:
    """Yield one change per AD group of a row that only a comparison found.

    The journal keeps them, and a later run takes up what this one cannot settle. ``proven_by``: see `Target`.
    """
    if row.change_ids or row.settled_by or row.genesys_group_id is None:
        return
    if row.reason is Reason.UNEXPLAINED_LOSS:
        return  # the view still has it
    if row.reason is Reason.MAPPING_CHANGED:
        return  # left behind in a group that the AD group feeds no more: not a change of that AD group
    if row.user_guid is None and row.genesys_user_id is None:  # see _not_compared
        return
    if context.mirror_once and row.about.get("member"):
        return  # a stranger, in a run that ends with its answer: no later run lists it
    for guid in row.group_guids:
        yield Change(
            group_guid=guid,
            user_guid=row.user_guid,
            action=row.action,
            observed_at=context.observed_at,
            origin="comparison",
            genesys_user_id=row.genesys_user_id,
            poll=proven_by,
        )


def group_result(facts: TargetFacts) -> GroupResult:
    """Return the report's line of a Genesys group before the run writes.

    The run fills in the rest.
    """
    target = facts.target
    manual = manual_members(facts) if target.members is not None else None
    listed = tuple(sorted(manual)) if manual is not None and target.full else None
    shown = {id_: target.profiles[id_].name for id_ in listed or () if id_ in target.profiles}
    return GroupResult(
        genesys_group_id=target.genesys_group.id,
        genesys_group_name=target.genesys_group.name,
        group_guids=tuple(sorted(target.sources)),
        complete=target.complete,
        before=None if target.members is None else len(target.members),
        after=None,
        added=0,
        removed=0,
        manual_members=None if manual is None else len(manual),
        manual_member_ids=listed,
        manual_member_names=shown,
    )


def manual_members(facts: TargetFacts) -> frozenset[str]:
    """Return the members that AD neither wants nor owns, and that no excluded account is."""
    return facts.members - facts.wanted_ids - facts.grants_of.keys() - facts.excluded_ids
