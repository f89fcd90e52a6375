"""The journal moves, or the definition's file is renamed, while removals wait: they are listed, asked and done."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalMoved, SettingsError
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.copying import copy_journal
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.report.schema import validate
from genesys_ad_sync.report.wording import headline
from genesys_ad_sync.views.claims import note_as_far_as_named
from sandbox.directory_objects import AddMember, RemoveMember
from tests.integration.test_claims import use
from tests.support.pipeline import Pipeline
from tests.support.postgresql import postgresql_server, postgresql_url  # noqa: F401 (fixtures)
from tests.support.small_company import members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

ASK = {"limits": {"removals": 0}}
WAITING = [("remove", name, "held", "over_limit", None) for name in ("bob", "cid")]


@pytest.fixture
def waiting(small: Pipeline) -> Pipeline:
    """Return the company after a live run of `sales`; two people have left since, and nobody has answered."""
    small.definitions = frozenset({"sales"})
    use(small, "sales", **ASK).run("first")
    small.directory.apply([RemoveMember("voice", "bob"), RemoveMember("voice", "cid")])
    report = small.run("asks")
    assert sorted(rows(report)) == WAITING
    return small


def renamed(pipeline: Pipeline, **more: Any) -> Pipeline:
    """Rename the file to service.yaml."""
    pipeline.definitions = frozenset({"service"})
    return use(pipeline, "service", **ASK, **more)


def approve(pipeline: Pipeline, run_id: str, **asked: Any) -> dict[str, Any]:
    """Make a run whose question, if it has one, is answered with yes; return its report."""
    run_id, planned = pipeline.plan(run_id, **asked)
    pipeline.patch(run_id, planned)
    form = pipeline.asked(run_id)
    if form is not None:
        pipeline.answer(run_id, form.options[0])
    report = pipeline.report(run_id, **asked)
    validate(report)
    return report


def test_removals_that_wait_move_with_the_journal_to_postgresql(waiting: Pipeline, postgresql_url: str) -> None:
    former = waiting.journal
    source = open_database(f"sqlite:///{waiting.folder / 'journal.db'}", create=False, moved_too=True)
    copy_journal(source, postgresql_url, at=datetime.now(timezone.utc))
    with pytest.raises(JournalMoved, match="was moved to PostgreSQL 127"):
        waiting.plan("with the former one")
    assert former is waiting.journal
    with Journal.open(postgresql_url, create=False) as waiting.journal:
        waiting.directory.apply([AddMember("voice", "fay")])
        report = approve(waiting, "after")
        assert [note for note in report["notes"] if "journal" in note] == []
        assert sorted(rows(report)) == [
            ("add", "fay", "success", None, None),
            ("remove", "bob", "success", None, None),
            ("remove", "cid", "success", None, None),
        ]
        assert members(waiting, "Voice") == {"ann", "fay", "mia"}
    source.engine.dispose()


@pytest.mark.parametrize("dry_first", [False, True])
def test_a_renamed_definition_takes_over_what_waits(waiting: Pipeline, dry_first: bool) -> None:
    renamed(waiting, formerly="sales")
    if dry_first:
        dry = waiting.run("trial", dry_run=True)
        told = "the first live run takes over what the sync definition sales has: 5 memberships and 2 open changes"
        assert told in dry["notes"]
        waiting.directory.apply([RemoveMember("voice", "ann")])
    report = approve(waiting, "takes over")
    told = "took over what the sync definition sales had: 5 memberships and 2 open changes"
    assert told in report["notes"]
    hidden = note_as_far_as_named(told, lambda name: name == "service")
    assert hidden == "took over what another sync had: 5 memberships and 2 open changes"
    left = {"ann", "bob", "cid"} if dry_first else {"bob", "cid"}
    assert {row[1] for row in rows(report)} == left
    assert {row[2] for row in rows(report)} == {"success"}
    assert members(waiting, "Voice") == {"ann", "bob", "cid", "mia"} - left
    assert told not in waiting.run("next")["notes"]


def test_without_the_key_a_note_names_it_and_nothing_is_inherited(waiting: Pipeline) -> None:
    report = renamed(waiting).run("without the key", mode="full")
    [note] = [note for note in report["notes"] if "formerly" in note]
    assert "the sync definition sales is gone, and owns 5 memberships and 2 open changes" in note
    assert "write `formerly: sales` into service" in note
    assert "sales" not in note_as_far_as_named(note, lambda name: name == "service")
    assert rows(report) == []
    assert headline(report).sentence.startswith("Nothing to change. Genesys Cloud has 3 members that Active Directory")
    assert members(waiting, "Voice") == {"ann", "bob", "cid", "mia"}
    # the key helps later, too
    report = approve(renamed(waiting, formerly="sales"), "with the key")
    assert members(waiting, "Voice") == {"ann", "mia"}
    assert {row[1:3] for row in rows(report)} == {("bob", "success"), ("cid", "success")}


def test_without_the_key_nobody_is_bound_by_what_was_undone_and_a_note_says_so(waiting: Pipeline) -> None:
    """Nothing is inherited, by design: not the grants, and not what a person decided against them."""
    waiting.directory.apply([AddMember("voice", "fay")])
    approve(waiting, "adds")
    approve(waiting, "undo", undo_run="adds")
    assert "fay" not in members(waiting, "Voice")
    [note] = [note for note in renamed(waiting).run("other", mode="full")["notes"] if "formerly" in note]
    assert "3 decisions of people (undone or rejected)" in note
    assert "what people undid or rejected there does not bind service" in note


def test_a_definition_that_takes_a_group_over_is_told_of_decisions_there(waiting: Pipeline) -> None:
    """Both files are there: `sales` has lost its rule."""
    waiting.directory.apply([AddMember("voice", "fay")])
    approve(waiting, "adds")
    approve(waiting, "undo", undo_run="adds")
    waiting.definitions = frozenset({"sales", "service"})
    nothing = [{"name": "Nothing", "genesys_name": "Chat"}]
    use(waiting, "sales", groups=nothing).run("gives up", dry_run=True)
    use(waiting, "sales", groups=nothing).run("gave up")
    notes = use(waiting, "service", **ASK).run("takes")["notes"]
    [note] = [note for note in notes if "sales has 3 decisions of people" in note and "do not bind service" in note]
    assert "sales" not in note_as_far_as_named(note, lambda name: name == "service")


def test_what_was_undone_stays_so_under_the_new_name(waiting: Pipeline) -> None:
    approve(waiting, "removes")
    assert approve(waiting, "undo", undo_run="removes")["successes"] == 2
    assert members(waiting, "Voice") == {"ann", "bob", "cid", "mia"}
    report = renamed(waiting, formerly="sales").run("full", mode="full")
    assert sorted(rows(report)) == [("remove", name, "held", "undone", None) for name in ("bob", "cid")]
    approve(waiting, "release", release_run="undo", mode="full")
    assert members(waiting, "Voice") == {"ann", "mia"}


@pytest.mark.parametrize("named", ["removes", "genesys_ad_group_sync__sales/removes"])
def test_a_run_of_the_former_name_can_be_undone_once_the_key_is_gone_from_the_file(
    waiting: Pipeline, named: str
) -> None:
    approve(waiting, "removes")
    renamed(waiting, formerly="sales").run("takes over")
    assert approve(renamed(waiting), "undo", undo_run=named)["successes"] == 2
    assert members(waiting, "Voice") == {"ann", "bob", "cid", "mia"}


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_former_file_must_be_gone(waiting: Pipeline, dry_run: bool) -> None:
    renamed(waiting, formerly="sales")
    waiting.definitions = frozenset({"sales", "service"})
    with pytest.raises(SettingsError, match="service says formerly: sales, but the file of sales exists, too"):
        waiting.plan("refused", dry_run=dry_run)
    waiting.definitions = None
    with pytest.raises(SettingsError, match="it is not known whether the file of sales is gone"):
        waiting.plan("not known", dry_run=dry_run)
    assert waiting.journal.of("sales").grants.of_groups([g["id"] for g in waiting.genesys.snapshot()["groups"]])


def test_a_run_under_the_former_name_that_is_still_at_work_sends_nothing_more(waiting: Pipeline) -> None:
    former, dag_id = waiting.definition, waiting.dag_id
    waiting.directory.apply([AddMember("voice", "fay")])
    run_id, planned = waiting.plan("at work")
    renamed(waiting, formerly="sales")
    waiting.plan("takes over")
    waiting.definition, waiting.dag_id = former, dag_id
    waiting.patch(run_id, planned)
    assert "fay" not in members(waiting, "Voice")
    waiting.report(run_id)
    approve(renamed(waiting, formerly="sales"), "takes over")
    assert "fay" in members(waiting, "Voice")
    later = waiting.run("later")
    assert (later["mode"], [note for note in later["notes"] if "took over" in note]) == ("changes", [])
