"""The report as a dict: its keys, its sums, its order, its times; and the validator that judges it."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync.model import Action, GroupResult, Mode, Reason, Row, Status, Window
from genesys_ad_sync.report import ReportHeader, build_report, json_schema, validate
from genesys_ad_sync.report.schema import COUNT_KEYS
from tests.support.report_example import NOON, example, guid, row, rows

# As design.md lists them under "Report": scripts of users rely on these names.
KEYS = [
    "schema_version", "dag_id", "run_id", "run_type", "attempt", "mode", "dry_run", "timestamp", "window",
    "total_changes", "successes", "failures", "orphans", "skipped", "held", "unchanged", "superseded", "planned",
    "details", "groups", "requests", "approval", "notes", "open",
]  # fmt: skip
DETAIL_KEYS = [
    "action", "status", "user_id", "http_code", "error", "reason", "correlation_id", "changed_at", "observed_after",
    "observed_at", "settled_by", "first_seen_at", "first_seen_run", "remedy", "rivals", "retry_after",
    "directory_groups", "genesys_group", "directory_user",
]  # fmt: skip
GROUP_KEYS = [
    "genesys_group", "directory_groups", "complete", "before", "after", "added", "removed", "manual_members",
    "manual_member_ids", "refused",
]  # fmt: skip


def test_the_report_has_the_keys_of_the_design_and_no_others() -> None:
    report = example()
    assert sorted(report) == sorted(KEYS)
    assert {tuple(sorted(detail)) for detail in report["details"]} == {tuple(sorted(DETAIL_KEYS))}
    assert {tuple(sorted(group)) for group in report["groups"]} == {tuple(sorted(GROUP_KEYS))}
    assert sorted(report["requests"]) == ["by_endpoint", "retried", "throttled", "total"]
    assert sorted(report["approval"]) == ["at", "by", "decision"]
    assert sorted(report["window"]) == ["end", "start"]
    for detail in report["details"]:
        assert all(sorted(group) == ["dn", "guid", "name"] for group in detail["directory_groups"])
        assert detail["genesys_group"] is None or sorted(detail["genesys_group"]) == ["id", "name"]
        assert detail["directory_user"] is None or sorted(detail["directory_user"]) == ["dn", "guid", "mail"]


def test_the_example_has_every_status_and_passes_the_validator() -> None:
    report = example()
    assert {detail["status"] for detail in report["details"]} == {status.value for status in Status}
    validate(report)
    validate(json.loads(json.dumps(report)))


@given(st.lists(st.sampled_from(Status)))
def test_the_eight_counts_are_those_of_the_rows_and_add_up_to_the_total(statuses: list[Status]) -> None:
    report = example(rows=[row(number, status) for number, status in enumerate(statuses)])
    assert report["total_changes"] == len(statuses) == sum(report[key] for key in COUNT_KEYS.values())
    for status, key in COUNT_KEYS.items():
        assert report[key] == statuses.count(status)
    validate(report)


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_rows_come_does_not_show_in_the_report(shuffled: random.Random) -> None:
    mixed = rows()
    shuffled.shuffle(mixed)
    assert example(rows=mixed) == example()


def test_times_are_utc_and_end_in_z_whatever_zone_they_come_in() -> None:
    berlin = timezone(timedelta(hours=2))
    report = example(
        timestamp=datetime(2026, 7, 1, 14, 0, 0, 250000, tzinfo=berlin),
        window=Window(datetime(2026, 7, 1, 1, tzinfo=berlin), datetime(2026, 7, 1, 14, tzinfo=berlin)),
        rows=[row(1, Status.SUCCESS, changed_at=datetime(2026, 7, 1, 0, 30, tzinfo=berlin))],
        approval={"by": "ops", "at": "2026-07-01T13:59:00+02:00", "decision": "approved"},
    )
    assert report["timestamp"] == "2026-07-01T12:00:00.250000Z"
    assert report["window"] == {"start": "2026-06-30T23:00:00Z", "end": "2026-07-01T12:00:00Z"}
    assert report["details"][0]["changed_at"] == "2026-06-30T22:30:00Z"
    assert report["approval"]["at"] == "2026-07-01T11:59:00Z"
    validate(report)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without zone"):
        example(timestamp=NOON.replace(tzinfo=None))


def test_a_full_run_has_no_window_and_every_other_run_has_one() -> None:
    assert example(mode=Mode.FULL)["window"] is None
    first = example(window=Window(None, NOON))
    assert first["window"] == {"start": None, "end": "2026-03-02T12:00:05Z"}
    ended_before_it_knew = example(window=None)
    assert ended_before_it_knew["window"] == {"start": None, "end": None}
    for report in (first, ended_before_it_knew, example(mode="full")):
        validate(report)


def test_mode_auto_is_refused_because_it_does_not_say_what_was_done() -> None:
    with pytest.raises(ValueError, match="auto"):
        example(mode=Mode.AUTO)


def test_rows_that_carry_guids_only_get_the_names_that_the_report_is_given() -> None:
    group = GroupResult("g1", "Support", (guid("a"), guid("unknown")), True, 1, 2, 1, 0, 0)
    bare = Row(Action.ADD, Status.SUCCESS, "g1", guid("user"), (guid("a"), guid("unknown")), genesys_user_id="u1")
    report = example(
        rows=[bare], groups=[group], directory_groups={guid("a"): {"guid": guid("a"), "dn": "CN=A", "name": "A"}}
    )
    named = [{"guid": guid("a"), "dn": "CN=A", "name": "A"}, {"guid": guid("unknown"), "dn": None, "name": None}]
    assert report["details"][0]["directory_groups"] == named
    assert report["details"][0]["genesys_group"] == {"id": "g1", "name": "Support"}
    assert report["details"][0]["directory_user"] == {"guid": guid("user"), "dn": None, "mail": None}
    assert report["groups"][0]["directory_groups"] == named
    validate(report)


def test_a_run_that_ended_before_it_began_has_a_report_too() -> None:
    header = ReportHeader("d", "r", "scheduled", 1, "changes", dry_run=False, timestamp=NOON, window=None)
    report = build_report(header, rows=[], groups=[], directory_groups={}, notes=["The task poll failed."])
    validate(report)
    assert report["requests"] == {"total": 0, "retried": 0, "throttled": 0, "by_endpoint": {}}
    assert report["approval"] is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("successes",), 99, "successes is 99, but 25 rows are success"),
        (("total_changes",), 1, "total_changes is 1, but there are 63 rows"),
        (("details", 3, "status"), "done", "details.3.status"),
        (("details", 3, "reason"), "because", "details.3.reason"),
        (("details", 3, "changed_at"), "2026-03-02T12:00:00+01:00", "details.3.changed_at"),
        (("groups", 0, "complete"), "yes", "groups.0.complete"),
        (("window",), None, "window is null for mode full"),
        (("surplus",), 1, "surplus"),
    ],
)
def test_the_validator_names_what_is_wrong(path: tuple[Any, ...], value: object, words: str) -> None:
    report = place = example()
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=words):
        validate(report)


def test_a_change_that_stands_twice_fails_the_validator_but_does_not_cost_the_report() -> None:
    report = example(rows=[row(1, Status.SUCCESS), row(1, Status.SUCCESS)])
    with pytest.raises(ValueError, match="1 changes appear more than once"):
        validate(report)


def test_the_validator_does_not_repeat_names_and_mails_of_people() -> None:
    report = example()
    report["details"][0]["directory_user"]["mail"] = ["secret@example.com"]
    with pytest.raises(ValueError) as refused:
        validate(report)
    assert "secret@example.com" not in str(refused.value)


def test_a_key_that_is_missing_fails_the_validator() -> None:
    for key in KEYS:
        report = example()
        del report[key]
        with pytest.raises(ValueError, match=key):
            validate(report)


def test_the_schema_can_be_had_as_json_schema() -> None:
    assert sorted(json_schema()["properties"]) == sorted(KEYS)


def test_a_reason_of_the_closed_list_is_written_by_its_name() -> None:
    report = example(rows=[row(1, Status.HELD, Reason.UNPROVEN)])
    assert report["details"][0]["reason"] == "unproven"


def test_the_run_that_settled_a_row_is_named_with_its_dag_if_that_is_another_one() -> None:
    """The DAG and its `_full` DAG may have runs of one id, at three in the morning."""
    run_id = "scheduled__2026-03-02T03:00:00+00:00"
    dags = ("genesys_ad_group_sync", "genesys_ad_group_sync_full")
    settled = [row(n, Status.SUCCESS, settled_by=f"{dag_id}/{run_id}") for n, dag_id in enumerate(dags)]
    report = example(rows=settled)
    assert {detail["settled_by"] for detail in report["details"]} == {run_id, f"{dags[1]}/{run_id}"}
