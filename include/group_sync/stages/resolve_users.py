"""Third task: who each AD user is in Genesys Cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from include.group_sync.journal.records import Link
from include.group_sync.matching import Lookup, answered, finish, next_lookup, start
from include.group_sync.model import GenesysUser, Guid, Match, MatchStatus, Reason
from include.group_sync.names import normal_mail
from include.group_sync.stages import targets as target_groups
from include.group_sync.stages.context import Sync


def resolve_users(sync: Sync) -> dict[str, Any]:
    """Finds the Genesys user of everybody whom this run concerns. Raises GenesysError if they cannot be looked up.

    A known link (objectGUID -> Genesys user id) comes first, so that a changed mail does not lose a person.
    """
    run = sync.run
    definition = sync.definition
    targets, _ = target_groups.collect(sync)
    guids: set[Guid] = set()
    for target in targets:
        guids |= {change.user_guid for change in target.changes if change.user_guid}
        if target.whole:
            guids |= set(target.wanted)
    users = sync.journal.known_users(definition.name, guids)
    links = {guid: link.genesys_user_id for guid, link in sync.journal.all_links(definition.name).items()}

    state = start(users.values(), definition.users, links, gone=guids - users.keys())
    while lookup := next_lookup(state):
        state = answered(state, lookup, _look_up(sync, lookup))
    matches = finish(state)

    if not run.dry_run:
        fresh = [
            Link(match.user_guid, match.genesys_user_id, match.matched_by or "", sync.clock())
            for match in matches.values()
            if match.status in (MatchStatus.MATCHED, MatchStatus.INACTIVE)
            and match.genesys_user_id
            and match.matched_by != "link"
        ]
        sync.journal.save_links(definition.name, fresh)
    sync.journal.put_fact(
        run,
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
    sync.count_requests()
    counts = Counter(match.status.value for match in matches.values())
    sync.say("users: " + (", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none to resolve"))
    return {
        **{status.value: counts.get(status.value, 0) for status in MatchStatus},
        "not_matched": {
            guid: (match.reason.value if match.reason else match.status.value)
            for guid, match in matches.items()
            if match.status is not MatchStatus.MATCHED
        },
    }


def _look_up(sync: Sync, lookup: Lookup) -> Mapping[str, list[GenesysUser]]:
    """Candidates by the value that was asked for."""
    if lookup.rule is None:
        sync.say(f"looking at {len(lookup.values)} known Genesys users")
        return {user.id: [user] for user in sync.genesys.users_by_id(lookup.values)}
    rule = sync.definition.users[lookup.rule]
    sync.say(f"looking up {len(lookup.values)} users by {rule.genesys}")
    if rule.genesys == "external_id":
        assert rule.authority is not None
        found = {value: sync.genesys.user_by_external_id(rule.authority, value) for value in lookup.values}
        return {value: [user] for value, user in found.items() if user}
    by_value: dict[str, list[GenesysUser]] = {}
    for user in sync.genesys.find_users(rule.genesys, lookup.values):
        value = user.email if rule.genesys == "email" else user.username
        by_value.setdefault(normal_mail(value or ""), []).append(user)
    return by_value


def matched(sync: Sync) -> dict[Guid, Match]:
    """What `resolve_users` found in this run."""
    return {
        guid: Match(guid, MatchStatus(status), user_id, by, Reason(reason) if reason else None, tuple(candidates))
        for guid, status, user_id, by, reason, candidates in sync.fact("matches", [])
    }
