"""Reads Genesys Cloud: groups, their members, and users by key.

Each answer is complete or an error.

Uses as few requests as the API allows (reference/genesys-cloud-api.md, §9). Never guesses: a user matches only by the
user's own mail or user name. Writes nothing.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from genesys_ad_sync.genesys.chosen import Chosen
from genesys_ad_sync.genesys.client import GenesysClient, path_segment
from genesys_ad_sync.genesys.entities import entity_of, group_of, user_of
from genesys_ad_sync.genesys.errors import (
    AmbiguousExternalId,
    BadRequest,
    IncompleteListing,
    NotFound,
    UnexpectedAnswer,
)
from genesys_ad_sync.genesys.hidden import read_visible
from genesys_ad_sync.genesys.paging import HIDDEN, Page, id_of, list_page, page_of, read_pages
from genesys_ad_sync.genesys.scim_groups import scim_groups
from genesys_ad_sync.model import GenesysGroup, GenesysUser, UserKey

LIST_PAGE_SIZE = 500  # more is unknown; Terraform's provider uses 500 in production
SEARCH_BATCH = 50  # values a search; the API's cap is unknown
SEARCH_PAGE_SIZE = 100
LISTING_TRIES = 3  # attempts at a listing that changes while it is read
STATES = ("active", "inactive")  # never deleted ones
INACTIVE_CAP = 10_000  # beyond that many inactive users, Genesys refuses to list them

_T = TypeVar("_T")


class FoundUsers(list[GenesysUser]):
    """The users that were found.

    ``refused``: values that Genesys refuses to look up, which is not "no such user". In the form of
    `UserKey.normalise`.
    """

    def __init__(self, users: Iterable[GenesysUser] = (), refused: Iterable[str] = ()) -> None:
        super().__init__(users)
        self.refused = frozenset(refused)


class GenesysGateway:
    """Reads Genesys Cloud. One instance per task: it keeps what it has listed.

    ``individuals``, ``find_users``, ``users_by_id`` and ``user_by_external_id`` may be called from several threads.
    """

    def __init__(self, client: GenesysClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._search_batch = SEARCH_BATCH
        self._refuses_listing = False
        self._first_pages: dict[str, Page] = {}  # state -> first page of its listing
        self._listed: dict[str, tuple[GenesysUser, ...]] = {}  # state -> users
        self._external_ids: dict[str, str] | None = None  # group id -> SCIM externalId
        self._ids: dict[str, str] = {}
        self._members: dict[str, GenesysUser] = {}  # as the last listing of a group's individuals showed them

    # -- groups ---------------------------------------------------------------------------------------

    def groups(self) -> list[GenesysGroup]:
        """Read all groups: one request per 500."""
        path = "/api/v2/groups"
        return _complete(
            lambda: [group_of(entity, path) for entity in self._client.pages(path, page_size=LIST_PAGE_SIZE)]
        )

    def visible_groups(self) -> tuple[list[GenesysGroup], int]:
        """Read the groups that the client may see, and count the hidden ones.

        The total of the listing counts more than it shows. Raises IncompleteListing.
        """
        path = "/api/v2/groups"
        pages = partial(self._client.pages, path, page_size=LIST_PAGE_SIZE)
        return read_visible(pages, lambda entity: group_of(entity, path), LISTING_TRIES)

    def group_id_by_external_id(self, external_id: str) -> str | None:
        """Return the id of the group with this SCIM externalId (case matters), or None.

        A SCIM filter knows only id and displayname. The first call therefore reads the externalId of every group: one
        request per 25 groups, or one per group where the service refuses to list without a filter. The result is kept.
        Raises AmbiguousExternalId if several groups carry it.
        """
        if self._external_ids is None:
            self._external_ids = self._read_external_ids()
        found = tuple(sorted(group_id for group_id, value in self._external_ids.items() if value == external_id))
        if len(found) > 1:
            text = f"{len(found)} Genesys groups carry the externalId {external_id!r}: {', '.join(found)}"
            raise AmbiguousExternalId(text, group_ids=found)
        return found[0] if found else None

    def external_id_of(self, group_id: str) -> str | None:
        """Read the SCIM externalId of one group (one request).

        Raises NotFound if there is no such group.
        """
        path = f"/api/v2/scim/v2/groups/{path_segment(group_id)}"
        answer = self._client.call("GET", path, params={"attributes": "id,externalId"})
        if not isinstance(answer.body, dict):
            raise UnexpectedAnswer("The answer is not a SCIM group", method="GET", path=path, status=answer.status)
        return answer.body.get("externalId")

    def group(self, group_id: str) -> GenesysGroup | None:
        """Read one group; None if Genesys says that it does not exist."""
        path = f"/api/v2/groups/{path_segment(group_id)}"
        try:
            answer = self._client.call("GET", path)
        except NotFound:
            return None
        return group_of(entity_of(answer.body, path), path)

    def individuals(self, group_id: str) -> frozenset[str]:
        """Read the ids of the members who were added individually.

        Not `/members`: that also lists owners and users included by rules, who cannot be removed. Raises NotFound if
        there is no such group, IncompleteListing if the answer is not complete. The answer shows whole users, which
        ``members`` returns.
        """
        path = f"/api/v2/groups/{path_segment(group_id)}/individuals"

        def read() -> frozenset[str]:
            page = page_of(self._client.call("GET", path), "GET", path)
            ids = frozenset(id_of(entity, path) for entity in page.entities)
            # who they are is beside the point here: a user without a state must not hide the others
            whole = [entity for entity in page.entities if entity.get("name") and isinstance(entity.get("state"), str)]
            shown = {id_of(entity, path): user_of(entity, path) for entity in whole}
            if page.count > 1 or len(ids) != page.total or len(ids) != len(page.entities):
                raise IncompleteListing(
                    f"The group's individuals are not complete: {len(ids)} of {page.total} returned{HIDDEN}",
                    method="GET",
                    path=path,
                )
            with self._lock:  # one object for a user and for an id, in however many groups
                self._members.update({id_: user for id_, user in shown.items() if self._members.get(id_) != user})
                return frozenset(self._ids.setdefault(id_, id_) for id_ in ids)

        return _complete(read)

    def members(self, user_ids: Collection[str]) -> Mapping[str, GenesysUser]:
        """Return these users, as the last listing of individuals showed them.

        This sends no request. Users that the listing lacks are missing. Nothing is copied.
        """
        return Chosen(self._members, user_ids)

    # -- users ----------------------------------------------------------------------------------------

    def find_users(self, field: UserKey, values: Collection[str]) -> FoundUsers:
        """Find active and inactive users whose ``field`` is one of ``values``, ignoring case.

        Takes the cheaper way: search (50 values per request) or listing all users (500 per request, kept).
        The result has no user for an unknown value, and two for a value that two users have. A search gets the values
        as they are written here, since it may mind case: pass each spelling that may be the right one.
        """
        wanted = _spellings(values)
        if not wanted:
            return FoundUsers()
        with self._lock:
            return self._find_users(field, wanted)

    def search_users(self, field: UserKey, values: Collection[str]) -> FoundUsers:
        """Find users like ``find_users``, always by search.

        A refused batch (400) is halved until the refused value is alone. Such a value (with an odd character, for
        instance) is looked for among all users, if Genesys lists them.
        """
        # spellings of one value side by side: where it is refused, all of them are, and halving finds them together
        wanted = sorted(_spellings(values), key=lambda value: (field.normalise(value), value))
        found: dict[str, GenesysUser] = {}
        refused: set[str] = set()
        start = 0
        while start < len(wanted):
            batch = wanted[start : start + self._search_batch]
            start += len(batch)
            users = self._search_in_halves(field, batch)
            found.update((user.id, user) for user in users)
            refused |= users.refused
        if refused and self._can_list():
            found.update((user.id, user) for user in _matching(field, refused, self.list_users(STATES)))
            refused.clear()
        known = {field.normalise(field.of(user) or "") for user in found.values()}
        return FoundUsers(found.values(), {field.normalise(value) for value in refused} - known)

    def list_users(self, states: Sequence[str] = STATES) -> list[GenesysUser]:
        """Read all users in these states, once per gateway: one request per 500."""
        users: dict[str, GenesysUser] = {}
        for state in states:
            if state not in self._listed:
                self._listed[state] = tuple(_complete(partial(self._read_users, state)))
            users.update((user.id, user) for user in self._listed[state])
        return list(users.values())

    def all_users(self) -> list[GenesysUser]:
        """Read all active users, and the inactive ones if Genesys lists them.

        One request per 500 users. The answer is kept.
        """
        with self._lock:
            return self.list_users(STATES if self._can_list() else ("active",))

    def count_active_users(self) -> int:
        """Return how many active users Genesys has: one small request."""
        if "active" in self._listed:
            return len(self._listed["active"])
        return list_page(self._client, "/api/v2/users", 1, params={"state": "active"}, page_size=1).total

    def user_by_external_id(self, authority: str, key: str) -> GenesysUser | None:
        """Read the user with this external id (case matters in both), or None."""
        return self._one_user(f"/api/v2/users/externalid/{path_segment(authority)}/{path_segment(key)}")

    def user(self, user_id: str) -> GenesysUser | None:
        """Read one user, whatever the state; None if Genesys knows none."""
        return self._one_user(f"/api/v2/users/{path_segment(user_id)}")

    def users_by_id(self, user_ids: Collection[str]) -> list[GenesysUser]:
        """Read the users with these ids, deleted ones included.

        An id that Genesys does not show is missing in the result, which proves nothing about the user.

        Takes the cheaper way: by id (50 per request), or by listing all users (500 per request, kept).
        """
        wanted = frozenset(user_ids)
        if not wanted:
            return []
        with self._lock:
            return self._users_by_id(wanted)

    def user_states(self, user_ids: Collection[str]) -> dict[str, str]:
        """Return the state of each user, deleted ones included: 50 per request.

        An id that is missing in the answer is missing here, which proves nothing.
        """
        return {user.id: user.state for user in self._by_id(sorted(set(user_ids)))}

    @property
    def has_listed_users(self) -> bool:
        """Whether all active and inactive users are known: finding one takes no request."""
        return self._is_listed(STATES)

    # -- the cheaper way ------------------------------------------------------------------------------

    def _find_users(self, field: UserKey, wanted: frozenset[str]) -> FoundUsers:
        if self._is_listed(STATES) or self._listing_is_cheaper(math.ceil(len(wanted) / self._search_batch)):
            try:
                return FoundUsers(_matching(field, wanted, self.list_users(STATES)))
            except (BadRequest, IncompleteListing):  # also where its total counts users who are hidden
                self._refuses_listing = True
        return self.search_users(field, sorted(wanted))

    def _users_by_id(self, wanted: frozenset[str]) -> list[GenesysUser]:
        found: list[GenesysUser] = []
        if self._is_listed(STATES) or self._listing_is_cheaper(math.ceil(len(wanted) / SEARCH_BATCH)):
            try:
                found = [user for user in self.list_users(STATES) if user.id in wanted]
            except (BadRequest, IncompleteListing):
                self._refuses_listing = True
        return found + self._by_id(sorted(wanted - {user.id for user in found}))  # a listing shows no deleted ones

    def _by_id(self, ids: Sequence[str]) -> list[GenesysUser]:
        found: list[GenesysUser] = []
        for start in range(0, len(ids), SEARCH_BATCH):
            params = {"id": list(ids[start : start + SEARCH_BATCH]), "state": "any"}
            found += _complete(partial(self._users_with, "/api/v2/users", params))
        return found

    def _users_with(self, path: str, params: dict[str, Any]) -> list[GenesysUser]:
        return [user_of(entity, path) for entity in self._client.pages(path, params=params, page_size=LIST_PAGE_SIZE)]

    def _one_user(self, path: str) -> GenesysUser | None:
        try:
            answer = self._client.call("GET", path)
        except NotFound:
            return None
        return user_of(entity_of(answer.body, path), path)

    def _is_listed(self, states: Iterable[str]) -> bool:
        return all(state in self._listed for state in states)

    def _can_list(self) -> bool:
        """Return whether Genesys lists all users, as far as the first page shows."""
        if self._is_listed(STATES):
            return True
        if self._refuses_listing:
            return False
        try:
            return self._first_page("inactive").total <= INACTIVE_CAP
        except BadRequest:
            self._refuses_listing = True
            return False

    def _listing_is_cheaper(self, requests: int) -> bool:
        """Return whether Genesys lists all users, in fewer than ``requests``."""
        if self._refuses_listing:
            return False
        pages = len(STATES)  # each state takes one request at least
        for state in STATES:
            if pages >= requests or (state == "inactive" and not self._can_list()):
                return False
            # The first page shows the total. If the listing is chosen, the page is used for it.
            if state not in self._listed:
                pages += max(1, math.ceil(self._first_page(state).total / LIST_PAGE_SIZE)) - 1
        return pages < requests

    def _first_page(self, state: str) -> Page:
        if state not in self._first_pages:
            self._first_pages[state] = self._user_page(state, 1)
        return self._first_pages[state]

    def _user_page(self, state: str, number: int) -> Page:
        return list_page(self._client, "/api/v2/users", number, params={"state": state}, page_size=LIST_PAGE_SIZE)

    def _read_users(self, state: str) -> list[GenesysUser]:
        path = "/api/v2/users"
        first = self._first_pages.pop(state, None)  # serves one reading: a second one starts again
        entities = read_pages(lambda number: self._user_page(state, number), path, first)
        return [user_of(entity, path) for entity in entities]

    def _search_in_halves(self, field: UserKey, batch: Sequence[str]) -> FoundUsers:
        """Search; halve a refused batch until the refused values are alone."""
        try:
            return FoundUsers(self._search(field, batch))
        except BadRequest:
            if len(batch) == 1:
                return FoundUsers(refused=batch)
        half = (len(batch) + 1) // 2
        halves = [self._search_in_halves(field, part) for part in (batch[:half], batch[half:])]
        refused = {value for users in halves for value in users.refused}
        if not refused:  # each value is accepted, the batch is not
            self._search_batch = min(self._search_batch, half)
        return FoundUsers((user for users in halves for user in users), refused)

    def _search(self, field: UserKey, values: Sequence[str]) -> list[GenesysUser]:
        """Search, and read all pages.

        The result is matched again here: EXACT may run over analysed text.
        """
        path = "/api/v2/users/search"
        criterion: dict[str, Any] = {"value": values[0]} if len(values) == 1 else {"values": list(values)}
        query = [
            {"type": "EXACT", "fields": [field.value], **criterion},
            # Which states a search answers by default is not documented.
            {"type": "EXACT", "fields": ["state"], "values": list(STATES)},
        ]

        def fetch(number: int) -> Page:
            body = {"pageSize": SEARCH_PAGE_SIZE, "pageNumber": number, "query": query}
            return page_of(self._client.call("POST", path, json=body, idempotent=True), "POST", path, "results")

        users = _complete(lambda: [user_of(entity, path) for entity in read_pages(fetch, path)])
        return _matching(field, values, users)

    def _read_external_ids(self) -> dict[str, str]:
        try:
            resources = _complete(lambda: list(scim_groups(self._client)))
        except BadRequest:  # the service wants a filter
            return {
                group.id: external_id
                for group in self.groups()
                if (external_id := self.external_id_of(group.id)) is not None
            }
        return {
            id_of(resource, "/api/v2/scim/v2/groups"): resource["externalId"]
            for resource in resources
            if resource.get("externalId")
        }


def _complete(read: Callable[[], _T]) -> _T:
    """Repeat the reading of a listing that changes while it is read."""
    for _ in range(LISTING_TRIES - 1):
        try:
            return read()
        except IncompleteListing:
            continue
    return read()


def _spellings(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value.strip() for value in values if value and value.strip())


def _matching(field: UserKey, wanted: Iterable[str], users: Iterable[GenesysUser]) -> list[GenesysUser]:
    values = {field.normalise(value) for value in wanted}
    return [user for user in users if user.state in STATES and field.normalise(field.of(user) or "") in values]
