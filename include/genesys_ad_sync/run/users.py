"""Genesys users of the AD users that a run concerns: looked up, verified, linked again where a user is gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from genesys_ad_sync.genesys.errors import BadRequest, GenesysError
from genesys_ad_sync.matching import Lookup, MatchState, answered, excluded_users, finish, next_lookup, start
from genesys_ad_sync.model import Action, GenesysUser, Guid, Link, Match, MatchStatus, Mode, Reason, Row, Status
from genesys_ad_sync.names import normal_mail
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MATCHES, RESOLVED_TO
from genesys_ad_sync.run.targets import mirrors

# -- which users --------------------------------------------------------------------------------------


def users_of_targets(task: TaskContext, targets: Sequence[Target]) -> set[Guid]:
    """Return the AD users whose Genesys users a plan needs.

    - The users of the changes.
    - All wanted users of a target that is compared in full.
    - All wanted users of a target that may lose a member: one of them may be that Genesys user by another name.
    - The users of `exclude:`, where strangers may be removed or listed.

    A user with a link costs no request.
    """
    users = {change.user_guid for target in targets for change in target.changes if change.user_guid}
    users = users.union(*(target.wanted for target in targets if target.full or _may_lose_members(target)))
    if any(_may_lose_strangers(task, target) for target in targets):
        users |= excluded_users(task.journal.views.all_users(), task.definition)
    return users


def _may_lose_members(target: Target) -> bool:
    return any(change.action is Action.REMOVE and change.settled_by is None for change in target.changes)


def _may_lose_strangers(task: TaskContext, target: Target) -> bool:
    """Return True if `mirror` may remove members that `exclude:` must protect, or mode full lists them as manual."""
    if not task.definition.exclude.users or not (mirrors(task) or task.run.mode is Mode.FULL):
        return False
    return target.full or any(change.user_guid is None and change.settled_by is None for change in target.changes)


def users_to_verify(targets: Sequence[Target]) -> set[Guid]:
    """Return the users whose link is not enough.

    Those who may be added, and those of a failed change.
    """
    pending = [change for target in targets for change in target.changes if change.settled_by is None]
    users = {
        change.user_guid
        for change in pending
        if change.user_guid and (change.action is Action.ADD or change.status is Status.FAILED)
    }
    return users.union(*(target.wanted for target in targets if target.full))


# -- looking up ---------------------------------------------------------------------------------------


def matched(task: TaskContext) -> dict[Guid, Match]:
    """Return the matches of this run, by AD user. A user who was not looked up is missing."""
    return {match.user_guid: match for match in task.facts[MATCHES]}


def resolve(task: TaskContext, targets: Sequence[Target], guids: set[Guid]) -> dict[Guid, Match]:
    """Look up these AD users in Genesys and store new links. Raises GenesysError.

    A user that Genesys cannot be asked about is missing in the result.
    """
    people = _gather(task, targets, guids)
    matches = _match(task, people)
    if not task.run.dry_run:
        _save_links(task, people, matches)
    return matches


def resolve_late_arrivals(task: TaskContext, targets: Sequence[Target]) -> dict[Guid, Match]:
    """Return the run's matches, with users of changes that another run polled since. Raises GenesysError.

    A user that Genesys cannot be asked about is missing in the result.
    """
    matches = matched(task)
    resolved_to = task.facts[RESOLVED_TO]
    changes = (change for target in targets for change in target.changes)
    # also a user whose link was believed, and who is to be added now
    late = {change.user_guid for change in changes if change.user_guid and (change.id or 0) > resolved_to}
    late |= users_of_targets(task, targets) - matches.keys()
    if late:
        task.log(f"{len(late)} people are still to be looked up")
        matches |= resolve(task, targets, late)
        task.facts[MATCHES] = tuple(matches.values())
    return matches


def look_up(task: TaskContext, target: Target, matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Return matches of wanted users of the target that are not among ``matches``. Raises GenesysError."""
    late = target.wanted.keys() - matches.keys()
    return resolve(task, [target], set(late)) if late else {}


@dataclass(frozen=True)
class _People:
    """The users to look up. ``links``: of all users that the journal knows; ``checked``: Genesys users to verify."""

    guids: set[Guid]
    state: MatchState
    links: Mapping[Guid, str]
    checked: set[str]
    gone: frozenset[Guid]


def _gather(task: TaskContext, targets: Sequence[Target], guids: set[Guid]) -> _People:
    users = task.journal.views.users(guids)
    links = {guid: link.genesys_user_id for guid, link in task.journal.links.all().items()}
    unsure = guids if task.run.mode is Mode.FULL else guids & users_to_verify(targets)
    state = start(
        users.values(),
        task.definition.users,
        links,
        gone=guids - users.keys(),
        deleted=task.journal.views.deleted_users(),
        relink=True,
    )
    checked = {links[guid] for guid in links.keys() & unsure}
    return _People(guids, state, links, checked, task.journal.views.gone_users(guids))


def _match(task: TaskContext, people: _People) -> dict[Guid, Match]:
    matches = _ask(task, people.state, people.checked)
    believed = {people.links[guid] for guid in people.links.keys() & people.guids} - people.checked
    if believed and task.genesys.has_listed_users:
        matches = _ask(task, people.state, people.checked | believed)  # now it costs nothing
    return matches


