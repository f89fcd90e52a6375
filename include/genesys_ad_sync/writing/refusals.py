"""Refusals and failures that a lane meets in its groups.

Refusals are of the client, a group or a person; a group may also fail. A group's refusal is recorded only once it is
known that it is not the client's: then nothing is stored on changes.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    GenesysError,
    PermissionMissing,
    Throttled,
)
from genesys_ad_sync.genesys.writers import WriteResult, words_of_refusal
from genesys_ad_sync.model import SETTLED, Action, Reason, Refusal, RefusalKind, Row, Status
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.refusals import listing_of
from genesys_ad_sync.text import FOREIGN_WORDS

Results = Mapping[tuple[str, Action], WriteResult]

PEOPLE_REFUSED_ALIKE = 3
"""So many people must a group refuse in the same words, and accept nobody, before it counts as the group's refusal."""

_FAILS = frozenset({Reason.UNVERIFIED, Reason.NOT_IN_EFFECT, Reason.GENESYS_UNREADABLE, Reason.NOT_ATTEMPTED})


@dataclass(frozen=True)
class Met:
    """Rows of a group with their reasons, and what was met.

    ``words``: of a refusal of the whole group. ``is_written``: the group was written, and these are all its rows.
    """

    rows: tuple[Row, ...]
    refusals: tuple[Refusal, ...] = ()
    words: str | None = None
    is_written: bool = True


class LaneRefusals:
    """What is known of refusals, and what the lane meets. Shared by the lane's threads."""

    def __init__(self, task: TaskContext) -> None:
        self._task = task
        self._lock = threading.Lock()
        self._known = {refusal.subject: refusal for refusal in task.journal.refusals.all()}

    @property
    def client(self) -> Refusal | None:
        """What an earlier run knows of a refusal of the client."""
        return self._known.get(_CLIENT)

    def is_known(self, group_id: str) -> bool:
        """Return True if an earlier run had trouble with this group."""
        here = str(self._task.key)
        return any(
            refusal.genesys_group_id == group_id
            and refusal.kind in {RefusalKind.GROUP, RefusalKind.FAILING}
            and (refusal.run != here or refusal.times > 1)
            for refusal in self._known.values()
        )

    def of_group(self, group_id: str) -> list[Refusal]:
        """Return what is known of the group and its people."""
        return [refusal for refusal in self._known.values() if refusal.genesys_group_id == group_id]

    def record(self, met: Met) -> list[Row]:
        """Store what was met, end what is over; return the rows.

        The rows have the time of their next try. To be called in one transaction with the outcomes.
        """
        task = self._task
        with self._lock:
            listed = [replace(one, listing=listing_of(task, one.genesys_group_id, one.kind)) for one in met.refusals]
            stored = task.journal.refusals.record(listed, task.key, task.clock()) if listed else []
            self._known.update((refusal.subject, refusal) for refusal in stored)
            over = [known for known in self._known.values() if _is_over(known, met)]
            if over:
                causes = {known.cause for known in over}
                alike = [one for one in self._known.values() if one.cause in causes and one not in over]
                task.journal.refusals.forget(over)
                task.journal.refusals.lift(alike)
                for known in over:
                    del self._known[known.subject]
        return [_with_retry(row, stored) for row in met.rows]

    def client_is_accepted(self) -> None:
        """Forget that the client was refused."""
        with self._lock:
            refusal = self._known.pop(_CLIENT, None)
        if refusal is not None:
            self._task.journal.refusals.forget([refusal])

    def ask_with_one_first(self) -> None:
        """Let the next run try one of several people who were refused alike.

        To be called if no write was accepted. With one change in each group, a refused client looks like that. Once it
        may write again, nobody must wait for an hour or a day; until then, one request in each run is enough.
        """
        here, alike = str(self._task.key), dict[tuple[RefusalKind, int | None, str], list[Refusal]]()
        with self._lock:
            for refusal in self._known.values():
                if refusal.kind is RefusalKind.PERSON:
                    alike.setdefault(refusal.cause, []).append(refusal)
        for refusals in alike.values():
            people = {refusal.person for refusal in refusals}
            groups = {refusal.genesys_group_id for refusal in refusals}
            if (
                min(len(people), len(groups)) >= PEOPLE_REFUSED_ALIKE
                and any(refusal.run == here for refusal in refusals)
                and not any(refusal.lifted for refusal in refusals)
            ):
                longest = min(refusals, key=lambda one: (one.last_at or self._task.clock(), one.genesys_group_id))
                self._task.journal.refusals.lift([longest])

    def client_is_refused(
        self, words: str, status: int | None, groups: Collection[str], tried: Collection[str]
    ) -> None:
        """Store that the client is refused, and say so once.

        ``status``: see `LaneErrors.client_status`. ``groups``: those of the lane; ``tried``: those that were refused.
        """
        before = self.client
        all_tried = set(tried) | set(before.tried if before else ())
        if all_tried >= set(groups):  # the next run begins again
            all_tried = set(tried)
        refusal = Refusal(
            RefusalKind.CLIENT,
            Reason.REFUSED_CLIENT,
            http_code=status,
            words=words,
            tried=tuple(sorted(all_tried)),
        )
        self._task.journal.refusals.record([refusal], self._task.key, self._task.clock())
        self._task.note(CLIENT_NOTE.format(words=words))


