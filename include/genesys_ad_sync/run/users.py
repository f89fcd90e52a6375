"""Genesys users of the AD users that a run concerns.

They are looked up, verified, and linked again where a user is deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, IncompleteListing, PermissionMissing
from genesys_ad_sync.genesys.external_ids import users_by_external_ids
from genesys_ad_sync.matching import (
    Lookup,
    MatchState,
    accounts_without_veto,
    answered,
    claimable,
    excluded_users,
    finish,
    next_lookup,
    outsiders,
    start,
    wants_listing,
    with_links,
    with_listing,
    without_veto,
)
from genesys_ad_sync.model import BY_LINK, BY_PERSON, Action, GenesysUser, Guid, Link, Match, Mode, Reason, Row, Status
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run import shown_users
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MATCHES, RESOLVED_TO
from genesys_ad_sync.run.links import BY_GRANT, due_for_external_ids, save_links
from genesys_ad_sync.run.policy import mirrors
from genesys_ad_sync.run.uniqueness import with_unique_values

# -- which users --------------------------------------------------------------------------------------


def users_of_targets(task: TaskContext, targets: Sequence[Target]) -> set[Guid]:
    """Return the AD users whose Genesys users a plan needs.

    - The users of the changes.
    - All wanted users of a target that is compared in full.
    - All wanted users of a target that may lose a member: one of them may be that Genesys user by another name.
    - Members of these targets that AD lists and does not show: the journal may know who they are.
    - The users of `exclude:`, where strangers may be removed or listed.

    A user with a link costs no request.
    """
    users = {change.user_guid for target in targets for change in target.changes if change.user_guid}
    deciding = [target for target in targets if target.full or _may_lose_members(target)]
    users = users.union(*(target.wanted for target in deciding), *(target.unreadable for target in deciding))
    if any(_may_lose_strangers(task, target) for target in targets):
        users |= excluded_users(task.journal.views.all_users(), task.definition)
    return users


def _may_lose_members(target: Target) -> bool:
    return any(change.action is Action.REMOVE and change.settled_by is None for change in target.changes)


def _may_lose_strangers(task: TaskContext, target: Target) -> bool:
    """Return True if the target may have members that `exclude:` must protect.

    `mirror` may remove these members, or mode full lists them as manual.
    """
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
    """Return the matches of this run, by AD user.

    A user that was not looked up is missing.
    """
    return {match.user_guid: match for match in task.facts[MATCHES]}


def resolve(
    task: TaskContext,
    targets: Sequence[Target],
    guids: set[Guid],
    *,
    unsure: Collection[Guid] = (),
    compare_with_all: bool = False,
) -> dict[Guid, Match]:
    """Look up these AD users in Genesys, compare their links, and store changes.

    Raises GenesysError.

    - ``unsure``: users whose link is not enough, whatever the targets say.
    - ``compare_with_all``: compare users that no look-up finds with a listing of all users.
    """
    if not guids:
        return {}
    links = task.journal.links.of(guids)
    checked = _to_look_at(task, targets, guids, links, unsure)
    return _resolve(task, guids, links, checked, compare_with_all=compare_with_all)


def _to_look_at(
    task: TaskContext,
    targets: Sequence[Target],
    guids: set[Guid],
    links: Mapping[Guid, Link],
    unsure: Collection[Guid] = (),
) -> set[str]:
    """Return the linked Genesys users that must not be believed."""
    doubtful = guids if task.run.mode is Mode.FULL else guids & (users_to_verify(targets) | set(unsure))
    return {links[guid].genesys_user_id for guid in links.keys() & doubtful}


def resolve_late_arrivals(task: TaskContext, targets: Sequence[Target]) -> dict[Guid, Match]:
    """Return the run's matches, with users of changes that another run polled since. Raises GenesysError."""
    matches = matched(task)
    resolved_to = task.facts[RESOLVED_TO]
    changes = (change for target in targets for change in target.changes)
    # also a user whose link was believed, and who is to be added now
    late = {change.user_guid for change in changes if change.user_guid and (change.id or 0) > resolved_to}
    late |= users_of_targets(task, targets) - matches.keys()
    late -= {guid for guid, match in matches.items() if match.matched_by == BY_PERSON}  # see `relink.prepare`
    if late:
        task.log(f"{len(late)} people are still to be looked up")
        matches |= resolve(task, targets, late)
        task.facts[MATCHES] = tuple(matches.values())
    return matches


