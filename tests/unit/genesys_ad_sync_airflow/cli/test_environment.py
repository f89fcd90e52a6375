"""A journal that the environment names is found as Airflow finds it, and without loading Airflow."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.sdk import Connection
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import make_url

from genesys_ad_sync.journal import Journal
from genesys_ad_sync_airflow.cli.environment import journal_in_environment, plain_url
from genesys_ad_sync_airflow.journal_connection import journal_url as airflow_url
from tests.support.journal import begin, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import DEFINITION_TEXT, grant, map_groups, poll

VARIABLE = "AIRFLOW_CONN_GROUP_SYNC_JOURNAL"
PLAIN = [
    "postgresql://login:password@db.example.com:5432/group_sync",
    "postgres://login:pass%40word%2F@DB:45432/group_sync?sslmode=require&connect_timeout=10",
    "postgresql://login:password@host/group_sync?sslmode=verify-full&sslrootcert=/etc/ssl/certs/example-ca.pem",
    "postgresql+psycopg2://login:pass word@db/group_sync",
    "postgresql-psycopg2://db/group_sync?application_name=",
    "postgresql:///group_sync",
    "sqlite:////opt/airflow/group_sync_journal.db",
    "sqlite:///opt/with%20space/journal.db",
    "mysql://login:password@db/group_sync",
]
PLAIN_SIGNS = st.sampled_from([*"aB9._-", "%2F", "%40", "1"])
ODD_SIGNS = st.sampled_from([*":/?#@%[]{}&=+~ \\|'\"é\n\t", "://", "__extra__="])
TEXTS = st.lists(st.one_of(PLAIN_SIGNS, PLAIN_SIGNS, PLAIN_SIGNS, ODD_SIGNS), max_size=4).map("".join)
SCHEMES = st.sampled_from(["postgres", "postgresql", "postgresql+psycopg2", "sqlite", "a-b", "x_y", "P"])


def perhaps(form: str) -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), TEXTS.map(form.format))


URIS = st.builds(
    "{}://{}{}{}{}{}".format,
    *(SCHEMES, perhaps("{}@"), TEXTS, st.sampled_from(["", ":1", ":54321", ":x"]), perhaps("/{}"), perhaps("?{}")),
)


@pytest.fixture(autouse=True)
def airflow_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an AIRFLOW_HOME without a configuration, in an environment that names a journal."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW__SECRETS", "AIRFLOW_CONFIG"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(VARIABLE, PLAIN[0])
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("uri", PLAIN)
def test_a_plain_uri_is_read_without_airflow_and_as_airflow_reads_it(uri: str) -> None:
    assert plain_url(uri) == airflow_url(Connection.from_uri(uri, conn_id="group_sync_journal"))


@given(URIS)
@example("postgres://a:b:c@h/d")
@example("postgres://a@b@h/d")
@example("postgres://h:99999/d")
@example("postgres://[::1]/d")
@example("postgres://h/a://b")
@example("postgres://h/a\tb")
@example("postgres://\u2100@h/d")  # a/c in one letter
def test_a_uri_is_read_as_airflow_reads_it_or_left_to_airflow(uri: str) -> None:
    found = plain_url(uri)
    assert found is None or found == airflow_url(Connection.from_uri(uri, conn_id="group_sync_journal"))


@pytest.mark.parametrize("value", ['{"conn_type": "postgres"}', "", " ", "nonsense", "postgres://h/d?__extra__=%7B%7D"])
def test_what_is_no_plain_uri_is_left_to_airflow(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert journal_in_environment() is None


def test_without_a_configuration_the_environment_counts() -> None:
    assert journal_in_environment() == make_url(PLAIN[0]).set(drivername="postgresql+psycopg2")


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("[core]\ndags_folder = /dags\n", True),
        ("[secrets]\nbackend =\nbackend_kwargs =\nuse_cache = False\n", True),
        ("[secrets]\nbackend = my.Backend\n", False),
        ("[secrets]\nbackend_cmd = echo my.Backend\n", False),
        ("[secrets]\nbackend_secret = some/path\n", False),
        ("[secrets]\nbackends_order = metastore,environment_variable\n", False),
        ("no configuration", False),
    ],
)
def test_a_secrets_backend_in_the_configuration_goes_first(text: str, counts: bool, airflow_home: Path) -> None:
    (airflow_home / "airflow.cfg").write_text(text)
    assert (journal_in_environment() is not None) is counts


def test_a_configuration_elsewhere_is_read_too(
    airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere.cfg").write_text("[secrets]\nbackend = my.Backend\n")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_CONFIG", "$FOLDER/elsewhere.cfg")
    assert journal_in_environment() is None
    monkeypatch.setenv("FOLDER", "$INNER")
    assert journal_in_environment() is None


@pytest.mark.parametrize("name", ["AIRFLOW__SECRETS__BACKEND", "AIRFLOW__SECRETS__BACKEND_CMD"])
def test_a_secrets_backend_in_the_environment_goes_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "my.Backend")
    assert journal_in_environment() is None


def test_the_configuration_that_airflow_writes_names_no_secrets_backend(airflow_home: Path) -> None:
    from airflow.configuration import conf

    with (airflow_home / "airflow.cfg").open("w") as file:
        conf.write(file, include_examples=True, include_descriptions=True, include_env_vars=True, only_defaults=True)
    assert journal_in_environment() is not None


# -- whole commands -----------------------------------------------------------------------------------


@pytest.fixture
def world(journal: Journal, journal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a journal that the environment names, and definitions beside it."""
    monkeypatch.setenv(VARIABLE, f"sqlite:///{make_url(journal_url).database}")
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "default.yaml").write_text(DEFINITION_TEXT)
    poll(journal, {"service": "ann"}, ann={"name": "Ann Anders"})
    map_groups(journal, "service")
    grant(journal, "service", "ann")
    return tmp_path


