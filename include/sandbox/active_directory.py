"""A throwaway Active Directory: a Samba domain controller of its own on a loopback address, with verified TLS.

    with SandboxDirectory.start() as directory:
        directory.connection()                            # for Airflow
        directory.apply([AddMember("support", "paul.peters")])
        directory.truth(CONTACT_CENTER)                   # who is in which group, told without product code

It is provisioned and filled once; later starts copy that (the *template*) and take less than a second.
Knows nothing of the product. Needs root and Debian's samba-ad-dc; see reference/active-directory.md §1.
``python -m include.sandbox.active_directory`` runs one in the foreground.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import datetime
import fcntl
import functools
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, safe_rdn

from include.sandbox import company
from include.sandbox.certificates import CertificateAuthority
from include.sandbox.directory_objects import (
    BASE_DN,
    CONTACT_CENTER,
    NETBIOS_DOMAIN,
    OBJECT_CLASSES,
    ORGANIZATIONAL_UNITS,
    REALM,
    AddGroup,
    AddMember,
    AddUser,
    Change,
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
)

HOST_NAME = "dc1"
SERVER_NAME = f"{HOST_NAME}.{REALM.lower()}"
ADMIN_LOGIN = f"administrator@{REALM.lower()}"
# Passwords of a directory that only this machine reaches and that is gone after the test.
ADMIN_PASSWORD = "Passw0rd!sandbox"
READER_NAME = "svc-genesys-sync"
READER_PASSWORD = "Passw0rd!reader"
LIMITED_NAME = "svc-limited"
LIMITED_PASSWORD = "Passw0rd!limited"

CACHE_DIR_VARIABLE = "GENESYS_AD_SYNC_SANDBOX_DIR"
DEFAULT_CACHE_DIR = Path(__file__).parents[2] / ".sandbox"
# Short, because Samba puts Unix sockets there, and those paths may have 107 characters.
INSTANCES_DIR = Path(tempfile.gettempdir()) / f"sandbox-directories-{os.geteuid()}"
SYSTEM_PYTHON = "/usr/bin/python3"
FILL_SCRIPT = Path(__file__).with_name("directory_fill.py")

START_TIMEOUT = 180.0  # seconds
STOP_TIMEOUT = 60.0
TRIES_FOR_AN_ADDRESS = 50
ACCOUNT_DISABLED = 0x0002  # bit of userAccountControl

Transport = Literal["ldaps", "starttls", "plain"]
Account = Literal["reader", "limited", "admin"]


T = TypeVar("T")


class SandboxError(Exception):
    """The sandbox directory cannot be started or changed. The text says why and what to do."""


@dataclass(frozen=True)
class Person:
    """A user in `truth`."""

    guid: str
    dn: str
    sam: str
    mail: str | None


@dataclass(frozen=True)
class TruthGroup:
    """A group in `truth`: its effective members by objectGUID, nesting and primary group included."""

    guid: str
    dn: str
    sam: str
    members: Mapping[str, Person] = field(default_factory=dict)


class SandboxDirectory:
    """A running domain controller. Made by `start`; a context manager that stops it."""

    base_dn = BASE_DN
    group_base = CONTACT_CENTER
    admin_login = ADMIN_LOGIN
    admin_password = ADMIN_PASSWORD
    # An ordinary account that may read CN=Deleted Objects, and one that may not.
    reader_login = f"{READER_NAME}@{REALM.lower()}"
    reader_password = READER_PASSWORD
    limited_login = f"{LIMITED_NAME}@{REALM.lower()}"
    limited_password = LIMITED_PASSWORD

    def __init__(
        self, path: Path, host: str, lock: int, host_name: str = HOST_NAME, ca: CertificateAuthority | None = None
    ) -> None:
        self.path = path
        self.host = host
        self.host_name = host_name
        self.server_name = f"{host_name}.{REALM.lower()}"
        self._lock = lock
        self._owner = os.getpid()
        self._process: subprocess.Popen[bytes] | None = None
        self.ca = ca or CertificateAuthority.create("Sandbox directory CA")
        tls = path / "private" / "tls"
        tls.mkdir(exist_ok=True)
        self.ca_certs_file = str(self.ca.write_certificate(tls / "ca.pem"))
        self.ca.issue(self.server_name, host, tls / "cert.pem", tls / "key.pem")
        other = CertificateAuthority.create("Some other CA")
        self.untrusted_ca_certs_file = str(other.write_certificate(path / "untrusted-ca.pem"))

    # -- life ---------------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        content: Content | None = None,
        *,
        empty: bool = False,
        users: int = 0,
        groups: int = 0,
        memberships: int = 0,
        replicating: bool = False,
        cache_dir: Path | None = None,
    ) -> SandboxDirectory:
        """Starts a fresh copy of the company's directory (`company.content`), of ``content``, of a directory with
        base accounts and OUs only (``empty``), or of a crowd of ``users``, ``groups`` and ``memberships``.

        ``replicating``: other domain controllers may `join` it. Returns when a verified LDAPS bind works. Raises
        SandboxError.
        """
        if content is None:
            if empty:
                content = Content()
            elif users or groups or memberships:
                content = company.crowd(users, groups, memberships)
            else:
                content = company.content()
        check_prerequisites()
        template = Template(content, cache_dir).build()
        directory = cls._copy(template, replicating)
        atexit.register(directory.stop)
        try:
            directory.run()
        except BaseException:
            directory.stop()
            raise
        return directory

    @classmethod
    def _copy(cls, template: Path, replicating: bool) -> SandboxDirectory:
        path, host, lock = _new_instance()
        try:
            _copy_tree(template, path)
            write_smb_conf(path, host, replicating=replicating)
            return cls(path, host, lock)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            _lock_path(path).unlink(missing_ok=True)
            os.close(lock)
            raise

    def join(self, host_name: str = "dc2") -> SandboxDirectory:
        """Another domain controller of this domain, which must have been started with ``replicating``. Takes some
        seconds. It trusts the same certificate authority, and hears of changes only by `replicate_from`."""
        path, host, lock = _new_instance()
        try:
            write_smb_conf(path, host, host_name=host_name, replicating=True)
            _output(
                [
                    "samba-tool", "domain", "join", REALM.lower(), "DC", f"--server={self.host}", "--use-kerberos=off",
                    "--dns-backend=NONE", "-s", str(path / "smb.conf"), "--quiet",
                    f"-U{NETBIOS_DOMAIN}\\administrator%{ADMIN_PASSWORD}",
                ]
            )  # fmt: skip
            other = SandboxDirectory(path, host, lock, host_name, self.ca)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            _lock_path(path).unlink(missing_ok=True)
            os.close(lock)
            raise
        atexit.register(other.stop)
        try:
            other.run()
        except BaseException:
            other.stop()
            raise
        return other

    def replicate_from(self, other: SandboxDirectory) -> None:
        """Hears of everything that the other domain controller of the domain knows now."""
        _output(
            [
                "samba-tool", "drs", "replicate", self.host, other.host, BASE_DN, "--local",
                "-s", str(self.path / "smb.conf"), "--use-kerberos=off",
                f"-U{NETBIOS_DOMAIN}\\administrator%{ADMIN_PASSWORD}",
            ]
        )  # fmt: skip

    def copy_of_database(self) -> Path:
        """A copy of the stopped domain controller's database, as a virtual machine's snapshot is. See `put_back`."""
        self._end_process(signal.SIGTERM)
        copy = self.path.with_name(f"{self.path.name}.copy")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        _copy_tree(self.path / "private", copy)
        self.run()
        return copy

    def put_back(self, copy: Path) -> None:
        """The domain controller runs with the old database again: an unsupported restore, a *USN rollback*."""
        self._end_process(signal.SIGTERM)
        shutil.rmtree(self.path / "private")
        (self.path / "private").mkdir(mode=0o700)
        _copy_tree(copy, self.path / "private")
        shutil.rmtree(copy)
        self.run()

    def __enter__(self) -> SandboxDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The domain controller's process, None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def run(self) -> None:
        """Runs the domain controller and waits until a verified LDAPS bind works."""
        # Samba ends by itself when its standard input, a pipe, is closed: when this process is gone, however it
        # went. A stopped (frozen) Samba would not notice; so the kernel kills it, too. That signal comes when the
        # *thread* that started it ends, so it is only asked for by the main thread.
        keeper = ["setpriv", "--pdeathsig", "KILL"] if threading.current_thread() is threading.main_thread() else []
        command = [*keeper, "samba", "-i", "-M", "single", "-s", str(self.path / "smb.conf"), "--debug-stdout"]
        with (self.path / "samba.out").open("ab") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=_environment()
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.pid is not None:
            try:
                socket.create_connection((self.host, 636), timeout=5).close()
                self.ldap().unbind()
                return
            except (OSError, LDAPException) as error:
                if time.monotonic() > deadline:
                    raise SandboxError(f"samba did not answer within {START_TIMEOUT:.0f} s: {self._log()}") from error
            time.sleep(0.01)
        raise SandboxError(f"samba ended at its start: {self._log()}")

    def _log(self) -> str:
        return (self.path / "samba.out").read_text(errors="replace")[-2000:]

    def stop(self) -> None:
        """Ends the domain controller and removes its directory. May be called twice."""
        if os.getpid() != self._owner:
            return  # a forked child comes here when it exits; the directory is its parent's
        atexit.unregister(self.stop)
        self._end_process(signal.SIGTERM)
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            _lock_path(self.path).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1

    def kill(self) -> None:
        """SIGKILL, as when a domain controller loses power. What was committed is there after `restart`."""
        self._end_process(signal.SIGKILL)

    def restart(self) -> None:
        """Runs it again at the same address, with the same data and certificate."""
        self._end_process(signal.SIGTERM)
        self.run()

    def freeze(self) -> None:
        """SIGSTOP: connections are accepted by the kernel, and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise SandboxError("the sandbox directory does not run; restart() it")
        return self._process

    def _end_process(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen one would never see SIGTERM
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()

    # -- connections --------------------------------------------------------------------------------------

    def connection(self, account: Account = "reader", transport: Transport = "ldaps") -> dict[str, Any]:
        """What an Airflow connection of type active_directory needs, as in ``AIRFLOW_CONN_…='{…}'``."""
        login, password = self._credentials(account)
        return {
            "conn_type": "active_directory",
            "host": self.host,
            "port": 636 if transport == "ldaps" else 389,
            "login": login,
            "password": password,
            "extra": {
                "transport": transport,
                "ca_certs_file": self.ca_certs_file,
                "server_name": self.server_name,
                "base_dn": self.base_dn,
            },
        }

    def _credentials(self, account: Account) -> tuple[str, str]:
        return {
            "reader": (self.reader_login, self.reader_password),
            "limited": (self.limited_login, self.limited_password),
            "admin": (self.admin_login, self.admin_password),
        }[account]

    def ldap(
        self, account: Account = "admin", transport: Transport = "ldaps", ca_certs_file: str | None = None
    ) -> ldap3.Connection:
        """A bound ldap3 connection, SAFE_SYNC: each call returns (ok, result, response, request).
        Raises LDAPException, also when the certificate does not verify."""
        login, password = self._credentials(account)
        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED,
            ca_certs_file=ca_certs_file or self.ca_certs_file,
            valid_names=[self.server_name],
        )
        secure = transport == "ldaps"
        server = ldap3.Server(
            self.host, port=636 if secure else 389, use_ssl=secure, tls=tls, get_info=ldap3.NONE, connect_timeout=60
        )
        return ldap3.Connection(
            server,
            user=login,
            password=password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND if transport == "starttls" else ldap3.AUTO_BIND_NO_TLS,
            receive_timeout=60,
            auto_range=False,
            return_empty_attributes=False,
        )

    # -- changes ------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change]) -> None:
        """Makes the changes, one after the other. Raises SandboxError at the first that is refused."""
        connection = self.ldap()
        try:
            for change in changes:
                _apply(connection, change)
        finally:
            connection.unbind()

    def dn_of(self, name: str) -> str:
        """Today's DN of the object with that sAMAccountName (a contact: cn). Raises SandboxError."""
        return self._with_connection(lambda connection: _dn_of(connection, name))

    def guid_of(self, name: str) -> str:
        """objectGUID of the object with that sAMAccountName (a contact: cn). Raises SandboxError."""
        return self._with_connection(lambda connection: _guid(_find(connection, name)))

    def clock(self) -> datetime.datetime:
        """The domain controller's time (``currentTime`` of the root DSE): whole seconds, cut off."""
        return self._with_connection(_current_time)

    def tick(self) -> datetime.datetime:
        """Wait until the domain controller's clock shows another second; return that second.

        What was changed before has an earlier time, what is changed afterwards this one or a later one.
        """

        def next_second(connection: ldap3.Connection) -> datetime.datetime:
            before = now = _current_time(connection)
            while now == before:
                time.sleep(0.02)
                now = _current_time(connection)
            return now

        return self._with_connection(next_second)

    def link_metadata(self, name: str) -> list[bytes]:
        """What Active Directory would answer for ``msDS-ReplValueMetaData`` of the group with that name or GUID, made
        from Samba's own records, which it does not show over LDAP. With the quirks of the real thing: a NUL at the
        end, `&` as it is, and values of other attributes."""
        base = f"<GUID={name}>" if len(name) == 36 else self.dn_of(name)
        listed = _output(
            ["ldbsearch", "-H", str(self.path / "private" / "sam.ldb"), "-s", "base", "-b", base, "member",
             "--extended-dn", "--reveal", "--show-deactivated-link"]
        )  # fmt: skip
        lines = listed.replace("\n ", "").splitlines()
        records = [_link_record(_ldif_value(line)) for line in lines if line.startswith("member:")]
        if records:
            records.append(records[0].replace(b">member<", b">msDS-RevealedDSAs<"))
        return records

    def _with_connection(self, question: Callable[[ldap3.Connection], T]) -> T:
        connection = self.ldap()
        try:
            return question(connection)
        finally:
            connection.unbind()

    # -- truth --------------------------------------------------------------------------------------------

    def truth(
        self,
        base: str = CONTACT_CENTER,
        group_filter: str = "(objectClass=group)",
        disabled: Literal["remove", "keep"] = "remove",
        nested_groups: bool = True,
    ) -> dict[str, TruthGroup]:
        """Effective members of each group under ``base``, by objectGUID. An oracle for tests: it reads the
        directory in its own, simplest way and shares no code with the product. Contacts and computers are no
        people; members by primaryGroupID are members."""
        connection = self.ldap()
        try:
            in_scope = {_guid(entry) for entry in _search(connection, base, group_filter, [])}
            groups = _search(connection, BASE_DN, "(objectClass=group)", ["sAMAccountName", "member", "objectSid"])
            users = _search(
                connection,
                BASE_DN,
                "(&(objectClass=user)(!(objectClass=computer)))",
                ["sAMAccountName", "mail", "userAccountControl", "primaryGroupID"],
            )
        finally:
            connection.unbind()
        people: dict[str, Person] = {}
        by_primary_group: dict[int, list[str]] = {}
        for entry in users:
            if disabled == "keep" or not int(_text(entry, "userAccountControl") or 0) & ACCOUNT_DISABLED:
                dn = entry["dn"]
                people[dn] = Person(_guid(entry), dn, _text(entry, "sAMAccountName") or "", _text(entry, "mail"))
                by_primary_group.setdefault(int(_text(entry, "primaryGroupID") or 0), []).append(dn)
        direct: dict[str, list[str]] = {}
        for entry in groups:
            rid = int.from_bytes(entry["raw_attributes"]["objectSid"][0][-4:], "little")
            listed = [value.decode() for value in entry["raw_attributes"].get("member", [])]
            direct[entry["dn"]] = listed + by_primary_group.get(rid, [])

        def people_of(group_dn: str) -> dict[str, Person]:
            found: dict[str, Person] = {}
            seen, waiting = {group_dn}, [group_dn]
            while waiting:
                for dn in direct[waiting.pop()]:
                    if dn in people:
                        found[people[dn].guid] = people[dn]
                    elif nested_groups and dn in direct and dn not in seen:
                        seen.add(dn)
                        waiting.append(dn)
            return found

        return {
            _guid(entry): TruthGroup(
                _guid(entry), entry["dn"], _text(entry, "sAMAccountName") or "", people_of(entry["dn"])
            )
            for entry in groups
            if _guid(entry) in in_scope
        }

    def truth_by_name(self) -> dict[str, set[str]]:
        """`truth` of the Contact Center as sAMAccountNames: what `company.expected_individuals` takes."""
        return {group.sam: {person.sam for person in group.members.values()} for group in self.truth().values()}


