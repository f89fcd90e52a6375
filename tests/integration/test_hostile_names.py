"""Names and attributes as an attacker would choose them, through whole runs: what becomes of them in each output.

People's names carry the mark ``Xanthippe``, so that a single search finds a leak; those of groups do not.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import random
import re
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from genesys_ad_sync.doctor.document import CheckedBy, document_of
from genesys_ad_sync.doctor.page import render_check_page
from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.errors import GenesysError
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.notices import RunEnd, Sender, message_of, question_of, troubles_of_run
from genesys_ad_sync.notices.messages import html_text, plain_text, slack_text, subject_of
from genesys_ad_sync.report import render_page, render_summary
from genesys_ad_sync.report.csv_table import COLUMNS, render_csv
from genesys_ad_sync.stages.approve_removals import ApprovalAnswer, apply_answer
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.report import write_interim_report
from genesys_ad_sync.stages.resolve_users import resolve_users
from genesys_ad_sync_airflow import metrics
from genesys_ad_sync_airflow.check_all import check_all
from genesys_ad_sync_airflow.cli.output import print_json
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from genesys_ad_sync_airflow.task_context import counts_for_xcom
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import CONTACT_CENTER, AddMember, Content, Group, RemoveMember, User
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.pipeline import Pipeline, definition_for, set_connection
from tests.support.sync_examples import NOON

DAG = "genesys_ad_group_sync"
MARK = "Xanthippe"
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "${7*7} #{7*7} {0.__class__}",
    '=HYPERLINK("http://x.example",1)',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "[a](http://x.example) ![b](x)",
    "# h | a | b `c` **d** ~~e~~",
    "x\u202egnp.exe\u2066",
    "\x1b[2J\x1b[31mred",
    "a\r\n2026-01-01 ERROR forged",
    "a\u2028b\x85c\x0bd",
    "%s %d %(x)s %n",
    "'; DROP TABLE journal_user; --",
    "../../etc/passwd",
    "http://x.example www.x.example m@x.example",
    "\ufeff\u200bZero\u00adWidth",
    "L" * 60,
    "e\u0301\u0323" * 8,
)


def person(number: int) -> User:
    """Return a person whose name and mail are hostile. AD takes 64 characters as a cn."""
    payload = PAYLOADS[number % len(PAYLOADS)]
    name = f"{MARK}{number} {payload}"[:64].strip()
    return User(f"h{number}", name, mail=f"{MARK}{number}{payload}@example.com"[:256])


def group_name(payload: str, number: int) -> str:
    return f"{number} {payload}"[:60].strip()


def genesys_id(name: str) -> str:
    return str(uuid.uuid5(uuid.UUID(int=9), name))


PEOPLE = tuple(person(number) for number in range(2 * len(PAYLOADS)))
GROUPS = tuple(
    Group(
        f"g{number}",
        group_name(payload, number),
        (f"h{number}", f"h{number + len(PAYLOADS)}"),
        info=genesys_id(f"G{number}"),
    )
    for number, payload in enumerate(PAYLOADS)
)


def seed() -> dict[str, Any]:
    users = [
        {"id": genesys_id(user.sam), "name": user.cn, "email": user.mail, "username": user.mail, "state": "active",
         "external_ids": []}
        for user in PEOPLE[:-3]  # the others are orphans
    ]  # fmt: skip
    groups = [
        {"id": genesys_id(f"G{number}"), "name": group_name(payload, number), "individuals": []}
        for number, payload in enumerate(PAYLOADS)
    ]
    return {"users": users, "groups": groups}


class Run:
    """The tasks of runs as Airflow calls them, with all that each of them gives away."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.xcoms: list[Any] = []
        self.errors: list[str] = []
        self.forms: list[Any] = []

    def stage(self, run_id: str, stage: Any, *arguments: Any) -> Any:
        task = self.pipeline.task(run_id, stage.__name__)
        try:
            result = stage(task, *arguments)
        except GroupSyncError as error:
            self.errors.append(f"{type(error).__name__}: {error} {error.args}")
            raise
        self.xcoms.append(result)
        return result

    def until_the_form(self, run_id: str) -> Any:
        pipeline = self.pipeline
        self.stage(run_id, poll, pipeline.request())
        for stage in (map_groups, resolve_users):
            self.stage(run_id, stage)
        planned = self.stage(run_id, plan)
        for batch in planned["batches"]:
            try:
                self.stage(run_id, patch, batch["lane"])
            except GenesysError:
                continue
        form = pipeline.asked(run_id)
        if form is not None:
            self.forms.append(form)
            write_interim_report(pipeline.task(run_id, "approve_removals"))
        return form

    def finish(self, run_id: str) -> dict[str, Any]:
        report = self.pipeline.report(run_id)
        self.xcoms.append(counts_for_xcom(report, "file:///reports/x.json"))
        return report


