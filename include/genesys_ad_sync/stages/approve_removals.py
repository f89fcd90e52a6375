"""Between `plan` and `patch_approved`: form, answer, and a new reading of AD.

AD is read again before approved rows are sent. The question is frozen with the plan. Whatever the answer, a row is only
written after AD and Genesys were asked again; that may shrink what was approved, never grow it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from genesys_ad_sync.approval import (
    GROUPS_SHOWN,
    PEOPLE_SHOWN,
    SHORT_HASH,
    Background,
    Question,
    asked_with,
    body,
    chosen_groups,
    chosen_rows,
    is_decided,
    question,
)
from genesys_ad_sync.directory.accounts import account_states
from genesys_ad_sync.model import Action, Change, Decision, Objection, Reason, Row, RunRecord, Status
from genesys_ad_sync.planning import assign_lanes
from genesys_ad_sync.planning.lanes import FIRST_APPROVED_LANE, lane_batches
from genesys_ad_sync.polling.poller import DirectoryPoller
from genesys_ad_sync.polling.session import directory_session
from genesys_ad_sync.run import mirror, new_pairs, relink, shown_users
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import (
    ACCOUNTS,
    APPROVAL,
    COMPLETE,
    LAST_CHANGE,
    QUESTION,
    UNDO,
    FrozenQuestion,
    StoredApproval,
)
from genesys_ad_sync.run.questions import ended_accounts, subjects
from genesys_ad_sync.run.targets import target_of

_LINK_STAYS = (
    "not every group of this person was approved, or of the person whose Genesys user it was to take: the link stays "
    "as it is, and no later run asks again"
)
_HELD_ON_CHANGES = {Reason.SCOPE_CHANGED, Reason.OTHER_DOMAIN_CONTROLLER, Reason.MAPPING_CHANGED}
"""Reasons that the journal keeps on the changes, until a person approves them."""


@dataclass(frozen=True)
class ApprovalForm:
    """The content of the form.

    ``options``: in order, each of them unique. ``hash``: part of the body.
    """

    subject: str
    body: str
    options: list[str]
    hash: str


@dataclass(frozen=True)
class ApprovalAnswer:
    """What came back.

    ``by``: an Airflow user name; None: nobody answered in time. ``outdated``: the form was that of an earlier plan of
    this run, so it says nothing about this one.
    """

    chosen: Sequence[str]
    by: str | None
    at: datetime
    outdated: bool = False


def build_form(task: TaskContext) -> ApprovalForm | None:
    """Return the form of this run.

    None: there is nothing to ask, or it was answered already.
    """
    run = task.run
    frozen = task.facts[QUESTION]
    if frozen is None or _answered(task):
        return None
    rows = {row.key: row for row in task.journal.rows.of_run(run)}
    made = question([rows[key] for key in frozen.rows], frozen.hash)
    now = task.clock()
    # the time to answer begins when the form is there
    task.journal.questions.open(
        run.key,
        subjects(rows[key] for key in frozen.rows),
        last_change=task.facts[LAST_CHANGE],
        at=now,
        until=now + task.definition.limits.answer_within,
        ended_accounts=ended_accounts(task, [rows[key] for key in frozen.rows]),
    )
    undone = task.facts[UNDO]
    text = body(
        made,
        _background(task, run, made, frozen),
        run_id=run.key.run_id,
        answer_within=task.definition.limits.answer_within,
        report=str(task.reports.path_for(run.key.dag_id, run.key.run_id)),
        undoes_run=undone.run_id if undone else None,
    )
    task.log(
        f"asking about {made.removals} removals and {made.additions} additions in {len(made.groups)} Genesys groups, "
        f"plan {made.hash[:SHORT_HASH]}"
    )
    return ApprovalForm(made.subject, text, made.options, made.hash[:SHORT_HASH])


def apply_answer(task: TaskContext, given: ApprovalAnswer | None) -> dict[str, Any]:
    """Apply the answer, and turn the approved rows into batches for `patch_approved`.

    ``given``: None if it was stored in an earlier try. Returns {batches, decision, at, groups: {Genesys group id:
    decision}} for the XCom; who answered is in the journal and in the report.
    """
    run = task.run
    frozen = task.facts.required(QUESTION)
    approval = _load_or_store_answer(task, frozen, given)
    _close(task, run, frozen, approval)
    rows = _release_approved(task, run, frozen, approval)
    task.log(f"answer: {approval.decision}")
    return {
        "batches": lane_batches(rows),
        "decision": approval.decision,
        "at": approval.at.isoformat(),
        "groups": {group_id: decision.value for group_id, decision in approval.groups.items()},
    }


def reread_sources(task: TaskContext, lane: int) -> None:
    """Read AD again before approved removals are written.

    All AD groups that feed the Genesys groups of the lane are read completely. What is not proven now is held by the
    re-check, whatever was proven when the plan was made. So are the accounts that an undo puts back.
    Raises DirectoryError if AD cannot be read: then nothing of the lane is written.
    """
    rows = task.journal.rows.of_run(task.run, lane=lane)
    put_back = {row.user_guid for row in rows if row.undoes_run and row.action is Action.ADD and row.user_guid}
    groups = {row.genesys_group_id for row in rows if row.genesys_group_id and not row.undoes_run}
    sources = {guid for group_id in groups for guid in target_of(task, group_id).sources}
    known = task.facts[ACCOUNTS]
    with directory_session(task) as session:
        poller = DirectoryPoller(task, session)
        polled = poller.poll(full=False)
        if sources:
            polled = poller.read_completely(polled, sources)
        states = account_states(poller.reader, put_back)
    task.facts.override(ACCOUNTS, known | states)
    task.facts.override(COMPLETE, polled.complete)


# -- parts --------------------------------------------------------------------------------------------


def _answered(task: TaskContext) -> bool:
    approval = task.facts[APPROVAL]
    return approval is not None and approval.decision != Decision.UNANSWERED.value


def _background(task: TaskContext, run: RunRecord, made: Question, frozen: FrozenQuestion) -> Background:
    rows = [row for group in made.groups for row in group.rows]
    all_changes = {c.id: c for c in task.journal.changes.by_id({id_ for row in rows for id_ in row.change_ids})}
    changes: dict[str, list[Change]] = {row.key: [all_changes[id_] for id_ in row.change_ids] for row in rows}
    guids = {guid for row in rows for guid in row.group_guids}
    guids |= {guid for of_row in changes.values() for change in of_row for guid in change.path}
    users = {row.user_guid for row in rows if row.user_guid}
    return Background(
        users=task.journal.views.users(users),
        groups=task.journal.views.groups(guids),
        changes=changes,
        limits=frozen.limits,
        limits_of_run=frozen.limits_of_run,
        members={result.genesys_group_id: result.before for result in task.journal.figures.groups(run)},
        gone=task.journal.views.gone_users(users),
        genesys_users=shown_users.look_up(task, _shown_in(made)),
    )


def _shown_in(made: Question) -> set[str]:
    """Return the Genesys users that the form names."""
    rows = [row for group in made.groups[:GROUPS_SHOWN] for row in group.rows[:PEOPLE_SHOWN]]
    return {row.genesys_user_id for row in rows if row.genesys_user_id}


def _load_or_store_answer(task: TaskContext, frozen: FrozenQuestion, given: ApprovalAnswer | None) -> StoredApproval:
    """Store the answer first of all: whatever fails afterwards, nobody has to be asked again."""
    if given is not None:
        rows = [row for row in task.journal.rows.of_run(task.run) if row.new_pair and row.key in frozen.rows]
        task.facts[APPROVAL] = _approval(frozen, given, {row.key: asked_with(row) for row in rows})
    return task.facts.required(APPROVAL)


def _approval(frozen: FrozenQuestion, given: ApprovalAnswer, of_pairs: Mapping[str, str]) -> StoredApproval:
    """Return the meaning of the answer, by Genesys group and for single rows.

    A single row is one that was chosen alone. ``of_pairs``: key of a row of a new pair -> the key of its option.
    """
    options, singles = frozen.options, frozen.singles
    if given.by is None or given.outdated or not is_decided(given.chosen):
        decisions = dict.fromkeys(options, Decision.UNANSWERED)
        rows = dict.fromkeys(of_pairs, Decision.UNANSWERED)
        return StoredApproval(given.by, given.at, Decision.UNANSWERED.value, decisions, rows)
    approved = chosen_groups(options, given.chosen, singles)
    decisions = {id_: Decision.APPROVED if id_ in approved else Decision.REJECTED for id_ in options}
    alone = {key: decisions[id_] for key, id_ in of_pairs.items()}
    alone |= dict.fromkeys(sorted(chosen_rows(options, singles, given.chosen)), Decision.APPROVED)
    answer = StoredApproval(given.by, given.at, "approved_in_part", decisions, alone)
    kinds = {answer.of(key) for key in frozen.rows}
    return replace(answer, decision=next(iter(kinds)).value) if len(kinds) == 1 else answer


def _close(task: TaskContext, run: RunRecord, frozen: FrozenQuestion, approval: StoredApproval) -> None:
    """Close the question of each row with the decision on its Genesys group."""
    decisions = {key: approval.of(key) for key in frozen.rows}
    for row in task.journal.rows.of_run(run):
        # A link that stays rejects no change: the person may be relinked in another way.
        # A rejected pair is kept as such: its changes are not rejected one by one.
        elsewhere = row.reason in {Reason.RELINK, Reason.NEW_PAIR}
        if row.key in decisions and elsewhere and decisions[row.key] is not Decision.APPROVED:
            decisions[row.key] = Decision.UNANSWERED
    task.journal.questions.close(run.key, decisions, by=approval.by, at=approval.at)
    mirror.confirm(task, decisions, [row for row in task.journal.rows.of_run(run) if row.key in decisions])


def _release_approved(task: TaskContext, run: RunRecord, frozen: FrozenQuestion, approval: StoredApproval) -> list[Row]:
    """Give approved rows a lane, once; return the rows of the question."""

    def rows_asked() -> list[Row]:
        return [row for row in task.journal.rows.of_run(run) if row.key in keys]

    keys = set(frozen.rows)
    rows = rows_asked()
    if any(row.lane is not None for row in rows):
        return rows
    given = relink.decisions(task, {row.key: approval.of(row.key) for row in rows})
    approved = [row for row in rows if given[row.key] is Decision.APPROVED]
    with task.journal.together():
        task.journal.changes.clear_hold(
            {id_ for row in approved if row.reason in _HELD_ON_CHANGES for id_ in row.change_ids}
        )
        task.journal.changes.set_over_limit(dict.fromkeys((id_ for row in approved for id_ in row.change_ids), None))
        relink.apply_approved(task, rows, given, approval.by)
        new_pairs.apply_decisions(task, rows, given, approval)
        decided = [_decided(row, given[row.key], run, approval) for row in rows]
        task.journal.rows.record_outcomes(run, _with_approved_lanes(task, decided), at=task.clock())
    return rows_asked()


def _decided(row: Row, decision: Decision, run: RunRecord, approval: StoredApproval) -> Row:
    if decision is Decision.APPROVED:
        return replace(row, status=Status.PLANNED, reason=None, error=None, about={})
    if row.reason is Reason.RELINK:
        return replace(row, error=_LINK_STAYS)
    if row.reason is Reason.MIRROR_ONCE:
        return replace(row, error="nobody approved it; it ends with this run")
    if decision is Decision.REJECTED:
        about = Objection(Reason.REJECTED, run.key, approval.at, last_change=0, by=approval.by).about
        return replace(row, status=Status.HELD, reason=Reason.REJECTED, error=None, about=about)
    again = "undo the run once more to be asked" if row.undoes_run else "a later run asks again"
    return replace(row, error=f"nobody answered; {again}")


def _with_approved_lanes(task: TaskContext, rows: Sequence[Row]) -> list[Row]:
    return [
        row if row.lane is None else replace(row, lane=FIRST_APPROVED_LANE + row.lane)
        for row in assign_lanes(rows, task.definition.genesys.write)
    ]
