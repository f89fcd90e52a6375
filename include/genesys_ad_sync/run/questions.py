"""The approval request of a run, opened with the plan."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from genesys_ad_sync.approval import question
from genesys_ad_sync.model import Guid, Reason, Row, RunKey, RunRecord
from genesys_ad_sync.planning import Plan, content_hash
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import APPROVAL, LAST_CHANGE, QUESTION, FrozenQuestion
from genesys_ad_sync.run.relink import asked_elsewhere


def open_question(task: TaskContext, run: RunRecord, decided: Plan, rows: Sequence[Row]) -> list[Row]:
    """Open an approval request for the rows that an approver may release; return all rows.

    Rows that another run is asking about already are left out, and name that run. A dry run opens no request.
    """
    needs_approval = [row for row in rows if row.key in decided.needs_approval]
    if run.dry_run or decided.fail_reason:
        task.facts[QUESTION] = None
        return list(rows)
    now = task.clock()
    pairs = new_pairs_asked_elsewhere(task, run, needs_approval)
    others = task.journal.questions.open_elsewhere(now, exclude=run.key)
    relinks = asked_elsewhere(task, needs_approval, others)
    waits = {row.key: relinks[row.about["account"]] for row in needs_approval if _is_relink_of(row, relinks)}
    mine = task.journal.questions.open(
        run.key,
        subjects(
            row
            for row in needs_approval
            if row.key not in waits and (row.new_pair is None or row.new_pair not in pairs)
        ),
        last_change=task.facts[LAST_CHANGE],
        at=now,
        until=now + task.definition.limits.answer_within,
        ended_accounts=ended_accounts(task, needs_approval),
    )
    asked = [row for row in needs_approval if row.key in mine]
    task.facts[QUESTION] = _frozen(decided, asked) if asked else None
    task.facts[APPROVAL] = None
    elsewhere: dict[str, RunKey] = {
        row.key: pairs[row.new_pair] for row in needs_approval if row.new_pair and row.new_pair in pairs
    }
    elsewhere |= waits | task.journal.questions.open_elsewhere(now, exclude=run.key)
    return [
        _asked_by(row, elsewhere[row.key]) if row.key in decided.needs_approval and row.key in elsewhere else row
        for row in rows
    ]


def _is_relink_of(row: Row, accounts: Collection[Guid]) -> bool:
    return row.reason is Reason.RELINK and row.about.get("account") in accounts


def new_pairs_asked_elsewhere(task: TaskContext, run: RunRecord, rows: Iterable[Row]) -> dict[tuple[Guid, str], RunKey]:
    """Return the new pairs about which another run is asking.

    A person is asked once about a pair. What came to such a pair since waits for that answer, too.
    """
    if not any(row.new_pair for row in rows):
        return {}
    questions = task.journal.questions.open_elsewhere(task.clock(), exclude=run.key)
    return task.journal.new_pairs.asked_in(questions)


def ended_accounts(task: TaskContext, rows: Iterable[Row]) -> set[str]:
    """Return the keys of the rows with an ended AD account.

    The account is disabled, expired or deleted, by the newest view.
    """
    rows = list(rows)
    known = task.journal.views.users({row.user_guid for row in rows if row.user_guid})
    may_expire = task.definition.directory.policy.expired_users == "remove"
    ended = {guid for guid, user in known.items() if user.disabled or (user.expired and may_expire)}
    ended |= task.journal.views.deleted_users()
    return {row.key for row in rows if row.user_guid in ended}


def close_abandoned_questions(task: TaskContext) -> None:
    """Close the questions of deleted runs, and of runs that ended without answer.

    Nobody can answer these questions. Until then other runs leave those rows to that question, and count them in the
    limits.
    """
    asking = set(task.journal.questions.open_elsewhere(task.clock(), exclude=task.key).values())
    abandoned = {key for key in asking if not task.awaits_answer(key)}
    if abandoned and not task.run.dry_run:
        task.journal.questions.close_abandoned(abandoned, at=task.clock())
        task.note(
            "closed the approval requests of runs that are gone or have ended: "
            f"{', '.join(sorted(map(str, abandoned)))}"
        )


def subjects(rows: Iterable[Row]) -> dict[str, tuple[int, ...]]:
    """Return row key -> the changes that an answer decides.

    An answer to `mirror_once` ends with its run, so that no change keeps it.
    """
    return {row.key: () if row.reason is Reason.MIRROR_ONCE else row.change_ids for row in rows}


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
        singles=made.singles,
    )