# -- LDAP, in small -----------------------------------------------------------------------------------


def _current_time(connection: ldap3.Connection) -> datetime.datetime:
    _, _, response, _ = connection.search("", "(objectClass=*)", search_scope=ldap3.BASE, attributes=["currentTime"])
    text = _text(response[0], "currentTime") or ""
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%S.0Z").replace(tzinfo=datetime.timezone.utc)


def _search(connection: ldap3.Connection, base: str, search_filter: str, attributes: list[str]) -> list[dict[str, Any]]:
    # Samba has no limit of entries or values in one answer (reference §3g): neither pages nor ranges are needed.
    ok, result, response, _ = connection.search(base, search_filter, attributes=["objectGUID", *attributes])
    if not ok and result["result"] != 0:
        raise SandboxError(f"search below {base}: {result['description']} {result['message']}")
    return [entry for entry in response if entry["type"] == "searchResEntry"]


def _find(connection: ldap3.Connection, name: str) -> dict[str, Any]:
    value = escape_filter_chars(name)
    found = _search(connection, BASE_DN, f"(|(sAMAccountName={value})(&(objectClass=contact)(cn={value})))", [])
    if len(found) != 1:
        raise SandboxError(f"{len(found)} objects are called {name!r} in the sandbox directory")
    return found[0]


