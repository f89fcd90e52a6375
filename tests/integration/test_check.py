"""Each thing that a run needs is taken away in turn: exactly its line is a problem, and says what to do.

Against a real Samba and the Genesys sandbox; the journal and the report path are real, too.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, make_url, text

from genesys_ad_sync.doctor import Outcome
from genesys_ad_sync.doctor.catalogue import CATALOGUE
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.report import JournalStamp
from genesys_ad_sync_airflow.cli.tree import main
from genesys_ad_sync_airflow.journal_connection import journal_address
from genesys_ad_sync_airflow.task_context import report_store
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.check_world import FOLDER_OF_DEFINITIONS, CheckWorld, by_check, problems
from tests.support.postgresql import postgresql_server, postgresql_url  # noqa: F401 (fixtures)
from tests.support.rights import MEMBER, changed_rights
from tests.support.small_company import NAMES, content, definition_keys, genesys_id, genesys_seed

USER_ACCOUNT_CONTROL = "bf967a68-0de6-11d0-a285-00aa003049e2"  # schemaIDGUIDs
USER_CLASS = "bf967aba-0de6-11d0-a285-00aa003049e2"


@pytest.fixture(scope="module")
def small_directory() -> Iterator[SandboxDirectory]:
    with SandboxDirectory.start(content()) as directory:
        yield directory


@pytest.fixture
def world(small_directory: SandboxDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CheckWorld]:
    with (
        SandboxGenesys.start(genesys_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        ExitStack() as stack,
    ):
        made = CheckWorld(small_directory, genesys, tmp_path, monkeypatch, stack)
        made.prepare()
        yield made


def test_where_everything_is_there_no_line_is_a_problem_and_nothing_is_written(world: CheckWorld) -> None:
    journal = (world.folder / "journal.db").read_bytes()
    lines = world.check()
    assert problems(lines) == set()
    assert {line.check for line in lines} - CATALOGUE.keys() == set()
    assert {line.check for line in lines if line.outcome is Outcome.NOT_PROVEN} == {
        "genesys.private_groups",
        "genesys.write",
        "genesys.divisions",
        "genesys.rate_limit",
    }
    assert world.genesys.writes() == []
    assert (world.folder / "journal.db").read_bytes() == journal
    assert [path.name for path in (world.folder / "reports").rglob("*") if path.is_file()] == []


# -- the table ----------------------------------------------------------------------------------------


def _rights(ace: str, *where: str) -> Callable[[CheckWorld], None]:
    """Take a right from the account, on these DNs or sAMAccountNames."""

    def lose(world: CheckWorld) -> None:
        for one in where:
            dn = one if "=" in one else world.directory.dn_of(one)
            world.stack.enter_context(changed_rights(world.directory, dn, ace))

    return lose


def _two_hosts(world: CheckWorld) -> None:
    world.connect_directory(host=f"127.0.0.1:9,{world.directory.host}")


def _wrong_password(world: CheckWorld) -> None:
    world.connect_directory(password="wrong", host=f"{world.directory.host},127.0.0.1:9")


def _two_bases(world: CheckWorld) -> None:
    world.change("directory", group_base=[f"OU=Gone,{BASE_DN}", CONTACT_CENTER])


def _unseen_ntds_settings(world: CheckWorld) -> None:
    connection = world.directory.ldap()
    try:
        _, _, response, _ = connection.search("", "(objectClass=*)", "BASE", attributes=["dsServiceName"])
        dn = response[0]["raw_attributes"]["dsServiceName"][0].decode()
    finally:
        connection.unbind()
    _rights("(D;;RP;;;{who})", dn)(world)


def _dynamic(world: CheckWorld) -> None:
    world.genesys.change_group(genesys_id("Voice"), dynamic=True)


def _private_and_named(world: CheckWorld) -> None:
    voice = genesys_id("Voice")
    world.genesys.set_options(private_groups=[voice])
    world.keys["groups"] = [
        {"dn": world.directory.dn_of("voice"), "genesys_id": voice},
        {"attribute": "info", "genesys_id": "{value}"},
    ]


def _hidden_in_total(world: CheckWorld) -> None:
    world.genesys.set_options(private_groups=[genesys_id("Voice")], totals_count_hidden=True)


def _user_patch(world: CheckWorld) -> None:
    world.keys["genesys"] = {"write": "user_patch"}
    world.genesys.set_options(expand_groups="never")


def _external_ids(world: CheckWorld) -> None:
    world.keys["users"] = [
        {"directory": "mail", "genesys": "email"},
        {"directory": "employeeNumber", "genesys": "external_id", "authority": "HR"},
    ]
    world.genesys.add_fault("status", path="/api/v2/users/externalid/", status=403, times=None)


def _folder_in_place_of_reports(world: CheckWorld) -> None:
    shutil.rmtree(world.folder / "reports")
    (world.folder / "reports").write_text("no folder")


def _no_database(world: CheckWorld) -> None:
    (world.folder / "journal.db").write_bytes(b"not a database, and long enough to be taken for a header" * 4)


def _newer_journal(world: CheckWorld) -> None:
    with sqlite3.connect(world.folder / "journal.db") as connection:
        connection.execute("UPDATE journal_version SET version_num = '9999'")


def _moved_journal(world: CheckWorld) -> None:
    with sqlite3.connect(world.folder / "journal.db") as connection:
        connection.execute("UPDATE journal_meta SET moved_to = 'elsewhere', moved_at = '2026-11-01 00:00:00.000000'")


def _lost_journal(world: CheckWorld) -> None:
    report_store(world.definition).remember_journal("default", JournalStamp("another journal", 7))


def _gone_journal(world: CheckWorld) -> None:
    _lost_journal(world)
    (world.folder / "journal.db").unlink()


def _restored_journal(world: CheckWorld) -> None:
    with Journal.open(journal_address()) as journal:
        own = journal.identity()[0]
    report_store(world.definition).remember_journal("other", JournalStamp(own, 10_000))


def _claimed(world: CheckWorld) -> None:
    with sqlite3.connect(world.folder / "journal.db") as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(journal_claim)")]
        values = {"organisation": world.genesys.url, "genesys_group_id": genesys_id("Voice"), "definition": "rival",
                  "since": "2026-11-01 00:00:00.000000"}  # fmt: skip
        assert values.keys() <= set(columns)
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO journal_claim ({names}) VALUES ({marks})", list(values.values()))


def _same_names(world: CheckWorld) -> None:
    world.genesys.load_seed(
        {
            **genesys_seed(),
            "groups": [
                *genesys_seed()["groups"],
                *({"id": genesys_id(f"twin {number}"), "name": "Voice", "individuals": []} for number in (1, 2)),
            ],
        }
    )
    world.keys["groups"] = [{"name": "(?P<same>.+)", "genesys_name": "{same}"}]


def _nobody_known(world: CheckWorld) -> None:
    for name in NAMES:
        world.genesys.change_user(genesys_id(name), email=f"{name}@elsewhere.example")


def _broken_notifiers(world: CheckWorld) -> None:
    (world.folder / "config" / "notifiers.py").write_text("import there_is_no_such_module")


class Case(NamedTuple):
    """A breakage; the lines that are problems then; and words of text and remedy of the first of them."""

    breaks: Callable[[CheckWorld], None]
    problems: tuple[str, ...]
    text: str
    remedy: str


CASES = {
    # Active Directory
    "no connection to AD": Case(
        lambda world: world.monkeypatch.delenv("AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT"),
        ("directory.connection",), "no Airflow connection active_directory_default", "Correct the connection"),
    "a host that is down, and one that works": Case(
        _two_hosts, ("directory.host",), "refused", "the firewall from this worker"),
    "the only host": Case(
        lambda world: world.connect_directory(host="127.0.0.1:9"),
        ("directory.host",), "refused", "the firewall from this worker"),
    "an entry that is no host": Case(
        lambda world: world.connect_directory(host="dc one"),
        ("directory.host",), "not a DNS name", "Correct the entry dc one in `host`"),
    "an authority that did not sign": Case(
        lambda world: world.connect_directory(extra={"ca_certs_file": world.directory.untrusted_ca_certs_file}),
        ("directory.certificate",), "certificate does not verify", "`ca_certs_file`"),
    "another name in the certificate": Case(
        lambda world: world.connect_directory(extra={"server_name": "dc9.example.com"}),
        ("directory.certificate",), "certificate does not verify", "`server_name`"),
    "a file of authorities that is gone": Case(
        lambda world: world.connect_directory(extra={"ca_certs_file": "/nowhere/ca.pem"}),
        ("directory.connection",), "does not exist on this machine: /nowhere/ca.pem", "Correct the connection"),
    "a wrong password": Case(
        _wrong_password, ("directory.login",), "login or password is wrong", "Correct login and password"),
    "a base DN that is gone": Case(
        lambda world: world.connect_directory(extra={"base_dn": f"OU=Gone,{BASE_DN}"}),
        ("directory.base_dn",), "does not exist", "Correct `base_dn`"),
    "one group base of two": Case(
        _two_bases, ("directory.group_base",), "does not exist", "Correct `directory.group_base`"),
    "the right on the groups": Case(
        _rights("(D;;GA;;;{who})", "voice", "chat"), ("directory.groups", "mapping.groups"), "No group matches",
        "`directory.group_filter`"),
    "the right on the members": Case(
        _rights(f"(OD;;RP;{MEMBER};;{{who}})", "voice", "chat"), ("directory.members",), "No member is shown",
        "right to read `member`"),
    "the right on the state of accounts": Case(
        _rights(f"(OD;CIIO;RP;{USER_ACCOUNT_CONTROL};{USER_CLASS};{{who}})", BASE_DN), ("directory.accounts",),
        "may not read objectClass or userAccountControl", "right to read objectClass and userAccountControl"),
    "the right on deleted objects": Case(
        lambda world: world.connect_directory(
            login=world.directory.limited_login, password=world.directory.limited_password),
        ("directory.deleted_objects",), "does not see deleted objects", "List and Read on CN=Deleted Objects"),
    "the canary": Case(
        lambda world: world.change("directory", canary=f"CN=Gone,{BASE_DN}"),
        ("directory.canary",), "does not exist", "give back the right"),
    "the right on the database id": Case(
        _unseen_ntds_settings, ("directory.database_id",), "invocationId", "read access to CN=Sites"),
    # Genesys Cloud
    "no connection to Genesys": Case(
        lambda world: world.monkeypatch.delenv("AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT"),
        ("genesys.connection",), "no Airflow connection genesys_cloud_default",
        "Correct the connection"),
    "an unknown region": Case(
        lambda world: world.connect_genesys(host="eu-nowhere-1", extra={"api_url": "", "login_url": ""}),
        ("genesys.connection",), "Unknown Genesys Cloud region", "Correct the connection"),
    "a wrong client secret": Case(
        lambda world: world.connect_genesys(password="wrong"),
        ("genesys.token",), "refuses the OAuth client", "Check login and password"),
    "an address that is not allowed": Case(
        lambda world: world.genesys.set_options(address_is_allowed=False),
        ("genesys.token",), "IP address is not allowed", "list of allowed IP addresses"),
    "nothing that listens": Case(
        lambda world: world.connect_genesys(extra={"login_url": "http://127.0.0.1:9", "api_url": "http://127.0.0.1:9"}),
        ("genesys.token",), "cannot be reached", "the firewall"),
    "directory:group:edit": Case(
        lambda world: world.genesys.set_options(permissions=["directory:group:view", "directory:user:view"]),
        ("genesys.group_edit",), "lacks directory:group:edit",
        "Give the role of the OAuth client directory:group:edit"),
    "directory:group:view": Case(
        lambda world: world.genesys.set_options(permissions=["directory:group:edit", "directory:user:view"]),
        ("genesys.dynamic_groups",), "lacks directory:group:view", "directory:group:view"),
    "directory:user:view": Case(
        lambda world: world.genesys.set_options(permissions=["directory:group:edit", "directory:group:view"]),
        ("genesys.user_search", "mapping.people"), "lacks directory:user:view", "directory:user:view"),
    "a private group that the definition names": Case(
        _private_and_named, ("genesys.private_groups",), "The definition names this group", "Private Group > View"),
    "groups that the total counts and nobody sees": Case(
        _hidden_in_total, ("genesys.groups",), "1 of 2 entities were returned", "Private Group > View"),
    "a group with dynamic membership": Case(
        _dynamic, ("genesys.dynamic_groups",), "1 of 2 mapped groups", "end the dynamic membership"),
    "the groups of users, with user_patch": Case(
        _user_patch, ("genesys.groups_of_users",), "do not show their groups", "scim_patch"),
    "a listing that fails": Case(
        lambda world: world.genesys.add_fault("status", path="/api/v2/users$", status=404, times=None),
        ("genesys.users",), "does not exist", "directory:user:view"),
    "every group of the divisions": Case(
        lambda world: world.genesys.load_seed({**genesys_seed(), "groups": []}),
        ("genesys.groups", "mapping.groups"), "sees no group at all", "assign the role for each division"),
    "every user of the divisions": Case(
        lambda world: world.genesys.load_seed(
            {"users": [], "groups": [{**group, "individuals": []} for group in genesys_seed()["groups"]]}),
        ("genesys.user_search", "genesys.users", "mapping.people"), "finds no active user at all",
        "assign the role for each division"),
    "the look-up of external ids": Case(
        _external_ids, ("genesys.external_ids",), "", "directory:user:view"),
    # mapping
    "a definition that maps nothing": Case(
        lambda world: world.keys.update(groups=[{"attribute": "extensionAttribute9", "genesys_id": "{value}"}]),
        ("mapping.groups",), "0 of 2 AD groups feed 0 Genesys groups", "rules of `groups:`"),
    "two Genesys groups of one name": Case(
        _same_names, ("mapping.in_doubt",), "1 AD group", "Name the Genesys group by its id"),
    "a rival definition": Case(_claimed, ("mapping.claims",), "another definition: 1 Genesys group", "release_claim"),
    "people whom Genesys knows by another mail": Case(
        _nobody_known, ("mapping.people",), "5 without a Genesys user", "rules of `users:`"),
    # journal and reports
    "the folder of the journal": Case(
        lambda world: world.set_journal(f"sqlite:///{world.folder}/gone/journal.db"),
        ("journal.place",), "does not exist. Create it", "group_sync_journal"),
    "a journal that is no database": Case(_no_database, ("journal.place",), "not a database", "group_sync_journal"),
    "a journal of a newer version": Case(
        _newer_journal, ("journal.tables",), "its tables are at 9999", "Install the newer version"),
    "a journal that was moved": Case(_moved_journal, ("journal.place",), "moved to elsewhere", "group_sync_journal"),
    "a database that does not answer": Case(
        lambda world: world.set_journal("postgresql://sync:secret@127.0.0.1:9/journal"),
        ("journal.place",), "cannot be used", "group_sync_journal"),
    "a journal that was lost": Case(_lost_journal, ("journal.identity",), "A different", "The journal was lost"),
    "a journal that is gone, while its reports are there": Case(
        _gone_journal, ("journal.identity",), "this place has none", "The journal was lost"),
    "a journal from a backup": Case(
        _restored_journal, ("journal.identity",), "restored from a backup", "docs/operation.md"),
    "the report path": Case(
        _folder_in_place_of_reports, ("reports.path",), "Reports cannot be written to", "Set `report.path`"),
    # Airflow
    "a Fernet key that is none": Case(
        lambda world: world.monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "no key"),
        ("airflow.fernet_key",), "not a Fernet key", "same key on all machines"),
    "an approver whom Airflow does not know": Case(
        lambda world: world.keys.update(approvers=["olivia", "nemo"]),
        ("airflow.approvers",), "1 of 2 are not users", "Compare `approvers:`"),
    "notifiers that cannot be loaded": Case(
        _broken_notifiers, ("airflow.notifiers",), "ModuleNotFoundError", "or `notifiers.py` as"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_taken_away_is_its_line_with_its_remedy_and_no_other(world: CheckWorld, name: str) -> None:
    case = CASES[name]
    before = {line.check for line in world.check()}
    case.breaks(world)
    lines = world.check()
    assert problems(lines) == set(case.problems), [line for line in lines if line.outcome is Outcome.PROBLEM]
    line = next(line for line in lines if line.check == case.problems[0] and line.outcome is Outcome.PROBLEM)
    assert case.text in line.text
    assert case.remedy in (line.what_to_do or "")
    # the others were tried all the same, or say why not
    optional = {"mapping.missing", "mapping.unmapped", "mapping.causes", "mapping.in_doubt", "directory.certificate"}
    optional |= {"directory.login", "directory.clock", "journal.shared"}
    assert before - {line.check for line in lines} <= optional
    assert world.genesys.writes() == []


def test_nothing_that_is_taken_away_names_a_person_in_text_or_remedy(world: CheckWorld) -> None:
    world.genesys.change_user(genesys_id("ann"), email="other@example.com")
    world.genesys.change_user(genesys_id("bob"), state="inactive")
    said = json.dumps([(line.text, line.what_to_do) for line in world.check()])
    assert "2 people" not in said
    assert "1 person: The Genesys user is inactive." in said
    assert "1 person: No Genesys user has the email of AD (mail at example.com)." in said
    assert [name for name in NAMES if f"{name}@" in said.lower()] == []


def test_after_a_refused_login_no_other_domain_controller_is_tried(world: CheckWorld) -> None:
    _wrong_password(world)
    lines = by_check(world.check())
    assert [(line.outcome, line.about) for line in lines["directory.host"]] == [
        (Outcome.OK, world.directory.host),
        (Outcome.NOT_PROVEN, "127.0.0.1"),
    ]
    assert "locking the account" in lines["directory.host"][1].text
    assert [line.outcome for line in lines["directory.dirsync"]] == [Outcome.NOT_PROVEN]


def test_a_host_that_works_is_used_after_one_that_is_down(world: CheckWorld) -> None:
    _two_hosts(world)
    lines = by_check(world.check())
    assert [(line.outcome, line.about) for line in lines["directory.host"]] == [
        (Outcome.PROBLEM, "127.0.0.1"),
        (Outcome.OK, world.directory.host),
    ]
    assert lines["directory.groups"][0].outcome is Outcome.OK
    assert lines["mapping.people"][0].outcome is Outcome.OK


def test_groups_below_the_other_base_are_read_when_one_base_is_gone(world: CheckWorld) -> None:
    _two_bases(world)
    lines = by_check(world.check())
    assert lines["directory.groups"][0].text == "2 groups with 5 members in all."


def test_a_journal_is_neither_made_nor_upgraded(world: CheckWorld) -> None:
    (world.folder / "journal.db").unlink()
    assert problems(world.check()) == set()
    assert not (world.folder / "journal.db").exists()

    with Journal.open(journal_address()):
        pass
    with sqlite3.connect(world.folder / "journal.db") as connection:
        connection.execute("UPDATE journal_version SET version_num = '0003'")
    [line] = by_check(world.check())["journal.tables"]
    assert (line.outcome, "0003" in line.text) == (Outcome.NOTE, True)
    with sqlite3.connect(world.folder / "journal.db") as connection:
        assert connection.execute("SELECT version_num FROM journal_version").fetchall() == [("0003",)]


def test_the_limit_of_requests_is_told(world: CheckWorld) -> None:
    world.genesys.set_options(rate_allowed=200)
    [line] = by_check(world.check())["genesys.rate_limit"]
    assert line.outcome is Outcome.OK
    assert line.text.startswith("200 requests a window; ")


# -- the command --------------------------------------------------------------------------------------


def _command(world: CheckWorld, *options: str) -> Result:
    """Run `check` on the world's definition."""
    keys = {**definition_keys(), **world.keys, "report": {"path": (world.folder / "reports").as_uri()}}
    (world.folder / FOLDER_OF_DEFINITIONS / "default.yaml").write_text(yaml.safe_dump({**keys, "dry_run": False}))
    return CliRunner().invoke(main, ["check", *options])


