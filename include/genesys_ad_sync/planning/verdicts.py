"""What must be written to Genesys Cloud, and what must not: AD's word, what was granted and what is there, compared.

Pure: takes data, returns a plan; `guard` says which removals are held. Reads nothing, writes nothing, knows no time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from genesys_ad_sync.model import (
    SETTLED,
    Action,
    Change,
    DirectoryGroup,
    DirectoryUser,
    GenesysGroup,
    Grant,
    GroupResult,
    Guid,
    Match,
    MatchStatus,
    Reason,
    Row,
    RowKey,
    SkippedGroup,
    Status,
)
from genesys_ad_sync.planning import guards as guard
from genesys_ad_sync.settings import SyncDefinition

if TYPE_CHECKING:  # a pure data class, but its package opens databases
    from genesys_ad_sync.journal.records import Outcome

MAX_LANES = 8
"""Mapped task instances that write; few and large, since each costs seconds to start (reference/airflow.md)."""

REQUESTS_PER_LANE = 50
"""About so many requests before another instance is worth its start."""

BATCH = 50
"""Members a request (reference/genesys-cloud-api.md)."""


# -- what goes in -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """One mapped Genesys group and all that is known of it.

    ``effective``: the journal's newest view: people who belong in it -> which of ``feeding`` say so. With ``whole``
    it holds everybody; else at least everybody whom ``changes`` are about.
    ``complete``: all AD groups that feed it, nested ones included, were read completely in this run.
    ``present``: Genesys user ids of its members (individuals); None: could not be read, which is not "nobody".
    ``changes``: those to act on. In a bounded run also settled ones of the window: they are listed again.
    ``claimed_by``: another sync definition that feeds it already.
    """

    genesys_group: GenesysGroup
    feeding: tuple[Guid, ...]
    whole: bool
    effective: Mapping[Guid, tuple[Guid, ...]]
    complete: bool
    present: frozenset[str] | None
    grants: tuple[Grant, ...] = ()
    changes: tuple[Change, ...] = ()
    claimed_by: str | None = None
    retired: frozenset[Guid] = frozenset()


@dataclass(frozen=True)
class Unmapped:
    """An AD group that feeds nothing. ``whole``: one row in all instead of one per changed member."""

    skipped: SkippedGroup
    changes: tuple[Change, ...] = ()
    whole: bool = False


@dataclass(frozen=True)
class Context:
    """What else the plan depends on.

    ``observed_at``: AD's time of this run's poll. ``removed_today``: memberships that were taken away in the last day.
    ``excluded_users``: see `matching.excluded_users`. ``groups``, ``users``: for what people read in the report.
    ``being_asked``: keys of rows about which other runs are asking a person, or which they are about to write; their
    removals count in the limits, also where this run does not look at them.
    ``in_flight``: another run is writing to Genesys, or has since the present members were read. Then what seems to be
    done already is ``planned`` with the reason ``already_so``: `patch` looks at it again when it is alone.
    ``pins``: pairs (Genesys group, `Row.person`) that a person undid -> the last change that the journal knew then.
    ``deleted_users``: accounts whose tombstone was seen. If somebody was made anew, the new account has what they had.
    ``outcomes``: of settled changes that are listed again, by change id; where given, their rows tell the reason.
    """

    observed_at: datetime
    dry_run: bool = False
    removed_today: int = 0
    journal_restored: bool = False
    excluded_users: frozenset[Guid] = frozenset()
    groups: Mapping[Guid, DirectoryGroup] = field(default_factory=dict)
    users: Mapping[Guid, DirectoryUser] = field(default_factory=dict)
    outcomes: Mapping[int, Outcome] = field(default_factory=dict)
    pins: Mapping[tuple[str, Guid], int] = field(default_factory=dict)
    being_asked: frozenset[str] = frozenset()
    in_flight: bool = False
    deleted_users: frozenset[Guid] = frozenset()


# -- what comes out -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """The rows in the order of writing: by Genesys group, adds before removals (nobody is without a queue in between).

    ``comparison_changes``: (row key, change) for rows that no change of the journal stands behind yet.
    ``found``: what AD wants and Genesys has already, in targets compared as a whole: a baseline makes grants of it. And
    the grants of those AD groups that go on granting what another one granted until now.
    ``outdated``: grants through AD groups that feed the Genesys group no more, of people who are ``found`` there
    through others: they are owned through those alone from now on.
    ``compared``: Genesys groups that were compared as a whole: they could be read, and are ours.
    ``hash``: of what the plan says, whatever the ids of changes.
    ``fail_reason``: `limits.on_excess: fail` applies; nothing may be written.
    ``to_approve``: keys of held rows that a person may let pass.
    ``excess``: the limits that are exceeded.
    """

    rows: tuple[Row, ...]
    group_results: tuple[GroupResult, ...]
    comparison_changes: tuple[tuple[str, Change], ...]
    found: tuple[Grant, ...]
    hash: str
    fail_reason: str | None = None
    to_approve: frozenset[str] = frozenset()
    excess: guard.Excess = guard.NOTHING_EXCEEDED
    compared: frozenset[str] = frozenset()
    outdated: tuple[Grant, ...] = ()

    @property
    def lanes(self) -> tuple[tuple[Row, ...], ...]:
        """The rows to write, one tuple per mapped instance."""
        lanes: dict[int, list[Row]] = {}
        for row in self.rows:
            if row.lane is not None:
                lanes.setdefault(row.lane, []).append(row)
        return tuple(tuple(lanes[lane]) for lane in sorted(lanes))


def plan(
    targets: Sequence[Target],
    matches: Mapping[Guid, Match],
    unmapped: Sequence[Unmapped],
    definition: SyncDefinition,
    context: Context,
) -> Plan:
    """The plan of a run.

    ``matches``: everybody whom changes are about, and of targets compared as a whole everybody who is wanted; somebody
    who is missing was not looked up, and is held. Raises ValueError if a Genesys group is the target of two.
    """
    _refuse_doubles(targets)
    claims = _claims(matches)
    known = [_Facts.of(target, matches, claims, definition, context) for target in targets]
    by_target = [(facts, _rows_of_target(facts)) for facts in known]
    drafts = [row for _, its_rows in by_target for row in its_rows]
    pending = _pending(targets, drafts, context.being_asked, definition)
    excess = guard.excess(pending, context.removed_today, definition.limits)
    rows, to_approve = asking_persons(drafts, excess, definition, context)
    rows += [row for group in unmapped for row in _rows_of_unmapped(group, context)]
    rows.sort(key=_order)
    if not context.dry_run:
        rows = list(spread(rows, definition.genesys.write))
    return Plan(
        rows=tuple(rows),
        group_results=tuple(_group_result(facts) for facts in known),
        comparison_changes=tuple((row.key, change) for row in rows for change in _comparison_changes(row, context)),
        found=tuple(grant for facts, its_rows in by_target for grant in (*_found(facts), *_moved(facts, its_rows))),
        outdated=tuple(grant for facts in known for grant in _outdated(facts)),
        compared=frozenset(facts.target.genesys_group.id for facts in known if _is_compared(facts)),
        hash=content_hash(rows),
        fail_reason=fail_reason(excess, definition),
        to_approve=to_approve,
        excess=excess,
    )


def fail_reason(excess: guard.Excess, definition: SyncDefinition) -> str | None:
    """Why nothing may be written, for `limits.on_excess: fail`."""
    if not excess.texts or definition.limits.on_excess != "fail":
        return None
    return f"{'; '.join(excess.texts)}. limits.on_excess is fail: nothing is written."


def recheck(
    frozen: Sequence[Row],
    target: Target,
    matches: Mapping[Guid, Match],
    definition: SyncDefinition,
    context: Context,
    changes: Sequence[Change] = (),
) -> tuple[Row, ...]:
    """The planned (or approved) rows of one Genesys group, judged again just before writing, in the same order.

    What still holds has the status ``planned``, everything else the status that it has become. It may shrink a plan and
    never grow it: no row is added, and none is turned to another Genesys user. Limits and `protect:` are not asked
    again: a plan that shrinks stays within them, and a person has answered for the rest.

    ``changes``: what is unsettled of the target's AD groups. What speaks against one of them by now holds its row.
    """
    facts = _Facts.of(target, matches, _claims(matches), definition, context)
    unsettled: dict[tuple[_Person, Action], list[Change]] = {}
    for change in changes:
        unsettled.setdefault((_person_of(change, facts), change.action), []).append(change)
    return tuple(_rechecked(row, unsettled, facts) for row in frozen)


def spread(rows: Iterable[Row], write: str) -> tuple[Row, ...]:
    """The rows with lanes, from 0, for those that are ``planned``. All rows of a Genesys group go into one lane."""
    listed = list(rows)
    planned: dict[str, list[Row]] = {}
    for row in listed:
        if row.status is Status.PLANNED:
            planned.setdefault(row.genesys_group_id or "", []).append(row)
    costs = {group_id: _requests(its_rows, write) for group_id, its_rows in planned.items()}
    count = max(1, min(MAX_LANES, sum(costs.values()) // REQUESTS_PER_LANE, len(costs)))
    loads = [0] * count
    lane_of: dict[str, int] = {}
    for group_id in sorted(costs, key=lambda key: (-costs[key], key)):
        lane = loads.index(min(loads))
        lane_of[group_id] = lane
        loads[lane] += costs[group_id]
    return tuple(
        dataclasses.replace(row, lane=lane_of[row.genesys_group_id or ""] if row.status is Status.PLANNED else None)
        for row in listed
    )


def content_hash(rows: Iterable[Row]) -> str:
    """SHA-256 over what the rows say (who, where, what, status, why), whatever their order and the ids of changes."""
    said = sorted(
        [row.key, row.status.value, row.reason.value if row.reason else "", row.genesys_user_id or "", *row.group_guids]
        for row in rows
    )
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


# -- one Genesys group --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Facts:
    """A target with what follows from it."""

    target: Target
    matches: Mapping[Guid, Match]
    claims: Mapping[str, frozenset[Guid]]  # Genesys user -> AD accounts that are or may be it, by match
    definition: SyncDefinition
    context: Context
    grants_of: Mapping[str, tuple[Grant, ...]]  # by Genesys user
    grants_by: Mapping[Guid, tuple[Grant, ...]]  # by AD user
    wanted_ids: frozenset[str]  # Genesys users that are or may be somebody in `effective`

    @classmethod
    def of(
        cls,
        target: Target,
        matches: Mapping[Guid, Match],
        claims: Mapping[str, frozenset[Guid]],
        definition: SyncDefinition,
        context: Context,
    ) -> _Facts:
        grants_of: dict[str, tuple[Grant, ...]] = {}
        grants_by: dict[Guid, tuple[Grant, ...]] = {}
        for grant in target.grants:
            grants_of[grant.genesys_user_id] = (*grants_of.get(grant.genesys_user_id, ()), grant)
            grants_by[grant.user_guid] = (*grants_by.get(grant.user_guid, ()), grant)
        wanted: set[str] = set()
        for guid in target.effective:
            wanted |= {grant.genesys_user_id for grant in grants_by.get(guid, ())} | _ids(matches.get(guid))
        return cls(target, matches, claims, definition, context, grants_of, grants_by, frozenset(wanted))

    def known_ids(self, guid: Guid) -> frozenset[str]:
        """Genesys users that this AD user is, by grants of this group and by match."""
        match = self.matches.get(guid)
        known = {grant.genesys_user_id for grant in self.grants_by.get(guid, ())}
        return frozenset(known | ({match.genesys_user_id} if match and match.genesys_user_id else set()))

    def claimants(self, genesys_user_id: str) -> frozenset[Guid]:
        """AD accounts that are not deleted, and are or may be this Genesys user."""
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        return (self.claims.get(genesys_user_id, frozenset()) | granted) - self.context.deleted_users

    def matched_by_one(self, genesys_user_id: str, guid: Guid) -> bool:
        """By what was looked up, no other account that is not deleted may be this Genesys user."""
        return self.claims[genesys_user_id] - self.context.deleted_users == {guid}

    def heir(self, guid: Guid, genesys_user_id: str) -> Guid | None:
        """The account that was made anew for a deleted one, and that AD wants in the Genesys group."""
        if guid not in self.context.deleted_users:
            return None
        for one in self.claimants(genesys_user_id) & self.target.effective.keys():
            match = self.matches.get(one)
            if match and match.genesys_user_id == genesys_user_id and self.matched_by_one(genesys_user_id, one):
                return one
        return None

    def person(self, genesys_user_id: str) -> _Person:
        """Whom AD knows this Genesys user as. Several accounts: the first; the guards hold such a removal anyway."""
        granted = {grant.user_guid for grant in self.grants_of.get(genesys_user_id, ())}
        known = sorted(granted or self.claims.get(genesys_user_id, frozenset()))
        return _Person(known[0]) if known else _Person(None, genesys_user_id)


@dataclass(frozen=True)
class _Person:
    """An AD user; where AD knows nobody, a Genesys user."""

    user_guid: Guid | None
    genesys_user_id: str | None = None


@dataclass(frozen=True)
class _Wish:
    """What would have to be done, before anybody asks whether it may. ``groups``: those that the changes are about.
    ``newest``: id of the newest of them that AD told of; 0: none, as in a comparison."""

    person: _Person
    action: Action
    groups: tuple[Guid, ...] = ()
    held_reason: Reason | None = None
    newest: int = 0


@dataclass(frozen=True)
class _Verdict:
    status: Status
    reason: Reason | None = None
    genesys_user_id: str | None = None
    error: str | None = None


def _rows_of_target(facts: _Facts) -> list[Row]:
    folded: dict[tuple[_Person, Action], list[Change]] = {}
    for change in facts.target.changes:
        folded.setdefault((_person_of(change, facts), change.action), []).append(change)
    differing = set(_differences(facts))
    rows = []
    for person, action in [*folded, *sorted(differing - folded.keys(), key=lambda key: (str(key[0]), key[1].value))]:
        changes = folded.get((person, action), [])
        unsettled = [change for change in changes if change.status not in SETTLED]
        if unsettled or (person, action) in differing:
            groups = tuple(sorted({change.group_guid for change in unsettled}))
            wish = _Wish(person, action, groups, _held_reason(unsettled), newest_told(unsettled))
            verdict = _decide(wish, facts)
            if unsettled or not _is_as_it_should_be(verdict, wish, facts):
                rows.append(_row(wish, verdict, unsettled, facts))
                continue
        if changes:
            rows.append(_listed_again(person, action, changes, facts))
    if facts.target.whole and facts.target.present is None:
        rows.append(_not_compared(facts))
    return rows


def _person_of(change: Change, facts: _Facts) -> _Person:
    if change.user_guid is not None:
        return _Person(change.user_guid)
    return facts.person(change.genesys_user_id or "")


def _differences(facts: _Facts) -> Iterable[tuple[_Person, Action]]:
    """Where a target that is compared as a whole may differ from Genesys. What could not be read differs in nothing."""
    target = facts.target
    if not target.whole or target.present is None:
        return
    for guid in target.effective:
        yield _Person(guid), Action.ADD
    for genesys_user_id in target.present - facts.wanted_ids:
        # Anybody else was added by hand: counted as a manual member, and only `mirror` touches them.
        mirrored = facts.definition.removals == "mirror" and target.feeding
        if genesys_user_id in facts.grants_of or mirrored:
            yield facts.person(genesys_user_id), Action.REMOVE


def _is_as_it_should_be(verdict: _Verdict, wish: _Wish, facts: _Facts) -> bool:
    """Not worth a row in a whole comparison."""
    if verdict.status in {Status.UNCHANGED, Status.SUPERSEDED}:
        return True
    excluded_member = verdict.reason is Reason.EXCLUDED and wish.action is Action.ADD and wish.person.user_guid
    return bool(excluded_member and facts.known_ids(excluded_member) & (facts.target.present or frozenset()))


def newest_told(changes: Iterable[Change]) -> int:
    """The id of the newest change that a poll saw; 0: none did."""
    return max((change.id or 0 for change in changes if change.origin == "poll"), default=0)


def _held_reason(changes: Iterable[Change]) -> Reason | None:
    """What the newest change of each AD group says: a removal is only sure if every loss behind it is."""
    newest: dict[Guid, Change] = {}
    for change in sorted(changes, key=_age):
        newest[change.group_guid] = change
    return next((newest[guid].held_reason for guid in sorted(newest) if newest[guid].held_reason), None)


# -- one person ---------------------------------------------------------------------------------------


def _decide(wish: _Wish, facts: _Facts) -> _Verdict:
    """What must become of it, limits and persons left aside."""
    if facts.target.present is None:
        return _Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, _only_id(wish.person, facts))
    verdict = _decide_add(wish, facts) if wish.action is Action.ADD else _decide_removal(wish, facts)
    if facts.target.claimed_by and verdict.status in {Status.PLANNED, Status.HELD}:
        error = f"the sync definition {facts.target.claimed_by!r} already feeds this Genesys group"
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.CLAIMED_BY, error=error)
    pin = _pin(wish.person.user_guid, verdict.genesys_user_id, facts)
    if verdict.status is Status.PLANNED and verdict.reason is None and guard.undone(pin, wish.newest):
        return dataclasses.replace(verdict, status=Status.HELD, reason=Reason.UNDONE)
    return verdict


def _pin(user_guid: Guid | None, genesys_user_id: str | None, facts: _Facts) -> int | None:
    """A person is pinned as AD's; by the Genesys user where AD did not know the person then."""
    pins, group_id = facts.context.pins, facts.target.genesys_group.id
    return pins.get((group_id, user_guid or ""), pins.get((group_id, genesys_user_id or "")))


