"""Holds changes that a poll merely shows, where what is known already speaks against them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Action, Change, Cursor, Doubt, Guid, Reason, Scope, StoredCursor


@dataclass(frozen=True)
class Step:
    """One poll, from the stored cursor to the next.

    ``fresh``: as the domain controller answered; ``cursor``: with its doubt. ``delta``: what DirSync listed; None:
    nothing. ``deleted``: objects whose tombstone was seen. ``observed_at``: what is seen now happened before.
    """

    stored: StoredCursor
    fresh: Cursor
    cursor: Cursor
    delta: Delta | None
    deleted: frozenset[Guid]
    observed_at: datetime


def why_doubted(step: Step, scope: Scope) -> Reason | None:
    """Return why a change may show although nothing happened."""
    if membership_rules(Scope.of_fingerprint(step.stored.scope)) != membership_rules(scope):
        return Reason.SCOPE_CHANGED
    return Reason.OTHER_DOMAIN_CONTROLLER if step.cursor.doubted_since is not None else None


def membership_rules(scope: Scope) -> Scope:
    """Return the part of a scope that decides memberships: all but the attributes."""
    return replace(scope, group_attributes=(), user_attributes=())


def hold_doubtful(
    journal: DefinitionJournal,
    scope: Scope,
    step: Step,
    changes: Sequence[Change],
    untold: Sequence[Change],
    shown: Sequence[Change],
) -> list[Change]:
    """Hold what AD did not report: removals, and additions that contradict what the journal knows.

    ``untold``: those of the changes. An addition that contradicts nothing is believed from any domain controller.
    ``shown``: changes by today's scope alone. In doubt they are the domain controller's, whatever else was edited.
    """
    reason = why_doubted(step, scope)
    if reason is None:
        return list(changes)
    trusted = step.cursor.trusted_dc if step.cursor.trusted_dc != step.cursor.domain_controller else None
    doubt = Doubt(replica_trust.what_was_known(step.stored, step.fresh), shown_by=step.fresh.domain_controller)
    removals = [change for change in untold if change.action is Action.REMOVE]
    if step.cursor.doubted_since is None:
        return replica_trust.with_doubt(changes, removals, reason, doubt, trusted)
    lagging = {(change.group_guid, change.user_guid) for change in shown if change.action is Action.REMOVE}
    by_lag = [change for change in removals if (change.group_guid, change.user_guid) in lagging]
    held = replica_trust.with_doubt(changes, by_lag, Reason.OTHER_DOMAIN_CONTROLLER, doubt, trusted)
    held = replica_trust.with_doubt(held, removals, reason, doubt, trusted)
    adds = contradicting(journal, [change for change in untold if change.action is Action.ADD], scope)
    return replica_trust.with_doubt(held, adds, Reason.OTHER_DOMAIN_CONTROLLER, doubt, trusted)


def contradicting(journal: DefinitionJournal, adds: Collection[Change], scope: Scope) -> list[Change]:
    """Return the additions that contradict the journal.

    It knows that the user left that group, or that the account was disabled or deleted, or has expired.
    """
    if not adds:
        return []
    people = {change.user_guid for change in adds if change.user_guid is not None}
    left = journal.changes.removed((change.group_guid, change.user_guid) for change in adds if change.user_guid)
    ended = journal.views.deleted_users() & people
    ended |= {guid for guid, user in journal.views.users(people).items() if scope.policy.leaves_out(user)}
    return [change for change in adds if change.user_guid in ended or (change.group_guid, change.user_guid) in left]


def without_hold_if_told(changes: Iterable[Change], delta: Delta | None) -> list[Change]:
    """Return the changes, with fewer of them held.

    Of a group that is out of view, only removals that AD did not report stay held. They wait all the same, because the
    group feeds nothing as long as it is out of view.
    """
    return [
        replace(change, held_reason=None)
        if delta is not None
        and change.held_reason is Reason.MAPPING_CHANGED
        and replica_trust.is_reported(change, delta)
        else change
        for change in changes
    ]
