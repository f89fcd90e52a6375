"""Deleted accounts, where the account of the connection may not see tombstones.

Active Directory takes a deleted user out of all groups without changing the groups, so that DirSync says nothing. The
member lists are then the only trace. They are compared at each poll; a group whose list lacks somebody is read
completely, and what that shows is evidence like any other complete reading.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection
from datetime import datetime, timedelta

from genesys_ad_sync.model import DirectoryView, Guid
from genesys_ad_sync.polling.poller import DirectoryPoller, PollResult
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.settings.values import occurrences

MEMBERSHIPS_PER_POLL = 20_000  # some six requests; more are spread over the polls of an hour
_HOUR = timedelta(hours=1)


def read_deletions(task: TaskContext, poller: DirectoryPoller, polled: PollResult) -> PollResult:
    """Read the mapped groups completely whose member lists lack somebody.

    Return the result of all readings. Does nothing after a whole reading, or where tombstones show deletions.
    """
    if polled.full or poller.sees_deleted_objects:
        return polled
    in_scope = task.journal.views.guids_in_scope()
    mapped = sorted({pair.group_guid for pair in task.journal.pairs.active()} & in_scope)
    part = part_of_this_poll(mapped, task.journal.views.count_memberships(), task.definition.schedule, polled.polled_at)
    if not part:
        return polled
    view = task.journal.views.load(part)
    losing = groups_that_lost_members(poller, view)
    roots = task.journal.views.groups_above(losing) if losing else set()
    if not roots:
        return polled
    task.log(f"{len(losing)} AD groups lack members without an explanation: they are read completely")
    return poller.read_completely(polled, roots)


def part_of_this_poll(groups: list[Guid], memberships: int, schedule: str, at: datetime) -> list[Guid]:
    """Return the groups whose turn it is at ``at``.

    They are all groups, or as many as are done within an hour.
    """
    interval = min(later - earlier for earlier, later in itertools.pairwise(occurrences(schedule, count=50)))
    polls = max(1, _HOUR // interval)
    parts = min(polls, math.ceil(memberships / MEMBERSHIPS_PER_POLL))
    turn = int(at.timestamp() // interval.total_seconds())
    return groups if parts <= 1 else groups[turn % parts :: parts]


def groups_that_lost_members(poller: DirectoryPoller, view: DirectoryView) -> set[Guid]:
    """Return the groups of ``view`` that lost members, or cannot be seen.

    The member list of such a group lacks somebody now.
    """
    listed = poller.reader.objects.member_lists(view.groups)
    lost = {guid: view.members[guid] - listed.get(guid, set()) for guid in view.groups}
    lost = {guid: members for guid, members in lost.items() if members or guid not in listed}
    by_primary_group = poller.reader.objects.members_by_primary_group(_domain_groups(view, lost), lost)
    return {guid for guid, members in lost.items() if guid not in listed or members - by_primary_group.get(guid, set())}


def _domain_groups(view: DirectoryView, guids: Collection[Guid]) -> DirectoryView:
    return DirectoryView(groups={guid: view.groups[guid] for guid in guids})