def _only_id(person: _Person, facts: _Facts) -> str | None:
    """The Genesys user of whom the row must be about; None if nobody is known, or several are."""
    if person.user_guid is None:
        return person.genesys_user_id
    ids = facts.known_ids(person.user_guid)
    return next(iter(ids)) if len(ids) == 1 else None


_NOT_LOOKED_UP = _Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, error="this person was not looked up in Genesys")


def _decide_add(wish: _Wish, facts: _Facts) -> _Verdict:
    guid = wish.person.user_guid
    present = facts.target.present or frozenset()
    if guid is None or guid not in facts.target.effective:
        if wish.groups and facts.target.retired.issuperset(wish.groups):
            return _Verdict(Status.SKIPPED, Reason.UNMAPPED)  # they feed this Genesys group no more, and no other
        return _Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
    if guid in facts.context.excluded_users:
        return _Verdict(Status.SKIPPED, Reason.EXCLUDED)
    match = facts.matches.get(guid)
    if match is None:
        return _NOT_LOOKED_UP
    genesys_id = match.genesys_user_id
    if match.status is MatchStatus.AMBIGUOUS:
        return _Verdict(Status.HELD, Reason.AMBIGUOUS)
    if match.status is MatchStatus.ORPHANED or genesys_id is None:
        return _Verdict(Status.ORPHANED, match.reason or Reason.NO_GENESYS_USER)
    if not facts.matched_by_one(genesys_id, guid):
        return _Verdict(Status.HELD, Reason.AMBIGUOUS, genesys_id)
    if genesys_id in present:
        return _already_so(wish, genesys_id, facts)
    if match.status is MatchStatus.INACTIVE:
        return _Verdict(Status.ORPHANED, Reason.INACTIVE, genesys_id)
    if wish.held_reason in {Reason.REJECTED, Reason.UNDONE}:  # others doubt only that somebody left
        return _Verdict(Status.HELD, wish.held_reason, genesys_id)
    return _Verdict(Status.PLANNED, genesys_user_id=genesys_id)


