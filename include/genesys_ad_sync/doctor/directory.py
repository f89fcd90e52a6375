"""What a run needs of Active Directory: domain controllers, rights, and what the server offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.directory.connection import LdapSettings
from genesys_ad_sync.directory.dirsync import NOTHING
from genesys_ad_sync.directory.entries import DirSyncRefused, InvalidDn
from genesys_ad_sync.directory.link_metadata import MetadataReader
from genesys_ad_sync.directory.membership import unreadable_members
from genesys_ad_sync.directory.objects import ObjectReader, ObjectSet
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.directory.up_to_dateness import of_cookie
from genesys_ad_sync.doctor.domain_controllers import domain_controllers
from genesys_ad_sync.doctor.lines import Check, Line, NotReached, NotTried, note, ok, problem, run_checks
from genesys_ad_sync.errors import DirectoryNotFound
from genesys_ad_sync.model import DirectoryView
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.text import counted

# MS-ADTS 6.1.4: the values of msDS-Behavior-Version.
_LEVELS = {0: "2000", 1: "2003 interim", 2: "2003", 3: "2008", 4: "2008 R2", 5: "2012", 6: "2012 R2", 7: "2016"}
_LEVELS[10] = "2025"
_LEVEL_WITH_LINK_VALUES = 1  # the forest: from here on each member is replicated on its own


@dataclass
class DirectorySubject:
    """What the checks of Active Directory share.

    ``settings`` raises SettingsError for a connection that is missing or wrong. ``view``: the groups and people that
    were read, for the mapping; None: they could not be read.
    """

    definition: SyncDefinition
    settings: Callable[[], LdapSettings]
    clock: Callable[[], datetime]
    ldap: LdapSettings | None = None
    session: LdapSession | None = None
    cookie: bytes | None = None
    found: ObjectSet | None = None
    bases: list[str] = field(default_factory=list)  # those of `directory.group_base` that exist
    _naming_context: str | None = None

    @property
    def view(self) -> DirectoryView | None:
        return self.found.view if self.found is not None else None

    def need_session(self) -> LdapSession:
        """Return the first session that works. Raises NotReached if there is none."""
        if self.session is None:
            raise NotTried("Not tried: no domain controller could be used, see the lines above.")
        return self.session

    def need_groups(self) -> ObjectSet:
        """Return what was read. Raises NotReached if nothing was."""
        self.need_session()
        if self.found is None:
            raise NotTried("Not tried: the groups could not be read, see the lines above.")
        return self.found

    @property
    def naming_context(self) -> str:
        """The domain's DN, as the server says it."""
        if self._naming_context is None:
            found = self.need_session().search("", "(objectClass=*)", ["defaultNamingContext"], "BASE")
            self._naming_context = found[0].text("defaultNamingContext") if found else None
        if self._naming_context is None:
            raise NotReached("Not tried: the domain controller does not say which domain it holds.")
        return self._naming_context


def check_directory(subject: DirectorySubject) -> list[Line]:
    """Try everything that a run needs of Active Directory; writes nothing."""
    try:
        return run_checks(CHECKS, subject)
    finally:
        if subject.session is not None:
            subject.session.close()


def _connection(subject: DirectorySubject) -> Iterator[Line]:
    key = "directory.connection"
    settings = subject.settings()
    hosts = len(settings.parsed_hosts())
    subject.ldap = settings
    text = f"{subject.definition.directory.connection}: {counted(hosts, 'host')}, {settings.transport.value}"
    if settings.transport.value == "plain":
        yield note(
            key,
            f"{text}. The password goes unencrypted over the network.",
            "Set `transport` of the connection to ldaps or starttls.",
        )
    else:
        yield ok(key, text)


def _domain_controllers(subject: DirectorySubject) -> Iterator[Line]:
    if subject.ldap is None:
        raise NotTried("Not tried: the connection is wrong, see the line above.")
    for line, session in domain_controllers(subject.ldap, subject.clock):
        if session is not None and subject.session is None:
            subject.session = session
        elif session is not None:
            session.close()
        yield line


