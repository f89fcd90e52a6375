"""Bad input, against real servers: one clear message, nothing written, and once it is mended nothing was lost."""

from __future__ import annotations

import functools
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.dag_processing.dagbag import DagBag

from genesys_ad_sync.errors import (
    DirectoryBindError,
    DirectoryCertificateError,
    DirectoryNotFound,
    DirectoryUnreachable,
    GroupSyncError,
    JournalError,
    ReportPathError,
    SettingsError,
    WindowError,
)
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    PermissionMissing,
    RegionUnknown,
    UnexpectedAnswer,
)
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.settings import SyncDefinition, files
from genesys_ad_sync.stages.report import write_report as report
from genesys_ad_sync_airflow import params as run_params
from genesys_ad_sync_airflow import task_context, tasks
from genesys_ad_sync_airflow.genesys_cloud import hook as genesys_hook
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from sandbox import company
from sandbox.airflow_stack import PROJECT
from sandbox.directory_objects import AddMember, RemoveMember
from tests.support.pipeline import Pipeline, definition_for, set_connection

PARSING_CONTEXT = "_AIRFLOW_PARSING_CONTEXT_DAG_ID"
"""Where `airflow.sdk.get_parsing_context` reads the id of the DAG of a task."""
SECRETS = ("Wr0ng!secret", "not-the-secret")


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts without waiting instead of six within half a minute."""
    quick = functools.partial(HttpRetryPolicy, attempts=3, first_wait=0.001, jitter=0.0)
    monkeypatch.setattr(genesys_hook, "HttpRetryPolicy", quick)


@pytest.fixture
def connect(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``connect("directory", password=…)`` changes an Airflow connection; without fields it is right again."""

    def change(system: str, **fields: Any) -> None:
        name = dict(zip(("directory", "genesys"), pipeline.connection_ids, strict=True))[system]
        right = {"directory": pipeline.directory, "genesys": pipeline.genesys}[system].connection()
        extra = {**right["extra"], **fields.pop("extra", {})}
        extra = {key: value for key, value in extra.items() if value is not None}
        set_connection(monkeypatch, name, {**right, **fields, "extra": extra})

    return change


def refused(pipeline: Pipeline, error: type[Exception], *facts: str, after_poll: bool = False, **asked: Any) -> None:
    """Check that a first run fails with an error that names all these facts.

    Nothing is written to Genesys Cloud, to the reports, or (if AD was not read) to the journal's view.
    """
    at_first = pipeline.genesys.snapshot()
    with pytest.raises(error) as caught:
        pipeline.run(**asked)
    says(caught.value, *facts)
    assert pipeline.genesys.writes() == []
    assert pipeline.genesys.snapshot() == at_first
    assert reports(pipeline) == []
    name = pipeline.definition.name
    journal = pipeline.journal
    assert (journal.of(name).views.cursor() is not None) is after_poll
    assert not [pair for pair in journal.of(name).pairs.active() if pair.has_baseline]
    assert journal.of(name).changes.unsettled() == []
    assert journal.of(name).links.all() == {}
    assert journal.of(name).grants.of_groups([group["id"] for group in at_first["groups"]]) == []


def says(error: Exception, *facts: str) -> None:
    message = str(error)
    assert isinstance(error, GroupSyncError)
    assert "\n" not in message
    for fact in facts:
        assert fact in message, message
    assert not [secret for secret in SECRETS if secret in message]


def reports(pipeline: Pipeline) -> list[Path]:
    return sorted((pipeline.folder / "reports").glob("*/*.json"))


def assert_nothing_was_lost(pipeline: Pipeline) -> None:
    """Mended: the next run makes Genesys equal to AD. By the sandbox's own state and plain LDAP."""
    truth = pipeline.directory.truth_by_name()
    assert pipeline.run()["failures"] == 0
    expected = company.expected_individuals(truth, truth)
    assert {group: set(pipeline.genesys.individuals(group)) for group in expected} == expected