def _decide_removal(wish: _Wish, facts: _Facts) -> _Verdict:
    target = facts.target
    present = target.present or frozenset()
    guid = wish.person.user_guid
    if guid is not None and guid in target.effective:
        listed_again = set(wish.groups) <= set(target.effective[guid])
        return (
            _Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
            if listed_again
            else _Verdict(Status.UNCHANGED, Reason.STILL_GRANTED)
        )
    if guid is None and wish.person.genesys_user_id in facts.wanted_ids:
        return _Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW, wish.person.genesys_user_id)
    if guid is not None and guid in facts.context.excluded_users:
        return _Verdict(Status.SKIPPED, Reason.EXCLUDED)
    match = facts.matches.get(guid) if guid is not None else None
    ids = facts.known_ids(guid) if guid is not None else frozenset({wish.person.genesys_user_id or ""})
    if not ids:
        return _decide_removal_of_unknown(match, present)
    if not ids & present:
        return _already_so(wish, min(ids), facts)
    genesys_id = min(ids & present)
    if guid is not None and facts.heir(guid, genesys_id) is not None:
        return _Verdict(Status.UNCHANGED, Reason.STILL_GRANTED, genesys_id)
    if facts.definition.removals == "never":
        return _Verdict(Status.SKIPPED, Reason.REMOVALS_NEVER, genesys_id)
    reason = guard.why_held(
        guard.Removal(
            genesys_user_id=genesys_id,
            user_guid=guid,
            policy=facts.definition.removals,
            complete=target.complete,
            feeding=frozenset(target.feeding),
            retired=target.retired,
            lost=wish.groups,
            grants=facts.grants_of.get(genesys_id, ()),
            match=match,
            known_ids=ids,
            claimants=_who_may_be_wanted(guid, genesys_id, facts),
            everybody_looked_up=facts.matches.keys() >= target.effective.keys(),
            held_reason=wish.held_reason,
        )
    )
    return _Verdict(Status.HELD if reason else Status.PLANNED, reason, genesys_id)


