"""Questions of people about one definition: group members, and the reasons.

Nothing is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row as Record
from sqlalchemy import and_, false, func, or_, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.changes import as_change
from genesys_ad_sync.journal.database import DefinitionStore, chunks
from genesys_ad_sync.journal.figures import FULL_RUNS_SEARCHED, GROUP_RESULT
from genesys_ad_sync.journal.full_looks import full_looks, last_complete_look
from genesys_ad_sync.journal.lookup_answers import AccountTimes, SeenChange, StoredGrant, StoredQuestion
from genesys_ad_sync.journal.lookup_columns import CHANGE, GRANT, GROUP, MEMBERSHIP, QUESTION, RESULT, ROW, RUN, USER
from genesys_ad_sync.journal.runs import as_run
from genesys_ad_sync.journal.stored_row import row_from_json
from genesys_ad_sync.model import Grant, GroupResult, Guid, Row, RunKey, RunRecord

RUNS_TO_SEARCH = 100
"""Of so many runs the rows are searched for a person or a group; older ones are found through their changes."""
LONGEST_RUN = timedelta(days=60)
"""A run that waits for an approval takes days; no run takes longer than this."""


class DefinitionLookups(DefinitionStore):
    """Questions that concern one sync definition."""

    def account_times(self, guid: Guid) -> AccountTimes:
        """Return when an account left, and was deleted."""
        statement = select(USER.gone_at, USER.deleted_at).where(USER.definition == self._definition, USER.guid == guid)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return AccountTimes(None, None) if row is None else AccountTimes(row.gone_at, row.deleted_at)

    def groups_with_member(self, guids: Collection[Guid]) -> dict[Guid, set[Guid]]:
        """Return the AD groups in the view with these direct members: member -> groups."""
        found: dict[Guid, set[Guid]] = {}
        group_there = and_(
            GROUP.definition == MEMBERSHIP.definition, GROUP.guid == MEMBERSHIP.group_guid, GROUP.gone_at.is_(None)
        )
        with self._database.reading() as connection:
            for chunk in chunks(guids):
                statement = (
                    select(MEMBERSHIP.member_guid, MEMBERSHIP.group_guid)
                    .join(tables.group, group_there)
                    .where(MEMBERSHIP.definition == self._definition, MEMBERSHIP.member_guid.in_(chunk))
                )
                for member, group in connection.execute(statement):
                    found.setdefault(member, set()).add(group)
        return found

    def complete_polls(self) -> dict[Guid, int]:
        """Return the AD groups in the view that were ever read completely.

        Each comes with the newest poll that read it completely.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                select(GROUP.guid, GROUP.complete_poll).where(
                    GROUP.definition == self._definition, GROUP.gone_at.is_(None), GROUP.complete_poll.is_not(None)
                )
            )
            return {row.guid: row.complete_poll for row in rows}

    def facts_since(self, run: RunRecord, key: str) -> list[Any]:
        """Return what a run and those after it left under that key, the oldest first."""
        fact, content = tables.fact, tables.content
        those = select(RUN.id).where(RUN.definition == self._definition, RUN.id >= run.id)
        statement = (
            select(fact.c.value, fact.c.content, content.c.value)
            .select_from(fact.outerjoin(content, content.c.digest == fact.c.content))
            .where(fact.c.run.in_(those), fact.c.key == key)
            .order_by(fact.c.run)
        )
        with self._database.reading() as connection:
            return [value if digest is None else large for value, digest, large in connection.execute(statement)]

    def complete_readings(self, guids: Collection[Guid]) -> dict[Guid, datetime | None]:
        """Return when each AD group was last read completely.

        None: the poll is not known any more.
        """
        with self._database.reading() as connection:
            polls: dict[Guid, int] = {
                row.guid: row.complete_poll
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(GROUP.guid, GROUP.complete_poll).where(
                        GROUP.definition == self._definition,
                        GROUP.guid.in_(chunk),
                        GROUP.complete_poll.is_not(None),
                    )
                )
            }
            times: dict[int, datetime] = {
                row.poll: row.polled_at
                for chunk in chunks(set(polls.values()))
                for row in connection.execute(
                    select(RUN.poll, func.min(RUN.polled_at, type_=tables.UtcDateTime()).label("polled_at"))
                    .where(RUN.definition == self._definition, RUN.poll.in_(chunk))
                    .group_by(RUN.poll)
                )
            }
        return {guid: times.get(poll) for guid, poll in polls.items()}

    def gone_groups(self, guids: Collection[Guid]) -> dict[Guid, datetime]:
        """Return the AD groups that are no longer in the view.

        Each comes with the time since when it is gone.
        """
        with self._database.reading() as connection:
            return {
                row.guid: row.gone_at
                for chunk in chunks(guids)
                for row in connection.execute(
                    select(GROUP.guid, GROUP.gone_at).where(
                        GROUP.definition == self._definition, GROUP.guid.in_(chunk), GROUP.gone_at.is_not(None)
                    )
                )
            }

    def changes_of(self, user_guid: Guid) -> list[SeenChange]:
        """Return all changes of an AD account, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(tables.change)
                .where(CHANGE.definition == self._definition, CHANGE.user_guid == user_guid)
                .order_by(CHANGE.id)
            )
            return [_seen_change(row) for row in rows]

    def grants_of_account(self, user_guid: Guid) -> list[StoredGrant]:
        """Return the grants of an AD account."""
        mine = (GRANT.definition == self._definition, GRANT.user_guid == user_guid)
        with self._database.reading() as connection:
            return [_stored_grant(row) for row in connection.execute(select(tables.grant).where(*mine))]

    def grants_of_user(self, genesys_user_id: str, genesys_group_ids: Collection[str]) -> list[StoredGrant]:
        """Return the grants of a Genesys user in these Genesys groups.

        This takes a few index look-ups for each group.
        """
        with self._database.reading() as connection:
            return [
                _stored_grant(row)
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    select(tables.grant).where(
                        GRANT.definition == self._definition,
                        GRANT.genesys_group_id.in_(chunk),
                        GRANT.genesys_user_id == genesys_user_id,
                    )
                )
            ]

    def grants_in(self, genesys_group_id: str) -> list[StoredGrant]:
        """Return the grants in a Genesys group, sleeping ones included."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(tables.grant).where(
                    GRANT.definition == self._definition, GRANT.genesys_group_id == genesys_group_id
                )
            )
            return [_stored_grant(row) for row in rows]

    def questions_about(self, subjects: Collection[str]) -> dict[str, StoredQuestion]:
        """Return the newest question about each of these rows, by row key."""
        found: dict[str, StoredQuestion] = {}
        with self._database.reading() as connection:
            for chunk in chunks(subjects):
                statement = (
                    select(tables.question)
                    .where(QUESTION.definition == self._definition, QUESTION.subject.in_(chunk))
                    .order_by(QUESTION.id)
                )
                for row in connection.execute(statement):
                    found[row.subject] = StoredQuestion(
                        row.subject,
                        RunKey(row.dag_id, row.run_id),
                        row.asked_at,
                        row.expires_at,
                        row.closed_at,
                        row.decision,
                        row.decided_by,
                        tuple(row.change_ids),
                    )
        return found

    def newest_rows(self, row_keys: Collection[str], attempts: Iterable[tuple[RunKey, int]]) -> dict[str, Row]:
        """Return the newest row of each key.

        Only the last runs and these attempts of runs are searched.
        """
        found: dict[str, tuple[int, Row]] = {}
        with self._database.reading() as connection:
            last = (
                select(RUN.id).where(RUN.definition == self._definition).order_by(RUN.id.desc()).limit(RUNS_TO_SEARCH)
            )
            run_ids = set(connection.scalars(last))
            by_dag: dict[str, set[tuple[str, int]]] = {}
            for key, attempt in attempts:
                by_dag.setdefault(key.dag_id, set()).add((key.run_id, attempt))
            for dag_id, wanted in by_dag.items():
                for chunk in chunks({run_id for run_id, _ in wanted}):
                    its = select(RUN.id, RUN.run_id, RUN.attempt).where(RUN.dag_id == dag_id, RUN.run_id.in_(chunk))
                    found_runs = connection.execute(its)
                    run_ids.update(id_ for id_, run_id, number in found_runs if (run_id, number) in wanted)
            for runs in chunks(run_ids):
                for keys in chunks(row_keys, 100):
                    statement = select(ROW.id, ROW.key, ROW.data).where(
                        ROW.run.in_(runs), ROW.key.in_(keys), ROW.replaced == 0
                    )
                    for row in connection.execute(statement):
                        if row.key not in found or found[row.key][0] < row.id:
                            found[row.key] = row.id, row_from_json(row.data)
        return {key: row for key, (_, row) in found.items()}

    def last_looks(self, genesys_group_ids: Collection[str]) -> dict[str, tuple[RunRecord, GroupResult]]:
        """Return the last listing of the members by hand, by Genesys group.

        Each result comes with the run that saw it.
        """
        found: dict[str, tuple[RunRecord, GroupResult]] = {}
        with self._database.reading() as connection:
            runs = {row.id: row for row in connection.execute(full_looks(self._definition).limit(FULL_RUNS_SEARCHED))}
            for chunk in chunks(genesys_group_ids):
                seen = connection.execute(
                    select(RESULT.run, RESULT.data)
                    .where(RESULT.run.in_(list(runs)), RESULT.genesys_group_id.in_(chunk))
                    .order_by(RESULT.run)
                )
                for row in seen:
                    result = GROUP_RESULT.validate_python(row.data)
                    if result.manual_member_ids is not None:  # the newest comes last
                        found[result.genesys_group_id] = as_run(runs[row.run]), result
        return found

    def last_results(self) -> tuple[RunRecord, list[GroupResult]] | None:
        """Return what the last complete look in mode full saw, and its run.

        Such a run looked at all Genesys groups.
        """
        with self._database.reading() as connection:
            row = last_complete_look(connection, self._definition)
            if row is None:
                return None
            results = connection.scalars(select(RESULT.data).where(RESULT.run == row.id))
            return as_run(row), [GROUP_RESULT.validate_python(data) for data in results]

    def last_full_run(self) -> tuple[RunRecord, int] | None:
        """Return the run of the last complete look in mode full.

        It comes with the number of Genesys groups that it saw.
        """
        with self._database.reading() as connection:
            row = last_complete_look(connection, self._definition)
            if row is None:
                return None
            count = select(func.count()).select_from(tables.group_result).where(RESULT.run == row.id)
            return as_run(row), int(connection.scalar(count) or 0)

    def runs_at(self, moments: Collection[datetime]) -> dict[datetime, RunKey]:
        """Return the live run that was under way at each moment.

        A moment without a known run is missing.
        """
        found: dict[datetime, RunKey] = {}
        live = select(RUN.dag_id, RUN.run_id).where(RUN.definition == self._definition, RUN.dry_run == false())
        with self._database.reading() as connection:
            for at in moments:
                under_way = (RUN.started_at <= at, or_(RUN.finished_at.is_(None), RUN.finished_at >= at))
                # the index `journal_run_by_start` finds it at once, however many runs came later
                newest = live.where(*under_way, RUN.started_at >= at - LONGEST_RUN)
                run = connection.execute(newest.order_by(RUN.started_at.desc(), RUN.id.desc()).limit(1)).first()
                if run is not None:
                    found[at] = RunKey(run.dag_id, run.run_id)
        return found

    def claims_on(self, genesys_group_ids: Collection[str]) -> dict[str, str]:
        """Return which definition feeds each of these Genesys groups; those that none feeds are missing."""
        claim = tables.claim.c
        with self._database.reading() as connection:
            return {
                row.genesys_group_id: row.definition
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(select(tables.claim).where(claim.genesys_group_id.in_(chunk)))
            }

    def organisation(self) -> tuple[str, str]:
        """Return the definition's Genesys organisation and OAuth client.

        The journal may not have them: then the organisation is "unknown", and the client is empty.
        """
        claim, external_id = tables.claim.c, tables.external_id.c
        mine = select(claim.organisation).where(claim.definition == self._definition).limit(1)
        with self._database.reading() as connection:
            organisation = connection.scalars(mine).first() or "unknown"
            known = select(external_id.organisation).where(external_id.organisation.like(f"{organisation} %")).limit(1)
            client = (connection.scalars(known).first() or "").removeprefix(f"{organisation} ")
        return organisation, client

    def claim_of(self, genesys_group_id: str) -> tuple[str, datetime] | None:
        """Return which definition feeds a Genesys group, and since when."""
        claim = tables.claim.c
        statement = select(claim.definition, claim.since).where(claim.genesys_group_id == genesys_group_id)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
        return None if row is None else (row.definition, row.since)


def _seen_change(row: Record[Any]) -> SeenChange:
    first = None if row.first_seen_run_id is None else str(RunKey(row.first_seen_dag_id, row.first_seen_run_id))
    return SeenChange(as_change(row), row.first_seen_at, first)


def _stored_grant(row: Record[Any]) -> StoredGrant:
    grant = Grant(row.genesys_group_id, row.genesys_user_id, row.user_guid, row.group_guid, row.by_dry_run)
    return StoredGrant(grant, row.since, row.asleep_since)
