"""A journal in a SQLite file, and short ways to make what it holds. A test module imports what it uses.

``tests/integration/test_journal_postgresql.py`` runs the same tests with another ``journal_url``.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal, RunKey, RunRecord, ViewUpdate
from genesys_ad_sync.model import (
    Action,
    Change,
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    DirectoryView,
    PrincipalKind,
    Row,
    RunRequest,
    Status,
    Window,
)

T0 = datetime(2024, 5, 1, 12, 0, tzinfo=timezone.utc)
DEFINITION = "default"
_PROCESS_SECONDS = 900.0  # until a process of `in_processes` is given up


@pytest.fixture
def journal_url(tmp_path: Path) -> str:
    """Of an empty database."""
    return f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture
def journal(journal_url: str) -> Iterator[Journal]:
    with Journal.open(journal_url) as opened:
        yield opened


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def group(guid: str, *, in_scope: bool = True, **values: Any) -> DirectoryGroup:
    return DirectoryGroup(
        **{
            "guid": guid,
            "dn": f"CN={guid},DC=example",
            "name": guid,
            "sam_account_name": None,
            "sid": None,
            "in_scope": in_scope,
            **values,
        }
    )


def user(guid: str, **values: Any) -> DirectoryUser:
    return DirectoryUser(
        **{
            "guid": guid,
            "dn": f"CN={guid},DC=example",
            "kind": PrincipalKind.USER,
            "name": guid,
            "sam_account_name": guid,
            "disabled": False,
            "attributes": {"mail": f"{guid}@example.com"},
            **values,
        }
    )


def view(members: Mapping[str, str], *, nested_only: str = "", unseen: str = "") -> DirectoryView:
    """Build a view from ``{"a": "u1 u2 b", "b": ""}``.

    The keys are groups, the words their members. Words that are not groups are people, except those in ``unseen``.
    Groups in ``nested_only`` are out of scope.
    """
    groups = {guid: group(guid, in_scope=guid not in nested_only.split()) for guid in members}
    people = {guid for words in members.values() for guid in words.split()} - groups.keys() - set(unseen.split())
    return DirectoryView(
        groups=groups,
        users={guid: user(guid) for guid in people},
        members={guid: set(words.split()) for guid, words in members.items()},
    )


def cursor(at: datetime = T0, **values: Any) -> Cursor:
    return Cursor(
        **{
            "domain_controller": "dc1.example.com",
            "invocation_id": "i1",
            "highest_committed_usn": 5_000_000_000,
            "cookie": b"\x00cookie",
            "polled_at": at,
            **values,
        }
    )


def change(group_guid: str, user_guid: str | None, action: Action = Action.ADD, **values: Any) -> Change:
    return Change(**{"group_guid": group_guid, "user_guid": user_guid, "action": action, "observed_at": T0, **values})


def advance(journal: Journal, after: DirectoryView, before: DirectoryView | None = None, **values: Any) -> int:
    """Write a view: completely, unless ``before`` says which part; ``values`` replace what is usual."""
    views = journal.of(values.pop("definition", DEFINITION)).views
    stored = views.cursor()
    position = {"expected_poll": None if stored is None else stored.poll, "scope": "scope", "cursor": cursor()}
    position |= {name: values.pop(name) for name in position.keys() & values.keys()}
    full = values.pop("whole", before is None)
    return views.advance(
        ViewUpdate(None if full else before or DirectoryView(), after, full=full, **values), **position
    )


def begin(journal: Journal, run_id: str = "r1", **values: Any) -> RunRecord:
    """Begin a run; ``values`` replace what is usual."""
    key = values.pop("key", RunKey("dag", run_id))
    definition, at = values.pop("definition", DEFINITION), values.pop("started_at", T0)
    return journal.runs.begin(key, definition, RunRequest(**{"run_type": "scheduled", **values}), at)


def row(of: Change, status: Status, **values: Any) -> Row:
    """Return the row of one change, in Genesys group ``G-`` and for Genesys user ``U-``."""
    return Row(
        **{
            "action": of.action,
            "status": status,
            "genesys_group_id": f"G-{of.group_guid}",
            "user_guid": of.user_guid,
            "group_guids": (of.group_guid,),
            "genesys_user_id": f"U-{of.user_guid}",
            "change_ids": (of.id,),
            **values,
        }
    )


def recorded(journal: Journal, *changes: Change) -> list[Change]:
    """Record the changes, and return them with the ids that the journal gave them."""
    return journal.of(DEFINITION).changes.add_compared(changes)


def window(start: datetime | None, end: datetime | None) -> Window:
    return Window(start, end)


def in_processes(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call ``function(*arguments)`` in one process each, all at the same moment.

    Returns what each returned, in the order of ``calls``; an exception as ``(its type's name, its text)``. The
    function must be importable.
    """
    context = multiprocessing.get_context("forkserver")  # forks from a process that has no connection open
    context.set_forkserver_preload(["tests.support.journal", "alembic.command"])
    answers = context.Queue()
    parent = context.Process(target=_answer_all, args=(answers, function, calls))
    parent.start()
    try:
        given = dict(answers.get(timeout=_PROCESS_SECONDS) for _ in calls)
    finally:
        parent.join(timeout=60)
        if parent.is_alive():
            parent.kill()
    return [given[number] for number in range(len(calls))]


def _answer_all(answers: Any, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> None:
    """Fork a process for each call. What the function's module imports is imported here, once for all of them."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(len(calls))
    processes = [
        context.Process(target=_answer, args=(start, answers, number, function, arguments), daemon=True)
        for number, arguments in enumerate(calls)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _answer(start: Any, answers: Any, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    start.wait(timeout=_PROCESS_SECONDS)
    try:
        answers.put((number, function(*arguments)))
    except Exception as error:  # noqa: BLE001  the parent process judges it
        answers.put((number, (type(error).__name__, str(error))))