def _who_may_be_wanted(guid: Guid | None, genesys_id: str, facts: _Facts) -> frozenset[Guid]:
    """AD accounts through which the Genesys user may belong into the group. Of a deleted account that was made anew, it
    is known whether AD wants the new one there."""
    claimants = facts.claimants(genesys_id)
    if guid not in facts.context.deleted_users:
        return claimants
    return frozenset(one for one in claimants if one in facts.target.effective or one in facts.context.excluded_users)


def _already_so(wish: _Wish, genesys_id: str, facts: _Facts) -> _Verdict:
    """What Genesys has of it may change at this moment, and a change of the journal would be settled for good by it:
    then it is left to `patch` to say so."""
    left_to_patch = facts.context.in_flight and bool(wish.groups)
    return _Verdict(Status.PLANNED if left_to_patch else Status.UNCHANGED, Reason.ALREADY_SO, genesys_id)


def _decide_removal_of_unknown(match: Match | None, present: frozenset[str]) -> _Verdict:
    """A removal of somebody who is no Genesys user that is known for sure."""
    if match is None:
        return _NOT_LOOKED_UP
    if match.status is not MatchStatus.AMBIGUOUS:
        return _Verdict(Status.UNCHANGED, Reason.NO_GENESYS_USER)
    if match.candidates and present.isdisjoint(match.candidates):
        return _Verdict(Status.UNCHANGED, Reason.ALREADY_SO)  # whoever it is, none of them is a member
    return _Verdict(Status.HELD, Reason.AMBIGUOUS)


