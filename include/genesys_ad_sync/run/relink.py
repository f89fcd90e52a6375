"""Param `relink`: a person names an AD account's Genesys user; an approver must confirm.

`poll` notes what is asked. `resolve_users` finds both Genesys users. `plan` holds all that follows. The answer moves
the link. Until then, the old link holds for everything else that the run does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.matching import values_digest
from genesys_ad_sync.model import (
    BY_LINK,
    BY_PERSON,
    Decision,
    FormerLink,
    GenesysUser,
    GroupPair,
    Guid,
    Link,
    Match,
    MatchStatus,
    Reason,
    Rival,
    Row,
    RunKey,
    RunRequest,
)
from genesys_ad_sync.planning import Move, Relinking
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MATCHES, RELINK_REMARKS, RELINK_REQUESTS, RELINKS, Relink
from genesys_ad_sync.run.links import moves_of_links
from genesys_ad_sync.run.users import match_by_rules

_REQUEST = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?(?:\s*=\s*([^\s=/]+))?", re.IGNORECASE)


@dataclass(frozen=True)
class RelinkRequest:
    """One entry of the param. ``genesys_user_id`` None: forget the link and ask the rules."""

    guid: Guid
    genesys_user_id: str | None = None


# -- for `poll` ---------------------------------------------------------------------------------------


def begin(task: TaskContext, request: RunRequest) -> None:
    """Note which links are to move. Raises ParamError for what is not possible."""
    if request.relink and (request.undo_run or request.window is not None or request.groups):
        raise ParamError(
            "`relink` cannot be combined with `undo_run`, `groups` or a window: the whole membership of the person is "
            "concerned. Trigger a run of its own."
        )
    task.facts[RELINK_REQUESTS] = tuple(request.relink)
    requests_of(task)


def requests_of(task: TaskContext) -> list[RelinkRequest]:
    """Return what the run was asked to relink.

    Raises ParamError for an entry that cannot be read.
    """
    requests: dict[Guid, RelinkRequest] = {}
    for text in task.facts[RELINK_REQUESTS]:
        match = _REQUEST.fullmatch(text.strip())
        if match is None:
            raise ParamError(
                f"relink: {text!r} is not an AD objectGUID, nor objectGUID=Genesys user id. Copy both from the report "
                "(directory_user.guid, user_id, rivals)."
            )
        guid = match[1].lower()
        if guid in requests:
            raise ParamError(f"relink names the AD account {guid} twice. Name each account once.")
        requests[guid] = RelinkRequest(guid, match[2])
    taken = [request.genesys_user_id for request in requests.values() if request.genesys_user_id]
    if len(set(taken)) < len(taken):
        raise ParamError("relink names a Genesys user twice. A Genesys user can be linked to one AD account only.")
    return list(requests.values())


# -- what the run must look at ------------------------------------------------------------------------


def accounts_concerned(task: TaskContext) -> set[Guid]:
    """Return the accounts to relink, and the holders of their future Genesys users.

    A holder is an account with a link to such a Genesys user.
    """
    requests = requests_of(task)
    wanted = {request.genesys_user_id for request in requests if request.genesys_user_id}
    accounts = {request.guid for request in requests}
    if wanted:
        accounts |= task.journal.links.to_users(wanted).keys()
    return accounts


def groups_concerned(task: TaskContext, pairs: Iterable[GroupPair]) -> set[str]:
    """Return the Genesys groups in which these accounts are wanted or were granted a membership."""
    if not task.facts[RELINK_REQUESTS]:
        return set()
    accounts = accounts_concerned(task)
    above = task.journal.views.groups_above(accounts)
    granted = {grant.genesys_group_id for grant in task.journal.grants.of_users(accounts)}
    return granted | {pair.genesys_group_id for pair in pairs if pair.group_guid in above}


# -- for `resolve_users` ------------------------------------------------------------------------------


def prepare(task: TaskContext, matches: Mapping[Guid, Match]) -> dict[Guid, Match]:
    """Return the matches as after the moves of links, for the accounts concerned.

    Stores what an approver must confirm. Raises ParamError for an account or Genesys user that is not known.
    """
    requests = requests_of(task)
    if not requests:
        return dict(matches)
    links = task.journal.links.all()
    people = task.journal.views.users({request.guid for request in requests})
    for request in requests:
        if request.guid not in people:
            raise ParamError(
                f"relink: the journal knows no AD account {request.guid}. Copy the objectGUID from the report."
            )
    named = {request.genesys_user_id: request.guid for request in requests if request.genesys_user_id}
    found = {one.guid: one.genesys_user_id or _by_rules(task, one.guid, links, named) for one in requests}
    targets = {guid: user_id for guid, user_id in found.items() if user_id}
    shown = _shown(task, targets.values(), links, targets)
    relinks: list[Relink] = []
    together = dict(matches)
    for guid, user_id in targets.items():
        user, old = shown.get(user_id), links.get(guid)
        if user is None or user.state == "deleted":
            raise ParamError(f"relink: Genesys Cloud shows no user {user_id}. Copy the id from the user's page there.")
        ended = tuple(sorted(g for g in links.keys() - targets.keys() if links[g].genesys_user_id == user_id))
        former = old.genesys_user_id if old else None
        relinks.append(Relink(guid, former, user_id, ended, _label(former, shown), _label(user_id, shown)))
        together[guid] = _relinked(guid, user)
        together |= {other: _unlinked(other, guid, user_id) for other in ended}
    task.facts[RELINKS] = tuple(relinks)
    return together


def _by_rules(task: TaskContext, guid: Guid, links: Mapping[Guid, Link], named: Mapping[str, Guid]) -> str | None:
    """Return the Genesys user that the rules find for an account without its link.

    None: the link stays, unless another account takes it. ``named``: Genesys users that a person gives to an account.
    """
    old = links.get(guid)
    match = match_by_rules(task, guid, {other: link for other, link in links.items() if other != guid})
    found = match.genesys_user_id if match.status is MatchStatus.MATCHED else None
    if found is not None and found not in named and (old is None or found != old.genesys_user_id):
        return found
    stays = f"the link to Genesys user {old.genesys_user_id} stays" if old else "it stays without a link"
    if old and old.genesys_user_id in named:
        stays = f"its link ends when Genesys user {old.genesys_user_id} is linked to AD account "
        stays += named[old.genesys_user_id]
    if found is not None and found in named:
        why = f"the rules find Genesys user {found}, and this run gives it to AD account {named[found]}"
    elif found is not None:
        why = "the rules find the same Genesys user"
    elif match.status is MatchStatus.AMBIGUOUS:
        why = f"the rules find no single Genesys user ({', '.join(match.candidates)})"
    else:
        why = "the rules find no active Genesys user"
    remark = f"relink: {why}; {stays}"
    remarks = task.facts[RELINK_REMARKS]
    task.facts[RELINK_REMARKS] = remarks | {guid: remark}
    task.note(f"AD account {guid}: {remark}")
    return None


def _shown(
    task: TaskContext, wanted: Collection[str], links: Mapping[Guid, Link], guids: Collection[Guid]
) -> dict[str, GenesysUser]:
    old = {links[guid].genesys_user_id for guid in guids if guid in links}
    return {user.id: user for user in task.genesys.users_by_id({*wanted, *old})}


def _label(user_id: str | None, shown: Mapping[str, GenesysUser]) -> str:
    user = shown.get(user_id or "")
    if user is None:
        return user_id or "none"
    return f"{user.id} ({', '.join(text for text in (user.name, user.email, user.state) if text)})"


def _relinked(guid: Guid, user: GenesysUser) -> Match:
    if user.state == "active":
        return Match(guid, MatchStatus.MATCHED, user.id, BY_PERSON)
    return Match(guid, MatchStatus.INACTIVE, user.id, BY_PERSON, Reason.INACTIVE)


def _unlinked(guid: Guid, by: Guid, user_id: str) -> Match:
    """Return the match of an account whose Genesys user another account is to take."""
    rivals = (Rival(by, user_id),)
    return Match(guid, MatchStatus.AMBIGUOUS, matched_by=BY_PERSON, reason=Reason.AMBIGUOUS, rivals=rivals)


# -- for `plan` ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinkMoves:
    """Links that moved or are to move. See `PlanContext`."""

    moves: Mapping[tuple[Guid, str], Move] = field(default_factory=dict)
    relinks: Mapping[Guid, Relinking] = field(default_factory=dict)
    remarks: Mapping[Guid, str] = field(default_factory=dict)


def link_moves(task: TaskContext, matches: Mapping[Guid, Match]) -> LinkMoves:
    """Return the links that moved, and the links that wait for an answer.

    A link moved before or in this run.
    """
    relinks, moves = _awaited(task)
    remarks = task.facts[RELINK_REMARKS]
    return LinkMoves(moves_of_links(task, matches) | moves, relinks, remarks)


def _awaited(task: TaskContext) -> tuple[dict[Guid, Relinking], dict[tuple[Guid, str], Move]]:
    """Return the relinks not yet approved by a person, by account, and their moves.

    The moves say how links would move.
    """
    relinking: dict[Guid, Relinking] = {}
    moves: dict[tuple[Guid, str], Move] = {}
    for relink in task.facts[RELINKS]:
        relinking[relink.guid] = Relinking(relink.former, relink.former_label, relink.new_label)
        if relink.former and relink.former != relink.new:
            moves[relink.guid, relink.former] = Move(relink.new)
        for other in relink.ended:
            relinking[other] = Relinking(relink.new, relink.new_label, "none")
            moves[other, relink.new] = Move(None)
    return relinking, moves


def note_without_rows(task: TaskContext, rows: Iterable[Row]) -> None:
    """Say of which relinks nothing follows.

    There is nothing to ask about, and the links stay.
    """
    asked = {row.about.get("account") for row in rows if row.reason is Reason.RELINK}
    for relink in task.facts[RELINKS]:
        if asked.isdisjoint({relink.guid, *relink.ended}):
            task.note(
                f"AD account {relink.guid}: relink changes no membership that this run may write; its link stays as it "
                "is, unless this run gives its Genesys user to another account. Relink it when a change of it is held."
            )


def asked_elsewhere(task: TaskContext, rows: Sequence[Row], elsewhere: Mapping[str, RunKey]) -> dict[Guid, RunKey]:
    """Return the accounts of relinks that cannot be approved in this run.

    Each comes with the run that asks about one of its rows. All rows of a relink are approved by one answer, or none.
    ``elsewhere``: row key -> the run that asks about it.
    """
    relinks = task.facts[RELINKS]
    waits: dict[Guid, RunKey] = {}
    for relink in relinks:
        askers = [elsewhere[row.key] for row in rows if row.key in elsewhere and _is_about(row, relink)]
        waits |= {relink.guid: askers[0]} if askers else {}
    while more := {
        one.guid: waits[other.guid]
        for one in relinks
        for other in _giving_up(one, relinks)
        if other.guid in waits and one.guid not in waits
    }:
        waits |= more
    return {guid: waits[one.guid] for one in relinks if one.guid in waits for guid in (one.guid, *one.ended)}


# -- after the answer ---------------------------------------------------------------------------------


def decisions(task: TaskContext, by_row: Mapping[str, Decision]) -> dict[str, Decision]:
    """Return the decisions on rows, by key.

    A link moves only if every group of its account was approved, and if the account whose Genesys user it takes gives
    it up in this run.
    """
    relinks = task.facts[RELINKS]
    held = [row for row in task.journal.rows.of_run(task.run) if row.reason is Reason.RELINK] if relinks else []
    own = {relink.guid: [row.key for row in held if _is_about(row, relink)] for relink in relinks}
    # another run may be asking about one of them, or have moved one of the links
    refused = {
        relink.guid
        for relink in relinks
        if own[relink.guid]
        and ({by_row.get(key) for key in own[relink.guid]} != {Decision.APPROVED} or not _is_current(task, relink))
    }
    while more := {one.guid for one in relinks if any(r.guid in refused for r in _giving_up(one, relinks))} - refused:
        refused |= more
    given = dict(by_row)
    for guid in refused:
        given.update(dict.fromkeys(given.keys() & own[guid], Decision.REJECTED))
    return given


def _giving_up(relink: Relink, relinks: tuple[Relink, ...]) -> list[Relink]:
    """Return those whose present Genesys user this one takes."""
    return [other for other in relinks if other.guid != relink.guid and other.former == relink.new]


def apply_approved(task: TaskContext, rows: Sequence[Row], given: Mapping[str, Decision], by: str | None) -> None:
    """Move the links that were approved. To be called in one transaction with the rows."""
    links, now = task.journal.links, task.clock()
    matches = {match.user_guid: match for match in task.facts[MATCHES]}
    waiting: list[Relink] = []
    for relink in task.facts[RELINKS]:
        own = {given[row.key] for row in rows if _is_about(row, relink)}
        if own != {Decision.APPROVED}:
            waiting.append(relink)
            continue
        account = task.journal.views.users({relink.guid}).get(relink.guid)
        # one that changes no membership asks nobody, and loses the user to this one
        silent = [o.guid for o in _giving_up(relink, task.facts[RELINKS]) if not any(_is_about(r, o) for r in rows)]
        ended = (*relink.ended, *silent)
        former = [(guid, relink.new) for guid in ended]
        if relink.former and relink.former != relink.new:
            former.append((relink.guid, relink.former))
        links.remove(ended)
        links.replace([Link(relink.guid, relink.new, BY_PERSON, now, values_digest(task.definition.users, account))])
        links.add_former(
            [FormerLink(guid, user, deleted=False, at=now, run=str(task.key), by=by) for guid, user in former]
        )
        matches[relink.guid] = replace(matches[relink.guid], genesys_user_id=relink.new, matched_by=BY_LINK)
    if len(waiting) < len(task.facts[RELINKS]):
        task.facts[RELINKS] = tuple(waiting)
        task.facts[MATCHES] = tuple(matches.values())


def _is_current(task: TaskContext, relink: Relink) -> bool:
    """Return True if the links are still those that the approver saw."""
    links = task.journal.links.all()
    former = links[relink.guid].genesys_user_id if relink.guid in links else None
    taken = {guid for guid, link in links.items() if link.genesys_user_id == relink.new and guid != relink.guid}
    return former == relink.former and taken <= {*relink.ended, *(other.guid for other in task.facts[RELINKS])}


def _is_about(row: Row, relink: Relink) -> bool:
    return row.reason is Reason.RELINK and row.about.get("account") in {relink.guid, *relink.ended}