_CLIENT = Refusal(RefusalKind.CLIENT, Reason.REFUSED_CLIENT).subject

CLIENT_NOTE = (
    "Genesys Cloud refuses the writes of this OAuth client, so the run stopped writing. Nothing is stored on the "
    "changes. Each later run asks with one request first, and does all of them once it is accepted. "
    f"{FOREIGN_WORDS}{{words}}"
)


def judge(
    group_id: str, rows: Sequence[Row], results: Results, error: GenesysError | None, known: Iterable[Refusal]
) -> Met:
    """Return what the outcomes of a group's rows mean. Pure.

    ``error``: what ended the requests of the group. ``known``: of the group and its people.
    """
    if isinstance(error, AuthenticationFailed):
        return Met(tuple(refused_with_client(row) if row.reason is Reason.NOT_ATTEMPTED else row for row in rows))
    if isinstance(error, PermissionMissing):
        return _of_group(group_id, rows, words_of_refusal(error), _not_carried_out(rows), error)
    words = {key: result.words for key, result in results.items() if result.words and not result.ok}
    refused = [row for row in rows if row.reason is Reason.REFUSED and _key(row) in words]
    whole = {result.words for result in results.values() if result.of_group}
    whole |= _refused_alike(rows, refused, words, known)
    if whole:
        said = min(whole)
        return _of_group(group_id, rows, said, [row for row in refused if words[_key(row)] == said], None)
    people = [_of_person(row, words[_key(row)]) for row in refused]
    conflicts = {key for key, result in results.items() if result.conflict}
    failing = _failing(group_id, [row for row in rows if _key(row) not in conflicts], error)
    return Met(tuple(rows), (*people, *failing))


def judge_unread(group_id: str, rows: Sequence[Row], error: GenesysError) -> Met:
    """Return what it means that the members of a group could not be read. Pure."""
    if isinstance(error, AuthenticationFailed):
        rows = [row if row.reason is Reason.UNVERIFIED else refused_with_client(row) for row in rows]
    return Met(tuple(rows), tuple(_failing(group_id, rows, error)), is_written=False)


def refused_with_client(row: Row) -> Row:
    """Return a row that is not carried out because the client is refused.

    Only a row that was sent has the answer; the run's note says it for all.
    """
    error = row.error if row.http_code is not None else None
    return replace(row, status=Status.FAILED, reason=Reason.REFUSED_CLIENT, error=error, retry_after=None)