def _rechecked(row: Row, unsettled: Mapping[tuple[_Person, Action], Sequence[Change]], facts: _Facts) -> Row:
    person = _Person(row.user_guid) if row.user_guid is not None else _Person(None, row.genesys_user_id)
    changes = unsettled.get((person, row.action), ())
    ids = _change_ids(changes)
    if ids and not set(ids) & set(row.change_ids):
        # others settled what it was planned for, and AD has said the same again: that is what it does now
        row = dataclasses.replace(row, change_ids=(*row.change_ids, *ids))
    verdict = _decide(_Wish(person, row.action, row.group_guids, _held_reason(changes), newest_told(changes)), facts)
    if verdict.status is Status.PLANNED and verdict.genesys_user_id != row.genesys_user_id:
        verdict = _Verdict(Status.HELD, Reason.AMBIGUOUS)
    if verdict.reason is Reason.STILL_GRANTED:  # nobody granted it when the plan was made
        verdict = _Verdict(Status.SUPERSEDED, Reason.NEWER_VIEW)
    if verdict.status is Status.PLANNED and row.reason is Reason.ALREADY_SO and not _needs_nobody(row, facts):
        verdict = _Verdict(Status.HELD, Reason.IN_FLIGHT)
    if verdict.status is Status.PLANNED:
        return dataclasses.replace(row, status=Status.PLANNED, reason=None, error=None)
    return dataclasses.replace(row, status=verdict.status, reason=verdict.reason, error=verdict.error)


