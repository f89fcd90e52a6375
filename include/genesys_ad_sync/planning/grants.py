"""Which memberships AD owns from now on, and which no longer."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

from genesys_ad_sync.model import SETTLED, Action, Change, DryEvidence, Grant, Guid, Reason, Row, Status
from genesys_ad_sync.planning import was_manual
from genesys_ad_sync.planning.evidence import doubted_groups
from genesys_ad_sync.planning.facts import TargetFacts

# -- before anything is written -----------------------------------------------------------------------


def new_grants(facts: TargetFacts) -> Iterable[Grant]:
    """Yield the grants of memberships that AD wants and Genesys already has.

    With them, those of the trial whose members have left AD since.
    """
    target = facts.target
    yield from (one.grant for one in facts.trial)
    for guid, genesys_id in wanted_members_present(facts):
        known = [grant for grant in facts.grants_of.get(genesys_id, ()) if not grant.by_dry_run]
        manual = was_manual.is_manual(genesys_id, target.granting(guid), facts)
        for group_guid in target.granting(guid):
            grant = Grant(target.genesys_group.id, genesys_id, guid, group_guid, was_manual=manual)
            if grant not in known:
                yield grant


def dry_evidence(facts: TargetFacts) -> Iterable[DryEvidence]:
    """Yield the evidence of a dry comparison, in place of all earlier evidence.

    The earlier evidence is that of the target. Memberships that AD wants and Genesys already has, and earlier ones
    whose members have left AD since.
    """
    target = facts.target
    yield from facts.trial
    for guid, genesys_id in wanted_members_present(facts):
        for group_guid in target.granting(guid):
            if group_guid in target.trial_rules:
                yield DryEvidence(
                    Grant(target.genesys_group.id, genesys_id, guid, group_guid, by_dry_run=True),
                    target.trial_rules[group_guid],
                    facts.matches[guid].matched_by or "",
                    facts.context.scope,
                )


def transferred_grants(facts: TargetFacts, rows: Iterable[Row]) -> Iterable[Grant]:
    """Yield the grants of members whose AD group or account changed.

    Either the user left one AD group and another one still wants the membership, or the account was recreated.
    The grants pass to the AD groups and the account for which AD wants the membership now.
    """
    for row in rows:
        # not of a row that an earlier run settled, and that is only listed again
        if row.reason is Reason.STILL_GRANTED and row.user_guid is not None and row.settled_by is None:
            owner = facts.successor(row.user_guid, row.genesys_user_id or "") or row.user_guid
            for grant in facts.grants_by.get(row.user_guid, ()):
                for group_guid in facts.target.granting(owner):
                    yield dataclasses.replace(grant, user_guid=owner, group_guid=group_guid)


def carried_grants(facts: TargetFacts) -> Iterable[Grant]:
    """Yield the grants that follow a link to another Genesys user who is a member."""
    if not facts.target.claimed_by:
        yield from (grant for grant in facts.carried if grant.user_guid not in facts.context.relinks)


def stale_grants(facts: TargetFacts) -> Iterable[Grant]:
    """Yield the grants that no longer have a reason.

    - Of a former Genesys user that Genesys showed as deleted.
    - Of a former Genesys user that belongs there through another account now.
    - Through former AD groups of users who are wanted through others now.
    """
    yield from _grants_of_former_users(facts)
    for guid, genesys_id in wanted_members_present(facts):
        for grant in facts.grants_by.get(guid, ()):
            if grant.genesys_user_id == genesys_id and grant.group_guid not in facts.target.sources:
                yield grant


def _grants_of_former_users(facts: TargetFacts) -> Iterable[Grant]:
    for grant in facts.target.grants:
        move = facts.context.moves.get((grant.user_guid, grant.genesys_user_id))
        if move is None or facts.target.members is None or grant.user_guid in facts.context.relinks:
            continue
        taken_over = facts.is_compared and grant.genesys_user_id in facts.wanted_ids
        if taken_over or (move.deleted and grant.genesys_user_id not in facts.members):
            yield grant


def wanted_members_present(facts: TargetFacts) -> Iterable[tuple[Guid, str]]:
    """Yield (AD user, Genesys user) of the wanted members that Genesys has.

    Only in a target that is compared completely, and not where it is in doubt that AD wants them, or where only a pair
    wants them that no person has confirmed.
    """
    if not facts.is_compared:
        return
    undecided = facts.context.relinks.keys() | _doubted(facts)
    for guid in sorted(facts.target.wanted.keys() - facts.context.excluded_users - undecided):
        match = facts.matches.get(guid)
        genesys_id = match.genesys_user_id if match else None
        may_grant = facts.target.granting(guid) and genesys_id in facts.members
        if genesys_id is not None and may_grant and facts.matched_by_one(genesys_id, guid):
            yield guid, genesys_id


def _doubted(facts: TargetFacts) -> set[Guid]:
    """Return the users that AD wants only by additions that are in doubt."""
    adds: dict[Guid, list[Change]] = {}
    for change in facts.target.changes:
        if change.action is Action.ADD and change.user_guid is not None and change.status not in SETTLED:
            adds.setdefault(change.user_guid, []).append(change)
    granting = facts.target.granting
    return {guid for guid, changes in adds.items() if doubted_groups(changes).issuperset(granting(guid))}


# -- by what became of the rows -----------------------------------------------------------------------


def grants_of(rows: Iterable[Row]) -> list[Grant]:
    """Return the grants that adds create: one per AD group that wants the membership."""
    return [
        Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, group)
        for row in rows
        if row.user_guid and row.genesys_user_id and row.genesys_group_id
        for group in row.group_guids
    ]


def grants_begun_by(rows: Iterable[Row]) -> list[Grant]:
    """Return the grants of settled adds that are in effect.

    Rows that another run settled began none here.
    """
    return grants_of(row for row in rows if row.action is Action.ADD and row.changes_ownership)


def grants_in_vain(rows: Iterable[Row]) -> list[Grant]:
    """Return the grants, noted before sending, of adds that are known to have failed.

    An undo notes none.
    """
    not_carried_out = (Reason.REFUSED, Reason.REFUSED_GROUP, Reason.REFUSED_CLIENT, Reason.NOT_ATTEMPTED)
    return grants_of(
        row
        for row in rows
        if row.action is Action.ADD
        and not row.undoes_run
        and (row.status is Status.ORPHANED or (row.status is Status.FAILED and row.reason in not_carried_out))
    )


def settled_removals(rows: Iterable[Row]) -> list[Row]:
    """Return the removals in effect, which may end grants: see `grants_ended_by`."""
    return [row for row in rows if row.action is Action.REMOVE and row.genesys_group_id and row.changes_ownership]


def grants_ended_by(
    rows: Iterable[Row], grants: Iterable[Grant], deleted: Collection[Guid], former: Collection[tuple[Guid, str]] = ()
) -> list[Grant]:
    """Return those of ``grants`` that settled removals among ``rows`` end.

    - ``grants``: at least all grants of the Genesys groups of `settled_removals`.
    - ``deleted``: AD users whose tombstone was seen. A grant to such an account ends with the membership of its
      successor, which is the same Genesys user.
    - ``former``: (AD user, Genesys user) of links that moved. A grant to the former user ends with that user's own
      membership only.

    If another AD group still grants the membership, its grant stays. A Genesys user who was removed is no member any
    more, and every grant of it ends.
    """
    by_group: dict[str, list[Grant]] = {}
    for grant in grants:
        by_group.setdefault(grant.genesys_group_id, []).append(grant)
    return [
        grant
        for row in settled_removals(rows)
        for grant in by_group.get(row.genesys_group_id or "", ())
        if _is_ended_by(row, grant, deleted, former)
    ]


def _is_ended_by(row: Row, grant: Grant, deleted: Collection[Guid], former: Collection[tuple[Guid, str]]) -> bool:
    same_user = grant.genesys_user_id == row.genesys_user_id
    same_account = grant.user_guid == row.user_guid and (
        same_user or (grant.user_guid, grant.genesys_user_id) not in former
    )
    if row.reason is Reason.STILL_GRANTED:
        return grant.group_guid in row.group_guids and (same_account or (same_user and grant.user_guid in deleted))
    is_gone = row.status is Status.SUCCESS or row.user_guid is None or grant.user_guid in deleted
    return same_account or (same_user and is_gone)
