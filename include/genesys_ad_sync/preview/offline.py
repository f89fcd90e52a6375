"""Active Directory and Genesys Cloud as the last runs saw them.

A plan without a network needs them. What no run has seen is not known, and is treated as what could not be read:
nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import cast

from genesys_ad_sync.errors import NotRecorded, SettingsError
from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.errors import UnexpectedAnswer
from genesys_ad_sync.genesys.gateway import FoundUsers, GenesysGateway
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import (
    DirectoryUser,
    GenesysGroup,
    GenesysUser,
    Guid,
    Link,
    Match,
    MatchStatus,
    RunRecord,
    RunRequest,
    Scope,
    UserKey,
)
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import COMPLETE, JOURNAL_RESTORED, MAPPING, MATCHES, NOTES, OWNERS, StoredMapping
from genesys_ad_sync.settings import SyncDefinition

_NO_FULL_RUN = (
    "No run in mode full has ended yet, so it is not known who is in which Genesys group. Trigger the DAG with "
    '{"mode": "full"} (a dry run is enough), or plan without --offline.'
)


def poll_offline(task: TaskContext, request: RunRequest) -> None:
    """Begin a run with the view that the journal has.

    Raises NotRecorded, and SettingsError for another scope.
    """
    journal = task.journal
    cursor = journal.views.cursor()
    if cursor is None:
        raise NotRecorded("The journal has never read Active Directory for this definition: plan without --offline.")
    _check_scope(task.definition, Scope.of_fingerprint(cursor.scope))
    seen = last_full_run(journal)
    run = journal.runs.begin(task.key, task.definition.name, request, task.clock())
    journal.runs.set_polled(run, cursor.poll, cursor.cursor.polled_at)
    task.read_run_again()
    task.facts[JOURNAL_RESTORED] = journal.restoration.is_active()
    task.facts[COMPLETE] = journal.lookups.complete_polls()
    task.facts[NOTES] = (
        f"offline: Active Directory as of {_time(cursor.cursor.polled_at)}, Genesys Cloud as of "
        f"{_time(seen.finished_at or seen.started_at)} (run {seen.key}) and what runs have written since",
    )


def last_full_run(journal: DefinitionJournal) -> RunRecord:
    """Return the last run that compared everything. Raises NotRecorded if there was none."""
    last = journal.lookups.last_results()
    if last is None:
        raise NotRecorded(_NO_FULL_RUN)
    return last[0]


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _check_scope(definition: SyncDefinition, seen: Scope) -> None:
    """Refuse a definition that looks at more of AD than the journal has read."""
    wanted = definition.scope(seen.naming_context)
    beyond = {
        "directory.group_base": (wanted.group_base, wanted.more_group_bases)
        != (seen.group_base, seen.more_group_bases),
        "directory.group_filter": wanted.group_filter != seen.group_filter,
        "directory.nested_groups": wanted.nested_groups and not seen.nested_groups,
        "groups (an attribute)": not set(wanted.group_attributes) <= set(seen.group_attributes),
        "users (an attribute)": not set(wanted.user_attributes) <= set(seen.user_attributes),
    }
    if keys := [key for key, is_so in beyond.items() if is_so]:
        raise SettingsError(
            f"{definition.name}: {' and '.join(keys)} need values that the journal has not read "
            f"from Active Directory. Plan without --offline."
        )


class RecordedGenesys(GenesysGateway):
    """Genesys Cloud as the last run in mode full saw it.

    What runs have written since is included.
    """

    def __init__(self, journal: DefinitionJournal) -> None:
        super().__init__(cast("GenesysClient", None))  # every method that a plan calls is below
        self._journal = journal
        last = journal.lookups.last_results()
        if last is None:
            raise NotRecorded(_NO_FULL_RUN)
        run, results = last
        self._results = {result.genesys_group_id: result for result in results}
        self._mapping = self._newest_mapping(run)
        self._owners: dict[str, tuple[str, ...]] = {}
        for stored in journal.lookups.facts_since(run, OWNERS.key):
            self._owners.update(OWNERS.adapter.validate_python(stored))
        self._matches: dict[Guid, Match] = {
            match.user_guid: match
            for stored in journal.lookups.facts_since(run, MATCHES.key)
            for match in MATCHES.adapter.validate_python(stored)
        }
        self._links: dict[Guid, Link] = journal.links.all()
        self._people = journal.views.users(self._links.keys() | self._matches.keys())
        self._users = self._known_users()

    # -- groups ---------------------------------------------------------------------------------------

    def groups(self) -> list[GenesysGroup]:
        """Return the groups as they were listed last."""
        return list(self._mapping.genesys_groups.values())

    def visible_groups(self) -> tuple[list[GenesysGroup], int]:
        """Return the groups as they were listed last, and no hidden ones."""
        return self.groups(), 0

    def group(self, group_id: str) -> GenesysGroup | None:
        """Return the group with its owners. Raises UnexpectedAnswer if no run read them."""
        group = self._mapping.genesys_groups.get(group_id)
        if group is None:
            return None
        if group_id not in self._owners:
            raise UnexpectedAnswer("No run has read the owners of this group", method="GET", path="offline")
        return replace(group, owners=self._owners[group_id])

    def group_id_by_external_id(self, external_id: str) -> str | None:  # noqa: ARG002  not in the journal: not known
        """Return None: the journal keeps what is known."""
        return None

    def individuals(self, group_id: str) -> frozenset[str]:
        """Return the members that AD owns, and the others found.

        The last look in full found the others.
        """
        result = self._results.get(group_id)
        if result is None or result.manual_member_ids is None:
            raise UnexpectedAnswer(
                "No run in mode full has listed the members of this group", method="GET", path="offline"
            )
        owned = {stored.grant.genesys_user_id for stored in self._journal.lookups.grants_in(group_id)}
        trial = {evidence.grant.genesys_user_id for evidence in self._journal.dry_evidence.of_groups([group_id])}
        return frozenset(owned | trial | set(result.manual_member_ids))

    # -- users ----------------------------------------------------------------------------------------

    def find_users(self, field: UserKey, values: Collection[str]) -> FoundUsers:
        """Return the users that runs have found by such a value.

        Other users were never looked up.
        """
        wanted = {field.normalise(value) for value in values}
        found = [user for user in self._users.values() if field.normalise(field.of(user) or "") in wanted]
        looked_up = {
            field.normalise(value)
            for guid in self._matches.keys() | self._links.keys()
            if guid in self._people
            for value in _values(self._people[guid], field)
        }
        return FoundUsers(found, wanted - looked_up)

    def all_users(self) -> list[GenesysUser]:
        """Return the users that runs have found. They are not all users."""
        return list(self._users.values())

    def count_active_users(self) -> int:
        """Return the number of the users that runs have found and saw active."""
        return sum(user.state == "active" for user in self._users.values())

    def user_by_external_id(self, authority: str, key: str) -> GenesysUser | None:  # noqa: ARG002  as the gateway has it
        """Return None: whoever was found by an external id has a link."""
        return None

    def users_by_id(self, user_ids: Collection[str]) -> list[GenesysUser]:
        """Return these users, as far as they are known."""
        return [self._users[id_] for id_ in user_ids if id_ in self._users]

    def user_states(self, user_ids: Collection[str]) -> dict[str, str]:
        """Return the states of these users, as far as they are known."""
        return {id_: self._users[id_].state for id_ in user_ids if id_ in self._users}

    @property
    def has_listed_users(self) -> bool:
        """Return False: a link is believed."""
        return False

    # -- what the journal has -------------------------------------------------------------------------

    def _newest_mapping(self, full: RunRecord) -> StoredMapping:
        stored = self._journal.lookups.facts_since(full, MAPPING.key)
        mapping = MAPPING.adapter.validate_python(stored[-1]) if stored else None
        if mapping is None:
            raise NotRecorded(_NO_FULL_RUN)
        return mapping

    def _known_users(self) -> dict[str, GenesysUser]:
        users: dict[str, GenesysUser] = {}
        for guid, link in self._links.items():
            person = None if link.contradicted_since else self._people.get(guid)
            users[link.genesys_user_id] = _as_user(link.genesys_user_id, person)
        for guid, match in self._matches.items():
            ids = match.candidates or ((match.genesys_user_id,) if match.genesys_user_id else ())
            for id_ in ids:
                users.setdefault(id_, _as_user(id_, self._people.get(guid)))
            if match.status is MatchStatus.INACTIVE and match.genesys_user_id:
                users[match.genesys_user_id] = replace(users[match.genesys_user_id], state="inactive")
        return users


def _as_user(user_id: str, person: DirectoryUser | None) -> GenesysUser:
    """Return a Genesys user with the values by which the account was found.

    They may have changed since.
    """
    mail = person.mail if person else None
    name = person.attributes.get("userprincipalname") if person else None
    return GenesysUser(user_id, person.name if person else "", mail, name, "active")


def _values(person: DirectoryUser, field: UserKey) -> list[str]:
    values = {UserKey.EMAIL: person.mail, UserKey.USERNAME: person.attributes.get("userprincipalname")}
    return [value for value in (values.get(field),) if value]
