"""A journal with a month of a small contact centre: for looking at the pages, and for the tests in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from genesys_ad_sync.journal import Journal, ViewUpdate
from genesys_ad_sync.model import (
    Action,
    Change,
    Decision,
    DirectoryView,
    Grant,
    GroupPair,
    GroupResult,
    Link,
    Mode,
    Reason,
    Refusal,
    RefusalKind,
    Rival,
    Row,
    RunKey,
    RunRecord,
    RunRequest,
    Status,
)
from genesys_ad_sync.run.facts import NOTES, PLAN, StoredPlan
from tests.support.journal import cursor, group, user
from tests.support.view_examples import SCOPE

DAG = "genesys_ad_group_sync"
NAME = "default"
EVIL = "Mallory <script>document.title='owned'</script>"
TEAMS = ("Billing", "Retention", "Sales", "Support", "Support Nights")
PEOPLE = ("Ada Lovelace", "Bea Brandt", "Cyd Charisse", "Dan Dorn", "Eva Ebert", "Finn Falk", EVIL, "Gil Gauss")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def fill(journal: Journal, now: datetime, *, days: int = 30) -> None:
    """Fill the journal: one live run a day until now, full ones, one that asks, and what is left to do."""
    _read_directory(journal, now - MINUTE, began=now - DAY * days)
    for back in reversed(range(1, days)):
        _day(journal, now - DAY * back, back)
    _full(journal, now - 5 * MINUTE * 60)
    _run(journal, now - 40 * MINUTE, [])
    _newest(journal, now - 3 * MINUTE)
    mine = journal.of(NAME)
    words = {"action": Action.ADD, "http_code": 400, "words": "not allowed"}
    refused = Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, _group_id("Retention"), **words)
    mine.refusals.record([refused], RunKey(DAG, "r"), now - DAY)
    since = {"contradicted_since": now - DAY, "others": ("0b1c-new-user",)}
    mine.links.save([Link(_guid("Finn Falk"), _user_id("Finn Falk"), "mail=email", now - DAY * 20, **since)])


def _guid(name: str) -> str:
    return name.partition(" ")[0].lower()


def _user_id(name: str) -> str:
    return f"u-{_guid(name)}"


def _group_id(team: str) -> str:
    return f"g-{team.lower().replace(' ', '-')}"


def _source(team: str) -> str:
    return f"gc-{team.lower().replace(' ', '-')}"


def _read_directory(journal: Journal, at: datetime, *, began: datetime) -> None:
    groups = {
        _source(team): group(_source(team), name=f"GC-{team}", dn=f"CN=GC-{team},OU=cc,DC=example") for team in TEAMS
    }
    users = {_guid(name): user(_guid(name), name=name, dn=f"CN={name},OU=people,DC=example") for name in PEOPLE}
    view = DirectoryView(groups, users, {guid: set(users) for guid in groups})
    mine = journal.of(NAME)
    for moment, before in ((began, None), (at, view)):
        stored = mine.views.cursor()
        mine.views.advance(
            ViewUpdate(before or DirectoryView(), view, full=before is None),
            expected_poll=stored.poll if stored else None,
            scope=SCOPE.fingerprint,
            cursor=cursor(moment),
        )
    mine.pairs.replace([GroupPair(_source(team), _group_id(team), team, 0) for team in TEAMS], began)
    grants = [Grant(_group_id("Retention"), _user_id(name), _guid(name), _source("Retention")) for name in PEOPLE[:3]]
    mine.grants.add(grants, began)
    left = [GroupPair(_source(team), _group_id(team), team, 0) for team in TEAMS if team != "Retention"]
    mine.pairs.replace(left, at - DAY)


def _day(journal: Journal, at: datetime, back: int) -> None:
    done = [
        (_change(TEAMS[(back + place) % 5], PEOPLE[(back * 3 + place) % 8], at, _action(back)), Status.SUCCESS, {})
        for place in range(back * 7 % 6)
    ]
    _run(journal, at, [] if back > 25 else done, dry_run=back > 25)


def _action(back: int) -> Action:
    return Action.ADD if back % 3 else Action.REMOVE


def _full(journal: Journal, at: datetime) -> None:
    outcomes = [
        (
            _change("Sales", "Gil Gauss", at),
            Status.ORPHANED,
            {"reason": Reason.NO_GENESYS_USER, "genesys_user_id": None},
        ),
        (
            _change("Support", "Eva Ebert", at),
            Status.ORPHANED,
            {"reason": Reason.NO_GENESYS_USER, "genesys_user_id": None},
        ),
        (_change("Billing", "Dan Dorn", at), Status.UNCHANGED, {"reason": Reason.ALREADY_SO}),
    ]
    _run(journal, at, outcomes, dag_id=f"{DAG}_full", mode=Mode.FULL)


def _newest(journal: Journal, at: datetime) -> None:
    over = {"reason": Reason.OVER_LIMIT, "about": {"limit": "limits.removals: 2 in Support"}}
    refused = {
        "reason": Reason.REFUSED,
        "http_code": 400,
        "error": "user is not licensed",
        "correlation_id": "c0ffee-1",
    }
    rivals = {"reason": Reason.AMBIGUOUS, "rivals": (Rival(guid="zed", genesys_user_id="u-zed"),)}
    outcomes = [
        (_change("Support", "Ada Lovelace", at), Status.SUCCESS, {"http_code": 204}),
        (_change("Support Nights", "Bea Brandt", at), Status.SUCCESS, {"http_code": 204}),
        (_change("Support", "Cyd Charisse", at, Action.REMOVE), Status.HELD, over),
        (_change("Support", "Dan Dorn", at, Action.REMOVE), Status.HELD, over),
        (_change("Sales", EVIL, at), Status.FAILED, refused),
        (_change("Billing", "Bea Brandt", at), Status.HELD, rivals),
    ]
    run, rows = _run(journal, at, outcomes, ended=False, run_id="scheduled__newest")
    asked = [row for row in rows if row.reason is Reason.OVER_LIMIT]
    questions = journal.of(NAME).questions
    subjects = {row.key: list(row.change_ids) for row in asked}
    questions.open(run.key, subjects, last_change=99, at=at, until=at + timedelta(hours=8))
    earlier = RunKey(DAG, f"scheduled__{at - DAY + 3 * MINUTE:%Y-%m-%dT%H:%M:%S}+00:00")
    earlier_subjects = {"g-support:finn:remove": [1], "g-support:eva:remove": [2]}
    questions.open(earlier, earlier_subjects, last_change=9, at=at - DAY, until=at - DAY + timedelta(hours=8))
    decisions = {"g-support:finn:remove": Decision.APPROVED, "g-support:eva:remove": Decision.REJECTED}
    questions.close(earlier, decisions, by="lee", at=at - DAY + timedelta(minutes=20))


def _change(team: str, person: str, at: datetime, action: Action = Action.ADD) -> Change:
    return Change(group_guid=_source(team), user_guid=_guid(person), action=action, observed_at=at)


def _run(
    journal: Journal,
    at: datetime,
    outcomes: list[tuple[Change, Status, dict[str, Any]]],
    *,
    dag_id: str = DAG,
    mode: Mode = Mode.AUTO,
    **more: Any,
) -> tuple[RunRecord, list[Row]]:
    run_id = more.get("run_id", f"scheduled__{at:%Y-%m-%dT%H:%M:%S}+00:00")
    request = RunRequest(run_type="scheduled", mode=mode, dry_run=more.get("dry_run", False))
    run = journal.runs.begin(RunKey(dag_id, run_id), NAME, request, at)
    journal.runs.set_polled(run, 1, at)
    stored = journal.of(NAME).changes.add_compared([change for change, _, _ in outcomes])
    rows = [_row(change, status, values) for change, (_, status, values) in zip(stored, outcomes, strict=True)]
    journal.rows.replace(run, rows)
    journal.rows.record_outcomes(run, rows, at=at + MINUTE)
    journal.figures.save_groups(run, list(_figures(rows)))
    journal.facts.put(run, PLAN.key, PLAN.adapter.dump_python(StoredPlan("h", None, at), mode="json"))
    if more.get("ended", True):
        journal.runs.finish(run, "success", at + 2 * MINUTE)
    else:
        journal.facts.put(run, NOTES.key, ["Genesys Cloud delayed two requests by its rate limit."])
    return run, rows


def _row(change: Change, status: Status, values: dict[str, Any]) -> Row:
    person = next(name for name in PEOPLE if _guid(name) == change.user_guid)
    team = next(team for team in TEAMS if _source(team) == change.group_guid)
    return Row(
        **{
            "action": change.action,
            "status": status,
            "genesys_group_id": _group_id(team),
            "genesys_group": {"id": _group_id(team), "name": team},
            "user_guid": change.user_guid,
            "group_guids": (change.group_guid,),
            "genesys_user_id": _user_id(person),
            "directory_user": {
                "guid": change.user_guid,
                "dn": f"CN={person},OU=people",
                "mail": f"{_guid(person)}@example.com",
            },
            "observed_at": change.observed_at,
            "change_ids": (change.id,),
            **values,
        }
    )


def _figures(rows: list[Row]) -> Iterator[GroupResult]:
    for group_id in sorted({row.genesys_group_id or "" for row in rows}):
        done = [row.action for row in rows if row.genesys_group_id == group_id and row.status is Status.SUCCESS]
        added, removed = done.count(Action.ADD), done.count(Action.REMOVE)
        name = next(team for team in TEAMS if _group_id(team) == group_id)
        yield GroupResult(group_id, name, (_source(name),), True, 40, 40 + added - removed, added, removed, 2)


__all__ = ["DAG", "EVIL", "NAME", "fill"]
