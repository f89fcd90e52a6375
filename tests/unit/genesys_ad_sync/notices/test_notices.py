"""One message for each new trouble: not for each run, and none is lost."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Reason, Row, RunRecord, Status
from genesys_ad_sync.model.notices import Occasion, Trouble
from genesys_ad_sync.notices import RunEnd, Sender, late_run, notify, question_of, troubles_of_run
from genesys_ad_sync.run.facts import PLAN, QUESTION, UNDO, FrozenQuestion, StoredPlan
from genesys_ad_sync.settings import SyncDefinition
from tests.support.journal import T0, begin, change, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, definition, finish, map_groups, poll, run_with

DAG, FULL = "genesys_ad_group_sync", "genesys_ad_group_sync_full"
LIVE = {"dry_run": "false"}
HTTP = "[{notifier: http}]"


class Outside:
    """Who gets the messages. ``down``: nothing can be sent."""

    def __init__(self, journal: Journal, **more: Any) -> None:
        self.journal, self.got, self.down, self.tried = journal, list[str](), False, 0
        self.definition = definition(**{"notify": HTTP, **LIVE, **more})

    def send(self, entry: Any, message: Mapping[str, Any]) -> None:
        self.tried += 1
        if self.down:
            raise ConnectionRefusedError("mail.example.com: ann@example.com")
        self.got.append(f"{message['occasion']}: {message['summary']}")

    def tell(
        self, *troubles: Trouble, judged: tuple[str, ...] = (), hours: float = 0, silence: bool = False
    ) -> list[str]:
        """Return what was sent."""
        before = len(self.got)
        sender = Sender("default", RunKey(DAG, f"run-{hours}"), T0 + timedelta(hours=hours))
        self.errors = notify(
            self.journal, self.definition, sender, self.send,
            troubles=troubles, judged=judged, watched=self.definition if silence else None,
        )  # fmt: skip
        return self.got[before:]

    def end(self, run: str, *failed: str, dag: str = DAG, hours: float = 0, **end: Any) -> list[str]:
        found = troubles_of_run(context(self.journal, self.definition, run, dag, hours), RunEnd(failed, **end))
        return self.tell(*found.troubles, judged=found.judged, hours=hours)


def context(journal: Journal, of: SyncDefinition, run: str, dag: str = DAG, hours: float = 0) -> Any:
    from genesys_ad_sync.run.context import TaskContext

    nothing: Any = None
    return TaskContext(
        definition=of, journal=journal.of("default"), key=RunKey(dag, run), task_key="check", directory=nothing,
        client=nothing, api_url=nothing, client_id=nothing, reports=nothing,
        clock=lambda: T0 + timedelta(hours=hours), sleep=nothing, log=lambda _: None,
    )  # fmt: skip


def ended(
    journal: Journal, run: str, dag: str = DAG, *, planned: bool = True, hours: float = 0, **asked: Any
) -> RunRecord:
    made = begin(journal, key=RunKey(dag, run), started_at=T0 + timedelta(hours=hours), **asked)
    finish(journal, made, planned=planned, at=T0 + timedelta(hours=hours))
    return made


@pytest.fixture
def outside(journal: Journal) -> Outside:
    return Outside(journal)


# -- one message --------------------------------------------------------------------------------------


def test_a_task_that_fails_in_each_run_is_one_message_and_its_recovery_another(outside: Outside) -> None:
    journal = outside.journal
    for hour in range(3):
        ended(journal, f"r{hour}", planned=False)
        assert outside.end(f"r{hour}", "poll", hours=hour) == (["failed: the task poll failed"] if hour == 0 else [])
    ended(journal, "well", hours=4)
    assert outside.end("well", hours=4) == ["recovered: over: the task poll failed"]
    ended(journal, "well again", hours=5)
    assert outside.end("well again", hours=5) == []
    ended(journal, "ill again", planned=False, hours=6)
    assert outside.end("ill again", "poll", hours=6) == ["failed: the task poll failed"]


def test_another_task_is_another_trouble_and_the_first_is_over(outside: Outside) -> None:
    ended(outside.journal, "r1", planned=False)
    outside.end("r1", "poll")
    ended(outside.journal, "r2", planned=False)
    assert outside.end("r2", "plan") == ["recovered: over: the task poll failed", "failed: the task plan failed"]


@pytest.mark.parametrize(
    "asked", [{"groups": ("GC-Sales",)}, {"dry_run": True}, {"window": (T0, None)}, {"undo": True}]
)
def test_a_run_that_looks_at_a_part_proves_nothing(outside: Outside, asked: dict[str, Any]) -> None:
    ended(outside.journal, "r1", planned=False)
    outside.end("r1", "patch")
    undo = asked.pop("undo", False)
    if "window" in asked:
        from genesys_ad_sync.model import Window

        asked["window"] = Window(*asked["window"])
    run = ended(outside.journal, "part", **asked)
    if undo:
        outside.journal.facts.put(run, UNDO.key, UNDO.adapter.dump_python(RunKey(DAG, "r1"), mode="json"))
    assert outside.end("part") == []


def test_the_other_dag_neither_repeats_a_trouble_nor_ends_it(outside: Outside) -> None:
    run = ended(outside.journal, "r1")
    stop(outside.journal, run)
    assert outside.end("r1", "poll") == [
        "failed: the task poll failed",
        "stopped: limits stopped the run before it wrote anything",
    ]
    full = ended(outside.journal, "f1", FULL)
    assert outside.end("f1", dag=FULL) == []
    stop(outside.journal, full)
    assert outside.end("f1", dag=FULL) == ["stopped: limits stopped the run before it wrote anything"]
    ended(outside.journal, "r2")
    assert sorted(outside.end("r2")) == [
        "recovered: over: limits stopped the run before it wrote anything",
        "recovered: over: the task poll failed",
    ]
    assert [notice.key for notice in lasting(outside)] == [f"stopped {FULL}"]


def lasting(outside: Outside) -> list[Any]:
    return outside.journal.of("default").notices.lasting(outside.definition.notify[0].channel_key)


def stop(journal: Journal, run: RunRecord) -> None:
    stopped = StoredPlan("h", "Sales: 70 removals", T0)
    journal.facts.put(run, PLAN.key, PLAN.adapter.dump_python(stopped, mode="json"))


def test_a_message_that_stops_a_run_names_no_group(outside: Outside) -> None:
    run = ended(outside.journal, "r1")
    stop(outside.journal, run)
    found = troubles_of_run(context(outside.journal, outside.definition, "r1"), RunEnd())
    assert "Sales" not in repr(found)


def test_changes_are_told_when_they_are_new_and_without_names(outside: Outside) -> None:
    journal = outside.journal
    poll(journal, {"sales": "ann"})
    map_groups(journal, "sales")
    for status, reason, words in (
        (Status.FAILED, Reason.REFUSED, "failed: 1 change failed that had not failed before"),
        (Status.HELD, Reason.OVER_LIMIT, "held: 1 change held back, listed for the first time"),
    ):
        person = status.value
        run_with(journal, f"first {person}", change("sales", person, Action.REMOVE), status, reason=reason)
        found = troubles_of_run(context(journal, outside.definition, f"first {person}", "dag"), RunEnd())
        assert person not in repr([trouble.lines for trouble in found.troubles]).replace("Genesys Cloud refused", "")
        assert outside.end(f"first {person}", dag="dag") == [words]
        assert outside.end(f"first {person}", dag="dag") == []  # the task is tried again


def test_a_loss_that_no_change_remembers_is_told_when_it_is_listed_first(outside: Outside) -> None:
    journal = outside.journal
    loss = Row(Action.REMOVE, Status.HELD, "G", "ann", ("sales",), genesys_user_id="x", reason=Reason.UNEXPLAINED_LOSS)

    def told(run: str, *rows: Row, **asked: Any) -> list[str]:
        made = begin(journal, key=RunKey(DAG, run), **asked)
        journal.rows.replace(made, rows)
        finish(journal, made)
        return outside.end(run)

    assert told("dry", loss, dry_run=True) == []
    assert told("r1", loss) == ["held: 1 change held back, listed for the first time"]
    assert told("dry again", dry_run=True) == []
    assert told("r2", loss) == []
    assert told("over") == []
    assert told("r3", loss) == ["held: 1 change held back, listed for the first time"]
    assert told("undo", replace(loss, undoes_run="r1")) == []


def test_a_change_that_an_earlier_run_listed_is_not_told_again(outside: Outside) -> None:
    journal = outside.journal
    poll(journal, {"sales": "ann"})
    _, stored = run_with(journal, "r1", change("sales", "ann", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT)
    outside.end("r1", dag="dag")
    again(journal, "r2", stored, Status.HELD, Reason.OVER_LIMIT)
    assert outside.end("r2", dag="dag") == []
    again(journal, "r3", stored, Status.FAILED, Reason.REFUSED)
    assert outside.end("r3", dag="dag") == ["failed: 1 change failed that had not failed before"]
    again(journal, "r4", stored, Status.FAILED, Reason.REFUSED)
    assert outside.end("r4", dag="dag") == []
    assert outside.end("r4", hours=25, dag="dag") == ["failed: 1 removal failed for 24 hours or more"]
    again(journal, "r5", stored, Status.FAILED, Reason.REFUSED)
    assert outside.end("r5", hours=26, dag="dag") == []
    again(journal, "r6", stored, Status.SUCCESS, None)
    assert outside.end("r6", hours=27, dag="dag") == ["recovered: over: 1 removal failed for 24 hours or more"]


def again(journal: Journal, run_id: str, of: Any, status: Status, reason: Reason | None) -> None:
    from genesys_ad_sync.model import Row

    run = begin(journal, run_id)
    journal.runs.set_polled(run, 1, T0)
    row = Row(
        Action.REMOVE, status, f"G-{of.group_guid}", of.user_guid, (of.group_guid,), reason=reason, change_ids=(of.id,)
    )
    journal.rows.replace(run, [row])
    journal.rows.record_outcomes(run, [row], at=T0 + timedelta(minutes=1))
    finish(journal, run)


def test_a_question_is_told_once_for_each_form(outside: Outside) -> None:
    journal = outside.journal
    run = begin(journal, key=RunKey(DAG, "r1"))
    task = context(journal, outside.definition, "r1")
    assert question_of(task) is None
    for plan in ("h1", "h1", "h2"):
        question = FrozenQuestion(plan, ["a", "b"], {"G": "Sales"}, {}, [])
        journal.facts.put(run, PLAN.key, PLAN.adapter.dump_python(StoredPlan(plan, None, T0), mode="json"))
        journal.facts.put(run, QUESTION.key, QUESTION.adapter.dump_python(question, mode="json"))
        asked = question_of(context(journal, outside.definition, "r1"))
        assert asked is not None
        assert "Sales" not in repr(asked)
        outside.tell(asked)
    assert outside.got == ["question: 2 changes need your approval"] * 2


def test_a_run_whose_params_were_refused_says_so_to_who_triggered_it_alone(outside: Outside) -> None:
    assert outside.end("never began", "poll", refused=True) == []
    assert outside.end("never began", "poll") == ["failed: the task poll failed"]


# -- whom ---------------------------------------------------------------------------------------------


def test_each_notifier_gets_what_its_list_says(journal: Journal) -> None:
    outside = Outside(
        journal, notify="[{notifier: http, on: [held, recovered]}, {notifier: http, endpoint: /b, on: [failed]}]"
    )
    ended(journal, "r1", planned=False)
    assert outside.end("r1", "poll") == ["failed: the task poll failed"]
    ended(journal, "r2")
    assert outside.end("r2") == []  # who gets `recovered` never heard of it, and the other wants none
    ended(journal, "r3", planned=False)
    assert outside.end("r3", "poll") == ["failed: the task poll failed"]


def test_a_notifier_that_comes_later_hears_of_what_lasts_and_one_that_is_gone_is_forgotten(journal: Journal) -> None:
    outside = Outside(journal)
    trouble = Trouble(Occasion.FAILED, "task x", "x failed", lasts=True)
    outside.tell(trouble)
    outside.definition = definition(notify="[{notifier: slack_webhook}]", **LIVE)
    assert outside.tell(trouble) == ["failed: x failed"]
    outside.definition = definition(notify=HTTP, **LIVE)
    assert outside.tell(trouble) == ["failed: x failed"]
    assert len(lasting(outside)) == 1


# -- a dead server ------------------------------------------------------------------------------------


def test_what_cannot_be_sent_waits_and_a_dead_server_is_tried_once_a_run(outside: Outside) -> None:
    outside.down = True
    first = Trouble(Occasion.HELD, "run 1", "held one")
    assert outside.tell(first, Trouble(Occasion.FAILED, "task x", "x failed", lasts=True)) == []
    assert outside.tried == 1
    assert outside.errors == ["notify[0] (http): ConnectionRefusedError"]
    [(error, count, _)] = outside.journal.of("default").notices.undelivered()
    assert (error, count) == ("ConnectionRefusedError", 1)
    outside.down = False
    assert outside.tell(hours=1) == ["held: held one", "failed: x failed"]
    assert outside.tell(hours=2) == []


def test_a_trouble_that_ended_before_it_could_be_told_is_not_told(outside: Outside) -> None:
    outside.down = True
    outside.tell(Trouble(Occasion.FAILED, "task x", "x failed", lasts=True))
    outside.down = False
    assert outside.tell(judged=("task ",), hours=1) == []


def test_a_recovery_that_could_not_be_told_is_told_later_unless_the_trouble_came_back(outside: Outside) -> None:
    trouble = Trouble(Occasion.FAILED, "task x", "x failed", lasts=True)
    outside.tell(trouble)
    outside.down = True
    outside.tell(judged=("task ",), hours=1)
    outside.down = False
    assert outside.tell(trouble, hours=2) == []
    assert outside.tell(judged=("task ",), hours=3) == ["recovered: over: x failed"]


def test_an_event_that_nobody_could_be_told_of_is_dropped_after_a_week(outside: Outside) -> None:
    outside.down = True
    outside.tell(Trouble(Occasion.HELD, "run 1", "held one"), Trouble(Occasion.FAILED, "t", "t failed", lasts=True))
    outside.down = False
    assert outside.tell(hours=24 * 8) == ["failed: t failed"]


def test_two_tasks_that_send_at_once_send_each_message_once(outside: Outside) -> None:
    notices = outside.journal.of("default").notices
    channel = outside.definition.notify[0].channel_key
    outside.down = True
    outside.tell(Trouble(Occasion.HELD, "run 1", "held one"))
    [mine] = notices.claim(channel, T0)
    assert notices.claim(channel, T0 + timedelta(minutes=5)) == []
    [taken_over] = notices.claim(channel, T0 + timedelta(minutes=11))  # the first task has died
    assert taken_over.id == mine.id


# -- silence ------------------------------------------------------------------------------------------


def test_each_dag_tells_of_the_other_once_and_when_it_is_back(journal: Journal) -> None:
    outside = Outside(journal, notify="[{notifier: http, silent_after: PT2H}]", schedule='"0 * * * *"')
    ended(journal, "r0")
    ended(journal, "f0", FULL)
    outside.tell(silence=True, hours=0)
    assert outside.tell(silence=True, hours=2.9) == []  # due at 13:00, and two hours more
    assert outside.tell(silence=True, hours=3.1) == [f"silent: the DAG {DAG} is silent"]
    assert outside.tell(silence=True, hours=5) == []
    ended(journal, "dry", hours=5, dry_run=True)
    assert outside.tell(silence=True, hours=5) == []
    ended(journal, "r5", hours=5)
    assert outside.tell(silence=True, hours=5) == [f"recovered: over: the DAG {DAG} is silent"]


def test_a_dag_is_not_silent_at_night_when_nothing_is_due(journal: Journal) -> None:
    outside = Outside(
        journal, notify="[{notifier: http, silent_after: PT1H}]", schedule='"0 8-12 * * *"', full_schedule='"0 3 * * *"'
    )
    ended(journal, "r0")  # at 12:00
    ended(journal, "f0", FULL)
    assert outside.tell(silence=True, hours=15.9) == []  # 03:54; the full comparison was due at 03:00
    assert outside.tell(silence=True, hours=16.1) == [f"silent: the DAG {FULL} is silent"]
    assert outside.tell(silence=True, hours=21.1) == [f"silent: the DAG {DAG} is silent"]


def test_a_dag_that_waits_for_a_person_is_not_silent(journal: Journal) -> None:
    outside = Outside(journal, notify="[{notifier: http, silent_after: PT2H}]", schedule='"0 * * * *"')
    ended(journal, "r0")
    ended(journal, "f0", FULL)
    _, stored = run_with(journal, "asks", change("sales", "ann", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT)
    journal.of("default").questions.open(
        RunKey(DAG, "asks"),
        {"remove:G-sales:ann": [stored.id or 0]},
        last_change=1,
        at=T0,
        until=T0 + timedelta(hours=8),
    )
    assert outside.tell(silence=True, hours=5) == []
    assert outside.tell(silence=True, hours=9) == [f"silent: the DAG {DAG} is silent"]


def test_before_the_first_live_run_nobody_is_silent(journal: Journal) -> None:
    outside = Outside(journal, notify="[{notifier: http, silent_after: PT1H}]")
    assert outside.tell(silence=True, hours=100) == []
    journal.of("default").new_pairs.note_mapped(T0 + timedelta(hours=100))
    assert outside.tell(silence=True, hours=100.5) == []
    assert len(outside.tell(silence=True, hours=102)) == 1


def test_a_run_that_does_not_end_is_told_and_its_end_too(outside: Outside) -> None:
    late = late_run(RunKey(DAG, "r1"))
    assert outside.tell(late) == ["silent: a run does not end"]
    assert outside.tell(late_run(RunKey(DAG, "r2"))) == []  # of the same DAG
    assert outside.tell(late_run(RunKey(FULL, "f1"))) == ["silent: a run does not end"]
    ended(outside.journal, "r2")
    assert outside.end("r2") == ["recovered: over: a run does not end"]