_PROGRAM = """
import sys
from genesys_ad_sync_airflow.cli.tree import main
code = main.main(sys.argv[1:], standalone_mode=False)
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
sys.exit(code)
"""


def run(*arguments: str) -> tuple[str, set[str]]:
    """Run a command in a process of its own; return what it prints, and the packages that it has loaded."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=False)
    *said, packages = done.stderr.splitlines()
    assert done.returncode in (0, 1), done.stderr
    assert not said, done.stderr
    return done.stdout, set(packages.split())


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("explain", "person", "Ann"),
        ("explain", "person", "Ann", "--json"),
        ("explain", "group", "service"),
        ("runs",),
        ("claims",),
        ("links",),
    ],
    ids=" ".join,
)
def test_a_command_that_only_looks_into_the_journal_loads_no_more_than_it_needs(
    command: tuple[str, ...], world: Path
) -> None:
    printed, loaded = run(*command)
    assert printed
    assert "sqlalchemy" in loaded
    assert loaded & {"airflow", "alembic", "fastapi", "httpx", "jinja2", "jsonschema", "ldap3", "requests"} == set()


def test_validate_loads_no_database_and_help_not_even_settings(world: Path) -> None:
    _, loaded = run("validate", str(world / "config" / "default.yaml"))
    assert loaded & {"airflow", "sqlalchemy", "jinja2", "ldap3", "requests"} == set()
    printed, loaded = run("--help")
    assert "validate" in printed
    assert loaded & {"airflow", "sqlalchemy", "pydantic", "yaml", "jinja2"} == set()


def test_a_secrets_backend_that_has_the_journal_wins_over_the_environment(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal.open(f"sqlite:///{tmp_path / 'other.db'}") as other:
        begin(other, "of-the-other")
    place = tmp_path / "connections.json"
    place.write_text(json.dumps({"group_sync_journal": f"sqlite:///{tmp_path / 'other.db'}"}))
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.secrets.local_filesystem.LocalFilesystemBackend")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"connections_file_path": str(place)}))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "runs", "--json"], capture_output=True, text=True, check=False
    )
    assert [one["run_id"] for one in json.loads(done.stdout)] == ["of-the-other"]
