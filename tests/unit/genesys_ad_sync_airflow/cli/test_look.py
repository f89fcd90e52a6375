"""The commands that look: what they print, how they end, and that no log names a person."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import csv
import io
import json
import logging
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.report import ReportStore
from genesys_ad_sync_airflow.cli.tree import main
from tests.support.journal import begin, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.report_example import example
from tests.support.view_examples import (
    DEFINITION_TEXT,
    Reason,
    Status,
    change,
    finish,
    grant,
    looked_at,
    map_groups,
    poll,
    run_with,
)

DAG = "genesys_ad_group_sync"


@pytest.fixture(autouse=True)
def world(journal: Journal, journal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{make_url(journal_url).database}")
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    text = DEFINITION_TEXT.replace("file:///nowhere", (tmp_path / "reports").as_uri())
    (tmp_path / "config" / "default.yaml").write_text(text)
    poll(journal, {"service": "north", "north": "ann", "voice": "bob"}, ann={"name": "Ann\x1b[31m Anders"})
    map_groups(journal, "service", "voice")
    grant(journal, "service", "ann")
    run_with(journal, "r1", change("voice", "bob"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    looked_at(journal, "voice", **{"U-mia": "Mia Manual"})
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_explain_person_prints_path_rule_grant_and_remedy() -> None:
    text = call("explain", "person", "anders").stdout
    assert "Ann\ufffd[31m Anders <ann@example.com>, objectGUID ann" in text  # no escape sequence reaches the terminal
    assert "AD group GC-service: member through GC-service → GC-north. rule 1: name: GC-(?P<team>.+)" in text
    assert "Member: AD wants it and owns it." in text
    text = call("explain", "person", "bob").stdout
    assert "Waits since 2024-05-01 12:01:00Z: No Genesys Cloud user matches this person." in text
    assert "What to do: Create a user for the AD account" in text
    assert "Outcome: orphaned, no_genesys_user, 2024-05-01 12:01:00Z, run dag/r1." in text
    assert "Member by hand" in call("explain", "person", "Mia").stdout


def test_before_a_group_is_mapped_nobody_is_called_unwanted(journal: Journal) -> None:
    """As after a dry run, which keeps no mapping."""
    poll(journal, {"sales": "zoe"}, name="trial")
    text = call("explain", "person", "zoe").stdout
    assert "No group is mapped. Only a live run keeps its mapping." in text
    assert "wants" not in text
    map_groups(journal, "other", name="trial")
    assert "No mapped group wants, has or had this person." in call("explain", "person", "zoe").stdout


def test_explain_person_lists_several_people_and_says_when_there_is_nobody() -> None:
    several = call("explain", "person", "example.com")
    assert several.exit_code == 0
    assert "2 people match." in several.stdout
    answer = json.loads(call("explain", "person", "example.com", "--json").stdout)
    assert [hit["guid"] for hit in answer["hits"]] == ["ann", "bob"]
    assert answer["answers"] == []
    nobody = call("explain", "person", "nobody")
    assert (nobody.exit_code, nobody.stdout) == (1, "")
    assert "The journal has no person for 'nobody'." in nobody.stderr


def test_explain_prints_the_same_as_json() -> None:
    [answer] = json.loads(call("explain", "person", "ann", "--json").stdout)["answers"]
    [one] = answer["memberships"]
    assert (one["wanted"], [group["name"] for group in one["sources"][0]["path"]]) == (True, ["GC-service", "GC-north"])
    [answer] = json.loads(call("explain", "group", "Voice", "--json").stdout)["answers"]
    assert answer["by_origin"]["by hand"] == 1


def test_explain_group_prints_sources_members_and_limits() -> None:
    text = call("explain", "group", "Service").stdout
    assert "GC-service: 1 person counts as a member" in text
    assert "Members: 1 by AD" in text
    assert "GC-service → GC-north" in text
    assert "removals in this group" in text
    assert "… and 1 more: --members N, or --json" in call("explain", "group", "voice", "--members", "1").stdout
    assert call("explain", "group", "nothing").exit_code == 1


def test_status_ends_with_1_if_a_dag_is_silent(journal: Journal) -> None:
    silent = call("status")
    assert silent.exit_code == 1
    assert f"{DAG}: SILENT: no run was completed yet; expected at least every 2 h." in silent.stdout
    assert "no_genesys_user" in silent.stdout
    now = datetime.now(timezone.utc)
    for dag_id in (DAG, f"{DAG}_full"):
        run = begin(journal, key=RunKey(dag_id, "now"), dry_run=True, started_at=now)
        finish(journal, run, at=now)
    well = call("status", "--json")
    answer = json.loads(well.stdout)
    assert (well.exit_code, answer["stale"]) == (0, False)
    assert [dag["silent_after"] for dag in answer["definitions"][0]["dags"]] == ["PT2H", "P3D"]
    assert call("status", "--silent-after", "0.000001").exit_code == 1


def test_a_definition_whose_file_is_gone_is_silent_until_a_person_says_that_it_is_gone(
    journal: Journal, world: Path
) -> None:
    folder = world / "config"
    (folder / "default.yaml").rename(folder / "other.yaml")
    now = datetime.now(timezone.utc)
    for dag_id in (f"{DAG}__other", f"{DAG}__other_full"):
        finish(
            journal,
            begin(journal, key=RunKey(dag_id, "now"), definition="other", dry_run=True, started_at=now),
            at=now,
        )
    gone = call("status")
    assert gone.exit_code == 1
    assert "Its file is gone. Put it back, or if it was removed on purpose, use --gone default." in gone.stdout
    assert gone.stdout.count("Its file is gone.") == 1
    said = call("status", "--gone", "default")
    assert (said.exit_code, "default" in said.stdout) == (0, False)
    there = call("status", "--gone", "other")
    assert (there.exit_code, "The sync definition other has a file." in there.stderr) == (1, True)
    (folder / "default.yaml").write_text("nonsense: true")  # a file with an error is not gone
    assert "Its file is gone." not in call("status").stdout


def test_runs_and_reports(journal: Journal, world: Path) -> None:
    assert "1 orphaned" in call("runs").stdout
    assert [run["run_id"] for run in json.loads(call("runs", "--json", "--limit", "1").stdout)] == ["full-voice"]
    assert call("runs", "--definition", "other").stdout == "The journal has no run of the sync definition other.\n"
    run = begin(journal, key=RunKey(DAG, "r9"))
    missing = call("report", "r9")
    assert missing.exit_code == 1
    assert "the run has not ended" in missing.stderr
    finish(journal, run)
    document = {**example(), "run_id": "r9"}
    ReportStore(world / "reports").write(document)
    assert "Doe, Jane (Tier 2)" in call("report", "r9").stdout
    assert json.loads(call("report", f"{DAG}/r9", "--json").stdout) == document
    lines = list(csv.DictReader(io.StringIO(call("report", "r9", "--csv").stdout)))
    assert len(lines) == document["total_changes"]
    assert call("report", "r9", "--csv", "--json").exit_code == 1
    assert "knows no run 'r77'" in call("report", "r77").stderr


def test_words_that_need_the_definition_are_missing_without_its_file(world: Path) -> None:
    (world / "config" / "default.yaml").write_text("nonsense: true")
    done = call("explain", "person", "ann")
    assert "rule 1" in done.stdout
    assert done.exit_code == 0
    assert "default.yaml" in done.stderr
    (world / "config" / "default.yaml").unlink()
    assert "Rules and limits are not shown." in call("explain", "person", "ann").stderr


def test_each_command_finds_the_definitions_beside_a_dag_file_in_a_folder_of_the_dag_folder(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(world / "dags"))
    assert "There is no folder genesys-ad-sync" in call("check").stderr
    beside = world / "dags" / "team" / "genesys-ad-sync"
    beside.mkdir(parents=True)
    for name in ("emea", "apac"):
        (beside / f"{name}.yaml").write_text((world / "config" / "default.yaml").read_text())
    for command in ("check", "plan"):
        done = call(command, "--definition", "other")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.endswith("There is no sync definition other. There are: apac, emea.\n")


def test_no_log_names_a_person(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for arguments in (["explain", "person", "ann"], ["explain", "group", "Voice"], ["status"], ["runs"]):
            call(*arguments)
    assert not [
        record for record in caplog.records if "Anders" in record.getMessage() or "@example" in record.getMessage()
    ]


def test_validate_needs_no_airflow_and_names_each_error(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = world / "config" / "default.yaml", world / "config" / "bad.yaml"
    bad.write_text("schedule: sometimes\nnonsense: 1\n")
    done = call("validate", str(good))
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"DAGs: {DAG}, {DAG}_full" in done.stdout
    done = call("validate", str(good), str(bad), str(world / "missing.yaml"))
    assert done.exit_code == 1
    assert "bad.yaml" in done.stdout
    assert "nonsense" in done.stdout
    assert "missing.yaml: cannot be read (No such file or directory)." in done.stdout
    results = json.loads(call("validate", "--json", str(bad)).stdout)
    assert (results[0]["valid"], len(results[0]["errors"]) >= 2) == (False, True)
    assert call("validate").exit_code == 1


def test_validate_imports_no_airflow(world: Path) -> None:
    code = (
        "import sys\nfrom genesys_ad_sync_airflow.cli.tree import main\n"
        f"code = main.main(['validate', {str(world / 'config' / 'default.yaml')!r}], standalone_mode=False)\n"
        "heavy = {'airflow', 'sqlalchemy', 'ldap3'} & {name.split('.')[0] for name in sys.modules}\n"
        "assert code == 0 and not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
