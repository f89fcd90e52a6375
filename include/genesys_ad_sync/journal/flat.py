"""Provide the journal's former method names, until all callers use the stores."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from genesys_ad_sync.journal.external_ids import ExternalIds
from genesys_ad_sync.journal.rows import Rows
from genesys_ad_sync.journal.view_writer import ViewUpdate
from genesys_ad_sync.model import (
    Change,
    Cursor,
    Decision,
    DirectoryGroup,
    DirectoryUser,
    Done,
    Grant,
    GroupResult,
    Guid,
    Link,
    Mode,
    Outcome,
    Pair,
    Row,
    RunKey,
    RunRecord,
    RunRequest,
    StoredCursor,
    View,
    Window,
)

if TYPE_CHECKING:
    from genesys_ad_sync.journal.facts import Facts
    from genesys_ad_sync.journal.figures import Figures
    from genesys_ad_sync.journal.leases import Leases
    from genesys_ad_sync.journal.runs import Runs
    from genesys_ad_sync.journal.secrets import Secrets
    from genesys_ad_sync.journal.store import DefinitionJournal

_REQUIRED = object()
_ANY = ""  # for methods of a definition's store that ask for no definition


class CallableRows(Rows):
    """The store `rows`, which may be called like the former method ``rows``."""

    __call__ = Rows.of_run


class CallableExternalIds(ExternalIds):
    """The store `external_ids`, which may be called like the former method ``external_ids``."""

    __call__ = ExternalIds.get


class FlatNames:
    """The former methods of ``Journal``, by store."""

    runs: Runs
    facts: Facts
    rows: CallableRows
    figures: Figures
    leases: Leases
    secrets: Secrets
    external_ids: CallableExternalIds

    def of(self, definition: str) -> DefinitionJournal:
        raise NotImplementedError

    # -- views --

    def stored_cursor(self, definition: str) -> StoredCursor | None:
        return self.of(definition).views.cursor()

    def load_view(self, definition: str, roots: Collection[Guid] | None = None) -> View:
        return self.of(definition).views.load(roots)

    def roots_above(self, definition: str, guids: Collection[Guid]) -> set[Guid]:
        return self.of(definition).views.groups_above(guids)

    def groups_with_rids(self, definition: str, rids: Collection[int]) -> set[Guid]:
        return self.of(definition).views.groups_with_rids(rids)

    def scope_groups(self, definition: str) -> list[DirectoryGroup]:
        return self.of(definition).views.groups_in_scope()

    def known_groups(self, definition: str, guids: Collection[Guid]) -> dict[Guid, DirectoryGroup]:
        return self.of(definition).views.groups(guids)

    def known_users(self, definition: str, guids: Collection[Guid]) -> dict[Guid, DirectoryUser]:
        return self.of(definition).views.users(guids)

    def all_users(self, definition: str) -> list[DirectoryUser]:
        return self.of(definition).views.all_users()

    def gone_users(self, definition: str, guids: Collection[Guid]) -> frozenset[Guid]:
        return self.of(definition).views.gone_users(guids)

    def deleted_users(self, definition: str) -> frozenset[Guid]:
        return self.of(definition).views.deleted_users()

    def advance(
        self,
        definition: str,
        *,
        expected_poll: int | None,
        scope: str,
        cursor: Cursor,
        before: View,
        after: View,
        changes: Sequence[Change],
        complete: Collection[Guid],
        whole: bool,
        deleted: Collection[Guid] = (),
    ) -> int:
        update = ViewUpdate(before, after, changes, complete, deleted, full=whole)
        return self.of(definition).views.advance(update, cursor=cursor, scope=scope, expected_poll=expected_poll)

    # -- changes --

    def unsettled(self, definition: str, group_guids: Collection[Guid] | None = None) -> list[Change]:
        return self.of(definition).changes.unsettled(group_guids)

    def changes_in(self, definition: str, window: Window) -> list[Change]:
        return self.of(definition).changes.in_window(window)

    def changes(self, ids: Collection[int]) -> list[Change]:
        return self.of(_ANY).changes.by_id(ids)

    def record_comparison(self, definition: str, changes: Sequence[Change]) -> list[Change]:
        return self.of(definition).changes.add_compared(changes)

    def record_history(self, definition: str, changes: Sequence[Change]) -> int:
        return self.of(definition).changes.add_history(changes)

    def outcomes(self, change_ids: Collection[int]) -> dict[int, Outcome]:
        return self.of(_ANY).changes.last_outcomes(change_ids)

    def confirm(self, change_ids: Collection[int]) -> None:
        self.of(_ANY).changes.clear_hold(change_ids)

    def last_change(self) -> int:
        return self.of(_ANY).changes.newest_id()

    def newest_told(self, definition: str, pairs: Iterable[tuple[Guid, Guid]]) -> dict[tuple[Guid, Guid], int]:
        return self.of(definition).changes.newest_polled_ids(pairs)

    # -- pairs --

    def pairs(self, definition: str) -> list[Pair]:
        return self.of(definition).pairs.active()

    def inactive_pairs(self, definition: str) -> list[Pair]:
        return self.of(definition).pairs.former()

    def save_pairs(self, definition: str, pairs: Sequence[Pair], at: datetime) -> list[Pair]:
        return self.of(definition).pairs.replace(pairs, at)

    def set_baselines(
        self, definition: str, pairs: Collection[tuple[Guid, str]], dag_id: str, run_id: str, at: datetime
    ) -> None:
        self.of(definition).pairs.set_baselines(pairs, dag_id, run_id, at)

    # -- grants --

    def grants(self, definition: str, genesys_group_ids: Collection[str]) -> list[Grant]:
        return self.of(definition).grants.of_groups(genesys_group_ids)

    def add_grants(self, definition: str, grants: Collection[Grant], at: datetime) -> None:
        self.of(definition).grants.add(grants, at)

    def remove_grants(self, definition: str, grants: Collection[Grant]) -> None:
        self.of(definition).grants.remove(grants)

    def drop_grants_of(self, definition: str, people: Collection[tuple[Guid, str]]) -> None:
        self.of(definition).grants.remove_users(people)

    # -- links --

    def all_links(self, definition: str) -> dict[Guid, Link]:
        return self.of(definition).links.all()

    def save_links(self, definition: str, links: Collection[Link]) -> None:
        self.of(definition).links.save(links)

    def drop_links(self, definition: str, user_guids: Collection[Guid]) -> None:
        self.of(definition).links.remove(user_guids)

    # -- claims --

    def claim(
        self,
        organisation: str,
        definition: str,
        genesys_group_ids: Collection[str],
        at: datetime,
        *,
        dry_run: bool = False,
    ) -> dict[str, str]:
        return self.of(definition).claims.take(organisation, genesys_group_ids, at, dry_run=dry_run)

    def release_claims(self, organisation: str, definition: str, except_ids: Collection[str]) -> None:
        self.of(definition).claims.release_except(organisation, except_ids)

    # -- questions --

    def ask(
        self, definition: str, key: RunKey, subjects: Mapping[str, Sequence[int]], *, at: datetime, until: datetime
    ) -> set[str]:
        return self.of(definition).questions.open(key, subjects, at=at, until=until)

    def being_asked(self, definition: str, now: datetime, *, but_not_by: RunKey | None = None) -> dict[str, RunKey]:
        return self.of(definition).questions.open_elsewhere(now, exclude=but_not_by)

    def close_question(self, key: RunKey, decisions: Mapping[str, Decision], *, by: str | None, at: datetime) -> None:
        self.of(_ANY).questions.close(key, decisions, by=by, at=at)

    def has_asked(self, definition: str, key: RunKey) -> bool:
        return self.of(definition).questions.exists(key)

    def reopen_rejected(self, definition: str, key: RunKey) -> int:
        return self.of(definition).questions.reopen_rejected(key)

    # -- restoration --

    def note_restored(self, at: datetime) -> None:
        self.of(_ANY).restoration.take_new_id(at)

    def distrust(self, definition: str, at: datetime) -> None:
        self.of(definition).restoration.begin(at)

    def distrusts(self, definition: str) -> bool:
        return self.of(definition).restoration.is_active()

    def trust_again(self, definition: str) -> None:
        self.of(definition).restoration.end()

    # -- pins --

    def done_by(self, key: RunKey) -> list[Done]:
        return self.of(_ANY).pins.writes_of(key)

    def written_since(self, done: Collection[Done], but_not_by: RunKey) -> set[str]:
        return self.of(_ANY).pins.written_since(done, but_not_by)

    def pin(
        self,
        definition: str,
        pairs: Collection[tuple[str, str]],
        *,
        key: RunKey,
        undoes: RunKey,
        last_change: int,
        at: datetime,
    ) -> None:
        self.of(definition).pins.add(pairs, key=key, undoes=undoes, last_change=last_change, at=at)

    def pins(
        self, definition: str, genesys_group_ids: Collection[str], *, since: datetime | None = None
    ) -> dict[tuple[str, str], int]:
        return self.of(definition).pins.of_groups(genesys_group_ids, since=since)

    def unpin(self, definition: str, pairs: Mapping[tuple[str, str], int]) -> None:
        self.of(definition).pins.remove(pairs)

    def has_pins(self, definition: str, key: RunKey) -> bool:
        return self.of(definition).pins.exist(key)

    def release_pins(self, definition: str, key: RunKey) -> int:
        return self.of(definition).pins.release(key)

    # -- runs --

    def run(self, key: RunKey) -> RunRecord:
        return self.runs.get(key)

    def has_attempt(self, key: RunKey, attempt: int, started_at: datetime | None = None) -> bool:
        return self.runs.exists(key, attempt, started_at)

    def begin_run(
        self,
        key: RunKey,
        definition: str,
        *,
        clear_number: int,
        run_type: str,
        mode: Mode,
        dry_run: bool,
        window: Window | None,
        groups: Sequence[str],
        started_at: datetime,
        undo_run: str | None = None,
        release_run: str | None = None,
    ) -> RunRecord:
        request = RunRequest(
            run_type, clear_number, mode, window, dry_run, tuple(groups), undo_run=undo_run, release_run=release_run
        )
        return self.runs.begin(key, definition, request, started_at)

    def set_polled(self, run: RunRecord, poll: int, polled_at: datetime) -> None:
        self.runs.set_polled(run, poll, polled_at)

    def previous_live_poll(self, definition: str, before: RunRecord) -> datetime | None:
        return self.runs.previous_live_poll(definition, before)

    def finish_run(self, run: RunRecord, state: str, at: datetime) -> None:
        self.runs.finish(run, state, at)

    def forget_runs(self, definition: str, before: datetime) -> int:
        return self.runs.forget(definition, before)

    # -- rows --

    def save_rows(self, run: RunRecord, rows: Sequence[Row]) -> None:
        self.rows.replace(run, rows)

    def lanes(self, run: RunRecord) -> set[int]:
        return self.rows.lanes(run)

    def rows_settled_before(self, run: RunRecord) -> list[Row]:
        return self.rows.settled_earlier(run)

    def mark_sending(
        self, run: RunRecord, row_keys: Collection[str], fence: int, at: datetime, *, organisation: str | None = None
    ) -> None:
        self.rows.mark_sending(run, row_keys, fence, at, organisation=organisation)

    def sending(self, run: RunRecord, row_keys: Collection[str]) -> set[str]:
        return self.rows.maybe_sent(run, row_keys)

    def record(
        self,
        run: RunRecord,
        rows: Sequence[Row],
        *,
        at: datetime,
        fence: int | None = None,
        organisation: str | None = None,
    ) -> dict[int, RunKey]:
        return self.rows.record_outcomes(run, rows, at=at, fence=fence, organisation=organisation)

    def removals_since(self, definition: str, since: datetime) -> int:
        return self.rows.removals_since(definition, since)

    def about_to_be_removed(self, definition: str, *, since: datetime, but_not_by: RunKey) -> frozenset[str]:
        return self.rows.pending_removals(definition, since=since, exclude=but_not_by)

    # -- facts --

    def put_fact(self, run: RunRecord, key: str, value: Any) -> None:
        self.facts.put(run, key, value)

    def facts_of_attempts(self, attempt_ids: Collection[int], key: str) -> dict[int, Any]:
        return self.facts.of_attempts(attempt_ids, key)

    def fact(self, run: RunRecord, key: str, *, default: Any = _REQUIRED) -> Any:
        given = {} if default is _REQUIRED else {"default": default}
        return self.facts.get(run, key, **given)

    # -- figures --

    def save_group_results(self, run: RunRecord, results: Collection[GroupResult]) -> None:
        self.figures.save_groups(run, results)

    def group_results(self, run: RunRecord, genesys_group_id: str | None = None) -> list[GroupResult]:
        return self.figures.groups(run, genesys_group_id)

    def add_requests(self, run: RunRecord, task_key: str, counts: Mapping[str, Any]) -> None:
        self.figures.add_requests(run, task_key, counts)

    def requests(self, run: RunRecord) -> dict[str, Any]:
        return self.figures.requests(run)

    # -- leases --

    def acquire_lease(self, organisation: str, run_key: RunKey, task_key: str, *, now: datetime, ttl: timedelta) -> int:
        return self.leases.acquire(organisation, run_key, task_key, now=now, ttl=ttl)

    def renew_lease(
        self,
        organisation: str,
        run_key: RunKey,
        task_key: str,
        *,
        now: datetime,
        ttl: timedelta,
        fence: int | None = None,
    ) -> None:
        self.leases.renew(organisation, run_key, task_key, now=now, ttl=ttl, fence=fence)

    def next_fence(self, organisation: str, run_key: RunKey, *, now: datetime) -> int | None:
        return self.leases.next_fence(organisation, run_key, now=now)

    def release_lease(self, organisation: str, run_key: RunKey, task_key: str) -> None:
        self.leases.release(organisation, run_key, task_key)

    # -- secrets --

    def secret(self, key: str) -> tuple[bytes, datetime] | None:
        return self.secrets.get(key)

    def put_secret(self, key: str, value: bytes, renew_at: datetime) -> None:
        self.secrets.put(key, value, renew_at)

    def forget_secret(self, key: str, value: bytes) -> None:
        self.secrets.forget(key, value)

    def lock_secret(self, key: str, owner: str, *, now: datetime, until: datetime) -> bool:
        return self.secrets.lock(key, owner, now=now, until=until)

    def unlock_secret(self, key: str, owner: str) -> None:
        self.secrets.unlock(key, owner)

    # -- external_ids --

    def save_external_ids(self, organisation: str, found: Mapping[str, str | None], at: datetime) -> None:
        self.external_ids.save(organisation, found, at)
