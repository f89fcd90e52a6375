"""A Samba domain controller on a loopback address, with TLS: its life and its connections."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar

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
    REPLICATE_SCRIPT,
    START_TIMEOUT,
    STOP_TIMEOUT,
    SYSTEM_PYTHON,
    Account,
    SandboxError,
    Transport,
)
from sandbox.active_directory.edits import apply_change
from sandbox.active_directory.instances import new_instance, remove_instance
from sandbox.active_directory.lookup import (
    bound_connection,
    current_time,
    dn_of,
    find,
    guid_of,
    highest_usn,
    next_second,
)
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

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType

    import ldap3
    from typing_extensions import Unpack

    from sandbox.company import CrowdSize

T = TypeVar("T")

GUID_LENGTH = 36  # of its text


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
        self._replicator: subprocess.Popen[str] | None = None
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
        replicating: bool = False,
        cache_dir: Path | None = None,
        address: str | None = None,
        **crowd: Unpack[CrowdSize],
    ) -> SandboxDirectory:
        """Start a fresh domain controller and return when a verified LDAPS bind works.

        It holds one of these: ``content``; base accounts and OUs only (``empty``); a crowd of ``users``, ``groups`` and
        ``memberships`` (`company.crowd`); else the company (`company.content`).

        ``replicating``: other domain controllers may `join` it. ``address``: taken if it is free. Raises SandboxError.
        """
        if content is None and not empty:
            content = company.crowd(**crowd) if crowd else company.content()
        check_prerequisites()
        template = Template(content or Content(), cache_dir).build()

        def fill(path: Path, host: str) -> None:
            copy_tree(template, path)
            write_smb_conf(path, host, replicating=replicating)

        return cls._start_in_new_instance(fill, address)

    @classmethod
    def _start_in_new_instance(
        cls,
        fill: Callable[[Path, str], None],
        address: str | None = None,
        host_name: str = HOST_NAME,
        ca: CertificateAuthority | None = None,
    ) -> SandboxDirectory:
        """Start a domain controller in a new directory that ``fill`` (directory, address) has filled."""
        path, host, lock = new_instance(address)
        try:
            fill(path, host)
            directory = cls(path, host, lock, host_name, ca)
        except BaseException:
            remove_instance(path, lock)
            raise
        atexit.register(directory.stop)
        try:
            directory.run()
        except BaseException:
            directory.stop()
            raise
        return directory

    def join(self, host_name: str = "dc2") -> SandboxDirectory:
        """Start another domain controller of this domain, which was started with ``replicating``.

        It takes some seconds. The new one trusts the same certificate authority, and hears of changes only by
        `replicate_from`.
        """

        def fill(path: Path, host: str) -> None:
            write_smb_conf(path, host, host_name=host_name, replicating=True)
            output_of(
                [
                    "samba-tool", "domain", "join", REALM.lower(), "DC", f"--server={self.host}", "--use-kerberos=off",
                    "--dns-backend=NONE", "-s", str(path / "smb.conf"), "--quiet",
                    f"-U{NETBIOS_DOMAIN}\\administrator%{ADMIN_PASSWORD}",
                ]
            )  # fmt: skip

        return SandboxDirectory._start_in_new_instance(fill, host_name=host_name, ca=self.ca)

    @classmethod
    def start_two(cls, content: Content) -> tuple[SandboxDirectory, SandboxDirectory]:
        """Start two domain controllers of one domain, as `start` with ``replicating`` and `join` would."""
        template = Template(content).build_two(functools.partial(cls._join_in, content))

        def fill(host_name: str, path: Path, host: str) -> None:
            copy_tree(template / host_name, path)
            write_smb_conf(path, host, host_name=host_name, replicating=True)

        dc1 = cls._start_in_new_instance(functools.partial(fill, HOST_NAME))
        try:
            dc2 = cls._start_in_new_instance(functools.partial(fill, "dc2"), host_name="dc2", ca=dc1.ca)
        except BaseException:
            dc1.stop()
            raise
        return dc1, dc2

    @classmethod
    def _join_in(cls, content: Content, place: Path) -> None:
        with cls.start(content, replicating=True) as dc1, dc1.join() as dc2:
            for dc in (dc1, dc2):
                dc.stop_and_copy(place / dc.host_name)

    def replicate_from(self, other: SandboxDirectory) -> None:
        """Hear of everything that the other domain controller of the domain knows now. Raises SandboxError."""
        if self._replicator is None:
            account = f"{NETBIOS_DOMAIN}\\administrator%{ADMIN_PASSWORD}"
            script = [SYSTEM_PYTHON, str(REPLICATE_SCRIPT), str(self.path / "smb.conf"), BASE_DN, account]
            with (self.path / "replicate.out").open("ab") as output:
                self._replicator = subprocess.Popen(
                    script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True, env=environment()
                )
        assert self._replicator.stdin is not None
        assert self._replicator.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it ended: there will be no answer
            print(other.host, file=self._replicator.stdin, flush=True)
        if not self._replicator.stdout.readline():
            self._end_replicator()
            error = (self.path / "replicate.out").read_text(errors="replace")[-2000:]
            raise SandboxError(f"{self.host_name} does not replicate from {other.host_name}: {error}")

    def _end_replicator(self) -> None:
        """End the process that has the database open."""
        process, self._replicator = self._replicator, None
        if process is not None:
            process.communicate()

    def stop_and_copy(self, place: Path) -> None:
        """End the domain controller's process, and copy its directory into a new one."""
        self._end_process(signal.SIGTERM)
        place.mkdir(parents=True)
        copy_tree(self.path, place)

    def copy_of_database(self) -> Path:
        """Copy the stopped domain controller's database, as a snapshot does; see `put_back`."""
        self._end_process(signal.SIGTERM)
        copy = self.path.with_name(f"{self.path.name}.copy")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        copy_tree(self.path / "private", copy)
        self.run()
        return copy

    def put_back(self, copy: Path) -> None:
        """Run with the old database again: an unsupported restore, a *USN rollback*."""
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
        """Return the domain controller's process id; None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def run(self) -> None:
        """Run the domain controller and wait until a verified LDAPS bind works."""
        # Samba ends when its standard input, a pipe, is closed: when this process is gone, however it
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
        """End the domain controller and remove its directory. May be called twice."""
        if os.getpid() != self._owner:
            return  # a forked child comes here when it exits; the directory is its parent's
        atexit.unregister(self.stop)
        self._end_process(signal.SIGTERM)
        if self._lock >= 0:
            remove_instance(self.path, self._lock)
            self._lock = -1

    def kill(self) -> None:
        """Send SIGKILL, as when power is lost: committed changes survive until `restart`."""
        self._end_process(signal.SIGKILL)

    def restart(self) -> None:
        """Run it again at the same address, with the same data and certificate."""
        self._end_process(signal.SIGTERM)
        self.run()

    def freeze(self) -> None:
        """Send SIGSTOP: the kernel accepts connections, and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise SandboxError("the sandbox directory does not run; restart() it")
        return self._process

    def _end_process(self, how: signal.Signals) -> None:
        self._end_replicator()
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
        """Return an Airflow connection of type active_directory, as in ``AIRFLOW_CONN_…='{…}'``."""
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
        """Return a bound ldap3 connection, SAFE_SYNC: each call returns (ok, result, response, request).

        Raises LDAPException, also when the certificate does not verify.
        """
        login, password = self._credentials(account)
        ca_certs_file = ca_certs_file or self.ca_certs_file
        return bound_connection(self.host, self.server_name, ca_certs_file, transport, login, password)

    # -- changes ------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change]) -> None:
        """Make the changes in order. Raises SandboxError at the first that is refused."""

        def apply_all(connection: ldap3.Connection) -> None:
            for change in changes:
                apply_change(connection, change)

        self._with_connection(apply_all)

    def dn_of(self, name: str) -> str:
        """Return today's DN of the object with that sAMAccountName (a contact: cn).

        Raises SandboxError.
        """
        return self._with_connection(lambda connection: dn_of(connection, name))

    def guid_of(self, name: str) -> str:
        """Return the objectGUID of the object with that sAMAccountName (a contact: cn).

        Raises SandboxError.
        """
        return self._with_connection(lambda connection: guid_of(find(connection, name)))

    def clock(self) -> datetime.datetime:
        """Return the domain controller's time (``currentTime`` of the root DSE), in whole seconds."""
        return self._with_connection(current_time)

    def highest_usn(self) -> int:
        """Return the number of the last change: each change of AD has one of its own."""
        return self._with_connection(highest_usn)

    def tick(self) -> datetime.datetime:
        """Wait until the domain controller's clock shows another second; return that second.

        What was changed before has an earlier time, what is changed afterwards this one or a later one.
        """
        return self._with_connection(next_second)

    def link_metadata(self, name: str) -> list[bytes]:
        """Return ``msDS-ReplValueMetaData`` of the group with that name or GUID.

        It is made from Samba's own records, which it does not show over LDAP. It has the quirks of the real thing: a
        NUL at the end, `&` as it is, and values of other attributes.
        """
        base = f"<GUID={name}>" if len(name) == GUID_LENGTH else self.dn_of(name)
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
        *,
        disabled: Literal["remove", "keep"] = "remove",
        nested_groups: bool = True,
    ) -> dict[str, TruthGroup]:
        """Return the effective members of each group under ``base``, by objectGUID.

        An oracle for tests: it reads the directory in its own, simplest way and shares no code with the product.
        Contacts and computers do not count as people. Members by primaryGroupID are members.
        """
        return self._with_connection(
            lambda connection: truth_of(connection, base, group_filter, disabled=disabled, nested_groups=nested_groups)
        )

    def truth_by_name(self) -> dict[str, set[str]]:
        """Return `truth` of the Contact Center as sAMAccountNames, for `company.expected_individuals`."""
        return {group.sam: {person.sam for person in group.members.values()} for group in self.truth().values()}