@pytest.fixture(scope="module")
def directory() -> Iterator[SandboxDirectory]:
    with SandboxDirectory.start(Content(users=PEOPLE, groups=GROUPS)) as started:
        yield started


@pytest.fixture
def run(directory: SandboxDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    quick = HttpRetryPolicy(attempts=2, first_wait=0.01, jitter=0)
    monkeypatch.setattr(
        "tests.support.pipeline.GenesysCloudHook",
        lambda connection: GenesysCloudHook(connection, retry_policy=quick, token_store=ProcessTokenStore()),
    )
    with (
        SandboxGenesys.start(seed(), SandboxOptions(rate_allowed=None)) as genesys,
        Journal.open(f"sqlite:///{tmp_path / 'journal.db'}") as journal,
    ):
        set_connection(monkeypatch, "active_directory_default", directory.connection())
        set_connection(monkeypatch, "genesys_cloud_default", genesys.connection())
        keys = {
            "directory": {"group_base": CONTACT_CENTER},
            "groups": [{"attribute": "info", "genesys_id": "{value}"}],
            "users": [{"directory": "mail", "genesys": "email"}],
            "limits": {"removals": 0, "empty_group": "allow"},
        }
        yield Run(Pipeline(directory, genesys, tmp_path, definition_for(tmp_path, **keys), journal))


class Elements(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.scripts = 0
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def check_page(html: str) -> None:
    page = Elements(html)
    assert page.scripts == 1
    assert not page.tags & {"img", "iframe", "object", "embed", "form", "link", "a", "svg"} - {"a"}
    assert not {name for name in page.attributes if name.startswith("on")} | (page.attributes & {"src", "style"})
    assert "{{ 7 * 7 }}" in page.text  # shown, not rendered
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u202a-\u202e\u2066-\u2069]", html)


def check_form(form: Any) -> None:
    """Render the body as a viewer of Markdown does, with tables, links in plain text and all."""
    viewer = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    kinds = {token.type for block in viewer.parse(form.body) for token in [block, *(block.children or [])]}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "s_open"}
    assert "alert(1)" in form.body  # it is shown
    for text in (form.subject, *form.options):
        assert "\n" not in text
        assert not [character for character in text if unicodedata.category(character) in ("Cc", "Cs")]


def check_log(lines: list[str]) -> None:
    for line in lines:
        assert MARK not in line
        assert not [character for character in line if unicodedata.category(character) in ("Cc", "Cs")], line


def check_xcoms(xcoms: list[Any]) -> None:
    text = json.dumps(xcoms)
    assert MARK not in text
    for payload in ("alert(1)", "7 * 7", "DROP TABLE", "HYPERLINK"):
        assert payload not in text  # neither of people nor of groups