def _dn_of(connection: ldap3.Connection, name: str) -> str:
    return str(_find(connection, name)["dn"])


def _guid(entry: Mapping[str, Any]) -> str:
    return str(uuid.UUID(bytes_le=entry["raw_attributes"]["objectGUID"][0]))


def _text(entry: Mapping[str, Any], attribute: str) -> str | None:
    values = entry["raw_attributes"].get(attribute, [])
    return values[0].decode() if values else None


def _ldif_value(line: str) -> str:
    """The value of an LDIF line."""
    value = line.partition(":")[2]
    return base64.b64decode(value[1:]).decode() if value.startswith(":") else value.strip()


def _link_record(value: str) -> bytes:
    fields = dict(re.findall(r"<(\w+)=([^>]*)>", value))
    dn = value.rpartition(">;")[2]
    deleted = int(fields.get("RMD_FLAGS", "0")) & 1
    changed = _windows_time(fields["RMD_CHANGETIME"])
    return (
        "<DS_REPL_VALUE_META_DATA>\n\t<pszAttributeName>member</pszAttributeName>\n"
        f"\t<pszObjectDn>{dn}</pszObjectDn>\n\t<cbData>0</cbData>\n\t<pbData></pbData>\n"
        f"\t<ftimeDeleted>{changed if deleted else '1601-01-01T00:00:00Z'}</ftimeDeleted>\n"
        f"\t<ftimeCreated>{_windows_time(fields['RMD_ADDTIME'])}</ftimeCreated>\n"
        f"\t<dwVersion>{fields['RMD_VERSION']}</dwVersion>\n"
        f"\t<ftimeLastOriginatingChange>{changed}</ftimeLastOriginatingChange>\n"
        f"\t<usnOriginatingChange>{fields['RMD_ORIGINATING_USN']}</usnOriginatingChange>\n"
        "</DS_REPL_VALUE_META_DATA>\n\0"
    ).encode()


