"""The sandbox directory itself: that it is a real, verified Active Directory, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ldap3
import psutil
import pytest
from ldap3.core.exceptions import LDAPException
from ldap3.protocol.microsoft import show_deleted_control

from sandbox import active_directory, company
from sandbox.active_directory import SandboxDirectory, SandboxError, instances
from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    PEOPLE,
    AddGroup,
    AddMember,
    AddUser,
    Content,
    Delete,
    Disable,
    Enable,
    Group,
    Move,
    RemoveMember,
    Rename,
    SetAttributes,
    SetPrimaryGroup,
    User,
)

PROJECT = Path(__file__).parents[2]


def read(directory: SandboxDirectory, name: str, *attributes: str) -> dict[str, list[str]]:
    connection = directory.ldap()
    _, _, response, _ = connection.search(
        directory.dn_of(name), "(objectClass=*)", search_scope=ldap3.BASE, attributes=list(attributes)
    )
    connection.unbind()
    return {key: [value.decode() for value in values] for key, values in response[0]["raw_attributes"].items()}


def tombstones(directory: SandboxDirectory, account: active_directory.Account) -> int:
    connection = directory.ldap(account)
    _, _, response, _ = connection.search(
        f"CN=Deleted Objects,{directory.base_dn}",
        "(&(isDeleted=TRUE)(sAMAccountName=*))",
        search_scope=ldap3.LEVEL,
        attributes=["objectGUID"],
        controls=[show_deleted_control(True)],
    )
    connection.unbind()
    return sum(entry["type"] == "searchResEntry" for entry in response)


def gone(pid: int, within: float = 300.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


# -- connecting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["ldaps", "starttls"])
@pytest.mark.parametrize("account", ["admin", "reader", "limited"])
def test_each_account_binds_over_verified_tls(shared_directory, account, transport):
    connection = shared_directory.ldap(account, transport)
    ok, _, response, _ = connection.search(
        shared_directory.base_dn, "(objectClass=domain)", search_scope=ldap3.BASE, attributes=["dc"]
    )
    assert ok
    assert response[0]["raw_attributes"]["dc"] == [b"example"]
    connection.unbind()


@pytest.mark.parametrize("transport", ["ldaps", "starttls"])
def test_another_certificate_authority_is_refused(shared_directory, transport):
    with pytest.raises(LDAPException, match=r"(?i)certificate"):
        shared_directory.ldap("reader", transport, ca_certs_file=shared_directory.untrusted_ca_certs_file)


def test_a_bind_without_tls_is_refused(shared_directory):
    with pytest.raises(LDAPException, match="strongerAuthRequired"):
        shared_directory.ldap("reader", "plain")


def test_the_certificate_passes_the_strict_verification_of_python_3_13(shared_directory):
    context = ssl.create_default_context(cafile=shared_directory.ca_certs_file)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in (shared_directory.server_name, shared_directory.host):
        with (
            socket.create_connection((shared_directory.host, 636), timeout=300) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            assert secure.version() == "TLSv1.3"


def test_the_connection_is_what_airflow_needs(shared_directory):
    connection = shared_directory.connection("reader", "starttls")
    assert connection["conn_type"] == "active_directory"
    assert (connection["host"], connection["port"]) == (shared_directory.host, 389)
    assert connection["login"] == "svc-genesys-sync@example.com"
    assert connection["extra"]["server_name"] == "dc1.example.com"
    assert Path(connection["extra"]["ca_certs_file"]).is_file()


# -- what it holds ------------------------------------------------------------------------------------


def test_samba_answers_1600_members_at_once():
    with SandboxDirectory.start(users=1600, groups=1, memberships=1600) as directory:
        assert len(read(directory, "team-0001", "member")["member"]) == 1600


def test_every_name_of_the_company_survived_the_filling(shared_directory):
    content = company.content()
    connection = shared_directory.ldap()
    _, _, response, _ = connection.search(shared_directory.base_dn, "(cn=*)", attributes=["cn"])
    connection.unbind()
    names = [entry["raw_attributes"]["cn"][0].decode() for entry in response if entry["type"] == "searchResEntry"]
    assert {thing.cn for thing in content.objects()} <= set(names)


def test_the_truth_knows_nesting_cycles_primary_groups_and_who_is_no_person(shared_directory):
    truth = shared_directory.truth_by_name()
    assert truth["service"] == {
        "ralf.roth", "sara.schulz", "tarik.tuncer", "ulla.ulrich",
        "viktor.vogel", "wanda.wolf", "xaver.xylander", "yvonne.yilmaz",
    }  # fmt: skip
    assert truth["ring-a"] == truth["ring-b"] == truth["ring-c"]
    assert truth["ring-a"] == {"anna.arndt", "ralf.roth", "nina.nagel", "zoe.zander"}
    assert truth["dispatch"] == {"paul.peters", "paula.primus", "rosa.richter"}
    assert truth["mixed"] == {"emil.ernst", "eva.ebert", "fatma.fidan", "otto.oezdemir", "robot.dialer"}
    assert truth["empty"] == set()
    assert len(truth["all-agents"]) == company.AGENTS
    assert "service-altona" not in truth  # outside of the Contact Center
    assert set(company.PAIRS) < set(truth)


def test_the_truth_can_keep_disabled_accounts_and_leave_nesting_out(shared_directory):
    def members(name: str, **how) -> set[str]:
        groups = shared_directory.truth(CONTACT_CENTER, **how).values()
        return {person.sam for group in groups if group.sam == name for person in group.members.values()}

    assert {"fritz.falk", "greta.gold"} <= members("mixed", disabled="keep")
    assert members("service", nested_groups=False) == {"ralf.roth", "sara.schulz"}


def test_a_primary_group_is_not_in_the_member_attribute(shared_directory):
    members = read(shared_directory, "dispatch", "member")["member"]
    assert len(members) == 2
    assert not any("Paula" in member for member in members)


def test_the_group_that_carries_its_genesys_id_does(shared_directory):
    info = read(shared_directory, "escalations", company.GENESYS_ID_ATTRIBUTE)
    assert info == {company.GENESYS_ID_ATTRIBUTE: [company.genesys_id("group", "Escalations")]}


def test_only_the_reader_sees_tombstones(directory):
    assert tombstones(directory, "reader") == 0
    directory.apply([Delete("wanda.wolf"), Delete("coffee")])
    assert tombstones(directory, "reader") == 2
    assert tombstones(directory, "limited") == 0
    assert tombstones(directory, "admin") == 2


# -- changing it --------------------------------------------------------------------------------------


def test_the_changes_of_the_demo_arrive(directory):
    before = directory.truth_by_name()
    directory.apply(company.demo_changes())
    now = directory.truth_by_name()
    assert now["support"] - before["support"] == {"quirin.quast"}
    assert before["support"] - now["support"] == {"lena.lang", "klaus.kern", "georg.gross"}
    assert now["service"] - before["service"] == {"nora.neu", "luis.lopez"}
    assert before["service"] - now["service"] == {"wanda.wolf"}
    assert now["coffee"] == {"anna.arndt", "hanna.hess", "igor.iwanow"}
    assert "sandra.sommer" in now["dispatch"]
    assert "hans.huber" not in now["billing"]
    assert read(directory, "hanna.hess", "mail", "cn") == {
        "mail": ["hanna.hansen@example.com"],
        "cn": ["Hanna Heß-Hansen"],
    }


def test_the_check_tells_what_genesys_must_have_after_the_demo(directory):
    before = directory.truth_by_name()
    directory.apply(company.demo_changes())
    expected = company.expected_individuals(before, directory.truth_by_name())

    def members(group: str) -> set[str]:
        return expected[company.genesys_id("group", group)]

    def person(name: str) -> str:
        return company.genesys_id("user", name)

    seed = {group["name"]: set(group["individuals"]) for group in company.genesys_seed()["groups"]}
    for name in company.UNTOUCHED_GENESYS_GROUPS:
        assert members(name) == seed[name]
    assert members("Support") >= {person("quirin.quast"), person("klaus.kern"), person("Manual Mary")}
    assert not members("Support") & {person("lena.lang"), person("georg.gross"), person("Rule Rita")}
    assert members("Billing (ERP)") == {person("lena.lang"), person("mario.maier"), person("petra.pohl")}
    assert members("Mixed") == {person(name) for name in ("emil.ernst", "fatma.fidan", "otto.oezdemir", "greta.gold")}
    assert members("Empty") == {person("Manual Mary")}
    assert members("Twins") == {person("emil.ernst")}
    assert len(members("All Agents")) == company.AGENTS - 11 + 2  # eleven are unknown or inactive there


def test_awkward_objects_can_be_moved_renamed_and_deleted(directory):
    guid = directory.guid_of("karl.kuehn")
    directory.apply(
        [
            Move("karl.kuehn", OTHER_GROUPS),
            Move("xaver.xylander", OTHER_GROUPS),
            Rename("tier2", 'Tier "2" \\ (new), #1 '),
            Move("tier2", OTHER_GROUPS),
            Delete("harry.hash"),
        ]
    )
    assert directory.dn_of("karl.kuehn").endswith(OTHER_GROUPS)
    assert directory.guid_of("karl.kuehn") == guid
    assert read(directory, "tier2", "cn") == {"cn": ['Tier "2" \\ (new), #1 ']}
    assert "tier2" not in directory.truth_by_name()
    everywhere = {group.sam: group for group in directory.truth(directory.base_dn).values()}
    assert {person.sam for person in everywhere["tier2"].members.values()} == {
        "carla.nunez",
        "karl.kuehn",
        "zoe.zander",
    }


def test_an_empty_directory_takes_new_objects_of_every_kind_of_change(empty_directory):
    directory = empty_directory
    assert directory.truth() == {}
    directory.apply(
        [
            AddUser(User("a", "A, (a)", mail="a@example.com")),
            AddUser(User("b", "B", disabled=True)),
            AddUser(User("c", "C")),
            AddGroup(Group("inner", "Inner", ("a",), ou=OTHER_GROUPS)),
            AddGroup(Group("outer", "Outer", ("inner", "b", "c"))),
        ]
    )
    assert directory.truth_by_name() == {"outer": {"a", "c"}}
    directory.apply([Enable("b"), Disable("c"), RemoveMember("inner", "a")])
    assert directory.truth_by_name() == {"outer": {"b"}}
    directory.apply([AddMember("inner", "a"), AddMember("inner", "b"), SetPrimaryGroup("b", "inner")])
    directory.apply([RemoveMember("outer", "b"), SetAttributes("a", {"mail": None})])
    assert directory.truth_by_name() == {"outer": {"a", "b"}}
    directory.apply([RemoveMember("outer", "inner")])
    assert directory.truth_by_name() == {"outer": set()}
    assert read(directory, "a", "mail") == {}
    assert directory.dn_of("a") == f"CN=A\\, (a),{PEOPLE}"


def test_a_refused_change_says_so(shared_directory):
    with pytest.raises(SandboxError, match="RemoveMember"):
        shared_directory.apply([RemoveMember("empty", "anna.arndt")])
    with pytest.raises(SandboxError, match="0 objects are called 'nobody'"):
        shared_directory.dn_of("nobody")


def test_a_crowd_of_any_size_can_be_had(tmp_path):
    with SandboxDirectory.start(users=300, groups=20, memberships=1000, cache_dir=tmp_path) as directory:
        truth = directory.truth()
        assert len(truth) == 20
        assert sum(len(group.members) for group in truth.values()) == 1000
        assert max(len(group.members) for group in truth.values()) == 75


# -- living and dying ---------------------------------------------------------------------------------


def test_two_run_at_once_and_know_nothing_of_each_other(directory):
    with SandboxDirectory.start() as other:
        assert other.host != directory.host
        other.apply([RemoveMember("coffee", "anna.arndt")])
        assert "anna.arndt" not in other.truth_by_name()["coffee"]
        assert "anna.arndt" in directory.truth_by_name()["coffee"]
        with pytest.raises(LDAPException, match=r"(?i)certificate"):
            directory.ldap("reader", ca_certs_file=other.ca_certs_file)


def test_stopping_leaves_no_process_and_no_file():
    with SandboxDirectory.start() as directory:
        pid, path = directory.pid, directory.path
        assert pid is not None
        assert psutil.Process(pid).name() == "samba"
    assert not psutil.pid_exists(pid)
    assert not list(path.parent.glob(f"{path.name}*"))
    directory.stop()  # once more does no harm


def test_what_was_committed_is_there_after_a_kill(directory):
    directory.apply([RemoveMember("coffee", "anna.arndt")])
    host, pid = directory.host, directory.pid
    directory.kill()
    assert directory.pid is None
    with pytest.raises(LDAPException):
        directory.ldap()
    directory.restart()
    assert (directory.host, directory.pid) != (host, pid)
    assert directory.host == host
    assert "anna.arndt" not in directory.truth_by_name()["coffee"]


def test_a_frozen_one_does_not_answer_until_it_thaws(directory):
    connection = directory.ldap()
    directory.freeze()
    with socket.create_connection((directory.host, 636), timeout=60) as waiting:
        waiting.settimeout(0.3)
        context = ssl.create_default_context(cafile=directory.ca_certs_file)
        with pytest.raises(TimeoutError):
            context.wrap_socket(waiting, server_hostname=directory.server_name)
    directory.thaw()
    assert connection.search(directory.base_dn, "(objectClass=domain)", search_scope=ldap3.BASE)[0]


def test_a_frozen_one_can_be_stopped():
    with SandboxDirectory.start(empty=True) as directory:
        directory.freeze()
        process = directory._running()
    assert process.returncode not in (None, -signal.SIGKILL)  # that would be the last resort, after a wait
    assert not psutil.pid_exists(process.pid)


@pytest.fixture
def own_instances(monkeypatch):
    """Make a folder in which no other process looks for what is left over.

    Its path is short: Samba's sockets are in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(instances, "INSTANCES_DIR", Path(folder) / f"sandbox-directories-{os.geteuid()}")
        yield folder


