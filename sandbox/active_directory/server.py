"""A Samba domain controller of its own on a loopback address, with verified TLS: its life, its connections."""

from __future__ import annotations

import atexit
import datetime
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import ldap3
from ldap3.core.exceptions import LDAPException

from sandbox import company
from sandbox.active_directory.constants import (
    ADMIN_LOGIN,
    ADMIN_PASSWORD,
    HOST_NAME,
    LIMITED_NAME,
    LIMITED_PASSWORD,
    READER_NAME,
    READER_PASSWORD,
    START_TIMEOUT,
    STOP_TIMEOUT,
    Account,
    SandboxError,
    Transport,
)
from sandbox.active_directory.edits import apply_change
from sandbox.active_directory.instances import lock_path, new_instance
from sandbox.active_directory.lookup import current_time, dn_of, find, guid_of
from sandbox.active_directory.template import (
    Template,
    check_prerequisites,
    copy_tree,
    environment,
    output_of,
    write_smb_conf,
)
from sandbox.active_directory.truth import TruthGroup, link_records, truth_of
from sandbox.certificates import CertificateAuthority
from sandbox.directory_objects import BASE_DN, CONTACT_CENTER, NETBIOS_DOMAIN, REALM, Change, Content

T = TypeVar("T")


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
        address: str | None = None,
    ) -> SandboxDirectory:
        """Starts a fresh copy of the company's directory (`company.content`), of ``content``, of a directory with
        base accounts and OUs only (``empty``), or of a crowd of ``users``, ``groups`` and ``memberships``.

        ``replicating``: other domain controllers may `join` it. ``address``: taken if it is free.

        Returns when a verified LDAPS bind works. Raises SandboxError.
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
        directory = cls._copy(template, replicating, address)
        atexit.register(directory.stop)
        try:
            directory.run()
        except BaseException:
            directory.stop()
            raise
        return directory

    @classmethod
    def _copy(cls, template: Path, replicating: bool, address: str | None) -> SandboxDirectory:
        path, host, lock = new_instance(address)
        try:
            copy_tree(template, path)
            write_smb_conf(path, host, replicating=replicating)
            return cls(path, host, lock)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            lock_path(path).unlink(missing_ok=True)
            os.close(lock)
            raise

    def join(self, host_name: str = "dc2") -> SandboxDirectory:
        """Another domain controller of this domain, which must have been started with ``replicating``. Takes some
        seconds. It trusts the same certificate authority, and hears of changes only by `replicate_from`."""
        path, host, lock = new_instance()
        try:
            write_smb_conf(path, host, host_name=host_name, replicating=True)
            output_of(
                [
                    "samba-tool", "domain", "join", REALM.lower(), "DC", f"--server={self.host}", "--use-kerberos=off",
                    "--dns-backend=NONE", "-s", str(path / "smb.conf"), "--quiet",
                    f"-U{NETBIOS_DOMAIN}\\administrator%{ADMIN_PASSWORD}",
                ]
            )  # fmt: skip
            other = SandboxDirectory(path, host, lock, host_name, self.ca)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            lock_path(path).unlink(missing_ok=True)
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
        output_of(
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
        copy_tree(self.path / "private", copy)
        self.run()
        return copy

    def put_back(self, copy: Path) -> None:
        """The domain controller runs with the old database again: an unsupported restore, a *USN rollback*."""
        self._end_process(signal.SIGTERM)
        shutil.rmtree(self.path / "private")
        (self.path / "private").mkdir(mode=0o700)
        copy_tree(copy, self.path / "private")
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
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment()
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
            lock_path(self.path).unlink(missing_ok=True)
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
                apply_change(connection, change)
        finally:
            connection.unbind()

    def dn_of(self, name: str) -> str:
        """Today's DN of the object with that sAMAccountName (a contact: cn). Raises SandboxError."""
        return self._with_connection(lambda connection: dn_of(connection, name))

    def guid_of(self, name: str) -> str:
        """objectGUID of the object with that sAMAccountName (a contact: cn). Raises SandboxError."""
        return self._with_connection(lambda connection: guid_of(find(connection, name)))

    def clock(self) -> datetime.datetime:
        """Return the domain controller's time (``currentTime`` of the root DSE): whole seconds, cut off."""
        return self._with_connection(current_time)

    def tick(self) -> datetime.datetime:
        """Wait until the domain controller's clock shows another second; return that second.

        What was changed before has an earlier time, what is changed afterwards this one or a later one.
        """

        def next_second(connection: ldap3.Connection) -> datetime.datetime:
            before = now = current_time(connection)
            while now == before:
                time.sleep(0.02)
                now = current_time(connection)
            return now

        return self._with_connection(next_second)

    def link_metadata(self, name: str) -> list[bytes]:
        """What Active Directory would answer for ``msDS-ReplValueMetaData`` of the group with that name or GUID, made
        from Samba's own records, which it does not show over LDAP. With the quirks of the real thing: a NUL at the
        end, `&` as it is, and values of other attributes."""
        base = f"<GUID={name}>" if len(name) == 36 else self.dn_of(name)
        return link_records(self.path / "private" / "sam.ldb", base)

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
            return truth_of(connection, base, group_filter, disabled, nested_groups)
        finally:
            connection.unbind()

    def truth_by_name(self) -> dict[str, set[str]]:
        """`truth` of the Contact Center as sAMAccountNames: what `company.expected_individuals` takes."""
        return {group.sam: {person.sam for person in group.members.values()} for group in self.truth().values()}
