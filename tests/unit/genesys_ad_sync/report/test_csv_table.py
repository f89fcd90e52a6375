"""The rows of a report as CSV: one line each, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest

from genesys_ad_sync.model import Reason, Status
from genesys_ad_sync.report.csv_table import COLUMNS, guarded, render_csv
from tests.support.report_example import NOON, example, row

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "\u200b=1",
    "\ufeff=1",
    *(f"{unseen}=1" for unseen in "\u061c\u034f\u115f\u206f\u2800\u3164\ufe0f\ufff9\U000e0001"),
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
]


def read(report: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(report), newline="")))


def test_one_line_per_row_with_everything_that_the_report_says() -> None:
    since = {"first_seen_at": NOON, "first_seen_run": "genesys_ad_group_sync/morning"}
    failed = row(
        1, Status.FAILED, Reason.REFUSED, http_code=400, error='no, "really"\nnot', correlation_id="c-1", **since
    )
    report = example(rows=[row(2, Status.SUCCESS), failed])
    first, second = read(report)
    detail = next(one for one in report["details"] if one["status"] == "failed")
    columns = ("status", "new", "action", "reason", "http_code", "error", "correlation_id")
    assert {column: first[column] for column in columns} == {
        "status": "failed", "new": "no", "action": "add", "reason": "refused", "http_code": "400",
        "error": 'no, "really"\nnot', "correlation_id": "c-1",
    }  # fmt: skip
    assert first["person"] == "Doe, Jane (Tier 2) 1"
    assert first["mail"] == "Jane.DOE@EXAMPLE.COM"
    assert first["genesys_group_id"] == detail["genesys_group"]["id"]
    assert first["directory_groups"] == 'CN with "quotes" & umlauts äöü'
    assert (first["first_seen_at"], first["first_seen_run"]) == ("2026-03-02T12:00:05Z", "morning")
    assert first["remedy"] == detail["remedy"]
    assert (second["status"], second["new"]) == ("success", "")


def test_every_row_of_a_report_is_in_the_file() -> None:
    report = example()
    lines = read(report)
    assert len(lines) == report["total_changes"]
    assert list(lines[0]) == list(COLUMNS)
    assert {line["genesys_user_id"] for line in lines} == {detail["user_id"] or "" for detail in report["details"]}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guarded(text).startswith("'")
    user = {"guid": "g", "dn": f"CN={text}", "mail": text}
    evil = row(
        1, Status.HELD, Reason.PROTECTED, error=text, correlation_id=text, directory_user=user, genesys_user_id=text,
        genesys_group={"id": text, "name": text}, directory_groups=({"guid": "ad", "dn": text, "name": text},),
    )  # fmt: skip
    [line] = read(example(rows=[evil]))
    for column in ("mail", "error", "correlation_id", "genesys_user_id", "genesys_group"):
        assert line[column].startswith("'"), column
    parts = [part for cell in line.values() for part in re.split("[;\t\r\n]", cell)]
    assert not [
        part for part in parts if part.strip("\u200b\ufeff \u00a0").startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20"))
    ]


def test_a_spreadsheet_that_splits_at_semicolons_finds_no_formula_either() -> None:
    assert guarded("a;=1; +2\n@3") == "a;'=1;' +2\n'@3"


def test_a_name_neither_commands_a_terminal_nor_turns_the_line_around() -> None:
    name = "a\x1b[2J\x00b\x9b31m\x7f\u202egnp.exe\udcff\nnext\tcell"
    assert guarded(name) == "a\ufffd[2J\ufffdb\ufffd31m\ufffd\ufffdgnp.exe\ufffd\nnext\tcell"
    [line] = read(example(rows=[row(1, Status.HELD, Reason.PROTECTED, genesys_group={"id": "g", "name": name})]))
    assert "\x1b" not in line["genesys_group"]


@pytest.mark.parametrize("text", ["Ann", "a=b", "1", "O'Brien", "", "'x", "Müller-Lüdenscheidt"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert guarded(text) == text