def _save_links(task: TaskContext, people: _People, matches: Mapping[Guid, Match]) -> None:
    fresh = [
        Link(match.user_guid, match.genesys_user_id, match.matched_by or "", task.clock())
        for match in matches.values()
        # not of an inactive one: a link is believed without a look at the user's state
        if match.status is MatchStatus.MATCHED
        and match.genesys_user_id
        and match.matched_by != "link"
        # nor of a user who left, and may be deleted
        and match.user_guid not in people.gone
    ]
    # A link is replaced only if its Genesys user is gone, and all memberships with that user.
    moved = [(link.user_guid, people.links[link.user_guid]) for link in fresh if link.user_guid in people.links]
    with task.journal.together():
        task.journal.grants.remove_users(moved)
        task.journal.links.save(fresh)


# -- asking Genesys -----------------------------------------------------------------------------------

_Answer = tuple[Mapping[str, list[GenesysUser]], Collection[str]]
"""Candidates by the value that was asked for, and the values for which Genesys cannot be asked."""


def _ask(task: TaskContext, state: MatchState, checked: Collection[str]) -> dict[Guid, Match]:
    """Ask Genesys until the matching is complete.

    ``checked``: linked Genesys users to verify; the others are taken for active.
    """
    while lookup := next_lookup(state):
        state = answered(state, lookup, *_look_up(task, lookup, checked))
    return finish(state)


def _look_up(task: TaskContext, lookup: Lookup, checked: Collection[str]) -> _Answer:
    if lookup.rule is None:
        return _linked_users(task, lookup.values, checked), ()
    rule = task.definition.users[lookup.rule]
    task.log(f"looking up {len(lookup.values)} users by {rule.genesys}")
    if rule.genesys == "external_id":
        assert rule.authority is not None
        return _with_external_ids(task, rule.authority, lookup.values)
    by_value: dict[str, list[GenesysUser]] = {}
    for user in task.genesys.find_users(rule.genesys, lookup.values):
        value = user.email if rule.genesys == "email" else user.username
        by_value.setdefault(normal_mail(value or ""), []).append(user)
    return by_value, ()


def _linked_users(
    task: TaskContext, user_ids: Collection[str], checked: Collection[str]
) -> dict[str, list[GenesysUser]]:
    asked = [user_id for user_id in user_ids if user_id in checked]
    if asked:
        task.log(f"looking at {len(asked)} known Genesys users")
    linked = {user.id: [user] for user in task.genesys.users_by_id(asked)}
    for user_id in set(user_ids) - set(asked):
        linked[user_id] = [GenesysUser(id=user_id, name="", email=None, username=None, state="active")]
    return linked


def _with_external_ids(task: TaskContext, authority: str, keys: Collection[str]) -> _Answer:
    """Look up external ids one by one. A key that Genesys refuses, such as ".", concerns one user only."""
    found, refused = {}, []
    for key in keys:
        try:
            user = task.genesys.user_by_external_id(authority, key)
        except BadRequest:
            refused.append(key)
        else:
            found[key] = [user] if user else []
    if refused:
        task.log(f"{len(refused)} external ids cannot be looked up in Genesys; the changes of those people are held")
    return found, refused


def states_of(task: TaskContext, user_ids: Collection[str]) -> dict[str, str]:
    """Return the state of each Genesys user: ``unknown`` where Genesys shows none. Raises GenesysError."""
    return {**dict.fromkeys(user_ids, "unknown"), **task.genesys.user_states(user_ids)} if user_ids else {}


# -- after a refusal ----------------------------------------------------------------------------------


def recheck_refused_users(task: TaskContext, rows: Sequence[Row]) -> list[Row]:
    """Return the rows, with refused adds of missing or inactive users as orphaned.

    A link to a user whom Genesys shows as deleted is dropped: the next run looks the user up by the rules. A user who
    merely does not occur in the answer keeps link and grants.
    """
    refused = _refused_users(rows)
    if not refused:
        return list(rows)
    try:
        known = {user.id: user for user in task.genesys.users_by_id(refused)}
        states = states_of(task, refused - known.keys())
    except GenesysError as error:
        task.log(f"{len(refused)} refused users could not be looked up in Genesys: {error}")
        return list(rows)
    _forget_gone(task, rows, {id_ for id_, state in states.items() if state == "deleted"})
    return [_as_orphan(row, known.get(row.genesys_user_id or "")) if _is_refused_add(row) else row for row in rows]


def _refused_users(rows: Sequence[Row]) -> set[str]:
    return {row.genesys_user_id for row in rows if row.genesys_user_id and _is_refused_add(row)}


def _is_refused_add(row: Row) -> bool:
    refused = row.status is Status.FAILED and row.reason is Reason.REFUSED
    return refused and row.action is Action.ADD and row.genesys_user_id is not None


def _forget_gone(task: TaskContext, rows: Sequence[Row], gone: Collection[str]) -> None:
    """Drop links to these Genesys users, and the grants that are gone with them."""
    users = [
        (row.user_guid, row.genesys_user_id)
        for row in rows
        if row.user_guid and row.genesys_user_id and row.genesys_user_id in gone
    ]
    with task.journal.together():
        task.journal.grants.remove_users(users)
        task.journal.links.remove([guid for guid, _ in users])


def _as_orphan(row: Row, user: GenesysUser | None) -> Row:
    """Return a refused add as orphaned, unless the user is active. ``user``: as Genesys knows it; None: gone."""
    if user is None:
        return replace(row, status=Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    if user.state != "active":
        return replace(row, status=Status.ORPHANED, reason=Reason.INACTIVE)
    return row
