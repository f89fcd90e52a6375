"""The targets of a plan with their members and grants, made one after another.

With these and grants, a target takes some tens of kilobytes. Thousands of them are never there at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from genesys_ad_sync.model import Action, Grant, Guid
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run import new_pairs
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import OWNERS
from genesys_ad_sync.run.mirror import read_mirror
from genesys_ad_sync.run.trial import read_trial

Members = Mapping[str, Collection[str] | None]
"""Genesys group id -> ids of its individuals; None: could not be read."""


class PlannedTargets(Iterable[Target]):
    """The targets with present members, grants and claims, as often as they are asked for.

    The journal is read once, so that each round sees the same. ``present``: what Genesys has. ``claimed``: see
    `claimed_by_others`.
    """

    def __init__(
        self, task: TaskContext, targets: Sequence[Target], present: Members, claimed: Mapping[str, str]
    ) -> None:
        self._task = task
        self._owners = task.facts[OWNERS]
        self._present = present
        self._claimed = claimed
        self._mirror = read_mirror(task, targets)
        self._trial = read_trial(task, targets)
        self._grants = task.journal.grants.by_group([target.genesys_group.id for target in targets])
        self._awake: dict[str, tuple[Grant, ...]] = {}
        self._bare = new_pairs.with_decisions(task, targets)

    def __iter__(self) -> Iterator[Target]:
        return map(self._made, self._bare)

    @property
    def losing(self) -> Iterator[Target]:
        """Return the targets with removals among their changes."""
        return (self._made(target) for target in self._bare if loses(target))

    @property
    def empty_sources(self) -> dict[str, tuple[Guid, ...]]:
        """AD groups that read as having nobody, by Genesys group."""
        return dict(self._mirror.empty_sources)

    def wake(self, grants: Iterable[Grant]) -> None:
        """Add grants that sleep no more."""
        for grant in grants:
            self._awake[grant.genesys_group_id] = (*self._awake.get(grant.genesys_group_id, ()), grant)

    def granted_users(self) -> set[Guid]:
        """Return the AD users who hold a grant in one of the targets."""
        users = {grant.user_guid for grants in self._awake.values() for grant in grants}
        return users.union(*(grants.user_guids for grants in self._grants.values()))

    def owned_where_somebody_may_leave(self) -> Iterator[tuple[str, str]]:
        """Yield (Genesys group, Genesys user) of the grants in targets that may lose a member."""
        for target in self._bare:
            if target.full or loses(target):  # a group that loses nobody cannot become empty
                group_id = target.genesys_group.id
                yield from self._grants[group_id].memberships
                yield from ((group_id, grant.genesys_user_id) for grant in self._awake.get(group_id, ()))

    def _made(self, target: Target) -> Target:
        group_id = target.genesys_group.id
        read = self._present.get(group_id)
        members = None if read is None else frozenset(read)
        return replace(
            target,
            members=members,
            grants=(*self._grants.get(group_id, ()), *self._awake.get(group_id, ())),
            claimed_by=self._claimed.get(group_id),
            mirror_confirmed=group_id not in self._mirror.unconfirmed,
            empty_sources=self._mirror.empty_sources.get(group_id, ()),
            owners=frozenset(self._owners.get(group_id, ())),
            profiles=self._task.genesys.members(members or ()),
            trial=tuple(self._trial.evidence.get(group_id, ())),
            trial_rules=self._trial.rules.get(group_id, {}),
        )


def loses(target: Target) -> bool:
    """Return True if a removal is among the changes."""
    return any(change.action is Action.REMOVE for change in target.changes)