# -- the sync definition ------------------------------------------------------------------------------

GOOD = {
    "directory": {"group_base": "OU=Contact Center,DC=example,DC=com"},
    "groups": [{"name": "GC-(?P<team>.+)", "genesys_name": "{team}"}],
}
BAD_DEFINITIONS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown_key": (
        {"directory": {**GOOD["directory"], "group_bsae": "x"}},
        ("`directory.group_bsae` is not a known key", "Did you mean `group_base`?"),
    ),
    "wrong_type": (
        {"genesys": {"workers": "many"}},
        ("`genesys.workers` ('many') is not a whole number", "Write a whole number from 1 to 50"),
    ),
    "bad_regex": (
        {"groups": [{"name": "GC-(?P<team", "genesys_name": "{team}"}]},
        ("`groups[0].name`", "is not a regular expression", "Correct it"),
    ),
    "unknown_group_in_template": (
        {"groups": [{"name": "GC-(?P<team>.+)", "genesys_name": "{taem}"}]},
        ("`groups[0].genesys_name`", "taem", "team"),
    ),
}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagBag]:
    """Load the DAGs of a folder with one good definition and all bad ones."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "default.yaml").write_text(yaml.safe_dump(GOOD))
    for name, (wrong, _) in BAD_DEFINITIONS.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**GOOD, **wrong}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(folder))
        patched.setenv("AIRFLOW_HOME", str(folder))
        yield DagBag(str(PROJECT / "dags"))


@pytest.mark.parametrize("name", BAD_DEFINITIONS)
def test_a_bad_definition_is_a_dag_that_fails_with_file_key_and_remedy(bag: DagBag, name: str) -> None:
    (task,) = bag.dags[f"genesys_ad_group_sync__{name}"].tasks
    with pytest.raises(SettingsError) as caught:
        task.python_callable()
    says(caught.value, f"{name}.yaml: ", *BAD_DEFINITIONS[name][1])
    assert task.retries == 0


def test_bad_definitions_take_no_other_dag_away(bag: DagBag) -> None:
    assert bag.import_errors == {}
    good = {"genesys_ad_group_sync", "genesys_ad_group_sync_full"}
    assert set(bag.dags) == good | {f"genesys_ad_group_sync__{name}" for name in BAD_DEFINITIONS}


def test_a_task_reads_the_definition_of_its_own_dag_alone(bag: DagBag, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow says for which DAG it reads the file: with fifty definitions, a task must not build a hundred DAGs."""
    read = []
    monkeypatch.setattr(files, "read_definition", lambda path: read.append(path.stem) or path.read_text())
    for dag_id in bag.dags:
        read.clear()
        monkeypatch.setenv(PARSING_CONTEXT, dag_id)
        found = DagBag(str(PROJECT / "dags")).dags
        assert [task.task_id for task in found[dag_id].tasks] == [task.task_id for task in bag.dags[dag_id].tasks]
        assert set(found) <= {dag_id, dag_id.removesuffix("_full"), f"{dag_id}_full"}
        assert len(read) <= 1


def test_a_command_that_a_task_of_another_dag_starts_finds_all_dags(
    bag: DagBag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It inherits the environment of that task, in which Airflow leaves the id of the task's DAG."""
    monkeypatch.setenv(PARSING_CONTEXT, "housekeeping")
    assert set(DagBag(str(PROJECT / "dags")).dags) == set(bag.dags)


def test_each_dag_of_a_definition_has_active_runs_for_its_own_schedule(bag: DagBag) -> None:
    runs = {
        dag_id: bag.dags[dag_id].max_active_runs for dag_id in ("genesys_ad_group_sync", "genesys_ad_group_sync_full")
    }
    assert runs == {"genesys_ad_group_sync": 32 + 8, "genesys_ad_group_sync_full": 1 + 8}


def test_a_config_folder_that_does_not_exist_is_a_dag_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path / "gone"))
    (dag,) = DagBag(str(PROJECT / "dags")).dags.values()
    with pytest.raises(SettingsError) as caught:
        dag.tasks[0].python_callable()
    says(caught.value, str(tmp_path / "gone"), "GENESYS_AD_SYNC_CONFIG_DIR")