def check_csv(report: dict[str, Any]) -> None:
    """No cell is a formula, a command of a terminal, or more than one cell."""
    lines = list(csv.reader(io.StringIO(render_csv(report), newline="")))
    assert len(lines) == report["total_changes"] + 1
    assert {len(line) for line in lines} == {len(COLUMNS)}
    cells = [cell for line in lines[1:] for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert not [c for cell in cells for c in cell if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\r\n"]


def check_printed(report: dict[str, Any]) -> None:
    """Print the report as the command does: each name is in the JSON, and nothing that a terminal obeys."""
    with redirect_stdout(io.StringIO()) as printed:
        print_json(report)
    text = printed.getvalue()
    assert json.loads(text) == report
    assert not [c for c in text if (unicodedata.category(c) in ("Cc", "Cs") and c != "\n") or c in "\u202e\u2066"]


def check_messages(run: Run, run_id: str) -> None:
    """Messages to people have ids and counts."""
    task = run.pipeline.task(run_id, "check")
    sender = Sender("default", task.key, task.clock(), "http://airflow.example", "file:///reports/x.json")
    troubles = [*troubles_of_run(task, RunEnd()).troubles, *filter(None, [question_of(task)])]
    assert troubles
    for trouble in troubles:
        message = message_of(trouble, sender)
        shown = [json.dumps(message), subject_of(message), html_text(message), plain_text(message), slack_text(message)]
        check_xcoms(shown)


def check_metrics(sent: list[Any]) -> None:
    assert {name for name, *_ in sent} >= {"genesys_ad_sync.requests", "genesys_ad_sync.open"}
    check_xcoms(sent)


def check_doctor(run: Run) -> None:
    """Make the table of `check`: it names groups, as text, and nobody."""
    lines = check_all(run.pipeline.definition, lambda: run.pipeline.journal.database.engine.url)
    by = CheckedBy("default", "genesys_ad_group_sync", "manual__1", 1, "check", "worker-1", NOON)
    document = document_of(by, lines)
    html = render_check_page(document)
    page = Elements(html)
    assert page.scripts == 0
    assert not page.tags & {"img", "iframe", "object", "embed", "form", "link", "svg"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u202a-\u202e\u2066-\u2069]", html)
    assert MARK not in html + json.dumps(document)


def check_files(folder: Path) -> None:
    for path in (folder / "reports").rglob("*"):
        assert ".." not in path.name
        assert MARK not in path.name
        if path.suffix == ".json" and not path.name.startswith("journal."):
            json.loads(path.read_text())


def everything_said(run: Run, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return each line that a task log would have: of the product and of its libraries."""
    ours = [record for record in caplog.records if not record.name.startswith(("uvicorn", "asyncio", "sandbox"))]
    return [*run.pipeline.said, *(record.getMessage() for record in ours), *run.errors]


def test_names_are_shown_exactly_where_people_decide_and_nowhere_else(
    run: Run, directory: SandboxDirectory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    sent: list[Any] = []
    for kind in ("incr", "gauge"):
        monkeypatch.setattr(metrics.stats, kind, lambda name, *values, tags: sent.append([name, *values, tags]))
    run.until_the_form("first")
    first = run.finish("first")
    added = [row for row in first["details"] if row["status"] == "success"]
    assert len(added) >= len(PEOPLE) - 6  # AD or Genesys may read one of the mails in another way
    assert {row["reason"] for row in first["details"] if row["status"] == "orphaned"} == {"no_genesys_user"}

    directory.apply([RemoveMember(f"g{number}", f"h{number}") for number in range(len(PAYLOADS))])
    try:
        form = run.until_the_form("second")
        assert form is not None
        given = ApprovalAnswer([form.options[0]], MARK, run.pipeline.task("second", "x").clock())
        run.stage("second", apply_answer, given)
        second = run.finish("second")
    finally:
        directory.apply([AddMember(f"g{number}", f"h{number}") for number in range(len(PAYLOADS))])

    names = {user.cn for user in PEOPLE}
    for report in (first, second):
        check_page(render_page(report))
        check_csv(report)
        check_printed(report)
        assert MARK in render_csv(report)
        shown = json.dumps([row["directory_user"] for row in report["details"]], ensure_ascii=False)
        assert shown.count(MARK) >= len(PAYLOADS)  # the report names people
        check_log(render_summary(report).splitlines())
    assert any(name.split()[0] in form.body for name in names)
    for each in run.forms:
        check_form(each)
    check_log(everything_said(run, caplog))
    check_xcoms(run.xcoms)
    check_files(run.pipeline.folder)
    check_messages(run, "second")
    metrics.tell_of_run(run.pipeline.definition, run.pipeline.journal, DAG, counts_for_xcom(second, "x"), NOON)
    check_metrics(sent)
    check_doctor(run)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 500])
@pytest.mark.parametrize("path", ["/api/v2/scim/v2/groups/", "/api/v2/groups", "/api/v2/users/search"])
def test_what_genesys_says_of_a_person_is_in_the_report_alone(
    run: Run, caplog: pytest.LogCaptureFixture, status: int, path: str
) -> None:
    caplog.set_level(logging.DEBUG)
    words = f"no user {MARK} Müller\r\n2026-01-01 ERROR forged \x1b[2J Bearer abcdefgh"
    run.pipeline.genesys.add_fault("status", path=path, status=status, message=words, times=None)
    with suppress(GroupSyncError):
        run.until_the_form("first")
    report = run.finish("first")
    assert run.errors or [row for row in report["details"] if row["status"] in ("failed", "held", "orphaned")]
    check_log(everything_said(run, caplog))
    check_log(render_summary(report).splitlines())
    check_xcoms(run.xcoms)
    html = render_page(report)
    assert "Bearer abcdefgh" not in html + json.dumps(report)
    assert not re.search("[\x1b]", html)


def test_random_names_end_neither_in_logs_nor_in_markup(
    run: Run, directory: SandboxDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever characters a name mixes, the page has the tags of a harmless one."""
    chance = random.Random(20261130)
    alphabet = "".join(PAYLOADS) + "".join(map(chr, range(32, 127)))
    run.until_the_form("first")
    report = run.finish("first")
    harmless = Elements(render_page(report)).tags
    for _ in range(50):
        for row in report["details"]:
            name = "".join(chance.choices(alphabet, k=chance.randrange(1, 300)))
            if row["directory_user"]:
                row["directory_user"].update(dn=f"CN={name}", mail=name)
            row["error"] = name
        page = Elements(render_page(report))
        assert page.tags == harmless
        assert page.scripts == 1
        check_csv(report)
        check_printed(report)
        check_log([line.replace(MARK, "") for line in render_summary(report).splitlines()])
