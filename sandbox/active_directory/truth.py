"""What is true of a directory, without product code: effective members, metadata of links."""

from __future__ import annotations

import base64
import datetime
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sandbox.active_directory.constants import ACCOUNT_DISABLED
from sandbox.active_directory.lookup import guid_of, search, text_of
from sandbox.active_directory.template import output_of
from sandbox.directory_objects import BASE_DN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import ldap3


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


def truth_of(
    connection: ldap3.Connection,
    base: str,
    group_filter: str,
    *,
    disabled: Literal["remove", "keep"],
    nested_groups: bool,
) -> dict[str, TruthGroup]:
    """Compute what `SandboxDirectory.truth` returns."""
    in_scope = {guid_of(entry) for entry in search(connection, base, group_filter, [])}
    groups = search(connection, BASE_DN, "(objectClass=group)", ["sAMAccountName", "member", "objectSid"])
    people, by_primary_group = _people(connection, disabled)
    direct = {entry["dn"]: _listed(entry) + by_primary_group.get(_rid(entry), []) for entry in groups}
    return {
        guid_of(entry): TruthGroup(
            guid_of(entry),
            entry["dn"],
            text_of(entry, "sAMAccountName") or "",
            _effective(entry["dn"], direct, people, nested_groups=nested_groups),
        )
        for entry in groups
        if guid_of(entry) in in_scope
    }


def _people(
    connection: ldap3.Connection, disabled: Literal["remove", "keep"]
) -> tuple[dict[str, Person], dict[int, list[str]]]:
    """Return the users that count, by DN, and their DNs by primary group (RID)."""
    users = search(
        connection,
        BASE_DN,
        "(&(objectClass=user)(!(objectClass=computer)))",
        ["sAMAccountName", "mail", "userAccountControl", "primaryGroupID"],
    )
    people: dict[str, Person] = {}
    by_primary_group: dict[int, list[str]] = {}
    for entry in users:
        if disabled == "keep" or not int(text_of(entry, "userAccountControl") or 0) & ACCOUNT_DISABLED:
            dn = entry["dn"]
            people[dn] = Person(guid_of(entry), dn, text_of(entry, "sAMAccountName") or "", text_of(entry, "mail"))
            by_primary_group.setdefault(int(text_of(entry, "primaryGroupID") or 0), []).append(dn)
    return people, by_primary_group


def _listed(group: Mapping[str, Any]) -> list[str]:
    return [value.decode() for value in group["raw_attributes"].get("member", [])]


def _rid(group: Mapping[str, Any]) -> int:
    """Return the last part of a group's SID, which `primaryGroupID` names."""
    return int.from_bytes(group["raw_attributes"]["objectSid"][0][-4:], "little")


def _effective(
    group_dn: str, direct: Mapping[str, list[str]], people: Mapping[str, Person], *, nested_groups: bool
) -> dict[str, Person]:
    """Return the people in a group, by objectGUID.

    ``direct``: DNs of direct members by DN of the group.
    """
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


def link_records(database: Path, base: str) -> list[bytes]:
    """Compute what `SandboxDirectory.link_metadata` returns."""
    listed = output_of(
        ["ldbsearch", "-H", str(database), "-s", "base", "-b", base, "member",
         "--extended-dn", "--reveal", "--show-deactivated-link"]
    )  # fmt: skip
    lines = listed.replace("\n ", "").splitlines()
    records = [_link_record(_ldif_value(line)) for line in lines if line.startswith("member:")]
    if records:
        records.append(records[0].replace(b">member<", b">msDS-RevealedDSAs<"))
    return records


def _ldif_value(line: str) -> str:
    """Return the value of an LDIF line."""
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
    """Write a time (100 ns since 1601) as the XML has it."""
    moment = datetime.datetime(1601, 1, 1) + datetime.timedelta(microseconds=int(text) // 10)  # noqa: DTZ001 (of UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