def _base_dn(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.base_dn", subject.need_session()
    base = subject.ldap.base_dn if subject.ldap else None
    if base is None:
        yield ok(key, "Not set: the whole domain.")
        return
    try:
        session.search(base, "(objectClass=*)", ["1.1"], "BASE")
    except (DirectoryNotFound, InvalidDn) as error:
        yield problem(key, str(error), about=base)
    else:
        yield ok(key, "It exists.", about=base)


def _group_bases(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.group_base", subject.need_session()
    for base in names.highest_dns(subject.definition.directory.group_base):
        try:
            session.search(base, "(objectClass=*)", ["1.1"], "BASE")
        except (DirectoryNotFound, InvalidDn) as error:
            yield problem(key, str(error), about=base)
        else:
            subject.bases.append(base)
            yield ok(key, "It exists.", about=base)


def _groups(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.groups", subject.need_session()
    if not subject.bases:
        raise NotTried("Not tried: no group base could be read, see the lines above.")
    scope = replace(
        subject.definition.scope(subject.naming_context),
        group_base=subject.bases[0],
        more_group_bases=tuple(subject.bases[1:]),
    )
    found = ObjectReader(session, scope).groups_in_scope()
    subject.found = found
    in_scope = [group for group in found.view.groups.values() if group.in_scope]
    if in_scope:
        yield ok(key, f"{counted(len(in_scope), 'group')} with {counted(len(found.view.users), 'member')} in all.")
    else:
        yield problem(key, f"No group matches {subject.definition.directory.group_filter} below the group bases.")
    if session.parts_elsewhere:
        parts = sorted(session.parts_elsewhere)
        yield note(key, f"Below the group bases, {counted(len(parts), 'part')} of other domains: left out.",
                   "Sync groups of another domain by a definition of their own, with a connection to that domain.",
                   details=parts)  # fmt: skip


def _members(subject: DirectorySubject) -> Iterator[Line]:
    key, view = "directory.members", subject.need_groups().view
    in_scope = [group for group in view.groups.values() if group.in_scope]
    empty = sorted(group.name for group in in_scope if not view.members.get(group.guid))
    if in_scope and len(empty) == len(in_scope):
        yield problem(key, f"No member is shown in {counted(len(in_scope), 'group')}.")
        return
    yield ok(key, f"Members are shown in {counted(len(in_scope) - len(empty), 'group')}.")
    if empty:
        yield note(
            key,
            f"Read as empty: {counted(len(empty), 'group')}. An account that may not read `member` sees the same.",
            "If one of them has members, give the account the right to read `member` of it.",
            details=empty,
        )
    unseen = unreadable_members(
        view, [group.guid for group in in_scope], nested=subject.definition.directory.nested_groups
    )
    if unseen:
        yield note(
            key,
            f"Listed but not seen: {counted(len(unseen), 'member')}, of another domain or hidden from the account.",
            "Give the account the right to read these accounts. People of other domains are not synced.",
        )


def _accounts(subject: DirectorySubject) -> Iterator[Line]:
    key, found = "directory.accounts", subject.need_groups()
    if found.hidden:
        yield problem(
            key,
            f"The account may not read objectClass or userAccountControl of {len(found.hidden):,} members.",
        )
    elif found.view.users:
        yield ok(key, f"The state of {counted(len(found.view.users), 'account')} is readable.")
    else:
        raise NotReached("No account was seen, so it is not known whether its state is readable.")


def _dirsync(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.dirsync", subject.need_session()
    try:
        subject.cookie = session.dirsync(subject.naming_context, NOTHING, ["objectGUID"], b"").cookie
    except DirSyncRefused as refused:
        yield problem(key, str(refused))
    else:
        yield ok(key, "Changes can be followed.")


def _deleted_objects(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.deleted_objects", subject.need_session()
    if session.sees_deleted_objects(subject.naming_context):
        yield ok(key, f"Deleted objects are seen. They are kept for {session.tombstone_lifetime().days} days.")
    else:
        yield problem(key, "The account does not see deleted objects.")


def _canary(subject: DirectorySubject) -> Iterator[Line]:
    key, session, canary = "directory.canary", subject.need_session(), subject.definition.directory.canary
    if canary is None:
        yield note(
            key,
            "Not set.",
            "Set `directory.canary` to an object that the account must always see: a lost right then removes nobody.",
        )
        return
    try:
        session.search(canary, "(objectClass=*)", ["1.1"], "BASE")
    except (DirectoryNotFound, InvalidDn) as error:
        yield problem(key, str(error), about=canary)
    else:
        yield ok(key, "It is seen.", about=canary)


def _link_times(subject: DirectorySubject) -> Iterator[Line]:
    key, session, view = "directory.link_times", subject.need_session(), subject.need_groups().view
    sizes = {guid: len(members) for guid, members in view.members.items() if members and view.groups[guid].in_scope}
    if not sizes:
        raise NotReached("No group shows a member, so it is not known whether the server keeps times.")
    reader = MetadataReader(session, subject.naming_context)
    reader.records(min(sizes, key=lambda guid: (sizes[guid], guid)))
    if reader.unreadable:
        yield note(key, "The times of memberships could not be read. Changes carry the times of the polls instead.")
    elif reader.supported and reader.unknown:
        yield note(key, reader.notes()[0])
    elif reader.supported:
        yield ok(key, "The server shows when a membership changed.")
    else:
        yield note(
            key,
            "This server does not show when a membership changed. Changes carry the times of the polls, and a window "
            "from before the journal cannot be rebuilt.",
        )


def _functional_level(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.functional_level", subject.need_session()
    attributes = ["forestFunctionality", "domainFunctionality", "domainControllerFunctionality"]
    [root] = session.search("", "(objectClass=*)", attributes, "BASE")
    forest, domain, server = (root.number(name) for name in attributes)
    if forest is None:
        raise NotReached("The domain controller does not report its functional level.")
    text = ", ".join(
        f"{what} {_LEVELS.get(level, level)}"
        for what, level in (("forest", forest), ("domain", domain), ("domain controller", server))
        if level is not None
    )
    if forest < _LEVEL_WITH_LINK_VALUES:
        yield problem(key, f"{text}: members of a group are not replicated one by one.")
    else:
        yield ok(key, text)


def _database_id(subject: DirectorySubject) -> Iterator[Line]:
    key, session = "directory.database_id", subject.need_session()
    session.root_dse()
    yield ok(key, "The invocationId of the domain controller is readable.")


def _replication(subject: DirectorySubject) -> Iterator[Line]:
    key = "directory.replication"
    subject.need_session()
    vector = of_cookie(subject.cookie)
    if vector is None:
        hours = subject.definition.directory.replication_time
        yield note(
            key,
            "The DirSync cookie does not show which changes of the others this domain controller has received. Then "
            f"`directory.replication_time` ({hours}) counts after a change of domain controller.",
        )
    else:
        yield ok(
            key,
            f"It shows which changes of {counted(len(vector), 'domain controller')} it has received, itself included.",
        )


CHECKS: tuple[Check[DirectorySubject], ...] = (
    ("directory.connection", _connection),
    ("directory.host", _domain_controllers),
    ("directory.base_dn", _base_dn),
    ("directory.group_base", _group_bases),
    ("directory.groups", _groups),
    ("directory.members", _members),
    ("directory.accounts", _accounts),
    ("directory.dirsync", _dirsync),
    ("directory.deleted_objects", _deleted_objects),
    ("directory.canary", _canary),
    ("directory.link_times", _link_times),
    ("directory.functional_level", _functional_level),
    ("directory.database_id", _database_id),
    ("directory.replication", _replication),
)
