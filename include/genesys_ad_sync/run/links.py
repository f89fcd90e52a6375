"""Links between AD users and Genesys users.

They say which users are compared, and what is stored of that.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from genesys_ad_sync.journal.database import chunks
from genesys_ad_sync.matching import LinkFinding, MatchState, is_digest_of, link_findings, value_for, values_digest
from genesys_ad_sync.model import BY_LINK, DirectoryUser, FormerLink, Guid, Link, Match, MatchStatus, Mode
from genesys_ad_sync.planning import Move
from genesys_ad_sync.run.context import TaskContext

BY_GRANT = "grant"
"""`Link.matched_by` of what only a grant remembers. Such a link is never stored."""

PEOPLE_AT_A_TIME = 2000
"""Accounts whose links one transaction writes: others wait for it."""

DAYS_OF_A_ROUND = 30
"""Links by external id, which cost a request each, are compared once in so many days of runs in mode full."""


def due_for_external_ids(
    task: TaskContext, users: Iterable[DirectoryUser], links: Mapping[Guid, Link], checked: Collection[str]
) -> set[Guid]:
    """Return the accounts whose link may be compared by external ids in this run.

    - Those whose values have changed since an external id confirmed the link.
    - In mode full, a thirtieth of the others a day.
    """
    rules = task.definition.users
    today = task.clock().toordinal() % DAYS_OF_A_ROUND
    due = set()
    for user in users:
        link = links.get(user.guid)
        if link is None or link.genesys_user_id not in checked or not _has_external_id(task, user):
            continue
        changed = link.values is not None and not is_digest_of(link.values, rules, user)
        if changed or (task.run.mode is Mode.FULL and zlib.crc32(user.guid.encode()) % DAYS_OF_A_ROUND == today):
            due.add(user.guid)
    return due


def save_links(task: TaskContext, state: MatchState, matches: Mapping[Guid, Match]) -> None:
    """Store new and moved links, and what the comparison of the others showed.

    A link that another run has moved since it was read stays as it is. No link depends on another.
    """
    now = task.clock()
    new = _new_links(task, matches)
    compared = {
        guid: link
        for guid, finding in link_findings(state).items()
        if state.links[guid].matched_by != BY_GRANT
        if (link := _after_comparison(task, state, guid, finding)) != state.links[guid]
    }
    for guids in chunks(new.keys() | compared.keys(), PEOPLE_AT_A_TIME):
        some = {guid: new[guid] for guid in guids if guid in new}
        links = {
            guid: Link(guid, m.genesys_user_id or "", m.matched_by or "", now, _digest(task, state, guid))
            for guid, m in some.items()
        }
        with task.journal.together():
            stored = task.journal.links.of(guids)
            current = {guid: link.genesys_user_id for guid, link in stored.items()}
            fresh = [match for guid, match in some.items() if current.get(guid) in {None, match.moved_from}]
            task.journal.links.save([links[match.user_guid] for match in fresh])
            task.journal.links.add_former(
                [FormerLink(m.user_guid, m.moved_from, True, now, str(task.key)) for m in fresh if m.moved_from]
            )
            looked_at = [compared[guid] for guid in guids if guid in compared]
            task.journal.links.replace(
                [link for link in looked_at if current.get(link.user_guid) == link.genesys_user_id]
            )
        if len(guids) == PEOPLE_AT_A_TIME:
            task.journal.let_others_write()


def _new_links(task: TaskContext, matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Return the matches that become links.

    - Not of an inactive user: a link is believed without a look at the user's state.
    - Not of an account that left, and may be deleted.
    """
    gone = task.journal.views.gone_users(matches.keys())
    return {
        guid: match
        for guid, match in matches.items()
        if match.status is MatchStatus.MATCHED and match.matched_by != BY_LINK and guid not in gone
    }


def _after_comparison(task: TaskContext, state: MatchState, guid: Guid, finding: LinkFinding) -> Link:
    link = state.links[guid]
    since = (link.contradicted_since or task.clock()) if finding.contradicted else None
    link = replace(link, contradicted_since=since, others=finding.others)
    if guid in state.due and not finding.contradicted:
        link = replace(link, values=_digest(task, state, guid))
    return link


def _digest(task: TaskContext, state: MatchState, guid: Guid) -> str | None:
    """Return a digest to compare the account's values with later.

    None where each look at the user shows them.
    """
    user = state.users.get(guid)
    return values_digest(task.definition.users, user) if user and _has_external_id(task, user) else None


def _has_external_id(task: TaskContext, user: DirectoryUser) -> bool:
    return any(rule.genesys.needs_authority and value_for(rule, user) for rule in task.definition.users)


# -- links that moved ---------------------------------------------------------------------------------


def moves_of_links(task: TaskContext, matches: Mapping[Guid, Match]) -> dict[tuple[Guid, str], Move]:
    """Return what became of former links.

    (AD user, former Genesys user) -> where its grants go. ``matches``: of this run, with the links that move in it.
    """
    former = task.journal.links.former()
    links = task.journal.links.of({link.user_guid for link in former})
    now = {guid: link.genesys_user_id for guid, link in links.items()}
    moved = [match for match in matches.values() if match.moved_from and match.status is MatchStatus.MATCHED]
    now |= {match.user_guid: match.genesys_user_id or "" for match in moved}
    moves = {
        (link.user_guid, link.genesys_user_id): Move(now.get(link.user_guid), link.deleted)
        for link in former
        if now.get(link.user_guid) != link.genesys_user_id
    }
    return moves | {(m.user_guid, m.moved_from or ""): Move(m.genesys_user_id, deleted=True) for m in moved}
