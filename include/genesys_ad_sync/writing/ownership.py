"""Memberships that AD owns: granted when they are written or found, ended when a removal is in effect."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from genesys_ad_sync.model import Action, Grant, Guid, Reason, Row, Status
from genesys_ad_sync.run.context import Sync


def grant_announced_adds(task: Sync, rows: Sequence[Row]) -> None:
    """Grant adds that are about to be sent. If no task lives to record the outcome, AD owns what it has asked for.

    What an undo puts back is granted only once it is in effect.
    """
    announced = [row for row in rows if row.action is Action.ADD and not row.undoes]
    task.journal.add_grants(task.definition.name, grants_of(announced), task.clock())


def grant_settled_adds(task: Sync, rows: Sequence[Row]) -> None:
    """Grant adds that are in effect, through each AD group that asks for them."""
    settled = [row for row in rows if row.action is Action.ADD and row.changes_ownership]
    task.journal.add_grants(task.definition.name, grants_of(settled), task.clock())


def take_back_grants(task: Sync, rows: Sequence[Row]) -> None:
    """End the grants of announced adds that are known not to have been carried out."""
    in_vain = [row for row in rows if row.action is Action.ADD and not row.undoes and _is_not_carried_out(row)]
    task.journal.remove_grants(task.definition.name, grants_of(in_vain))


def drop_grants_of_settled_removals(task: Sync, rows: Sequence[Row]) -> None:
    """End the grants of removals that are in effect."""
    group_ids = {row.genesys_group_id for row in _settled_removals(rows) if row.genesys_group_id}
    if not group_ids:
        return
    name = task.definition.name
    grants = task.journal.grants(name, sorted(group_ids))
    task.journal.remove_grants(name, grants_ended_by(rows, grants, task.journal.deleted_users(name)))


# -- decisions ----------------------------------------------------------------------------------------


def grants_of(rows: Iterable[Row]) -> list[Grant]:
    """Return the grants that these adds create: one for each AD group."""
    return [
        Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, group)
        for row in rows
        if row.user_guid and row.genesys_user_id and row.genesys_group_id
        for group in row.group_guids
    ]


def grants_ended_by(rows: Iterable[Row], grants: Iterable[Grant], deleted: Collection[Guid]) -> list[Grant]:
    """Return those of the grants that end with the settled removals among the rows.

    ``deleted``: accounts whose tombstone was seen. Grants of such an account end with those of the new account of the
    same Genesys user.
    """
    by_owner: dict[tuple[str, str], list[Grant]] = {}
    for grant in grants:
        owner = grant.genesys_user_id if grant.user_guid in deleted else grant.user_guid
        by_owner.setdefault((grant.genesys_group_id, owner), []).append(grant)
    return [
        grant
        for row in _settled_removals(rows)
        for owner in {row.user_guid, row.genesys_user_id}
        for grant in by_owner.get((row.genesys_group_id or "", owner or ""), ())
        # a membership that another AD group still grants keeps the grant of that group
        if row.reason is not Reason.STILL_GRANTED or grant.group_guid in row.group_guids
    ]


def _settled_removals(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.action is Action.REMOVE and row.changes_ownership and row.genesys_group_id]


def _is_not_carried_out(row: Row) -> bool:
    if row.status is Status.ORPHANED:
        return True
    return row.status is Status.FAILED and row.reason in (Reason.REFUSED, Reason.NOT_ATTEMPTED)
