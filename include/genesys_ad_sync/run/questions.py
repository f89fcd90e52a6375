"""The approval request of a run, opened with the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from genesys_ad_sync.approval import question
from genesys_ad_sync.model import Row, RunKey, RunRecord
from genesys_ad_sync.planning import Plan, content_hash
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import APPROVAL, QUESTION, FrozenQuestion


def open_question(task: TaskContext, run: RunRecord, decided: Plan, rows: Sequence[Row]) -> list[Row]:
    """Open an approval request for the rows that an approver may release; return all rows.

    Rows that another run is asking about already are left out, and name that run. A dry run opens no request.
    """
    needs_approval = [row for row in rows if row.key in decided.needs_approval]
    if run.dry_run or decided.fail_reason:
        task.facts[QUESTION] = None
        return list(rows)
    now = task.clock()
    mine = task.journal.questions.open(
        run.key,
        {row.key: row.change_ids for row in needs_approval},
        at=now,
        until=now + task.definition.limits.answer_within,
    )
    asked = [row for row in needs_approval if row.key in mine]
    task.facts[QUESTION] = _frozen(decided, asked) if asked else None
    task.facts[APPROVAL] = None
    elsewhere = task.journal.questions.open_elsewhere(now, exclude=run.key)
    return [
        _asked_by(row, elsewhere[row.key]) if row.key in decided.needs_approval and row.key in elsewhere else row
        for row in rows
    ]


def _asked_by(row: Row, asker: RunKey) -> Row:
    about = {**row.about, "asked_by": asker.run_id}
    return replace(row, error=f"run {asker.run_id} is asking a person about it", about=about)


def _frozen(decided: Plan, asked: Sequence[Row]) -> FrozenQuestion:
    made = question(asked, content_hash(asked))
    by_group = decided.excess.by_group
    of_groups = {text for texts in by_group.values() for text in texts}
    return FrozenQuestion(
        hash=made.hash,
        rows=[row.key for row in asked],
        options={group.id: group.option for group in made.groups},
        limits={group.id: list(by_group.get(group.id, ())) for group in made.groups},
        limits_of_run=[text for text in decided.excess.texts if text not in of_groups],
    )