def _needs_nobody(row: Row, facts: _Facts) -> bool:
    """What seemed to be so already was asked for neither in the limits nor of a person."""
    return row.action is Action.ADD and not guard.protected(facts.target.genesys_group.name, facts.definition.protect)


# -- what needs a person ------------------------------------------------------------------------------


def _pending(
    targets: Iterable[Target], rows: Iterable[Row], being_asked: frozenset[str], definition: SyncDefinition
) -> list[guard.PendingRemovals]:
    """Removals that nothing but a limit or a person can stop, those that wait for an answer included. Most of these are
    among the rows, since they are unsettled; a run that looks at a part only must count the others, too."""
    counts: dict[str | None, int] = {}
    listed = set()
    for row in rows:
        listed.add(row.key)
        if row.action is Action.REMOVE and _is_to_be_written(row):
            counts[row.genesys_group_id] = counts.get(row.genesys_group_id, 0) + 1
    targets = list(targets)
    elsewhere = removals_by_group(being_asked - listed)
    known = {target.genesys_group.id for target in targets}
    others = [
        guard.PendingRemovals(group_id, group_id, count, 0)
        for group_id, count in sorted(elsewhere.items())
        if group_id not in known
    ]
    if not counts:
        return []  # nothing of this run can be over a limit
    return others + [
        guard.PendingRemovals(
            target.genesys_group.id,
            target.genesys_group.name,
            counts.get(target.genesys_group.id, 0) + elsewhere[target.genesys_group.id],
            _at_stake(target, definition),
        )
        for target in targets
    ]


def removals_by_group(keys: Iterable[str]) -> Counter[str]:
    """Genesys group -> how many of the rows with these keys are removals from it."""
    parsed = map(RowKey.parse, keys)
    return Counter(key.target for key in parsed if key.action is Action.REMOVE)


def _at_stake(target: Target, definition: SyncDefinition) -> int:
    """The present members of whom a share may go: those whom AD owns, or under `mirror` all."""
    present = target.present or frozenset()
    if definition.removals == "mirror":
        return len(present)
    return len({grant.genesys_user_id for grant in target.grants} & present)


def asking_persons(
    rows: Iterable[Row], excess: guard.Excess, definition: SyncDefinition, context: Context
) -> tuple[list[Row], frozenset[str]]:
    """The rows, those held that a person or a limit must let pass first; and the keys of those that a person may. That
    the definition looks at another part of AD may be meant: nobody else than a person can say.

    With `limits.on_excess: hold` nobody is asked about a limit; `protect:` and a restored journal ask always.
    """
    asked = []
    to_approve = set()
    for row in rows:
        reason = _why_a_person(row, excess, definition, context) if _is_to_be_written(row) else None
        if reason is not None:
            row = dataclasses.replace(row, status=Status.HELD, reason=reason)
            if reason is not Reason.OVER_LIMIT or definition.limits.on_excess == "approve":
                to_approve.add(row.key)
        elif row.status is Status.HELD and row.reason is Reason.SCOPE_CHANGED:
            to_approve.add(row.key)
        asked.append(row)
    return asked, frozenset(to_approve)


def _is_to_be_written(row: Row) -> bool:
    """Not what seems to be so already, and is only looked at again."""
    return row.status is Status.PLANNED and row.reason is None


def _why_a_person(row: Row, excess: guard.Excess, definition: SyncDefinition, context: Context) -> Reason | None:
    name = (row.genesys_group or {}).get("name") or ""
    reason = guard.protected(name, definition.protect)
    if row.action is Action.REMOVE:
        over = Reason.OVER_LIMIT if row.genesys_group_id in excess.held_groups else None
        reason = reason or guard.journal_is_whole(context.journal_restored) or over
    return reason


# -- rows ---------------------------------------------------------------------------------------------


def _row(wish: _Wish, verdict: _Verdict, changes: Sequence[Change], facts: _Facts) -> Row:
    target = facts.target
    groups = _groups_behind(wish, verdict, facts)
    row = _skeleton(wish.person, wish.action, verdict.status, groups, changes, facts.context)
    return dataclasses.replace(
        row,
        genesys_group_id=target.genesys_group.id,
        genesys_group={"id": target.genesys_group.id, "name": target.genesys_group.name},
        genesys_user_id=verdict.genesys_user_id or wish.person.genesys_user_id,
        reason=verdict.reason,
        error=verdict.error,
        change_ids=_change_ids(changes),
    )


