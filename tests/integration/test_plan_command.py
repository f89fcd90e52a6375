"""`plan`: equal to the dry run and to the run that follows, and it leaves no trace."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from genesys_ad_sync_airflow.cli.tree import main
from sandbox import company
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import NAMES, definition_keys, small  # noqa: F401 (fixture)

Rows = set[tuple[str, ...]]

WITHOUT_AIRFLOW = """
import sys
sys.modules["airflow"] = None
from genesys_ad_sync_airflow.cli.tree import main
main()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command find the pipeline's journal, and a folder of definitions."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{tmp_path / 'journal.db'}")
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def world(small: Pipeline, installed: None, tmp_path: Path) -> Pipeline:  # noqa: F811
    write_definition(tmp_path)
    return small


def write_definition(folder: Path, name: str = "config/default.yaml", **more: Any) -> Path:
    keys = {**definition_keys(), "dry_run": False, "report": {"path": (folder / "reports").as_uri()}, **more}
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(keys))
    return path


def call(*arguments: str) -> Result:
    done = CliRunner().invoke(main, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def planned(document: dict[str, Any], *statuses: str) -> Rows:
    """Return (action, Genesys group, AD account) of the rows with such a status; default: all, with the status."""
    rows = set()
    for row in document["details"]:
        if row["genesys_group"] and row["directory_user"] and (not statuses or row["status"] in statuses):
            key = (row["action"], row["genesys_group"]["name"], row["directory_user"]["guid"])
            rows.add(key if statuses else (*key, row["status"]))
    return rows


def plan_now(*arguments: str) -> dict[str, Any]:
    done = call("plan", "--json", *arguments)
    answer = json.loads(done.stdout)
    assert done.exit_code == (2 if answer["changes"] else 0), done.stderr
    [document] = answer["reports"]
    return document


def traces(pipeline: Pipeline, folder: Path) -> tuple[Any, ...]:
    """Return what a run changes: the journal's content, the reports, the writes to Genesys Cloud."""
    dump = hashlib.sha256()
    with pipeline.journal.database.reading() as connection:
        for line in connection.connection.driver_connection.iterdump():
            dump.update(line.encode())
    reports = sorted(str(path) for path in folder.rglob("reports/**/*"))
    return dump.hexdigest(), reports, len(pipeline.genesys.writes())


class Changing:
    """Active Directory, in which people join and leave groups, and accounts are disabled and enabled."""

    def __init__(self, pipeline: Pipeline, chance: random.Random) -> None:
        self._directory = pipeline.directory
        self._chance = chance
        self._members = {"voice": {"ann", "bob", "cid"}, "chat": {"dan"}, "core": {"eve"}}
        self._disabled: set[str] = set()

    def change(self) -> None:
        for _ in range(self._chance.randint(1, 4)):
            person = self._chance.choice(NAMES)
            if self._chance.random() < 0.3:
                self._directory.apply([Enable(person) if person in self._disabled else Disable(person)])
                self._disabled ^= {person}
                continue
            group = self._chance.choice(sorted(self._members))
            leaves = person in self._members[group]
            self._directory.apply([RemoveMember(group, person) if leaves else AddMember(group, person)])
            self._members[group] ^= {person}


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_equals_the_dry_run_and_the_run_that_follows(world: Pipeline, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    changing = Changing(world, chance)
    for round_ in range(4):
        before = traces(world, tmp_path)
        mode = chance.choice(["auto", "auto", "full"])
        document = plan_now(*(["--full"] if mode == "full" else []))
        assert traces(world, tmp_path) == before, "a plan leaves no trace"
        assert planned(document) == planned(world.run(mode=mode, dry_run=True))
        done = world.run(mode=mode)
        assert planned(document, "planned") == planned(done, "success"), (seed, round_)
        waiting = ("held", "orphaned", "skipped")
        assert planned(document, *waiting) == planned(done, *waiting)
        assert plan_now()["planned"] == 0
        changing.change()


def test_on_the_demo_a_plan_equals_the_dry_run_and_the_run_that_follows(
    pipeline: Pipeline, installed: None, tmp_path: Path
) -> None:
    write_definition(tmp_path, **company.sync_definition(), limits={"new_pairs": "allow"})
    pipeline.run()
    pipeline.directory.apply(company.demo_changes())
    before = traces(pipeline, tmp_path)
    document = plan_now()
    assert traces(pipeline, tmp_path) == before
    assert planned(document) == planned(pipeline.run(dry_run=True))
    done = pipeline.run()
    assert len(planned(document, "planned")) >= 7
    assert planned(document, "planned") == planned(done, "success")
    waiting = ("held", "orphaned", "skipped")
    assert planned(document, *waiting) == planned(done, *waiting)
    assert plan_now()["planned"] == 0


def test_a_plan_with_a_changed_file_touches_nothing_and_takes_the_place_of_the_installed_one(
    world: Pipeline, tmp_path: Path
) -> None:
    world.run()
    before = traces(world, tmp_path)
    directory = {**definition_keys()["directory"], "disabled_users": "keep"}
    changed = str(write_definition(tmp_path, "proposed.yaml", directory=directory, dry_run=True))
    world.directory.apply([Disable("ann"), AddMember("voice", "fay")])
    joins = ("add", "Voice", world.directory.guid_of("fay"))
    assert planned(plan_now(), "planned") == {("remove", "Voice", world.directory.guid_of("ann")), joins}
    assert planned(plan_now("--as", "default", "--config", changed), "planned") == {joins}
    # under its own name it is another definition, which has never run
    other = plan_now("--config", changed)
    assert {row["reason"] for row in other["details"] if row["genesys_group"]} == {"claimed_by"}
    assert traces(world, tmp_path) == before


def test_an_offline_plan_equals_a_plan_while_nothing_changes_and_asks_nobody(
    world: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "config" / "default.yaml")
    missing = call("plan", "--offline", file)
    assert missing.exit_code == 1
    assert "No run in mode full has ended yet" in missing.stderr
    world.run(mode="full")
    world.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "bob")])
    world.run(mode="auto", dry_run=True)  # polls, and writes nothing
    expected = planned(plan_now("--full"))
    requests = len(world.genesys.requests())
    monkeypatch.delenv("AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT")
    monkeypatch.delenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT")
    document = plan_now("--offline", file)
    assert planned(document) == expected != set()
    assert [note for note in document["notes"] if note.startswith("offline: Active Directory as of ")]
    assert len(world.genesys.requests()) == requests

    without = subprocess.run(
        [sys.executable, "-c", WITHOUT_AIRFLOW, "plan", "--json", "--offline", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert without.returncode == 2, without.stderr
    assert planned(json.loads(without.stdout)["reports"][0]) == expected
