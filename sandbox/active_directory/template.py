"""Provisioned and filled directories in the cache, of which each start copies one."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.active_directory.constants import (
    ADMIN_PASSWORD,
    CACHE_DIR_VARIABLE,
    DEFAULT_CACHE_DIR,
    FILL_SCRIPT,
    HOST_NAME,
    LIMITED_NAME,
    LIMITED_PASSWORD,
    READER_NAME,
    READER_PASSWORD,
    SYSTEM_PYTHON,
    SandboxError,
)
from sandbox.directory_objects import (
    BASE_DN,
    NETBIOS_DOMAIN,
    OBJECT_CLASSES,
    ORGANIZATIONAL_UNITS,
    REALM,
    Content,
    Group,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_DH_PARAMETERS = Path(__file__).with_name("dh.pem")
"""The group ffdhe2048 of RFC 7919. Without it Samba looks for a prime at each start: nine tenths of its work there."""


def check_prerequisites() -> None:
    """Raise SandboxError if this machine or user cannot run a Samba domain controller."""
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
    """A provisioned, filled and stopped directory in the cache, to be copied.

    Its name hashes all that made it.
    """

    def __init__(self, content: Content, cache_dir: Path | None = None) -> None:
        self._orders = _orders(content)
        # One for all contents, because it takes most of the time. The empty directory is of a domain of its own.
        self._domain = "domain" if content.users or content.groups else "empty-domain"
        self._cache_dir = cache_dir or Path(os.environ.get(CACHE_DIR_VARIABLE) or DEFAULT_CACHE_DIR)

    @property
    def path(self) -> Path:
        return self._path_of("directory", *self._filled)

    @property
    def _filled(self) -> tuple[str, ...]:
        return json.dumps(self._orders, sort_keys=True), FILL_SCRIPT.read_text()

    def _path_of(self, kind: str, *made_of: str) -> Path:
        parts = [*made_of, smb_conf(Path("X"), "X"), _samba_version()]
        return self._cache_dir / f"{kind}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"

    def build(self) -> Path:
        """Make the template if it does not exist; several processes may try at once."""
        return _made_once(self.path, self._provision_and_fill)

    def build_two(self, join: Callable[[Path], None]) -> Path:
        """Make the template of two domain controllers of the domain if it does not exist.

        ``join`` puts them below a path as `dc1` and `dc2`, stopped.
        """
        return _made_once(self._path_of("two", *self._filled, smb_conf(Path("X"), "X", services=REPLICATING)), join)

    def _provision_and_fill(self, place: Path) -> None:
        provisioned = _made_once(self._path_of(self._domain), provision)
        place.mkdir()
        copy_tree(provisioned, place)
        write_smb_conf(place, "127.0.0.1")
        self._fill(place)

    def _fill(self, place: Path) -> None:
        order = {**self._orders, "smb_conf": str(place / "smb.conf"), "sam": str(place / "private" / "sam.ldb")}
        output_of([SYSTEM_PYTHON, str(FILL_SCRIPT)], stdin=json.dumps(order))


def _made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """Return ``path``, where ``make`` has filled a directory; several processes may call this at once."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix="samba-") as workshop:
                place = Path(workshop) / "dc"
                make(place)
                # Renamed when it is complete: a template that exists is complete.
                unfinished = path.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                copy_tree(place, unfinished)
                unfinished.rename(path)
    return path


@functools.cache
def _samba_version() -> str:
    return output_of(["samba", "--version"])


def _orders(content: Content) -> dict[str, Any]:
    """Return the orders for `directory_fill`, without the paths."""
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
    """Provision a new domain in the directory ``place``: base accounts, no DNS.

    The domain controller does not run.
    """
    place.mkdir(parents=True)
    write_smb_conf(place, "127.0.0.1")
    output_of(
        [
            "samba-tool", "domain", "provision", "-s", str(place / "smb.conf"), f"--realm={REALM}",
            f"--domain={NETBIOS_DOMAIN}", f"--host-name={HOST_NAME}", "--host-ip=127.0.0.1",
            f"--adminpass={ADMIN_PASSWORD}", "--dns-backend=NONE", "--server-role=dc", "--quiet",
        ]
    )  # fmt: skip


# Beside LDAP, what another domain controller needs to join and to replicate. Nothing replicates unasked (that would
# be the service `drepl`), so a test decides how far one lags behind.
ONLY_LDAP = "server services = ldap\n    dcerpc endpoint servers = -"
REPLICATING = (
    "server services = rpc,ldap,cldap,kdc\n    dcerpc endpoint servers = epmapper, drsuapi, lsarpc, samr, netlogon"
)


def smb_conf(place: Path, address: str, host_name: str = HOST_NAME, services: str = ONLY_LDAP) -> str:
    """Write the configuration: one address (ports cannot be chosen), all files below ``place``."""
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
    tls dh params file = {place}/dh.pem
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
    (place / "dh.pem").write_text(_DH_PARAMETERS.read_text())
    (place / "smb.conf").write_text(text)


def copy_tree(source: Path, target: Path) -> None:
    # cp: Samba's files are sparse, and some are hard links of each other.
    output_of(["cp", "-a", "--sparse=always", "--reflink=auto", f"{source}/.", str(target)])


def environment() -> dict[str, str]:
    # Samba's tools are Python programs of the system's Python: ours must not leak into them.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PATH": f"{kept.get('PATH', '')}:/usr/sbin:/sbin"}


def output_of(command: list[str], stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise SandboxError(f"{Path(command[0]).name} failed ({done.returncode}): {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout
