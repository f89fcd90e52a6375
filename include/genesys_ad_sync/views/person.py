"""Why a person is, or is not, in each mapped Genesys group."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.lookup_answers import SeenChange, StoredGrant, StoredPair, StoredQuestion
from genesys_ad_sync.matching import excluded_users
from genesys_ad_sync.model import (
    SETTLED,
    Action,
    DirectoryUser,
    Guid,
    Objection,
    Outcome,
    PrincipalKind,
    Row,
    RowKey,
    RunKey,
    Status,
)
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.views.claims import Claims
from genesys_ad_sync.views.named import (
    AsOf,
    Definitions,
    Wait,
    approval_of,
    last_attempts,
    named_groups,
    paths_up,
    policy_of,
    rule_words,
    wait_of,
)
from genesys_ad_sync.views.person_answer import (
    Account,
    Granted,
    LastChange,
    Membership,
    PersonAnswer,
    Pinned,
    Source,
)
from genesys_ad_sync.views.verdict import Facts, verdict


def explain_person(
    journal: Journal,
    guid: Guid,
    definitions: Definitions,
    *,
    now: datetime,
    only: Collection[str] | None = None,
    named: Collection[str] | None = None,
) -> list[PersonAnswer]:
    """Return what each sync definition that knows the account knows of it.

    ``only``: what these definitions know; default: all. ``named``: the definitions that may be named; default: all.
    """
    answers = []
    for name in journal.lookups.definitions() if only is None else only:
        user = journal.of(name).views.users([guid]).get(guid)
        if user is not None:
            answers.append(_Explanation(journal, user, name, definitions.get(name), now, named).answer())
    return answers


def explain_genesys_user(journal: Journal, user_id: str, *, only: Collection[str] | None = None) -> list[PersonAnswer]:
    """Return the Genesys groups with a user that AD does not know.

    The last runs in mode full saw the user there. ``only``: those of these definitions; default: of all.
    """
    answers = []
    for name in journal.lookups.definitions() if only is None else only:
        last = journal.of(name).lookups.last_full_run()
        if last is None:
            continue
        run, groups = last
        found = tuple(
            Membership(result.genesys_group_id, result.genesys_group_name, False, _BY_HAND, (), None, True, *[None] * 5)
            for result in journal.searches.results(run, user_id.lower())
            if user_id in (result.manual_member_ids or ())
        )
        if found:
            as_of = AsOf(None, run.finished_at)
            answers.append(PersonAnswer(name, as_of, None, user_id, None, (), found, groups - len(found)))
    return answers


_BY_HAND = "Member by hand: AD does not know this person, and lets the membership be."


class _Explanation:
    """One account and one sync definition; each part of the answer is read once."""

    def __init__(
        self,
        journal: Journal,
        user: DirectoryUser,
        name: str,
        definition: SyncDefinition | None,
        now: datetime,
        named: Collection[str] | None,
    ) -> None:
        self._journal = journal.of(name)
        self._user = user
        self._definition = definition
        self._now = now
        self._cursor = self._journal.views.cursor()
        policy = policy_of(self._cursor)
        self._account = self._read_account(left_out=policy.leaves_out(user))
        self._paths = paths_up(self._journal, user.guid, nested=policy.nested)
        self._changes = self._journal.lookups.changes_of(user.guid)
        self._link = self._journal.links.of([user.guid]).get(user.guid)
        self._grants = _by_target(self._journal.lookups.grants_of_account(user.guid))
        around = self._paths.keys() | {one.change.group_guid for one in self._changes}
        possible = self._grants.keys() | journal.lookups.targets_of(name, around)
        self._targets: dict[str, list[StoredPair]] = {}
        for pair in journal.lookups.pairs_of(name, possible):
            self._targets.setdefault(pair.genesys_group_id, []).append(pair)
        self._mapped_targets = journal.lookups.count_targets(name)
        self._runs_of_grants = self._journal.lookups.runs_at(
            {stored.since for grants in self._grants.values() for stored in grants}
        )
        self._concerned = self._concerned_targets()
        subjects = [str(RowKey(id_, user.guid, action)) for id_ in self._concerned for action in Action]
        self._outcomes = self._journal.changes.last_outcomes({one.change.id for one in self._changes if one.change.id})
        self._rows = self._journal.lookups.newest_rows(subjects, last_attempts(self._outcomes.values()))
        self._questions = self._journal.lookups.questions_about(subjects)
        self._looks = self._journal.lookups.last_looks(self._concerned)
        self._claims = Claims(name, self._journal.lookups.claims_on(self._concerned), named)
        self._pins = self._journal.pins.all(user.guid)
        self._groups = self._journal.views.groups(self._named())

    def answer(self) -> PersonAnswer:
        memberships = [self._membership(id_) for id_ in self._concerned]
        mapped = [id_ for id_ in self._concerned if any(pair.active for pair in self._targets[id_])]
        looked_at = max((run.finished_at for run, _ in self._looks.values() if run.finished_at), default=None)
        return PersonAnswer(
            self._journal.definition,
            AsOf(self._cursor.cursor.polled_at if self._cursor else None, looked_at),
            self._account,
            self._link.genesys_user_id if self._link else None,
            self._link,
            tuple(self._journal.links.former(self._user.guid)),
            tuple(sorted(memberships, key=lambda one: names.normal_name(one.genesys_group_name))),
            self._mapped_targets - len(mapped),
        )

    # -- what is read ---------------------------------------------------------------------------------

    def _read_account(self, *, left_out: bool) -> Account:
        user, times = self._user, self._journal.lookups.account_times(self._user.guid)
        excluded = self._definition is not None and bool(excluded_users([user], self._definition))
        reasons = {
            "it was deleted in AD": times.deleted_at is not None,
            "it is not an account of a person": user.kind is not PrincipalKind.USER,
            "it is disabled": left_out and user.disabled,
            "it has expired": left_out and not user.disabled,
            "the sync definition excludes it (exclude: users), so it is never acted on": excluded,
        }
        why_not = next((reason for reason, is_so in reasons.items() if is_so), None)
        return Account(
            user.guid,
            user.name,
            user.mail,
            user.dn,
            user.sam_account_name,
            user.disabled,
            user.expires_at,
            times.gone_at,
            times.deleted_at,
            why_not is None,
            why_not,
        )

    def _concerned_targets(self) -> list[str]:
        """Return the Genesys groups that concern the person.

        There the person is wanted, was changed, or has a grant.
        """
        changed = {one.change.group_guid for one in self._changes}
        return [
            id_
            for id_, pairs in self._targets.items()
            if id_ in self._grants
            or any(pair.group_guid in changed or (pair.active and pair.group_guid in self._paths) for pair in pairs)
        ]

    def _named(self) -> set[Guid]:
        sources = {pair.group_guid for id_ in self._concerned for pair in self._targets[id_]}
        return sources | {guid for source in sources for guid in self._paths.get(source, ())}

    # -- one Genesys group ----------------------------------------------------------------------------

    def _membership(self, group_id: str) -> Membership:
        pairs = sorted(self._targets[group_id], key=lambda pair: not pair.active)
        sources = tuple(self._source(pair) for pair in pairs)
        wanted = self._account.counts and any(source.mapped and source.path for source in sources)
        changes = self._changes_in({pair.group_guid for pair in pairs})
        stored = self._grants.get(group_id, ())
        by_hand = self._is_by_hand(group_id)
        open_changes = [one for one in changes if one.change.settled_by is None]
        action = open_changes[-1].change.action if open_changes else Action.ADD if wanted else Action.REMOVE
        subject = str(RowKey(group_id, self._user.guid, action))
        owned = any(grant.asleep_since is None for grant in stored)
        waits = self._wait(open_changes, self._rows.get(subject), self._questions.get(subject), differs=wanted != owned)
        granted = self._granted(stored, changes, pairs)
        claim = self._claims.holders.get(group_id)
        return Membership(
            group_id,
            pairs[0].genesys_group_name,
            wanted,
            self._verdict(wanted, granted, by_hand, waits, changes),
            sources,
            granted,
            by_hand,
            self._last_change(changes),
            approval_of(self._newest_question(group_id)),
            waits,
            _pinned(self._pins.get((group_id, self._user.guid))),
            claim if claim != self._journal.definition else None,
        )

    def _verdict(
        self,
        wanted: bool,  # noqa: FBT001  as above
        granted: Granted | None,
        by_hand: bool | None,  # noqa: FBT001  as above
        waits: Wait | None,
        changes: Sequence[SeenChange],
    ) -> str:
        last = changes[-1].change if changes else None
        removed = last is not None and last.action is Action.REMOVE and last.status is Status.SUCCESS
        return verdict(
            Facts(
                wanted=wanted,
                owned=granted is not None and granted.asleep_since is None,
                asleep=granted is not None and granted.asleep_since is not None,
                by_hand=by_hand is True,
                removed=removed,
            ),
            why_not=self._account.why_not,
            waits=waits,
        )

    def _source(self, pair: StoredPair) -> Source:
        [group] = named_groups(self._groups, [pair.group_guid])
        known = self._groups.get(pair.group_guid)
        in_scope = known is not None and known.in_scope  # else the definition does not look at it any more
        path = named_groups(self._groups, self._paths.get(pair.group_guid, ()) if in_scope else ())
        return Source(group, rule_words(self._definition, pair.rule), pair.active, path)

    def _changes_in(self, groups: set[Guid]) -> list[SeenChange]:
        return [one for one in self._changes if one.change.group_guid in groups]

    def _is_by_hand(self, group_id: str) -> bool | None:
        """Return whether the person was seen in the group without a grant.

        The last run that listed the members decides. None: it is not known.
        """
        if self._link is None:
            return None
        last = self._looks.get(group_id)
        return None if last is None else self._link.genesys_user_id in (last[1].manual_member_ids or ())

    def _wait(
        self, open_changes: Sequence[SeenChange], row: Row | None, question: StoredQuestion | None, *, differs: bool
    ) -> Wait | None:
        if open_changes:
            newest = open_changes[-1]
            since = min(one.first_seen_at or one.change.observed_at for one in open_changes)
            return wait_of(
                row, self._outcomes.get(newest.change.id or 0), question, self._claims, since=since, now=self._now
            )
        if differs and row is not None and row.status not in SETTLED and row.observed_at is not None:
            at = row.observed_at
            return wait_of(row, None, question, self._claims, since=at, now=self._now)  # a dry run stores no change
        return None

    def _granted(
        self, stored: Sequence[StoredGrant], changes: Sequence[SeenChange], pairs: Sequence[StoredPair]
    ) -> Granted | None:
        if not stored:
            return None
        first = min(stored, key=lambda one: one.since)
        adds = [one.change for one in changes if one.change.action is Action.ADD and one.change.settled_by]
        pair = next((one for one in pairs if one.group_guid == first.grant.group_guid), None)
        run = self._runs_of_grants.get(first.since)
        by_change = next((change.settled_by for change in reversed(adds)), None)
        baseline = pair.baseline_run if pair else None
        [through] = named_groups(self._groups, [first.grant.group_guid])
        return Granted(
            first.since,
            through,
            str(run) if run else by_change or baseline,
            first.grant.genesys_user_id,
            first.grant.by_dry_run,
            first.asleep_since,
        )

    def _last_change(self, changes: Sequence[SeenChange]) -> LastChange | None:
        if not changes:
            return None
        change = changes[-1].change
        outcome: Outcome | None = self._outcomes.get(change.id or 0)
        [group] = named_groups(self._groups, [change.group_guid])
        return LastChange(
            change.action.value,
            group,
            change.changed_at,
            change.observed_after,
            change.observed_at,
            change.origin,
            change.evidence.value if change.evidence else None,
            change.settled_by is not None,
            outcome.status.value if outcome else None,
            outcome.reason.value if outcome and outcome.reason else None,
            outcome.http_code if outcome else None,
            outcome.error if outcome else None,
            outcome.correlation_id if outcome else None,
            str(RunKey(outcome.dag_id, outcome.run_id)) if outcome else None,
            outcome.at if outcome else None,
        )

    def _newest_question(self, group_id: str) -> StoredQuestion | None:
        asked = [
            question
            for action in Action
            if (question := self._questions.get(str(RowKey(group_id, self._user.guid, action))))
        ]
        return max(asked, key=lambda question: question.asked_at, default=None)


def _by_target(grants: Iterable[StoredGrant]) -> dict[str, list[StoredGrant]]:
    found: dict[str, list[StoredGrant]] = {}
    for stored in grants:
        found.setdefault(stored.grant.genesys_group_id, []).append(stored)
    return found


def _pinned(objection: Objection | None) -> Pinned | None:
    return None if objection is None else Pinned(str(objection.run), objection.at, objection.by)
