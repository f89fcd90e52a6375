"""Changes that are not tried yet, because Genesys refused them or their group fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from genesys_ad_sync.model import Action, Change, GroupRefusal, Reason, Refusal, RefusalKind, Row, RowKey, Status
from genesys_ad_sync.planning.inputs import Target


@dataclass(frozen=True)
class Postponed:
    """The changes of one row that wait for their next try.

    ``is_listed``: the report has a row of it. A known addition is only counted, a removal is never hidden.
    """

    key: RowKey
    changes: tuple[Change, ...]
    refusal: Refusal
    is_listed: bool

    @property
    def status(self) -> Status:
        """Return the status of its row."""
        return Status.HELD if self.refusal.reason is Reason.GENESYS_UNREADABLE else Status.FAILED

    @property
    def is_new(self) -> bool:
        """Return True if no run has tried it yet."""
        return any(change.status is None for change in self.changes)


@dataclass(frozen=True)
class Waiting:
    """What a run leaves alone. ``targets``: the Genesys groups of which all changes are postponed."""

    postponed: tuple[Postponed, ...] = ()
    targets: tuple[Target, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys of the rows that are not tried."""
        return frozenset(str(one.key) for one in self.postponed)

    @property
    def unlisted(self) -> list[Postponed]:
        """Return what the report only counts."""
        return [one for one in self.postponed if not one.is_listed]


def divide(
    genesys_group_id: str,
    changes: Sequence[Change],
    refusals: Iterable[Refusal],
    now: datetime,
    new_in_run: Collection[int] = (),
) -> tuple[list[Change], list[Postponed]]:
    """Return the changes of a Genesys group that are tried now, and those that wait.

    ``refusals``: of that group. ``new_in_run``: ids of changes that the run was the first to list.

    - What AD newly reports is tried at once, with all that is refused for the same person, or in the same group.
    - Only a group that fails is left alone whatever is new: nothing that AD says can help it.
    """
    waiting = [refusal for refusal in refusals if refusal.waits(now)]
    if not waiting:
        return list(changes), []
    of_key: dict[RowKey, list[Change]] = {}
    for change in changes:
        person = change.user_guid or change.genesys_user_id or ""
        of_key.setdefault(RowKey(genesys_group_id, person, change.action), []).append(change)
    new = {key for key, of_it in of_key.items() if any(change.status is None for change in of_it)}
    due: list[Change] = []
    postponed = []
    for key, of_it in of_key.items():
        refusal = _what_stops(key, of_it, waiting, new)
        if refusal is None:
            due += of_it
        else:
            fresh = any(change.status is None or change.id in new_in_run for change in of_it)
            is_listed = fresh or key.action is Action.REMOVE
            postponed.append(Postponed(key, tuple(of_it), refusal, is_listed))
    return due, postponed


def _what_stops(
    key: RowKey, changes: Sequence[Change], waiting: Sequence[Refusal], new: Collection[RowKey]
) -> Refusal | None:
    """Return the refusal that these changes wait for; None if tried now.

    Of several refusals, it is the last one to end.
    """
    statuses = {change.status for change in changes}
    news_of_person = any(one.person == key.person for one in new)
    news_of_action = any(one.action is key.action for one in new)
    found = []
    for refusal in waiting:
        if not refusal.is_about(key):
            continue
        if refusal.kind is RefusalKind.FAILING:
            also = {Status.HELD} if refusal.reason is Reason.GENESYS_UNREADABLE else set()
            stops = statuses <= {Status.FAILED, None, *also}
        else:
            news = news_of_action or news_of_person if refusal.kind is RefusalKind.GROUP else news_of_person
            stops = statuses == {Status.FAILED} and not news
        if stops:
            found.append(refusal)
    return max(found, key=_ends_at, default=None)


def _ends_at(refusal: Refusal) -> datetime:
    assert refusal.retry_at is not None  # noqa: S101  for mypy
    return refusal.retry_at


def with_answer(row: Row, postponed: Postponed) -> Row:
    """Return the row of postponed changes with Genesys's answer and next try.

    The next try is a time.
    """
    refusal = postponed.refusal
    status, reason, error = postponed.status, refusal.reason, refusal.error
    if postponed.is_new and status is Status.FAILED:
        reason = Reason.NOT_ATTEMPTED
        error = f"the Genesys group failed in {refusal.times} runs in a row; nothing is sent until its next try"
    return dataclasses.replace(
        row,
        status=status,
        reason=reason,
        error=error,
        http_code=refusal.http_code,
        correlation_id=refusal.correlation_id,
        retry_after=refusal.retry_at,
    )


def group_refusals(refusals: Iterable[Refusal]) -> Mapping[str, GroupRefusal]:
    """Return the refusals of whole groups by Genesys group, the first of each to end."""
    found: dict[str, GroupRefusal] = {}
    for refusal in sorted(refusals, key=lambda one: (one.retry_at is not None, one.retry_at)):
        if refusal.kind is RefusalKind.GROUP:
            found.setdefault(
                refusal.genesys_group_id,
                GroupRefusal(
                    refusal.first_at,
                    refusal.retry_at,
                    refusal.reason,
                    refusal.http_code,
                    refusal.error,
                    refusal.correlation_id,
                ),
            )
    return found