def test_without_any_definition_there_is_one_dag_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an Airflow that has the wheel and a copy of the DAG file: the example makes no DAGs there."""
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR", raising=False)
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(PROJECT / "dags" / "genesys_ad_group_sync.py", dags)
    (dag,) = DagBag(str(dags)).dags.values()
    assert dag.dag_id == "genesys_ad_group_sync"
    with pytest.raises(SettingsError) as caught:
        dag.tasks[0].python_callable()
    says(caught.value, str(dags / "genesys-ad-sync"), "Put one into that folder", "GENESYS_AD_SYNC_CONFIG_DIR")


def test_definitions_beside_a_copied_dag_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR", raising=False)
    shutil.copy(PROJECT / "dags" / "genesys_ad_group_sync.py", tmp_path)
    folder = tmp_path / "genesys-ad-sync"
    folder.mkdir()
    (folder / "default.yaml").write_text(yaml.safe_dump(GOOD))
    assert set(DagBag(str(tmp_path)).dags) == {"genesys_ad_group_sync", "genesys_ad_group_sync_full"}


@pytest.fixture
def two_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with the good definition twice: default.yaml and odd.yaml."""
    for name in ("default", "odd"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(GOOD))
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return tmp_path


def told_of_odd(*facts: str) -> None:
    """Check that odd.yaml is a DAG that fails with these facts, and default.yaml is unharmed."""
    found = DagBag(str(PROJECT / "dags"))
    assert found.import_errors == {}
    assert set(found.dags) == {"genesys_ad_group_sync", "genesys_ad_group_sync_full", "genesys_ad_group_sync__odd"}
    (task,) = found.dags["genesys_ad_group_sync__odd"].tasks
    with pytest.raises(SettingsError) as caught:
        task.python_callable()
    says(caught.value, "odd.yaml", *facts)


def test_a_value_that_looks_like_a_date_takes_no_other_dag_away(two_files: Path) -> None:
    rule = 'groups: [{dn: "CN=Billing,DC=example,DC=com", genesys_external_id: 4711-00-12}]'
    (two_files / "odd.yaml").write_text(f'directory: {{group_base: "DC=example,DC=com"}}\n{rule}\n')
    told_of_odd("line 2", "`4711-00-12`", "Put quotes around the value")


