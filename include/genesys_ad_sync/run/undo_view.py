"""What AD wants by now of the memberships that an undo would restore.

A link may have moved since. Then another account is that Genesys user, or the account is another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from genesys_ad_sync.directory.membership import wanted_members
from genesys_ad_sync.model import Guid, PairState, Row
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING


def wanted_by_group(task: TaskContext, group_ids: Iterable[str]) -> dict[str, dict[Guid, tuple[Guid, ...]]]:
    """Return the members of each Genesys group by AD's newest view.

    AD user -> the AD groups that list the user.
    """
    sources: dict[str, set[Guid]] = {group_id: set() for group_id in group_ids}
    for pair in task.facts.required(MAPPING).pairs:
        if pair.genesys_group_id in sources and pair.state is PairState.CONFIRMED:
            sources[pair.genesys_group_id].add(pair.group_guid)
    view = task.journal.views.load(set().union(*sources.values()))
    policy = task.definition.directory.policy
    return {group_id: wanted_members(view, groups, policy) for group_id, groups in sources.items()}


def linked_otherwise(task: TaskContext, rows: Sequence[Row]) -> set[tuple[str, Guid]]:
    """Return (Genesys group, AD user) of rows whose account is another Genesys user by now.

    AD does not want the former Genesys user of such an account.
    """
    links = task.journal.links.of({row.user_guid for row in rows if row.user_guid})
    return {
        (row.genesys_group_id or "", row.user_guid)
        for row in rows
        if row.user_guid in links and links[row.user_guid].genesys_user_id != row.genesys_user_id
    }


def granted_otherwise(task: TaskContext, rows: Sequence[Row]) -> set[str]:
    """Return keys of rows whose membership AD grants through another AD group, or another account.

    AD need not have changed for that: a rule may have been added since, or a link may have moved.
    """
    wanted = wanted_by_group(task, {row.genesys_group_id or "" for row in rows})
    of_others = _granted_to_others(task, rows, wanted)
    return {
        row.key
        for row in rows
        if (row.genesys_group_id, row.genesys_user_id) in of_others
        or set(wanted[row.genesys_group_id or ""].get(row.person, ())) - set(row.group_guids)
    }


def _granted_to_others(
    task: TaskContext, rows: Sequence[Row], wanted: Mapping[str, Collection[Guid]]
) -> set[tuple[str, str]]:
    """Return the memberships of rows that AD wants through another account.

    (Genesys group, Genesys user).
    """
    person = {(row.genesys_group_id, row.genesys_user_id): row.person for row in rows}
    grants = [
        grant
        for grant in task.journal.grants.of_groups(sorted(wanted))
        if grant.user_guid in wanted[grant.genesys_group_id]
        and person.get((grant.genesys_group_id, grant.genesys_user_id), grant.user_guid) != grant.user_guid
    ]
    links = task.journal.links.of({grant.user_guid for grant in grants})
    return {
        (grant.genesys_group_id, grant.genesys_user_id)
        for grant in grants
        if grant.user_guid in links and links[grant.user_guid].genesys_user_id == grant.genesys_user_id
    }