def look_up(task: TaskContext, target: Target, matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Return matches of wanted users of the target that are not among ``matches``. Raises GenesysError.

    They only protect members. No link is made of them: that needs a look at AD, see `with_unique_values`.
    """
    late = target.wanted.keys() - matches.keys()
    if not late:
        return {}
    links = task.journal.links.of(late)
    return finish(_matching(task, set(late), links, _to_look_at(task, [target], set(late), links)))


def look_up_absent(task: TaskContext, targets: Iterable[Target], matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Return the matches after a look at absent Genesys users of removals.

    These users are not among the members. Where Genesys shows such a user as deleted, the person may be a member as
    another user. Raises GenesysError.
    """
    leaving = {guid for target in targets for guid in _leavers(target)}
    links = task.journal.links.of(leaving)
    absent: dict[Guid, Link] = {}

    def was_looked_at(link: Link) -> bool:
        match = matches.get(link.user_guid)
        if match is not None and (match.matched_by == BY_PERSON or match.moved_from == link.genesys_user_id):
            return True
        return task.run.mode is Mode.FULL and link.user_guid in links

    for target in targets:
        granted = {grant.user_guid: grant.genesys_user_id for grant in target.grants}
        for guid in _leavers(target):
            link = links.get(guid) or _link_of_grant(guid, granted.get(guid), task.clock())
            if link and link.genesys_user_id not in (target.members or ()) and not was_looked_at(link):
                absent[guid] = link
    if not absent:
        return dict(matches)
    task.log(f"{len(absent)} people who leave are not among the members: looking at their Genesys users")
    checked = {link.genesys_user_id for link in absent.values()}
    found = _resolve(task, absent.keys(), absent, checked)
    moved = {guid: match for guid, match in found.items() if match.moved_from or match.reason in _DOUBTS}
    together = {**matches, **moved}
    if moved:
        task.facts[MATCHES] = tuple(together.values())
    return together


_DOUBTS = {Reason.AMBIGUOUS, Reason.LINK_CONTRADICTED}


def _leavers(target: Target) -> set[Guid]:
    """Return the AD users with removals that would seem to be in effect.

    A removal would seem so if its user is not a member.
    """
    if target.members is None:
        return set()
    return {
        change.user_guid
        for change in target.changes
        if change.action is Action.REMOVE and change.settled_by is None and change.user_guid
    } - target.wanted.keys()


def _link_of_grant(guid: Guid, genesys_user_id: str | None, now: datetime) -> Link | None:
    """Return a link to the Genesys user of a grant.

    The stored link ends when AD deletes the account.
    """
    return Link(guid, genesys_user_id, BY_GRANT, now) if genesys_user_id else None


def match_by_rules(task: TaskContext, guid: Guid, links: Mapping[Guid, Link]) -> Match:
    """Return the match of one AD user and store nothing. ``links``: all that count."""
    matches = finish(_matching(task, {guid}, links, ()))
    return with_unique_values(task, matches, task.journal.views.users({guid}))[guid]


def _resolve(
    task: TaskContext,
    guids: Collection[Guid],
    links: Mapping[Guid, Link],
    checked: Collection[str],
    *,
    compare_with_all: bool = False,
) -> dict[Guid, Match]:
    """Match these AD users and store their links."""
    state = _matching(task, guids, links, checked, compare_with_all=compare_with_all)
    known = {guid: user for guid, user in state.users.items() if user is not None}
    matches = with_unique_values(task, finish(state), known)
    shown_users.note(task, _found(state, matches))
    if not task.run.dry_run:
        save_links(task, state, matches)
    return matches


def _found(state: MatchState, matches: Mapping[Guid, Match]) -> Iterable[GenesysUser]:
    """Return the Genesys users of new links, as Genesys showed them."""
    new = {match.genesys_user_id for match in matches.values() if match.genesys_user_id and match.matched_by != BY_LINK}
    for answer in state.answers:
        yield from (user for users in answer.values() for user in users if user.id in new)


def _matching(
    task: TaskContext,
    guids: Collection[Guid],
    links: Mapping[Guid, Link],
    checked: Collection[str],
    *,
    compare_with_all: bool = False,
) -> MatchState:
    """Ask Genesys about these AD users.

    ``links``: those of these AD users. ``checked``: linked Genesys users to look at; other links are believed.
    """
    users = task.journal.views.users(guids)
    gone = set(guids) - users.keys()
    due = due_for_external_ids(task, users.values(), links, checked)
    own = {links[guid].genesys_user_id for guid in links.keys() & set(guids)}

    def asked(looked_at: Collection[str]) -> MatchState:
        begun = start(users.values(), task.definition.users, links, gone=gone, checked=looked_at, due=due)
        state = _ask(task, begun)
        return _compared_with_all(task, state) if compare_with_all and wants_listing(state) else state

    state = asked(checked)
    # Where users are listed, a look costs nothing. A person that Genesys refuses to look up may be a believed user.
    if own - set(checked) and (task.genesys.has_listed_users or state.refused):
        state = asked(own)
    state = with_links(state, task.journal.links.to_users(claimable(state), besides=state.users))
    others = task.journal.views.users(outsiders(state))
    people = [*users.values(), *others.values()]
    deleted = task.journal.views.deleted_users()
    return without_veto(state, accounts_without_veto(people, task.definition, deleted))


# -- asking Genesys -----------------------------------------------------------------------------------

_Answer = tuple[Mapping[str, list[GenesysUser]], Collection[str]]
"""Candidates by the value that was asked for, and the values that Genesys refuses to look up."""


def _ask(task: TaskContext, state: MatchState) -> MatchState:
    """Ask Genesys until the matching is complete."""
    while lookup := next_lookup(state):
        state = answered(state, lookup, *_look_up(task, lookup))
    return state


def _compared_with_all(task: TaskContext, state: MatchState) -> MatchState:
    """Compare people that no look-up found with all users, where Genesys lists them.

    A search may be case-sensitive. Without the listing they stay not found.
    """
    try:
        users = task.genesys.all_users()
    except (BadRequest, IncompleteListing, PermissionMissing) as error:
        task.log(f"people without a Genesys user could not be compared with all users: {error}")
        return state
    task.log(f"comparing people without a Genesys user with {len(users)} users")
    return with_listing(state, users)


def _look_up(task: TaskContext, lookup: Lookup) -> _Answer:
    if lookup.rule is None:
        task.log(f"looking at {len(lookup.values)} known Genesys users")
        return {user.id: [user] for user in task.genesys.users_by_id(lookup.values)}, ()
    rule = task.definition.users[lookup.rule]
    task.log(f"looking up {len(lookup.values)} users by {rule.genesys}")
    if rule.genesys.needs_authority:
        assert rule.authority is not None  # noqa: S101  for mypy
        found, refused = users_by_external_ids(task.genesys, rule.authority, lookup.values)
    else:
        users = task.genesys.find_users(rule.genesys, lookup.spellings)
        found, refused = {}, users.refused
        for user in users:
            found.setdefault(rule.genesys.normalise(rule.genesys.of(user) or ""), []).append(user)
    if refused:
        task.log(
            f"Genesys refuses to look up {len(refused)} values of {rule.label}: the changes of those people are held"
        )
    return found, refused


def states_of(task: TaskContext, user_ids: Collection[str]) -> dict[str, str]:
    """Return the state of each Genesys user: ``unknown`` where Genesys shows none. Raises GenesysError."""
    return {**dict.fromkeys(user_ids, "unknown"), **task.genesys.user_states(user_ids)} if user_ids else {}


# -- after a refusal ----------------------------------------------------------------------------------


def recheck_refused_users(task: TaskContext, rows: Sequence[Row]) -> list[Row]:
    """Return the rows, with refused adds of missing or inactive users as orphaned.

    Links and grants stay: the next run looks at the user again, and moves the link of a deleted one.
    """
    refused = _refused_users(rows)
    if not refused:
        return list(rows)
    try:
        known = {user.id: user for user in task.genesys.users_by_id(refused)}
    except GenesysError as error:
        task.log(f"{len(refused)} refused users could not be looked up in Genesys: {error}")
        return list(rows)
    return [_as_orphan(row, known.get(row.genesys_user_id or "")) if _is_refused_add(row) else row for row in rows]


def _refused_users(rows: Sequence[Row]) -> set[str]:
    return {row.genesys_user_id for row in rows if row.genesys_user_id and _is_refused_add(row)}


def _is_refused_add(row: Row) -> bool:
    refused = row.status is Status.FAILED and row.reason is Reason.REFUSED
    return refused and row.action is Action.ADD and row.genesys_user_id is not None


def _as_orphan(row: Row, user: GenesysUser | None) -> Row:
    """Return a refused add as orphaned, unless the user is active.

    ``user``: as Genesys knows it; None: gone.
    """
    if user is None or user.state == "deleted":
        return replace(row, status=Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    if user.state != "active":
        return replace(row, status=Status.ORPHANED, reason=Reason.INACTIVE)
    return row
