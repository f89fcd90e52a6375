"""Third task: who each AD user is in Genesys Cloud."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from genesys_ad_sync.genesys.errors import BadRequest, GenesysError
from genesys_ad_sync.journal.records import Link
from genesys_ad_sync.matching import Lookup, MatchState, answered, excluded_users, finish, next_lookup, start
from genesys_ad_sync.model import Action, GenesysUser, Guid, Match, MatchStatus, Mode, Reason, Row, Status
from genesys_ad_sync.names import normal_mail
from genesys_ad_sync.run.context import Sync
from genesys_ad_sync.run.targets import TargetGroup


def with_late_comers(task: Sync, targets: Sequence[TargetGroup]) -> dict[Guid, Match]:
    """What `resolve_users` found, and the Genesys users of those of whom another run's poll has told since then.
    Who is missing could not be looked up. Raises GenesysError."""
    matches = matched(task)
    resolved_to = task.fact("resolved_to", 0)
    changes = (change for target in targets for change in target.changes)
    # also somebody whose link was believed, and who is to be added now
    late = {change.user_guid for change in changes if change.user_guid and (change.id or 0) > resolved_to}
    late |= _people_of(task, targets) - matches.keys()
    if late:
        task.say(f"{len(late)} people are still to be looked up")
        matches |= _resolve(task, targets, late)
        _keep(task, matches)
    return matches


def _people_of(task: Sync, targets: Sequence[TargetGroup]) -> set[Guid]:
    """Everybody whom the changes are about; and who is wanted in a target that is compared as a whole, or that is to
    lose somebody, who may be one of them by another name. Whoever has a link costs nothing."""
    people = {change.user_guid for target in targets for change in target.changes if change.user_guid}
    people = people.union(*(target.wanted for target in targets if target.whole or _is_to_lose(target)))
    if any(_may_lose_strangers(task, target) for target in targets):
        people |= excluded_users(task.journal.all_users(task.definition.name), task.definition)
    return people


def _is_to_lose(target: TargetGroup) -> bool:
    return any(change.action is Action.REMOVE and change.settled_by is None for change in target.changes)


def _may_lose_strangers(task: Sync, target: TargetGroup) -> bool:
    """`mirror` removes whoever is not wanted there: those whom `exclude:` leaves alone must be recognised."""
    if task.definition.removals != "mirror" or not task.definition.exclude.users:
        return False
    return target.whole or any(change.user_guid is None and change.settled_by is None for change in target.changes)


def _must_be_active(targets: Sequence[TargetGroup]) -> set[Guid]:
    """Who may be added, for which a link is not enough; and with whom something went wrong."""
    pending = [change for target in targets for change in target.changes if change.settled_by is None]
    people = {
        change.user_guid
        for change in pending
        if change.user_guid and (change.action is Action.ADD or change.status is Status.FAILED)
    }
    return people.union(*(target.wanted for target in targets if target.whole))


def look_up(task: Sync, target: TargetGroup, matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Those who are wanted in the target by now and are not among the matches. Raises GenesysError."""
    late = target.wanted.keys() - matches.keys()
    return _resolve(task, [target], set(late)) if late else {}


def _resolve(task: Sync, targets: Sequence[TargetGroup], guids: set[Guid]) -> dict[Guid, Match]:
    definition = task.definition
    users = task.journal.known_users(definition.name, guids)
    links = {guid: link.genesys_user_id for guid, link in task.journal.all_links(definition.name).items()}

    unsure = guids if task.run.mode is Mode.FULL else guids & _must_be_active(targets)
    checked = {links[guid] for guid in links.keys() & unsure}
    state = start(
        users.values(),
        definition.users,
        links,
        gone=guids - users.keys(),
        deleted=task.journal.deleted_users(definition.name),
        relink=True,
    )
    matches = _match(task, state, checked)
    believed = {links[guid] for guid in links.keys() & guids} - checked
    if believed and task.genesys.has_listed_users:
        matches = _match(task, state, checked | believed)  # now it costs nothing

    if not task.run.dry_run:
        gone = task.journal.gone_users(definition.name, guids)
        fresh = [
            Link(match.user_guid, match.genesys_user_id, match.matched_by or "", task.clock())
            for match in matches.values()
            # not of an inactive one: a link is believed without a look at the user's state
            if match.status is MatchStatus.MATCHED
            and match.genesys_user_id
            and match.matched_by != "link"
            # nor of somebody who left, and may be deleted
            and match.user_guid not in gone
        ]
        # A link gives way only to one whose Genesys user is gone, and all memberships with that one.
        moved = [(link.user_guid, links[link.user_guid]) for link in fresh if link.user_guid in links]
        with task.journal.together():
            task.journal.drop_grants_of(definition.name, moved)
            task.journal.save_links(definition.name, fresh)
    return matches