def test_the_command_ends_with_0_and_prints_what_is_not_ok(world: CheckWorld) -> None:
    done = _command(world)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("default: No problem was found. 4 lines are not proven.")
    assert "genesys.write" in done.stdout
    assert "genesys.token" not in done.stdout
    assert "genesys.token" in _command(world, "--all").stdout


def test_the_command_ends_with_1_where_a_line_is_a_problem(world: CheckWorld) -> None:
    world.genesys.set_options(address_is_allowed=False)
    page = world.folder / "page.html"
    done = _command(world, "--html", str(page))
    assert done.exit_code == 1
    assert "→ Put the address by which this machine reaches the internet" in " ".join(done.stdout.split())
    assert "IP address is not allowed" in page.read_text()
    [document] = json.loads(_command(world, "--json").stdout)
    assert [line["check"] for line in document["lines"] if line["outcome"] == "problem"] == ["genesys.token"]


def test_a_definition_that_cannot_be_read_is_a_line_and_the_others_are_checked(world: CheckWorld) -> None:
    (world.folder / FOLDER_OF_DEFINITIONS / "broken.yaml").write_text("directory: {group_bass: x}")
    done = _command(world, "--json")
    broken, good = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [(line["check"], line["outcome"]) for line in broken["lines"]] == [("airflow.definition", "problem")]
    assert "group_bass" in broken["lines"][0]["text"]
    assert good["counts"]["problem"] == 0
    assert _command(world, "--definition", "default").exit_code == 0
    assert "There is no sync definition nothing" in _command(world, "--definition", "nothing").stderr