def _groups_behind(wish: _Wish, verdict: _Verdict, facts: _Facts) -> tuple[Guid, ...]:
    """The AD groups of a row. Of an add: those that say so now, since the grant will stand on them; of a removal:
    those that were left, and those through which the membership was granted."""
    effective = set(facts.target.effective.get(wish.person.user_guid or "", ()))
    groups = set(wish.groups)
    if wish.action is Action.ADD:
        groups = effective or groups
    elif verdict.reason is Reason.STILL_GRANTED:
        groups -= effective
    elif verdict.status is not Status.SUPERSEDED:
        groups |= {grant.group_guid for grant in facts.grants_by.get(wish.person.user_guid or "", ())}
    return tuple(sorted(groups or facts.target.feeding))


def _not_compared(facts: _Facts) -> Row:
    """For everybody in it: nobody can say who of them is missing, and who is too many."""
    verdict = _Verdict(Status.HELD, Reason.GENESYS_UNREADABLE, error="the group was not compared")
    return _row(_Wish(_Person(None), Action.ADD), verdict, (), facts)


def _listed_again(person: _Person, action: Action, settled: Sequence[Change], facts: _Facts) -> Row:
    """A row for changes that another run, or an earlier try, settled. It settles nothing, so it has no change ids."""
    groups = tuple(sorted({change.group_guid for change in settled}))
    row = _settled(_skeleton(person, action, Status.UNCHANGED, groups, settled, facts.context), settled, facts.context)
    genesys_group = facts.target.genesys_group
    return dataclasses.replace(
        row,
        genesys_group_id=genesys_group.id,
        genesys_group={"id": genesys_group.id, "name": genesys_group.name},
        genesys_user_id=row.genesys_user_id or _only_id(person, facts),
    )


def _settled(row: Row, changes: Sequence[Change], context: Context) -> Row:
    """The row with what became of the newest of its changes."""
    newest = max(changes, key=_age)
    outcome = context.outcomes.get(newest.id) if newest.id is not None else None
    row = dataclasses.replace(row, status=newest.status or row.status, settled_by=newest.settled_by)
    if outcome is None:
        return row
    return dataclasses.replace(
        row,
        reason=outcome.reason,
        error=outcome.error,
        http_code=outcome.http_code,
        correlation_id=outcome.correlation_id,
    )


def _rows_of_unmapped(group: Unmapped, context: Context) -> list[Row]:
    guids = (group.skipped.group_guid,)
    if group.whole:
        unsettled = [change for change in group.changes if change.status not in SETTLED]
        row = _skeleton(_Person(None), Action.ADD, Status.SKIPPED, guids, unsettled, context)
        return [_skipped(row, group.skipped, unsettled)]
    folded: dict[tuple[_Person, Action], list[Change]] = {}
    for change in group.changes:
        person = _Person(change.user_guid, None if change.user_guid else change.genesys_user_id)
        folded.setdefault((person, change.action), []).append(change)
    rows = []
    for (person, action), changes in folded.items():
        unsettled = [change for change in changes if change.status not in SETTLED]
        row = _skeleton(person, action, Status.SKIPPED, guids, unsettled or changes, context)
        rows.append(_skipped(row, group.skipped, unsettled) if unsettled else _settled(row, changes, context))
    return rows


def _skipped(row: Row, skipped: SkippedGroup, changes: Sequence[Change]) -> Row:
    return dataclasses.replace(
        row, reason=skipped.reason, error=skipped.detail or None, change_ids=_change_ids(changes)
    )


def _skeleton(
    person: _Person,
    action: Action,
    status: Status,
    groups: tuple[Guid, ...],
    changes: Sequence[Change],
    context: Context,
) -> Row:
    """A row with the newest times of its changes and with what people read."""
    newest = max(changes, key=_age, default=None)
    told = [change.changed_at for change in changes if change.changed_at is not None]
    return Row(
        action=action,
        status=status,
        genesys_group_id=None,
        user_guid=person.user_guid,
        group_guids=groups,
        genesys_user_id=person.genesys_user_id,
        changed_at=max(told, default=None),
        observed_after=newest.observed_after if newest else None,
        observed_at=newest.observed_at if newest else context.observed_at,
        directory_groups=tuple(_group_for_people(guid, context) for guid in groups),
        directory_user=_user_for_people(person.user_guid, context),
    )


def _group_for_people(guid: Guid, context: Context) -> dict[str, str | None]:
    group = context.groups.get(guid)
    return {"guid": guid, "dn": group.dn if group else None, "name": group.name if group else None}


def _user_for_people(guid: Guid | None, context: Context) -> dict[str, str | None] | None:
    if guid is None:
        return None
    user = context.users.get(guid)
    return {"guid": guid, "dn": user.dn if user else None, "mail": user.mail if user else None}


def _age(change: Change) -> tuple[datetime, int]:
    return change.observed_at, change.id or 0


def _change_ids(changes: Iterable[Change]) -> tuple[int, ...]:
    return tuple(sorted({change.id for change in changes if change.id is not None}))