def _keep(task: Sync, matches: Mapping[Guid, Match]) -> None:
    """For the later tasks; `matched` reads it."""
    task.journal.put_fact(
        task.run,
        "matches",
        [
            [
                m.user_guid,
                m.status.value,
                m.genesys_user_id,
                m.matched_by,
                m.reason.value if m.reason else None,
                list(m.candidates),
            ]
            for m in matches.values()
        ],
    )


def _match(task: Sync, state: MatchState, checked: Collection[str]) -> dict[Guid, Match]:
    """``checked``: linked Genesys users of whom Genesys is asked; the others are taken for active."""
    while lookup := next_lookup(state):
        state = answered(state, lookup, *_look_up(task, lookup, checked))
    return finish(state)


_Answer = tuple[Mapping[str, list[GenesysUser]], Collection[str]]
"""Candidates by the value that was asked for, and the values for which Genesys cannot be asked."""


def _look_up(task: Sync, lookup: Lookup, checked: Collection[str]) -> _Answer:
    if lookup.rule is None:
        asked = [user_id for user_id in lookup.values if user_id in checked]
        if asked:
            task.say(f"looking at {len(asked)} known Genesys users")
        linked = {user.id: [user] for user in task.genesys.users_by_id(asked)}
        for user_id in set(lookup.values) - set(asked):
            linked[user_id] = [GenesysUser(id=user_id, name="", email=None, username=None, state="active")]
        return linked, ()
    rule = task.definition.users[lookup.rule]
    task.say(f"looking up {len(lookup.values)} users by {rule.genesys}")
    if rule.genesys == "external_id":
        assert rule.authority is not None
        return _with_external_ids(task, rule.authority, lookup.values)
    by_value: dict[str, list[GenesysUser]] = {}
    for user in task.genesys.find_users(rule.genesys, lookup.values):
        value = user.email if rule.genesys == "email" else user.username
        by_value.setdefault(normal_mail(value or ""), []).append(user)
    return by_value, ()


def _with_external_ids(task: Sync, authority: str, keys: Collection[str]) -> _Answer:
    """A key that Genesys refuses, or that cannot stand in a path (such as "."), is the trouble of one person."""
    found, refused = {}, []
    for key in keys:
        try:
            user = task.genesys.user_by_external_id(authority, key)
        except BadRequest:
            refused.append(key)
        else:
            found[key] = [user] if user else []
    if refused:
        task.say(f"{len(refused)} external ids cannot be looked up in Genesys; the changes of those people are held")
    return found, refused


def look_at_refused(task: Sync, rows: Sequence[Row]) -> list[Row]:
    """The rows, where Genesys refused an add with the reason that it has no such active user any more.

    A link to somebody who is gone is dropped: the next run finds the person by the rules.
    """
    refused = {row.genesys_user_id for row in rows if _is_refused_add(row) and row.genesys_user_id}
    if not refused:
        return list(rows)
    try:
        known = {user.id: user for user in task.genesys.users_by_id(refused)}
    except GenesysError as error:
        task.say(f"{len(refused)} users whom Genesys refused could not be looked at: {error}")
        return list(rows)
    gone = refused - known.keys()
    over = [(row.user_guid, row.genesys_user_id) for row in rows if row.user_guid and row.genesys_user_id in gone]
    with task.journal.together():  # all memberships are gone with the user
        task.journal.drop_grants_of(task.definition.name, [(guid, id_) for guid, id_ in over if id_])
        task.journal.drop_links(task.definition.name, [guid for guid, _ in over])
    looked = []
    for row in rows:
        if not _is_refused_add(row):
            looked.append(row)
        elif row.genesys_user_id in gone:
            looked.append(replace(row, status=Status.ORPHANED, reason=Reason.NO_GENESYS_USER))
        elif row.genesys_user_id in known and known[row.genesys_user_id].state != "active":
            looked.append(replace(row, status=Status.ORPHANED, reason=Reason.INACTIVE))
        else:
            looked.append(row)
    return looked


def _is_refused_add(row: Row) -> bool:
    return row.action is Action.ADD and row.status is Status.FAILED and row.reason is Reason.REFUSED


def matched(task: Sync) -> dict[Guid, Match]:
    """What this run found until now: by AD user, everybody who was looked up."""
    return {
        guid: Match(guid, MatchStatus(status), user_id, by, Reason(reason) if reason else None, tuple(candidates))
        for guid, status, user_id, by, reason, candidates in task.fact("matches", [])
    }
