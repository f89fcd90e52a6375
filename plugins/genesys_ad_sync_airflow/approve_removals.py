"""The task that asks for approval.

It is Airflow's human-in-the-loop operator, with a form that is known only when it runs. It holds no worker and no
triggerer while it waits. `genesys_ad_sync.approval` and `genesys_ad_sync.stages.approve_removals` know what is asked
and what an answer means.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowSkipException

from genesys_ad_sync.model import UNDECIDED
from genesys_ad_sync_airflow.notifiers import notifiers_of
from genesys_ad_sync_airflow.notify import notify_of_question
from genesys_ad_sync_airflow.report_link import ReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from genesys_ad_sync.run.context import TaskContext
    from genesys_ad_sync.settings import SyncDefinition


class ApproveRemovals(HITLOperator):
    """Asks about the rows that `plan` has frozen, and returns the batches of `patch_approved`.

    Skips itself if there is nothing to ask. The form offers all groups, none, or chosen ones; no answer in time means
    none. XCom ``answer``: {decision, at, groups: {Genesys group id: decision}}.

    A script that answers within the first seconds is asked once more after `retry_delay`: Airflow 3.3.2 takes the task
    for crashed if it goes on before the scheduler has noticed that it waits.
    """

    operator_extra_links = (ReportLink(),)

    def __init__(self, *, definition: SyncDefinition, **kwargs: Any) -> None:
        super().__init__(
            subject="Approve removals",
            options=[UNDECIDED],  # those of the run replace it
            defaults=UNDECIDED,
            multiple=True,
            assigned_users=[{"id": name, "name": name} for name in definition.approvers] or None,
            response_timeout=definition.limits.answer_within,
            **kwargs,
        )
        self.definition = definition

    def execute(self, context: Context) -> Any:
        from genesys_ad_sync.run.facts import QUESTION
        from genesys_ad_sync.run.stop import Stop
        from genesys_ad_sync.stages.approve_removals import ApprovalAnswer, build_form
        from genesys_ad_sync.stages.report import write_interim_report
        from genesys_ad_sync_airflow import task_context

        task = task_context.current_task_context(self.definition)
        if task.facts[QUESTION] is None:
            raise AirflowSkipException("nothing needs a person")
        asked = build_form(task)
        if asked is None:  # answered in an earlier try, which died before it could pass the answer on
            return self._pass_on(context, task, None)
        if Stop(task).is_set():  # the definition has turned dry: the next live run asks
            return self._pass_on(context, task, ApprovalAnswer(chosen=[], by=None, at=_utc(None)))
        if not self._leave_out_who_triggered(context):
            return self._pass_on(context, task, ApprovalAnswer(chosen=[], by=None, at=_utc(None)))
        write_interim_report(task)
        self.subject, self.body, self.options = asked.subject, asked.body, asked.options
        # Airflow calls them after the form is there, so that the message leads to it.
        notifiers = notifiers_of(self.definition, self.log.error)
        self.notifiers = [*notifiers, partial(notify_of_question, task)]  # type: ignore[list-item]  # called, no more
        if self._form_is_of_an_earlier_plan(context, asked.hash):
            self.log.warning(
                "Airflow keeps the form of an earlier plan of this run, since tasks were cleared. Nobody is asked "
                "about the new plan here; the next run asks."
            )
            nobody = ApprovalAnswer(chosen=[], by=None, at=_utc(None), outdated=True)
            return self._pass_on(context, task, nobody)
        self.log.info("The question is in the tab 'Required Actions' of this task")
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        from genesys_ad_sync.stages.approve_removals import ApprovalAnswer
        from genesys_ad_sync_airflow import task_context

        if "error" in event:
            self.process_trigger_event_error(event)
        names = _names_of(event.get("responded_by_user"))
        counts = not event.get("timedout")
        if counts and self.definition.approvers_must_differ and _is_one_of(_triggered_by(context), names):
            self.log.warning(
                "The answer is of the person who triggered the run, so it does not count: a later run asks."
            )
            counts = False
        given = ApprovalAnswer(
            chosen=list(event["chosen_options"]),
            by=next(iter(names), None) if counts else None,
            at=_utc(event.get("responded_at")),
        )
        return self._pass_on(context, task_context.current_task_context(self.definition), given)

    def _leave_out_who_triggered(self, context: Context) -> bool:
        """Ask everybody but the person that triggered the run, if so defined.

        The definition says so. False: nobody is left. Where `approvers` is empty, or has ids instead of names,
        `execute_complete` finds out.
        """
        if not self.definition.approvers_must_differ or not self.assigned_users:
            return True
        triggered_by = _triggered_by(context)
        others = [user for user in self.assigned_users if not _is_one_of(triggered_by, [user["id"], user["name"]])]
        if not others:
            self.log.warning(
                "Nobody is asked: the only one of `approvers` has triggered this run, and approvers_must_differ is "
                "true. A later run asks. Add an approver to the definition."
            )
        self.assigned_users = others
        return bool(others)

    def _form_is_of_an_earlier_plan(self, context: Context, plan_hash: str) -> bool:
        """Return True if Airflow keeps a form of an earlier plan.

        Its `upsert_hitl_detail` leaves a form that exists already as it is, and does not say so.
        """
        from airflow.sdk.api.datamodels._generated import HITLUser
        from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
        from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

        kept = SUPERVISOR_COMMS.send(
            CreateHITLDetailPayload(
                ti_id=context["ti"].id,
                options=self.options,
                subject=self.subject,
                body=self.body,
                defaults=self.defaults,
                multiple=self.multiple,
                params={},
                assigned_users=[HITLUser(**user) for user in self.assigned_users or ()],
            )
        )
        return plan_hash not in (getattr(kept, "body", None) or "")

    def _pass_on(self, context: Context, task: TaskContext, given: Any) -> list[dict[str, Any]]:
        from genesys_ad_sync.stages.approve_removals import apply_answer

        answered = apply_answer(task, given)
        batches: list[dict[str, Any]] = answered.pop("batches")
        context["ti"].xcom_push(key="answer", value=answered)
        return batches


def _triggered_by(context: Context) -> str | None:
    return getattr(context["dag_run"], "triggering_user_name", None)


def _names_of(user: Any) -> list[str]:
    """Return name and id of an Airflow user, as an event carries it."""
    found = user if isinstance(user, dict) else {key: getattr(user, key, None) for key in ("name", "id")}
    return [str(found[key]) for key in ("name", "id") if found.get(key)]


def _is_one_of(name: str | None, names: Sequence[str]) -> bool:
    return name is not None and name.casefold() in [one.casefold() for one in names]


def _utc(moment: datetime | str | None) -> datetime:
    if moment is None:
        return datetime.now(timezone.utc)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc)