def _windows_time(text: str) -> str:
    """100 ns since 1601, as the XML has it."""
    moment = datetime.datetime(1601, 1, 1) + datetime.timedelta(microseconds=int(text) // 10)  # noqa: DTZ001 (of UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _apply(connection: ldap3.Connection, change: Change) -> None:
    if isinstance(change, AddUser):
        user = change.user
        _check(change, connection.add(user.dn, ["user"], user.attributes()))
        if user.primary_group is not None:
            _apply(connection, AddMember(user.primary_group, user.sam))
            _apply(connection, SetPrimaryGroup(user.sam, user.primary_group))
    elif isinstance(change, AddGroup):
        group = change.group
        _check(change, connection.add(group.dn, ["group"], group.attributes()))
        if group.members:
            members = [_dn_of(connection, member) for member in group.members]
            _modify(connection, change, group.dn, "member", ldap3.MODIFY_ADD, members)
    elif isinstance(change, (AddMember, RemoveMember)):
        how = ldap3.MODIFY_ADD if isinstance(change, AddMember) else ldap3.MODIFY_DELETE
        group_dn, member_dn = _dn_of(connection, change.group), _dn_of(connection, change.member)
        _modify(connection, change, group_dn, "member", how, [member_dn])
    elif isinstance(change, Delete):
        _check(change, connection.delete(_dn_of(connection, change.name)))
    elif isinstance(change, Rename):
        _check(change, connection.modify_dn(_dn_of(connection, change.name), f"CN={escape_rdn(change.cn)}"))
    elif isinstance(change, Move):
        dn = _dn_of(connection, change.name)
        _check(change, connection.modify_dn(dn, safe_rdn(dn)[0], new_superior=change.ou))
    elif isinstance(change, SetAttributes):
        dn = _dn_of(connection, change.name)
        for attribute, value in change.values.items():
            values = [] if value is None else [value]
            _modify(connection, change, dn, attribute, ldap3.MODIFY_REPLACE, values)
    elif isinstance(change, (Disable, Enable)):
        entry = _find(connection, change.name)
        found = _search_one(connection, entry["dn"], ["userAccountControl"])
        flags = int(_text(found, "userAccountControl") or 0)
        flags = flags | ACCOUNT_DISABLED if isinstance(change, Disable) else flags & ~ACCOUNT_DISABLED
        _modify(connection, change, entry["dn"], "userAccountControl", ldap3.MODIFY_REPLACE, [str(flags)])
    elif isinstance(change, SetPrimaryGroup):
        group_entry = _search_one(connection, _dn_of(connection, change.group), ["primaryGroupToken"])
        token = _text(group_entry, "primaryGroupToken") or ""
        _modify(connection, change, _dn_of(connection, change.user), "primaryGroupID", ldap3.MODIFY_REPLACE, [token])


def _search_one(connection: ldap3.Connection, dn: str, attributes: list[str]) -> dict[str, Any]:
    _, result, response, _ = connection.search(
        dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=["objectGUID", *attributes]
    )
    if result["result"] != 0:
        raise SandboxError(f"read {dn}: {result['description']} {result['message']}")
    return dict(response[0])


def _modify(connection: ldap3.Connection, change: Change, dn: str, attribute: str, how: str, values: list[str]) -> None:
    _check(change, connection.modify(dn, {attribute: [(how, values)]}))


def _check(change: Change, answer: tuple[bool, Mapping[str, Any], Any, Any]) -> None:
    ok, result, _, _ = answer
    if not ok:
        raise SandboxError(f"{change}: {result['description']} {result['message']}")


# -- templates ----------------------------------------------------------------------------------------


def check_prerequisites() -> None:
    """Raises SandboxError if this machine or this user cannot run a Samba domain controller."""
    missing = [tool for tool in ("samba", "samba-tool") if _tool(tool) is None]
    if missing:
        raise SandboxError(
            f"{' and '.join(missing)} not found. The sandbox directory is a Samba domain controller: "
            "install Debian's packages samba-ad-dc and python3-samba (`make` does it)"
        )
    if os.geteuid() != 0:
        raise SandboxError("the sandbox directory needs root: a domain controller's ports are 389 and 636, always")


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Template:
    """A provisioned, filled and stopped directory in the cache, to be copied. Its name hashes all that made it."""

    def __init__(self, content: Content, cache_dir: Path | None = None) -> None:
        self._orders = _orders(content)
        self._cache_dir = cache_dir or Path(os.environ.get(CACHE_DIR_VARIABLE) or DEFAULT_CACHE_DIR)

    @property
    def path(self) -> Path:
        made_of = [
            json.dumps(self._orders, sort_keys=True),
            FILL_SCRIPT.read_text(),
            smb_conf(Path("X"), "X"),
            _samba_version(),
        ]
        return self._cache_dir / f"directory-{hashlib.sha256(chr(0).join(made_of).encode()).hexdigest()[:16]}"

    def build(self) -> Path:
        """Makes it if it is not there; several processes may try at once."""
        path = self.path
        if path.exists():
            return path
        self._cache_dir.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                with tempfile.TemporaryDirectory(prefix="samba-") as workshop:
                    place = Path(workshop) / "dc"
                    provision(place)
                    self._fill(place)
                    # Renamed when it is complete: a template that exists is a whole one.
                    unfinished = path.with_suffix(".unfinished")
                    shutil.rmtree(unfinished, ignore_errors=True)
                    unfinished.mkdir()
                    _copy_tree(place, unfinished)
                    unfinished.rename(path)
        return path

    def _fill(self, place: Path) -> None:
        order = {**self._orders, "smb_conf": str(place / "smb.conf"), "sam": str(place / "private" / "sam.ldb")}
        _output([SYSTEM_PYTHON, str(FILL_SCRIPT)], stdin=json.dumps(order))


@functools.cache
def _samba_version() -> str:
    return _output(["samba", "--version"])


def _orders(content: Content) -> dict[str, Any]:
    """What `directory_fill` is told, but for the paths."""
    dns = content.dns()
    group_names = {group.sam for group in content.groups}
    objects: list[dict[str, Any]] = [{"dn": dn, "objectClass": "organizationalUnit"} for dn in ORGANIZATIONAL_UNITS]
    for name, password in ((READER_NAME, READER_PASSWORD), (LIMITED_NAME, LIMITED_PASSWORD)):
        objects.append(
            {
                "dn": f"CN={name},CN=Users,{BASE_DN}",
                "objectClass": "user",
                "sAMAccountName": name,
                "userPrincipalName": f"{name}@{REALM.lower()}",
                "userAccountControl": "512",
                "password": password,
            }
        )
    links = []
    for thing in content.objects():
        attributes: dict[str, Any] = {"dn": thing.dn, "objectClass": OBJECT_CLASSES[type(thing)], **thing.attributes()}
        if isinstance(thing, Group):
            # Members with the group, which is fastest; nested groups later, when all groups are there.
            people = [dns[member] for member in thing.members if member not in group_names]
            nested = [dns[member] for member in thing.members if member in group_names]
            if people:
                attributes["member"] = people
            if nested:
                links.append({"group": thing.dn, "members": nested})
        objects.append(attributes)
    return {
        "objects": objects,
        "members": links,
        "primary_groups": [
            {"user": user.dn, "group": dns[user.primary_group]}
            for user in content.users
            if user.primary_group is not None
        ],
        "deleted_objects_readers": [f"CN={READER_NAME},CN=Users,{BASE_DN}"],
    }


def provision(place: Path) -> None:
    """A new domain in the directory ``place``: base accounts, no DNS. The domain controller does not run."""
    place.mkdir(parents=True)
    write_smb_conf(place, "127.0.0.1")
    _output(
        [
            "samba-tool", "domain", "provision", "-s", str(place / "smb.conf"), f"--realm={REALM}",
            f"--domain={NETBIOS_DOMAIN}", f"--host-name={HOST_NAME}", "--host-ip=127.0.0.1",
            f"--adminpass={ADMIN_PASSWORD}", "--dns-backend=NONE", "--server-role=dc", "--quiet",
        ]
    )  # fmt: skip


# Beside LDAP, what another domain controller needs to join and to replicate. Nothing replicates by itself (that would
# be the service `drepl`), so a test decides how far one lags behind.
ONLY_LDAP = "server services = ldap\n    dcerpc endpoint servers = -"
REPLICATING = (
    "server services = rpc,ldap,cldap,kdc\n    dcerpc endpoint servers = epmapper, drsuapi, lsarpc, samr, netlogon"
)


def smb_conf(place: Path, address: str, host_name: str = HOST_NAME, services: str = ONLY_LDAP) -> str:
    """Only the LDAP service, on one address (its ports cannot be chosen), with all its files below ``place``."""
    return f"""[global]
    workgroup = {NETBIOS_DOMAIN}
    realm = {REALM}
    netbios name = {host_name.upper()}
    server role = active directory domain controller
    # Without the mask Samba finds no interface and listens nowhere.
    interfaces = {address}/8
    bind interfaces only = yes
    {services}
    private dir = {place}/private
    lock directory = {place}/lock
    state directory = {place}/state
    cache directory = {place}/cache
    pid directory = {place}/run
    ncalrpc dir = {place}/ncalrpc
    binddns dir = {place}/bind-dns
    ntp signd socket directory = {place}/ntp_signd
    winbindd socket directory = {place}/winbindd
    log file = {place}/samba.log
    # xattr_tdb: a file system without extended attributes will do.
    vfs objects = dfs_samba4 acl_xattr xattr_tdb
    ldap server require strong auth = yes
[sysvol]
    path = {place}/state/sysvol
    read only = no
[netlogon]
    path = {place}/state/sysvol/{REALM.lower()}/scripts
    read only = no
"""


def write_smb_conf(place: Path, address: str, *, host_name: str = HOST_NAME, replicating: bool = False) -> None:
    for name in ("run", "ncalrpc"):
        (place / name).mkdir(exist_ok=True)
    text = smb_conf(place, address, host_name, REPLICATING if replicating else ONLY_LDAP)
    if replicating:
        # Names are asked for in this file: there is no DNS.
        text = text.replace("[sysvol]", f"    resolv:host file = {place}/hosts\n[sysvol]")
        (place / "hosts").write_text("")
    (place / "smb.conf").write_text(text)


def _copy_tree(source: Path, target: Path) -> None:
    # cp: Samba's files are sparse, and some are hard links of each other.
    _output(["cp", "-a", "--sparse=always", "--reflink=auto", f"{source}/.", str(target)])


def _environment() -> dict[str, str]:
    # Samba's tools are Python programs of the system's Python: ours must not leak into them.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PATH": f"{kept.get('PATH', '')}:/usr/sbin:/sbin"}


def _output(command: list[str], stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=_environment(), check=False)
    if done.returncode != 0:
        raise SandboxError(f"{Path(command[0]).name} failed ({done.returncode}): {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


# -- instances ----------------------------------------------------------------------------------------


def _new_instance() -> tuple[Path, str, int]:
    """An empty directory of our own, named after a loopback address that nobody uses; locked (a file descriptor)
    as long as this process lives."""
    INSTANCES_DIR.mkdir(mode=0o700, exist_ok=True)
    if INSTANCES_DIR.is_symlink() or INSTANCES_DIR.stat().st_uid != os.geteuid():
        raise SandboxError(f"{INSTANCES_DIR} belongs to somebody else")
    with (INSTANCES_DIR / "allocation").open("w") as allocation:
        fcntl.flock(allocation, fcntl.LOCK_EX)
        _remove_orphans()
        for _ in range(TRIES_FOR_AN_ADDRESS):
            # From 127.64.0.0/10, where hardly anything else listens.
            address = f"127.{random.randint(64, 127)}.{random.randint(0, 255)}.{random.randint(1, 254)}"
            path = INSTANCES_DIR / address
            if not path.exists() and _is_free(address):
                lock = _try_lock(_lock_path(path))
                if lock is not None:
                    path.mkdir()
                    return path, address, lock
    raise SandboxError(
        "no loopback address (127.64.0.0/10) has its ports 389 and 636 free: "
        "does an LDAP server listen on all addresses?"
    )


def _lock_path(instance: Path) -> Path:
    return instance.with_name(f"{instance.name}.lock")


def _remove_orphans() -> None:
    """Directories whose owner was killed."""
    for lock_path in INSTANCES_DIR.glob("*.lock"):
        lock = _try_lock(lock_path)
        if lock is not None:
            shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
            lock_path.unlink(missing_ok=True)
            os.close(lock)


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _is_free(address: str) -> bool:
    for port in (389, 636):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


# -- command ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _until_signalled() -> Iterator[threading.Event]:
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    yield asked


def main() -> int:
    with _until_signalled() as asked_to_end:
        try:
            directory = SandboxDirectory.start()
        except SandboxError as error:
            print(error, file=sys.stderr)
            return 1
        with directory:
            print(f"A throwaway Active Directory runs at {directory.host}, until Ctrl-C.\n")
            print("As an Airflow connection:")
            print(f"  export AIRFLOW_CONN_ACTIVE_DIRECTORY_DEFAULT='{json.dumps(directory.connection())}'")
            print("To look around, as its administrator:")
            print(
                f"  LDAPTLS_CACERT={directory.ca_certs_file} LDAPTLS_REQCERT=demand ldapsearch -x -H "
                f"ldaps://{directory.host} -D {directory.admin_login} -w '{directory.admin_password}' "
                f"-b '{directory.group_base}' '(objectClass=group)' cn",
                flush=True,
            )
            asked_to_end.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