def _refused_alike(
    rows: Sequence[Row], refused: Sequence[Row], words: Mapping[tuple[str, Action], str], known: Iterable[Refusal]
) -> set[str]:
    """Return the words by which several people were refused, with nobody accepted.

    Nobody of the group was accepted, else the result is empty.
    """
    if any(row.status is Status.SUCCESS for row in rows):
        return set()
    people: dict[str, set[str]] = {}
    for refusal in known:
        if refusal.kind is RefusalKind.PERSON:
            people.setdefault(refusal.words, set()).add(refusal.person)
    said_now = set()
    for row in refused:
        said_now.add(words[_key(row)])
        people.setdefault(words[_key(row)], set()).add(row.person)
    return {said for said in said_now if len(people[said]) >= PEOPLE_REFUSED_ALIKE}


def _of_group(
    group_id: str, rows: Sequence[Row], words: str, refused: Collection[Row], error: GenesysError | None
) -> Met:
    refusals = {
        row.action: Refusal(
            RefusalKind.GROUP,
            Reason.REFUSED_GROUP,
            group_id,
            action=row.action,
            http_code=row.http_code,
            words=words,
            correlation_id=row.correlation_id,
            error=row.error or (error.report_text() if error else None),
        )
        for row in refused
    }
    keys = {row.key for row in refused}
    renamed = tuple(replace(row, reason=Reason.REFUSED_GROUP) if row.key in keys else row for row in rows)
    return Met(renamed, tuple(refusals.values()), words if refusals else None)


def _of_person(row: Row, words: str) -> Refusal:
    return Refusal(
        RefusalKind.PERSON,
        Reason.REFUSED,
        row.genesys_group_id or "",
        row.person,
        row.action,
        row.http_code,
        words,
        row.correlation_id,
        row.error,
    )


def _failing(group_id: str, rows: Sequence[Row], error: GenesysError | None) -> list[Refusal]:
    """Return that the group fails, unless something other than the group explains it."""
    if isinstance(error, (AuthenticationFailed, Throttled, ConnectionFailed)):
        return []
    failed = [row for row in rows if row.status not in SETTLED and row.reason in _FAILS]
    if not failed or (error is None and all(row.reason is Reason.NOT_ATTEMPTED for row in failed)):
        return []
    worst = max(failed, key=lambda row: row.reason is not Reason.NOT_ATTEMPTED)
    return [
        Refusal(
            RefusalKind.FAILING,
            worst.reason or Reason.UNVERIFIED,
            group_id,
            http_code=worst.http_code,
            words=worst.reason.value if worst.reason else "",
            correlation_id=worst.correlation_id,
            error=worst.error,
        )
    ]


def _not_carried_out(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.status is Status.FAILED and row.reason in {Reason.NOT_ATTEMPTED, Reason.REFUSED}]


def _is_over(known: Refusal, met: Met) -> bool:
    """Return True if the rows show that a refusal holds no more.

    A person's ends with that row. A group's ends with an accepted change, and that a group fails with all its rows.
    """
    if known.subject in {refusal.subject for refusal in met.refusals}:
        return False
    rows = [row for row in met.rows if known.is_about(row.row_key)]
    if known.kind is RefusalKind.PERSON:
        return any(row.status in SETTLED for row in rows)
    if not met.is_written:
        return False
    if known.kind is RefusalKind.GROUP:
        return any(row.status is Status.SUCCESS for row in rows)
    return known.kind is RefusalKind.FAILING and bool(rows) and all(row.reason not in _FAILS for row in rows)


def _with_retry(row: Row, stored: Iterable[Refusal]) -> Row:
    """Return a failed row with the time of its next try."""
    if row.status in SETTLED:
        return row
    times = [refusal.retry_at for refusal in stored if refusal.is_about(row.row_key) and refusal.retry_at]
    return replace(row, retry_after=max(times, default=None))


def _key(row: Row) -> tuple[str, Action]:
    return row.genesys_user_id or "", row.action
