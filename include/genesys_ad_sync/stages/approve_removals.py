"""Between `plan` and `patch_approved`: what a person is asked, what the answer means, and the fresh look afterwards.

The question is frozen with the plan. Whatever the answer, a row is only written after AD and Genesys were asked again;
that may shrink what was approved, never grow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from genesys_ad_sync.approval import SHORT_HASH, Background, Question, body, chosen_groups, is_decided, question
from genesys_ad_sync.journal.records import Decision, RunRecord
from genesys_ad_sync.model import Change, Reason, Row, RowKey, Status
from genesys_ad_sync.planning import Plan, content_hash, spread
from genesys_ad_sync.polling.poller import Follower
from genesys_ad_sync.run.context import Sync
from genesys_ad_sync.run.lanes import batches_of
from genesys_ad_sync.run.targets import target_of

FIRST_APPROVED_LANE = 100
"""Lanes from here on are `patch_approved`'s; those below are `patch`'s."""


@dataclass(frozen=True)
class Asked:
    """What the form shows. ``options``: in order, each of them unique. ``hash``: stands in the body."""

    subject: str
    body: str
    options: list[str]
    hash: str


@dataclass(frozen=True)
class Answer:
    """What came back. ``by``: an Airflow user name; None: nobody answered in time. ``outdated``: the form was that of
    an earlier plan of this run, so it says nothing about this one."""

    chosen: Sequence[str]
    by: str | None
    at: datetime
    outdated: bool = False


def freeze(task: Sync, run: RunRecord, decided: Plan, rows: Sequence[Row]) -> list[Row]:
    """Opens the question about the rows that a person may let pass. What another run is asking about already is left to
    it. Gives all rows, those with a note where another run asks. A dry run asks nobody."""
    to_ask = [row for row in rows if row.key in decided.to_approve]
    if run.dry_run or decided.fail_reason:
        task.journal.put_fact(run, "question", None)
        return list(rows)
    now = task.clock()
    mine = task.journal.ask(
        task.definition.name,
        run.key,
        {row.key: row.change_ids for row in to_ask},
        at=now,
        until=now + task.definition.limits.answer_within,
    )
    asked = [row for row in to_ask if row.key in mine]
    made = question(asked, content_hash(asked)) if asked else None
    task.journal.put_fact(
        run,
        "question",
        made
        and {
            "hash": made.hash,
            "rows": [row.key for row in asked],
            "options": {group.id: group.option for group in made.groups},
            "limits": {group.id: list(decided.excess.by_group.get(group.id, ())) for group in made.groups},
            "limits_of_run": _of_the_run(decided),
        },
    )
    task.journal.put_fact(run, "approval", None)
    elsewhere = task.journal.being_asked(task.definition.name, now, but_not_by=run.key)
    return [
        replace(row, error=f"run {elsewhere[row.key].run_id} is asking a person about it")
        if row.key in decided.to_approve and row.key in elsewhere
        else row
        for row in rows
    ]


def ask(task: Sync) -> Asked | None:
    """The question of this run as a person reads it; None: there is nothing to ask, or it was answered already."""
    run = task.run
    frozen = task.fact("question")
    if not frozen or _answered(task):
        return None
    rows = {row.key: row for row in task.journal.rows(run)}
    made = question([rows[key] for key in frozen["rows"]], frozen["hash"])
    now = task.clock()
    # the time to answer begins when the form is there
    task.journal.ask(
        task.definition.name,
        run.key,
        {key: rows[key].change_ids for key in frozen["rows"]},
        at=now,
        until=now + task.definition.limits.answer_within,
    )
    text = body(
        made,
        _background(task, run, made, frozen),
        run_id=run.key.run_id,
        answer_within=task.definition.limits.answer_within,
        report=str(task.reports.path_for(run.key.dag_id, run.key.run_id)),
        undoes=task.fact("undo", {}).get("run_id"),
    )
    task.say(
        f"asking about {made.removals} removals and {made.additions} additions in {len(made.groups)} Genesys groups, "
        f"plan {made.hash[:SHORT_HASH]}"
    )
    return Asked(made.subject, text, made.options, made.hash[:SHORT_HASH])


def answer(task: Sync, given: Answer | None) -> dict[str, Any]:
    """Takes the answer (None: it was given in an earlier try), and turns the approved rows into batches for
    `patch_approved`. Returns {batches, decision, at, groups: {Genesys group id: decision}} for the XCom; who it was
    stands in the journal and in the report."""
    run = task.run
    frozen = task.fact("question")
    assert frozen
    if given is not None:
        _keep_answer(task, run, frozen, given)
    told = task.journal.fact(run, "approval")
    decisions = {group_id: Decision(value) for group_id, value in told["groups"].items()}
    asked = set(frozen["rows"])
    task.journal.close_question(
        run.key,
        {key: decisions[RowKey.parse(key).target] for key in asked},
        by=told["by"],
        at=datetime.fromisoformat(told["at"]),
    )
    rows = [row for row in task.journal.rows(run) if row.key in asked]
    if not any(row.lane is not None for row in rows):
        approved = [row for row in rows if decisions[row.genesys_group_id or ""] is Decision.APPROVED]
        task.journal.confirm({id_ for row in approved if row.reason is Reason.SCOPE_CHANGED for id_ in row.change_ids})
        task.journal.record(run, _decided(task, rows, decisions), at=task.clock())
        rows = [row for row in task.journal.rows(run) if row.key in asked]
    task.say(f"answer: {told['decision']}")
    return {"batches": batches_of(rows), **{key: told[key] for key in ("decision", "at", "groups")}}


def look_again(task: Sync, lane: int) -> None:
    """Before approved removals are written: AD is read anew, and everything that feeds the Genesys groups of the lane
    completely. What is not proven now is held by the re-check, whatever was proven when the plan was made.

    Raises DirectoryError if AD cannot be read: then nothing of the lane is written."""
    rows = task.journal.rows(task.run, lane=lane)
    groups = {row.genesys_group_id for row in rows if row.genesys_group_id and not row.undoes}
    feeding = {guid for group_id in groups for guid in target_of(task, group_id).feeding}
    with task.directory() as session:
        follower = Follower(task, session)
        polled = follower.bring_up_to_date(whole=False)
        if feeding:
            polled = follower.prove(polled, feeding)
    task.know("complete", sorted(polled.complete))


# -- parts --------------------------------------------------------------------------------------------


def _answered(task: Sync) -> bool:
    told = task.fact("approval")
    return bool(told) and told["decision"] != Decision.UNANSWERED.value


def _of_the_run(decided: Plan) -> list[str]:
    of_groups = {text for texts in decided.excess.by_group.values() for text in texts}
    return [text for text in decided.excess.texts if text not in of_groups]


def _background(task: Sync, run: RunRecord, made: Question, frozen: dict[str, Any]) -> Background:
    name = task.definition.name
    rows = [row for group in made.groups for row in group.rows]
    all_changes = {c.id: c for c in task.journal.changes({id_ for row in rows for id_ in row.change_ids})}
    changes: dict[str, list[Change]] = {row.key: [all_changes[id_] for id_ in row.change_ids] for row in rows}
    guids = {guid for row in rows for guid in row.group_guids}
    guids |= {guid for found in changes.values() for change in found for guid in change.path}
    users = {row.user_guid for row in rows if row.user_guid}
    return Background(
        users=task.journal.known_users(name, users),
        groups=task.journal.known_groups(name, guids),
        changes=changes,
        limits=frozen["limits"],
        limits_of_run=frozen["limits_of_run"],
        members={result.genesys_group_id: result.before for result in task.journal.group_results(run)},
        gone=task.journal.gone_users(name, users),
    )


def _keep_answer(task: Sync, run: RunRecord, frozen: dict[str, Any], given: Answer) -> None:
    """First of all: whatever fails afterwards, nobody has to be asked again."""
    options: dict[str, str] = frozen["options"]
    if given.by is None or given.outdated or not is_decided(given.chosen):
        decisions = dict.fromkeys(options, Decision.UNANSWERED)
    else:
        approved = chosen_groups(options, given.chosen)
        decisions = {id_: Decision.APPROVED if id_ in approved else Decision.REJECTED for id_ in options}
    kinds = set(decisions.values())
    decision = next(iter(kinds)).value if len(kinds) == 1 else "approved_in_part"
    task.journal.put_fact(
        run,
        "approval",
        {
            "by": given.by,
            "at": given.at.isoformat(),
            "decision": decision,
            "groups": {id_: of_group.value for id_, of_group in decisions.items()},
        },
    )


def _decided(task: Sync, rows: Sequence[Row], decisions: dict[str, Decision]) -> list[Row]:
    decided = []
    for row in rows:
        decision = decisions[row.genesys_group_id or ""]
        if decision is Decision.APPROVED:
            decided.append(replace(row, status=Status.PLANNED, reason=None, error=None))
        elif decision is Decision.REJECTED:
            decided.append(replace(row, status=Status.HELD, reason=Reason.REJECTED, error=None))
        else:
            decided.append(replace(row, error="nobody answered; a later run asks again"))
    return [
        row if row.lane is None else replace(row, lane=FIRST_APPROVED_LANE + row.lane)
        for row in spread(decided, task.definition.genesys.write)
    ]
