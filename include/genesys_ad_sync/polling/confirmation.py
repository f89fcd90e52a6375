"""Held changes that a poll confirms, so that they may be carried out.

Pure but for `confirm_held_changes`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from genesys_ad_sync.directory import replica_trust
from genesys_ad_sync.directory.membership import effective_members, nested_groups
from genesys_ad_sync.directory.results import Delta
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import Action, Change, DirectoryView, Doubt, Guid, Reason, Scope
from genesys_ad_sync.polling.doubts import Step


@dataclass(frozen=True)
class Evidence:
    """What one poll brings to decide about held changes.

    ``complete``: groups read completely. ``replication_time``: `directory.replication_time`.
    """

    step: Step
    complete: Collection[Guid]
    replication_time: timedelta


@dataclass(frozen=True)
class Ruling:
    """What happens to held changes. ``doubts``: what is known now of those that stay held."""

    confirmed: tuple[Change, ...]
    doubts: tuple[tuple[Change, Doubt], ...]


def confirm_held_changes(
    journal: DefinitionJournal, scope: Scope, step: Step, complete: Collection[Guid], replication_time: timedelta
) -> int:
    """Release held changes that this poll confirms; return how many.

    What is known of the others is noted.
    """
    evidence = Evidence(step, complete, replication_time)
    unsettled = journal.changes.unsettled()
    returned = told_again(unsettled, step.delta)
    if returned:
        view = journal.views.load({change.group_guid for change in returned})
        returned = [change for change in returned if is_out_of_view(change, view)]
        journal.changes.hold([change.id for change in returned if change.id is not None], Reason.MAPPING_CHANGED)
    held = [change for change in unsettled if change.held_reason in _RULES]
    if not held:
        return 0
    ruling = rule(held, journal.views.load({change.group_guid for change in held}), scope, evidence)
    if ruling.confirmed:
        journal.changes.clear_hold([change.id for change in ruling.confirmed if change.id is not None])
    if ruling.doubts:
        journal.changes.set_doubts({change.id: doubt for change, doubt in ruling.doubts if change.id is not None})
    return len(ruling.confirmed)


def told_again(unsettled: Iterable[Change], delta: Delta | None) -> list[Change]:
    """Return removals that AD reported, and takes back now."""
    return [
        change
        for change in unsettled
        if delta is not None
        and change.held_reason is None
        and change.action is Action.REMOVE
        and change.origin == "poll"
        and replica_trust.is_told_again(change, delta)
    ]


def is_out_of_view(change: Change, view: DirectoryView) -> bool:
    """Return True if the view lacks the group through which the user was a member.

    Where it has, it decides: a user who is a member again may be left out all the same, such as a disabled one.
    """
    root = view.groups.get(change.group_guid)
    last_group = change.path[-1] if change.path else change.group_guid
    return root is None or not root.in_scope or last_group not in view.groups


def rule(held: Iterable[Change], view: DirectoryView, scope: Scope, evidence: Evidence) -> Ruling:
    """Decide about changes that are held because of what a poll saw.

    ``view``: as after this poll.
    """
    confirmed: list[Change] = []
    doubts: list[tuple[Change, Doubt]] = []
    for change in held:
        doubt = _RULES[change.held_reason](change, view, scope, evidence) if change.held_reason in _RULES else None
        if doubt is _CONFIRMED:
            confirmed.append(change)
        elif doubt is not None and doubt != change.doubt:
            doubts.append((change, doubt))
    return Ruling(tuple(confirmed), tuple(doubts))


_CONFIRMED = Doubt()
"""A mark, compared by identity."""


def _other_domain_controller(change: Change, view: DirectoryView, scope: Scope, evidence: Evidence) -> Doubt | None:
    """Confirm by a complete reading that may do it, a removal also by DirSync."""
    step = evidence.step
    if change.action is Action.REMOVE and step.delta is not None and replica_trust.is_reported(change, step.delta):
        return _CONFIRMED
    judgement = replica_trust.judge(change, step.stored, step.fresh, evidence.replication_time)
    if judgement.may_confirm and is_shown(change, view, scope, evidence.complete):
        return _CONFIRMED
    return judgement.doubt


def _mapping_changed(change: Change, view: DirectoryView, scope: Scope, evidence: Evidence) -> Doubt | None:
    """Confirm a removal of a group that was out of view by DirSync.

    Ask a person once the group is back. Nobody is asked while the domain controller that shows the group may lag.
    """
    step = evidence.step
    if step.delta is not None and replica_trust.is_reported(change, step.delta):
        return _CONFIRMED
    if change.group_guid not in evidence.complete:
        return None
    waited = step.fresh.polled_at >= change.observed_at + evidence.replication_time
    certain = step.cursor.doubted_since is None or waited
    doubt = change.doubt or Doubt()
    ask = certain and is_shown(change, view, scope, evidence.complete)
    return replace(doubt, shown_by=step.fresh.domain_controller, ask=ask)


_RULES = {Reason.OTHER_DOMAIN_CONTROLLER: _other_domain_controller, Reason.MAPPING_CHANGED: _mapping_changed}


def is_shown(change: Change, view: DirectoryView, scope: Scope, complete: Collection[Guid]) -> bool:
    """Return True if a complete reading shows the change.

    An add is shown by the user in the group, a removal by the user not in it. The group must be in scope, and all
    groups below it must have been read completely.
    """
    group, nested = change.group_guid, scope.nested_groups
    if group not in view.groups or not view.groups[group].in_scope:
        return False
    if not nested_groups(view, group, nested=nested) <= set(complete):
        return False
    return (change.user_guid in effective_members(view, group, scope.policy)) is (change.action is Action.ADD)
