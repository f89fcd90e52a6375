"""The answers of a domain controller to the product's own reads.

These are the whole view, ranges, pages, DirSync and metadata.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from genesys_ad_sync.directory import answers, up_to_dateness
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.dirsync import NOTHING
from genesys_ad_sync.directory.link_metadata import ATTRIBUTE, MetadataReader
from genesys_ad_sync.directory.ranges import RANGE_SIZE
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.results import Snapshot
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError
from genesys_ad_sync.model import Guid
from genesys_ad_sync.probe.findings import Finding, compared, fact, or_why_not
from genesys_ad_sync.probe.raw_search import raw_search
from genesys_ad_sync.text import counted

_PAGE = 1000  # AD's MaxPageSize
_EXTENDED = "<GUID=…>;<SID=…>;DN"


def about_reading(reader: DirectoryReader) -> Iterator[Finding]:
    """Yield the findings of the product's reads below the group base.

    They say also how the server answers.
    """
    session, naming_context = reader.session, reader.scope.naming_context
    yield or_why_not("DirSync", "an ordinary account may use it", lambda: _first_cookie(session, naming_context))
    yield or_why_not("damaged cookie", "refused, with whatever code", lambda: _damaged(session, naming_context))
    yield _tombstones(session, naming_context)
    began = time.monotonic()
    try:
        snapshot = reader.snapshot()
    except DirectoryError as error:
        yield compared("whole view", str(error), "everything is read", same=None)
        return
    yield from _whole_view(snapshot, time.monotonic() - began)
    yield or_why_not("idle poll", "", lambda: _idle(reader, snapshot))
    yield or_why_not("pages", "at most 1000 entries without pages", lambda: _unpaged(session, naming_context))
    largest = max(snapshot.view.members, key=lambda guid: len(snapshot.view.members[guid]), default=None)
    if largest is None or not snapshot.view.members[largest]:
        yield compared("ranges", "no group with members below the base", f"{RANGE_SIZE} values at most", same=None)
        return
    yield from about_group(session, naming_context, largest, len(snapshot.view.members[largest]))


def about_group(session: LdapSession, naming_context: str, group: Guid, members: int) -> Iterator[Finding]:
    """Yield how the members of a group are answered."""
    yield or_why_not("extended DN", _EXTENDED, lambda: _extended_dn(session, group))
    yield or_why_not("ranges", f"{RANGE_SIZE} values at most", lambda: _ranges(session, group, members))
    yield or_why_not("times of memberships", ATTRIBUTE, lambda: _metadata(session, naming_context, group))


def _first_cookie(session: LdapSession, naming_context: str) -> Finding:
    began = time.monotonic()
    first = session.dirsync(naming_context, NOTHING, ["objectGUID"], b"")
    seconds = time.monotonic() - began
    vector = up_to_dateness.of_cookie(first.cookie)
    known = "of an unknown form" if vector is None else f"knows {counted(len(vector), 'domain controller')}"
    answer = f"cookie of {len(first.cookie)} bytes, {known}, {len(first.entries)} entries, {seconds:.1f} s"
    return compared("DirSync", answer, "cookie of the known form, no entries", same=vector is not None)


def _damaged(session: LdapSession, naming_context: str) -> Finding:
    answer = raw_search(
        session, naming_context, NOTHING, ["objectGUID"], "SUBTREE", [ctl.dirsync_control(b"damaged" * 12)]
    )
    said = "taken for a good one" if answer.succeeded else answer.refusal
    return compared("damaged cookie", said, "refused, with whatever code", same=not answer.succeeded)


def _tombstones(session: LdapSession, naming_context: str) -> Finding:
    sees = session.sees_deleted_objects(naming_context)
    return compared(
        "deleted objects",
        "visible" if sees else "not visible to the account: member lists are read at each poll instead",
        "visible",
        same=sees,
    )


def _whole_view(snapshot: Snapshot, seconds: float) -> Iterator[Finding]:
    memberships = sum(map(len, snapshot.view.members.values()))
    yield fact(
        "whole view",
        f"{len(snapshot.view.groups)} groups, {len(snapshot.view.users)} members, {memberships} memberships in "
        f"{snapshot.requests} requests, {seconds:.1f} s",
    )
    yield compared(
        "unreadable members", f"{len(snapshot.unresolved)} of other domains, or not visible", "none",
        same=not snapshot.unresolved,
    )  # fmt: skip
    for warning in snapshot.warnings:
        yield compared("warning", warning, "none", same=False)


def _idle(reader: DirectoryReader, snapshot: Snapshot) -> Finding:
    began = time.monotonic()
    delta = reader.changes_since(snapshot.cursor)
    seconds = time.monotonic() - began
    return fact("idle poll", f"{delta.entries} changed objects, {seconds:.1f} s")


def _unpaged(session: LdapSession, naming_context: str) -> Finding:
    assumed = f"at most {_PAGE} entries without pages"
    answer = raw_search(session, naming_context, "(objectClass=*)", ["1.1"], "SUBTREE", size_limit=_PAGE + 1)
    count = len(answer.entries)
    foreign = [uri for uri in answer.references if not answers.harmless([uri])]
    elsewhere = f", refers to {len(foreign)} other domains" if foreign else ""
    if count < _PAGE:
        return compared("pages", f"the domain has {count} objects only{elsewhere}", assumed, same=None)
    return compared("pages", f"{count} entries, {answer.refusal}{elsewhere}", assumed, same=count <= _PAGE)


def _extended_dn(session: LdapSession, group: Guid) -> Finding:
    answer = raw_search(session, f"<GUID={group}>", "(objectClass=*)", [f"member;range=0-{RANGE_SIZE - 1}"])
    values = [value for _, attributes in answer.entries for part in attributes.values() for value in part or ()]
    with_guid = sum(ctl.guid_of_value(value) is not None for value in values)
    with_sid = sum(b";<SID=" in value for value in values)
    entry = all(dn.startswith("<GUID=") for dn, _ in answer.entries)
    return compared(
        "extended DN",
        f"{with_guid} of {len(values)} members with GUID, {with_sid} with SID; entry {'with' if entry else 'without'}",
        _EXTENDED,
        same=entry and with_guid == len(values) if values else None,
    )


def _ranges(session: LdapSession, group: Guid, members: int) -> Finding:
    assumed = f"{RANGE_SIZE} values at most, as member;range=0-{RANGE_SIZE - 1}"
    answer = raw_search(session, f"<GUID={group}>", "(objectClass=*)", ["member"])
    parts = {name: len(values or ()) for _, attributes in answer.entries for name, values in attributes.items()}
    said = ", ".join(f"{name}: {count} values" for name, count in sorted(parts.items())) or answer.refusal
    if members <= RANGE_SIZE:
        return compared("ranges", f"{said} (the largest group has {members} members)", assumed, same=None)
    return compared("ranges", f"{said} of {members}", assumed, same=max(parts.values(), default=0) <= RANGE_SIZE)


def _metadata(session: LdapSession, naming_context: str, group: Guid) -> Finding:
    metadata = MetadataReader(session, naming_context)
    metadata.records(group)
    total = metadata.understood + metadata.unknown
    answer = f"{metadata.understood} of {total} records understood" if total else "no records"
    return compared(
        "times of memberships", answer, f"{ATTRIBUTE} in the known form", same=bool(total) and not metadata.unknown
    )