def test_whatever_goes_wrong_with_one_file_takes_no_other_dag_away(
    two_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is the second DAG of the file that cannot be built: the first one must not stay without its twin."""
    right = SyncDefinition.full_dag_id.fget
    assert right is not None

    def full_dag_id(definition: SyncDefinition) -> str:
        if definition.name == "odd":
            raise ZeroDivisionError("nobody has thought of it")
        return str(right(definition))

    monkeypatch.setattr(SyncDefinition, "full_dag_id", property(full_dag_id))
    told_of_odd("ZeroDivisionError: nobody has thought of it")


# -- Active Directory ---------------------------------------------------------------------------------


def test_no_domain_controller_answers(pipeline: Pipeline, connect: Callable[..., None]) -> None:
    connect("directory", host="127.3.2.1,dc9.invalid", extra={"connect_timeout": 2})
    refused(
        pipeline, DirectoryUnreachable, "No domain controller could be used", "127.3.2.1", "dc9.invalid", "Check host"
    )
    connect("directory")
    assert_nothing_was_lost(pipeline)


def test_a_wrong_bind_password(pipeline: Pipeline, connect: Callable[..., None]) -> None:
    connect("directory", password="Wr0ng!secret")
    refused(pipeline, DirectoryBindError, "login or password is wrong", "Check login and password of the connection")
    connect("directory")
    assert_nothing_was_lost(pipeline)


def test_a_certificate_that_is_not_trusted(pipeline: Pipeline, connect: Callable[..., None]) -> None:
    connect("directory", extra={"ca_certs_file": pipeline.directory.untrusted_ca_certs_file})
    refused(pipeline, DirectoryCertificateError, pipeline.directory.host, "`ca_certs_file`")
    connect("directory")
    assert_nothing_was_lost(pipeline)


def test_a_base_dn_that_does_not_exist(pipeline: Pipeline, connect: Callable[..., None]) -> None:
    connect("directory", extra={"base_dn": "OU=Nowhere,DC=example,DC=com"})
    refused(pipeline, DirectoryNotFound, "`base_dn`", "OU=Nowhere,DC=example,DC=com", "Correct it")
    connect("directory")
    assert_nothing_was_lost(pipeline)


def test_a_group_base_that_does_not_exist_is_never_an_empty_company(pipeline: Pipeline) -> None:
    right = company.sync_definition()["directory"]
    pipeline.redefine(directory={**right, "group_base": "OU=Nowhere,DC=example,DC=com"})
    facts = ("directory.group_base", "OU=Nowhere,DC=example,DC=com", "does not exist")
    refused(pipeline, DirectoryNotFound, *facts)

    pipeline.redefine()
    assert_nothing_was_lost(pipeline)
    writes = len(pipeline.genesys.writes())
    pipeline.redefine(directory={**right, "group_base": "OU=Nowhere,DC=example,DC=com"})
    with pytest.raises(DirectoryNotFound):
        pipeline.run()
    assert len(pipeline.genesys.writes()) == writes
    assert (
        pipeline.journal.of(pipeline.definition.name).changes.unsettled() != []
    )  # orphans of the first run, still there
    assert not [
        c for c in pipeline.journal.of(pipeline.definition.name).changes.unsettled() if c.action.value == "remove"
    ]


# -- Genesys Cloud ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"login": "not-the-client"}, {"password": "not-the-secret"}], ids=["id", "secret"])
def test_an_oauth_client_that_is_wrong(pipeline: Pipeline, connect: Callable[..., None], wrong: dict[str, str]) -> None:
    connect("genesys", **wrong)
    facts = ("OAuth client", pipeline.connection_ids[1], "/oauth/token")
    refused(pipeline, AuthenticationFailed, *facts, after_poll=True)
    assert len(pipeline.genesys.requests()) == 1  # not tried again: it would be refused again
    connect("genesys")
    assert_nothing_was_lost(pipeline)


def permissions_without(pipeline: Pipeline, *missing: str) -> list[str]:
    return [right for right in pipeline.genesys.options_in_force()["permissions"] if right not in missing]


def test_a_client_that_may_not_use_scim_is_told_which_permission_it_lacks(pipeline: Pipeline) -> None:
    all_of_them = permissions_without(pipeline)  # SCIM, by which an external id is looked up, wants it even for reading
    pipeline.genesys.set_options(permissions=permissions_without(pipeline, "directory:group:edit"))
    facts = ("The role of the OAuth client lacks directory:group:edit", "/api/v2/scim/v2/groups", "403")
    refused(pipeline, PermissionMissing, *facts, after_poll=True)
    pipeline.genesys.set_options(permissions=all_of_them)
    assert_nothing_was_lost(pipeline)


def test_a_client_that_may_not_search_users_is_told_so_and_the_change_waits(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([AddMember("support", "quirin.quast")])
    all_of_them = permissions_without(pipeline)
    pipeline.genesys.set_options(permissions=permissions_without(pipeline, "directory:user:view"))
    writes = len(pipeline.genesys.writes())
    with pytest.raises(PermissionMissing) as caught:
        pipeline.run()
    says(caught.value, "The role of the OAuth client lacks directory:user:view", "/users/search", "403")
    assert len(pipeline.genesys.writes()) == writes
    pipeline.genesys.set_options(permissions=all_of_them)
    pipeline.run()
    assert company.genesys_id("user", "quirin.quast") in pipeline.individuals("Support")


def test_a_client_that_may_read_but_not_write_changes_nothing_and_names_the_permission(pipeline: Pipeline) -> None:
    all_of_them = permissions_without(pipeline)
    rules = [rule for rule in company.group_rules() if "genesys_external_id" not in rule]  # SCIM only for writing
    pipeline.redefine(groups=rules)
    pipeline.genesys.set_options(permissions=permissions_without(pipeline, "directory:group:edit"))
    at_first = pipeline.genesys.snapshot()
    run_id, planned = pipeline.plan()
    with pytest.raises(PermissionMissing) as caught:
        pipeline.patch(run_id, planned)
    says(caught.value, "The role of the OAuth client lacks directory:group:edit", "PATCH", "403")
    assert pipeline.genesys.snapshot() == at_first

    report = pipeline.report(run_id)
    assert report["successes"] == 0
    assert report["failures"] > 100
    refusals = [row for row in report["details"] if row["http_code"] == 403]
    assert refusals
    assert all(row["status"] == "failed" and "directory:group:edit" in row["error"] for row in refusals)
    pipeline.genesys.set_options(permissions=all_of_them)
    pipeline.redefine()
    assert_nothing_was_lost(pipeline)


@pytest.mark.parametrize("host", ["mypurecloud.xx", ""])
def test_a_region_that_is_unknown_is_found_before_anything_is_read(
    pipeline: Pipeline, connect: Callable[..., None], host: str
) -> None:
    connect("genesys", host=host, extra={"api_url": None, "login_url": None})
    pipeline.directory_hook = unexpected
    refused(pipeline, RegionUnknown, f"Unknown Genesys Cloud region '{host}'", "mypurecloud.de (eu-central-1)")
    pipeline.directory_hook = None
    connect("genesys")
    assert_nothing_was_lost(pipeline)


def test_a_region_that_is_unknown_still_gives_a_report(pipeline: Pipeline, connect: Callable[..., None]) -> None:
    connect("genesys", host="mypurecloud.xx", extra={"api_url": None, "login_url": None})
    with pytest.raises(RegionUnknown):
        pipeline.run("red")
    assert "nothing was written" in " ".join(pipeline.report("red")["notes"])


def test_a_cleared_run_whose_poll_fails_says_so_and_keeps_what_it_did_before(
    pipeline: Pipeline, connect: Callable[..., None]
) -> None:
    before = pipeline.run("cleared")
    connect("genesys", host="mypurecloud.xx", extra={"api_url": None, "login_url": None})
    with pytest.raises(RegionUnknown):
        pipeline.run("cleared", clear_number=1)
    report = pipeline.report("cleared", clear_number=1)
    assert (report["attempt"], report["successes"]) == (2, before["successes"])
    assert "poll did not finish" in " ".join(report["notes"])
    assert len(reports(pipeline)) == 2  # that of the first attempt is kept


def test_a_run_that_is_done_again_with_a_conf_that_is_refused_says_so(pipeline: Pipeline) -> None:
    before = pipeline.run("again")
    request = replace(pipeline.request(), refused="`dryrun` is not a param of this DAG.")
    document, _ = report(pipeline.task("again", "report"), request)
    assert document["successes"] == before["successes"]
    assert "poll failed: `dryrun` is not a param of this DAG." in document["notes"]


PLACES = {"token": "^/oauth/token$", "groups": "^/api/v2/groups$", "users": "^/api/v2/users"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("answer", ["html", "truncated_json"])
def test_answers_that_are_no_json_stop_the_run(pipeline: Pipeline, place: str, answer: Any) -> None:
    pipeline.genesys.add_fault(answer, path=PLACES[place], times=None)
    refused(pipeline, UnexpectedAnswer, PLACES[place].strip("^$"), after_poll=True)
    pipeline.genesys.clear_faults()
    assert_nothing_was_lost(pipeline)


def test_a_page_that_breaks_off_once_is_read_again(pipeline: Pipeline) -> None:
    pipeline.genesys.add_fault("truncated_json", path=PLACES["groups"])
    assert_nothing_was_lost(pipeline)
    assert [fault["fired"] for fault in pipeline.genesys.faults_in_force()] == [1]


@pytest.mark.follows_remedy("genesys_unreadable")
def test_a_group_whose_members_cannot_be_read_is_held_and_the_others_go_on(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "lena.lang"), AddMember("service", "lena.lang")])
    support, lena = company.genesys_id("group", "Support"), company.genesys_id("user", "lena.lang")
    pipeline.genesys.add_fault("html", path=f"/groups/{support}/individuals", times=None)
    report = pipeline.run()
    held = [
        (row["action"], row["status"], row["directory_user"]["mail"])
        for row in report["details"]
        if row["reason"] == "genesys_unreadable"
    ]
    assert held == [("remove", "held", "lena.lang@example.com")]
    assert lena in pipeline.individuals("Support")
    assert lena in pipeline.individuals("Service")
    pipeline.genesys.clear_faults()
    pipeline.run()
    assert lena not in pipeline.individuals("Support")


# -- the window ---------------------------------------------------------------------------------------


def hour(number: int) -> datetime:
    return datetime(2026, 11, 24, number, tzinfo=timezone.utc)


def unexpected() -> Any:
    raise AssertionError("Active Directory is read although the run was to be refused before")


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        (
            {"window": (hour(8), hour(7))},
            ("window_end must be after window_start", "(got 2026-11-24T07", " and 2026-11-24T08"),
        ),
        (
            {"window": (hour(8), hour(8))},
            ("window_end must be after window_start", "(got 2026-11-24T08", " and 2026-11-24T08"),
        ),
        ({"window": (hour(7), hour(8)), "mode": "full"}, ("`full`", "takes no window", "leave", "window_start")),
        ({"window": (hour(7), hour(8)), "mode": "full", "run_type": "backfill"}, ("`full`", "takes no window")),
    ],
    ids=["backwards", "empty", "full", "full_backfill"],
)
def test_a_window_that_cannot_be_meant_is_refused_before_anything_is_read(
    pipeline: Pipeline, asked: dict[str, Any], facts: tuple[str, ...]
) -> None:
    pipeline.directory_hook = unexpected
    refused(pipeline, WindowError, *facts, **asked)
    assert pipeline.genesys.requests() == []


# -- what a task is given by Airflow ------------------------------------------------------------------


@pytest.fixture
def airflow_task(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run `poll` as Airflow would: connections, journal and report path come from Airflow's side."""
    home = pipeline.folder / "home"
    home.mkdir()
    monkeypatch.setenv("AIRFLOW_HOME", str(home))

    def poll(definition: Any = None, **params: Any) -> Any:
        context = {
            "ti": SimpleNamespace(dag_id=pipeline.dag_id, run_id="run", task_id="poll", map_index=-1),
            "dag": SimpleNamespace(params={}),
            "dag_run": SimpleNamespace(run_type="manual", clear_number=0, conf=None),
            "params": {"mode": "auto", **params},
        }
        for module in (run_params, task_context):
            monkeypatch.setattr(module, "get_current_context", lambda: context)
        return tasks.poll(definition or pipeline.definition)

    return poll


def test_the_task_works_when_nothing_is_wrong(airflow_task: Callable[..., Any]) -> None:
    assert airflow_task()["whole_view"] is True


def closed_port() -> int:
    """Return a port on which nothing listens: this process keeps it bound."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    port = int(holder.getsockname()[1])
    holder.detach()
    return port


def no_folder(folder: Path, env: pytest.MonkeyPatch) -> tuple[str, ...]:
    env.setenv("AIRFLOW_HOME", str(folder / "gone"))
    return (str(folder / "gone" / "group_sync_journal.db"), "does not exist", "Create it")


def is_a_folder(folder: Path, env: pytest.MonkeyPatch) -> tuple[str, ...]:
    env.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{folder}")
    return (str(folder), "that is a folder")


def is_no_database(folder: Path, env: pytest.MonkeyPatch) -> tuple[str, ...]:
    (folder / "letter.db").write_text("Dear Sir or Madam, " * 100)
    env.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"sqlite:///{folder / 'letter.db'}")
    return (str(folder / "letter.db"), "not a database")


def nobody_listens(folder: Path, env: pytest.MonkeyPatch) -> tuple[str, ...]:
    port = closed_port()
    env.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", f"postgres://sync:not-the-secret@127.0.0.1:{port}/journal")
    return ("PostgreSQL", f"127.0.0.1:{port}/journal", "refused")


def another_kind(folder: Path, env: pytest.MonkeyPatch) -> tuple[str, ...]:
    env.setenv("AIRFLOW_CONN_GROUP_SYNC_JOURNAL", "mysql://sync:not-the-secret@127.0.0.1/journal")
    return ("cannot be kept in 'mysql'", "PostgreSQL")


@pytest.mark.parametrize("place", [no_folder, is_a_folder, is_no_database, nobody_listens, another_kind])
def test_a_journal_that_cannot_be_opened(
    pipeline: Pipeline,
    airflow_task: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[Path, pytest.MonkeyPatch], tuple[str, ...]],
) -> None:
    facts = place(pipeline.folder, monkeypatch)
    with pytest.raises(JournalError) as caught:
        airflow_task()
    says(caught.value, *facts)
    assert pipeline.genesys.requests() == []
    assert reports(pipeline) == []


@pytest.mark.parametrize(
    ("window_start", "fact"),
    [("yesterday", "'yesterday' is not a time"), ("2026-11-31T00:00:00Z", "'2026-11-31T00:00:00Z' is not a time")],
)
def test_a_window_that_is_no_time_is_told_with_an_example(
    pipeline: Pipeline, airflow_task: Callable[..., Any], window_start: str, fact: str
) -> None:
    with pytest.raises(WindowError) as caught:
        airflow_task(window_start=window_start)
    says(caught.value, "window_start", fact, "Write it like 2026-")
    assert pipeline.genesys.requests() == []


@pytest.mark.parametrize("blocked", ["reports", "reports/genesys_ad_group_sync"])
def test_a_report_path_that_cannot_be_written_is_found_before_any_other_thing(pipeline: Pipeline, blocked: str) -> None:
    place = pipeline.folder / blocked
    place.parent.mkdir(exist_ok=True)
    place.write_text("a file where the folder should be")
    pipeline.directory_hook = unexpected
    refused(pipeline, ReportPathError, str(pipeline.folder / "reports"), "Set report.path of the sync definition")
    assert pipeline.genesys.requests() == []
    place.unlink()
    pipeline.directory_hook = None
    assert_nothing_was_lost(pipeline)


def test_a_report_path_of_a_kind_that_is_not_installed_is_told(
    pipeline: Pipeline, airflow_task: Callable[..., Any]
) -> None:
    definition = definition_for(pipeline.folder, report={"path": "gopher://reports.example.com/sync"})
    with pytest.raises(ReportPathError) as caught:
        airflow_task(definition)
    says(caught.value, "gopher://reports.example.com/sync", "report.path")
    assert pipeline.genesys.requests() == []


def test_a_report_that_cannot_be_read_back_is_a_report_path_that_does_not_work(tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.write_text("no folder")
    with pytest.raises(ReportPathError, match=re.escape(str(folder))):
        ReportStore(folder).check_writable("dag")
