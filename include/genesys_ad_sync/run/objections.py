"""What persons decided against changes (an undo, a rejection), and what of it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genesys_ad_sync.model import AccountState, Action, Guid, Objection, PairState, RowKey
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import ACCOUNTS, MAPPING


@dataclass(frozen=True)
class Objections:
    """``standing``: by row key. ``ended_pins``: (Genesys group, `Row.person`). ``ended_rejections``: row keys."""

    standing: Mapping[str, Objection] = field(default_factory=dict)
    ended_pins: frozenset[tuple[str, str]] = frozenset()
    ended_rejections: frozenset[str] = frozenset()


def objections(task: TaskContext, genesys_group_id: str | None = None) -> Objections:
    """Return what persons decided against changes, as far as AD has reported nothing newer since.

    ``genesys_group_id``: only in this Genesys group.

    - A newer change of that membership ends it, through whatever AD group.
    - What keeps somebody in a group ends with the account: when it is disabled or deleted, or expires. A rejection only
      where expired accounts are removed.
    """
    pins, rejections = task.journal.pins.all(), task.journal.questions.rejections()
    rejected = {subject: RowKey.parse(subject) for subject in rejections}
    if genesys_group_id is not None:
        pins = {membership: pin for membership, pin in pins.items() if membership[0] == genesys_group_id}
        rejected = {subject: key for subject, key in rejected.items() if key.target == genesys_group_id}
    if not pins and not rejected:
        return Objections()
    newest = newest_told(task, {*pins, *((key.target, key.person) for key in rejected.values())})
    expired, gone = _ended_accounts(task)
    ended_pins = {
        membership
        for membership, pin in pins.items()
        if newest[membership] > pin.last_change or (pin.action is not Action.ADD and membership[1] in expired | gone)
    }
    ended_rejections = {
        subject
        for subject, key in rejected.items()
        if newest[key.target, key.person] > rejections[subject].last_change
        or (_ends_with_account(rejections[subject]) and key.person in gone)
    }
    standing = {subject: rejections[subject] for subject in rejected if subject not in ended_rejections}
    for membership, pin in pins.items():
        if membership not in ended_pins:
            standing |= {str(RowKey(*membership, action)): pin for action in _held_by(pin)}
    return Objections(standing, frozenset(ended_pins), frozenset(ended_rejections))


def _held_by(pin: Objection) -> Iterable[Action]:
    return Action if pin.action is None else (pin.action,)


def end(task: TaskContext, decided: Objections) -> None:
    """Delete what has ended."""
    task.journal.pins.remove(decided.ended_pins)
    task.journal.questions.end_rejections(decided.ended_rejections)


def newest_told(
    task: TaskContext, memberships: Iterable[tuple[str, str]], *, or_not_known: bool = False
) -> dict[tuple[str, str], int]:
    """Return the id of the newest change that AD reported.

    The key is (Genesys group, person); 0: none. Every AD group counts that feeds the Genesys group, or did so once.
    """
    sources = sources_ever(task)
    subjects = {
        (group_id, person): {(guid, person) for guid in sources.get(group_id, ())} for group_id, person in memberships
    }
    newest = task.journal.changes.newest_told_ids(set().union(*subjects.values()), or_not_known=or_not_known)
    return {
        membership: max((newest.get(subject, 0) for subject in of_it), default=0)
        for membership, of_it in subjects.items()
    }


def sources_ever(task: TaskContext) -> dict[str, set[Guid]]:
    """Return the AD groups that feed each Genesys group, or did so once.

    Not those whose pair no person has confirmed: whoever makes an AD group must not end a person's decision with it.
    """
    sources: dict[str, set[Guid]] = {}
    mapped = task.facts.required(MAPPING).pairs
    for pair in (*mapped, *task.journal.pairs.active(), *task.journal.pairs.former()):
        if pair.state is PairState.CONFIRMED or pair.has_baseline:  # what was compared was confirmed once
            sources.setdefault(pair.genesys_group_id, set()).add(pair.group_guid)
    return sources


def accounts_to_watch(task: TaskContext) -> set[Guid]:
    """Return the people that a person keeps in a group.

    A Genesys user without AD account is among them.
    """
    pinned = {person for (_, person), pin in task.journal.pins.all().items() if pin.action is not Action.ADD}
    rejections = task.journal.questions.rejections()
    return pinned | {RowKey.parse(subject).person for subject, one in rejections.items() if _ends_with_account(one)}


def _ends_with_account(rejection: Objection) -> bool:
    """Return True for the rejected removal of somebody with an account usable then.

    The account could be used at the time of the rejection.
    """
    return rejection.action is Action.REMOVE and rejection.account_ended is False


def _ended_accounts(task: TaskContext) -> tuple[set[Guid], set[Guid]]:
    """Return the watched accounts that have expired, and those that are disabled or deleted.

    Where expired accounts are removed, they are among the others, too.
    """
    states = task.facts[ACCOUNTS]
    expired = {guid for guid, state in states.items() if state is AccountState.EXPIRED}
    gone = {guid for guid, state in states.items() if state in (AccountState.DISABLED, AccountState.DELETED)}
    if task.definition.directory.policy.expired_users == "remove":
        gone |= expired
    return expired, gone | task.journal.views.deleted_users()