def _order(row: Row) -> tuple[bool, str, bool, str]:
    group = row.genesys_group_id or ",".join(row.group_guids)
    return row.genesys_group_id is None, group, row.action is Action.REMOVE, row.user_guid or row.genesys_user_id or ""


def _comparison_changes(row: Row, context: Context) -> Iterable[Change]:
    """One per AD group of a row that only the comparison found, so that a later run takes it up if this one cannot
    settle it, and folds it as it folds others."""
    if row.change_ids or row.settled_by or row.genesys_group_id is None:
        return
    if row.reason is Reason.MAPPING_CHANGED:
        return  # who is left behind in a group that its AD group feeds no more: no change of that AD group
    if row.user_guid is None and row.genesys_user_id is None:  # see _not_compared
        return
    for guid in row.group_guids:
        yield Change(
            group_guid=guid,
            user_guid=row.user_guid,
            action=row.action,
            observed_at=context.observed_at,
            origin="comparison",
            genesys_user_id=row.genesys_user_id,
        )


# -- the whole ----------------------------------------------------------------------------------------


def _refuse_doubles(targets: Iterable[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.genesys_group.id in seen:
            raise ValueError(f"the Genesys group {target.genesys_group.id} is the target of two: fold them first")
        seen.add(target.genesys_group.id)


def _ids(match: Match | None) -> set[str]:
    """Every Genesys user that a match speaks of."""
    if match is None:
        return set()
    return {*match.candidates, *([match.genesys_user_id] if match.genesys_user_id else [])}


def _claims(matches: Mapping[Guid, Match]) -> dict[str, frozenset[Guid]]:
    claims: dict[str, set[Guid]] = {}
    for guid, match in matches.items():
        for genesys_id in _ids(match):
            claims.setdefault(genesys_id, set()).add(guid)
    return {genesys_id: frozenset(guids) for genesys_id, guids in claims.items()}


def _is_compared(facts: _Facts) -> bool:
    target = facts.target
    return target.whole and target.present is not None and not target.claimed_by and not facts.context.in_flight


def _moved(facts: _Facts, rows: Iterable[Row]) -> Iterable[Grant]:
    """Who leaves one AD group and stays in another, or was deleted and made anew, is owned through that from now on."""
    for row in rows:
        if row.reason is Reason.STILL_GRANTED and row.user_guid is not None:
            heir = facts.heir(row.user_guid, row.genesys_user_id or "") or row.user_guid
            for owned in facts.grants_by.get(row.user_guid, ()):
                for group_guid in facts.target.effective[heir]:
                    yield dataclasses.replace(owned, user_guid=heir, group_guid=group_guid)


def _outdated(facts: _Facts) -> Iterable[Grant]:
    for guid, genesys_id in _who_belongs_and_is_there(facts):
        for grant in facts.grants_by.get(guid, ()):
            if grant.genesys_user_id == genesys_id and grant.group_guid not in facts.target.feeding:
                yield grant


def _who_belongs_and_is_there(facts: _Facts) -> Iterable[tuple[Guid, str]]:
    """Whom AD wants in a target that is compared as a whole, and who is in it: AD user, Genesys user."""
    target = facts.target
    if not _is_compared(facts):
        return
    assert target.present is not None
    for guid in sorted(target.effective.keys() - facts.context.excluded_users):
        match = facts.matches.get(guid)
        genesys_id = match.genesys_user_id if match else None
        if genesys_id is not None and genesys_id in target.present and facts.matched_by_one(genesys_id, guid):
            yield guid, genesys_id


def _found(facts: _Facts) -> Iterable[Grant]:
    target = facts.target
    for guid, genesys_id in _who_belongs_and_is_there(facts):
        for group_guid in target.effective[guid]:
            grant = Grant(target.genesys_group.id, genesys_id, guid, group_guid)
            if grant not in facts.grants_of.get(genesys_id, ()):
                yield grant


def _group_result(facts: _Facts) -> GroupResult:
    """What is known before anything is written; the run fills in the rest."""
    target = facts.target
    manual = None
    if target.present is not None:
        manual = len(target.present - facts.wanted_ids - facts.grants_of.keys())
    return GroupResult(
        genesys_group_id=target.genesys_group.id,
        genesys_group_name=target.genesys_group.name,
        group_guids=tuple(sorted(target.feeding)),
        complete=target.complete,
        before=None if target.present is None else len(target.present),
        after=None,
        added=0,
        removed=0,
        manual_members=manual,
    )


def _requests(rows: Sequence[Row], write: str) -> int:
    """About how many requests the rows of one Genesys group cost, its re-check and its read-back included."""
    adds = sum(row.action is Action.ADD for row in rows)
    removals = len(rows) - adds
    if write == "user_patch":
        return 2 + 3 * len(rows)  # read, write and read back each person
    if write == "group_members":
        return 2 + 2 * _batches(adds) + _batches(removals)  # each POST needs the newest version
    return 2 + _batches(adds + removals)


def _batches(members: int) -> int:
    return -(-members // BATCH)