def test_the_journal_on_postgresql_is_tried_and_left_as_it_was(world: CheckWorld, postgresql_url: str) -> None:  # noqa: F811
    world.set_journal(postgresql_url)
    assert by_check(world.check())["journal.tables"][0].text == "There is no journal yet. The first run creates it."
    with Journal.open(journal_address()):
        pass
    lines = by_check(world.check())
    keys = ("journal.place", "journal.tables", "journal.write", "journal.size", "journal.shared", "journal.identity")
    assert {key: lines[key][0].outcome for key in keys} == dict.fromkeys(keys, Outcome.OK)
    assert not lines["journal.size"][0].text.startswith("0.0")

    url = make_url(postgresql_url)
    looker = f"looker_{uuid.uuid4().hex[:8]}"  # roles are the server's, not the database's
    engine = create_engine(url.set(drivername="postgresql+psycopg2"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {looker} LOGIN PASSWORD 'x'"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {looker}"))
        assert connection.execute(text("SELECT to_regclass('genesys_ad_sync_check')")).scalar() is None
    engine.dispose()
    world.set_journal(url.set(username=looker, password="x").render_as_string(hide_password=False))
    lines = by_check(world.check())
    assert lines["journal.place"][0].outcome is Outcome.OK
    assert lines["journal.write"][0].outcome is Outcome.PROBLEM
    assert "permission denied" in lines["journal.write"][0].text