@pytest.mark.parametrize("how", ["", "directory.freeze()", "import os; os.fork() or time.sleep(600)"])
def test_no_process_outlives_a_killed_parent_and_its_files_go_with_the_next_start(how, own_instances):
    program = (
        "import time\n"
        "from sandbox.active_directory import SandboxDirectory\n"
        "directory = SandboxDirectory.start(empty=True)\n"
        "print(directory.pid, directory.path, flush=True)\n"
        f"{how}\n"
        "print('done', flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(own_instances)},
    )
    assert parent.stdout is not None
    pid, path = parent.stdout.readline().split()
    assert parent.stdout.readline() == "done\n"  # it is frozen, or has forked
    assert psutil.pid_exists(int(pid))
    children = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert gone(int(pid))
    assert Path(path).exists()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(parent.pid, signal.SIGKILL)  # the forked child, which holds the lock
    assert all(gone(child.pid) for child in children)
    with SandboxDirectory.start(empty=True):
        assert not Path(path).exists()


def test_a_forked_child_that_exits_does_not_stop_its_parents_directory(directory):
    child = os.fork()
    if child == 0:
        directory.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert directory.pid is not None
    assert directory.path.exists()
    directory.ldap().unbind()


# -- what is missing ----------------------------------------------------------------------------------


def test_a_machine_without_samba_is_told_the_package(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(SandboxError, match="samba-ad-dc"):
        SandboxDirectory.start()


def test_a_user_who_is_not_root_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="needs root"):
        SandboxDirectory.start()


def test_a_filling_that_fails_leaves_no_template(tmp_path):
    content = Content(groups=(Group("one", "Same"), Group("two", "Same")))
    with pytest.raises(SandboxError, match="exists"):
        SandboxDirectory.start(content, cache_dir=tmp_path)
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir() if path.is_dir()] == ["domain"]
