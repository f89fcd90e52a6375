"""The checks of Genesys groups: token, listing, members, and the right to write.

Each right is tried by a call that needs it. What only a write can prove is a line *not proven*.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genesys_ad_sync.doctor.lines import Line, NotReached, NotTried, not_proven, note, ok, problem
from genesys_ad_sync.doctor.remedies import PRIVATE_OR_DIVISION, is_about_address, remedy_of
from genesys_ad_sync.genesys.client import GenesysClient, path_segment
from genesys_ad_sync.genesys.entities import group_of
from genesys_ad_sync.genesys.errors import GenesysError, IncompleteListing, NotFound, PermissionMissing
from genesys_ad_sync.genesys.gateway import LIST_PAGE_SIZE, GenesysGateway
from genesys_ad_sync.genesys.paging import list_page
from genesys_ad_sync.model import DirectoryView, GenesysGroup, GroupPair, Guid, Link, WriteStrategy
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync.text import counted

GROUPS = "/api/v2/groups"
TOKEN_PATH = "/oauth/token"  # noqa: S105  # a path, no secret
LOOKED_AT = 20  # mapped groups at which a check looks one by one
NO_TOKEN = "Not tried: there is no access token, see the lines above."  # noqa: S105  # words, no secret


class RateLimit(NamedTuple):
    """The rate limit, as the newest answer shows it.

    It has the number used, the number allowed, and the seconds until it begins again.
    """

    used: int
    allowed: int
    reset: float


@dataclass
class GenesysSubject:
    """What the checks of Genesys Cloud and of the mapping share.

    - ``client`` raises SettingsError or RegionUnknown for a connection that is missing or wrong.
    - ``place``: the address of the API, for a line.
    - ``view``: the groups and people of AD; None: ``why_no_view``.
    - ``links``: those of the journal; None: it could not be read.
    - ``claims``: by Genesys group id, the definition that feeds it.
    """

    definition: SyncDefinition
    client: Callable[[], GenesysClient]
    place: Callable[[], str]
    rate_limit: Callable[[], RateLimit | None] = lambda: None
    view: DirectoryView | None = None
    why_no_view: str = "Not tried: Active Directory could not be read."
    links: Mapping[Guid, Link] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)
    access_tried: bool = False  # the lines about connection and token are there
    has_token: bool = False
    entities: list[dict[str, Any]] | None = None  # the listing of groups
    pairs: Sequence[GroupPair] | None = None  # set by the mapping
    divisions: set[str] = field(default_factory=set)  # seen in answers
    client_made: GenesysClient | None = None
    _gateway: GenesysGateway | None = None

    def connected(self) -> GenesysClient:
        """Return the client, once for all checks."""
        if self.client_made is None:
            self.client_made = self.client()
        return self.client_made

    def need_token(self) -> GenesysClient:
        """Return the client. Raises NotReached if it has no token."""
        if not self.has_token:
            raise NotTried(NO_TOKEN)
        return self.connected()

    def need_entities(self) -> list[dict[str, Any]]:
        """Return the listing of groups. Raises NotReached if there is none."""
        self.need_token()
        if self.entities is None:
            raise NotTried("Not tried: the groups could not be listed, see the lines above.")
        return self.entities

    def need_view(self) -> DirectoryView:
        """Return what was read of AD. Raises NotReached."""
        if self.view is None:
            raise NotTried(self.why_no_view)
        return self.view

    @property
    def gateway(self) -> GenesysGateway:
        if self._gateway is None:
            self._gateway = GenesysGateway(self.need_token())
        return self._gateway

    def groups(self) -> list[GenesysGroup]:
        """Return the listed groups as the product sees them."""
        return [group_of(entity, GROUPS) for entity in self.need_entities()]

    def samples(self, limit: int = LOOKED_AT) -> list[dict[str, Any]]:
        """Return mapped groups to look at one by one; without a mapping any groups."""
        entities = self.need_entities()
        if self.pairs:
            fed = {pair.genesys_group_id for pair in self.pairs}
            entities = [entity for entity in entities if entity.get("id") in fed]
        return entities[:limit]


# -- connection and token -----------------------------------------------------------------------------


def connection(subject: GenesysSubject) -> Iterator[Line]:
    """Read the connection."""
    subject.access_tried = True
    place = subject.place()
    subject.connected()
    if place.startswith("http://"):
        yield note(
            "genesys.connection",
            f"Requests go to {place}, unencrypted.",
            "Use `https://` in `api_url` and `login_url`, except for a sandbox on this machine.",
        )
    else:
        yield ok("genesys.connection", f"Requests go to {place}.")


def token(subject: GenesysSubject) -> Iterator[Line]:
    """Fetch a token and send the first request with it."""
    key = "genesys.token"
    if subject.client_made is None:
        raise NotTried("Not tried: the connection is wrong, see the line above.")
    try:
        list_page(subject.connected(), GROUPS, 1, page_size=1)
    except GenesysError as error:
        if error.path == TOKEN_PATH or is_about_address(error):
            raise
        if error.status is None:
            yield not_proven(key, "A token was issued, but the API does not answer.")
            raise NotReached(str(error)) from error
        # The token is one thing, the right to list groups another, which has a line of its own.
    subject.has_token = True
    yield ok(key, "A new token was fetched and accepted.")


# -- groups -------------------------------------------------------------------------------------------


def groups(subject: GenesysSubject) -> Iterator[Line]:
    """List all groups: complete, or an error."""
    client = subject.need_token()
    try:
        subject.entities = list(client.pages(GROUPS, page_size=LIST_PAGE_SIZE))
    except IncompleteListing:  # it may have changed while it was read
        subject.entities = list(client.pages(GROUPS, page_size=LIST_PAGE_SIZE))
    subject.divisions |= divisions_in(subject.entities)
    states = Counter(group.state for group in subject.groups())
    counts = ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))
    if subject.entities:
        yield ok("genesys.groups", f"The client sees {counted(len(subject.entities), 'group')} ({counts}).")
    else:
        yield problem("genesys.groups", "The client sees no group at all.", PRIVATE_OR_DIVISION)


def private_groups(subject: GenesysSubject) -> Iterator[Line]:
    """Look for groups that are not public. Seeing some proves the right."""
    key = "genesys.private_groups"
    entities = subject.need_entities()
    private = sorted(
        str(entity.get("name")) for entity in entities if str(entity.get("visibility") or "public").lower() != "public"
    )
    if private:
        yield ok(key, f"The client sees {counted(len(private), 'private group')}.", details=private)
    else:
        yield not_proven(key, "No private group is seen. Either there is none, or the client may not see them.")
    yield from _unlisted(subject, key)


def _unlisted(subject: GenesysSubject, key: str) -> Iterator[Line]:
    """Ask for each group that the definition names and the listing lacks.

    The definition names such a group by its id.
    """
    client = subject.need_token()
    listed = {str(entity.get("id")).lower() for entity in subject.need_entities()}
    named = {rule.genesys_id for rule in subject.definition.groups if rule.genesys_id and "{" not in rule.genesys_id}
    for group_id in sorted(group_id for group_id in named if group_id.strip().lower() not in listed)[:LOOKED_AT]:
        path = f"{GROUPS}/{path_segment(group_id)}"
        try:
            client.call("GET", path)
        except NotFound:
            yield problem(
                key,
                "The definition names this group. Genesys says that there is none, or does not show it to this client.",
                f"Correct `genesys_id`, if it is wrong. Otherwise: {PRIVATE_OR_DIVISION}",
                about=group_id,
            )
        except PermissionMissing as error:
            yield problem(key, f"The definition names this group. {error}", PRIVATE_OR_DIVISION, about=group_id)
        else:
            yield problem(
                key,
                "The definition names this group. It can be read, but is not listed, so it is not mapped.",
                PRIVATE_OR_DIVISION,
                about=group_id,
            )


def members(subject: GenesysSubject) -> Iterator[Line]:
    """Read the individual members of groups."""
    samples = subject.samples()
    if not samples:
        raise NotReached("Not tried: there is no group to read.")
    read = 0
    for entity in samples[:3]:
        read += len(subject.gateway.individuals(str(entity["id"])))
    yield ok("genesys.members", f"Read: {counted(len(samples[:3]), 'group')} with {counted(read, 'member')}.")


def dynamic_groups(subject: GenesysSubject) -> Iterator[Line]:
    """Ask mapped groups whether rules fill them."""
    key, client, samples = "genesys.dynamic_groups", subject.need_token(), subject.samples()
    if not samples:
        raise NotReached("Not tried: there is no group to read.")
    dynamic = []
    for entity in samples:
        try:
            client.call("GET", f"{GROUPS}/{path_segment(str(entity['id']))}/dynamicsettings")
        except NotFound:
            continue
        dynamic.append(str(entity.get("name")))
    which = "mapped groups" if subject.pairs else "groups"
    if dynamic:
        yield problem(
            key, f"{len(dynamic)} of {len(samples)} {which} have dynamic membership.", details=sorted(dynamic)
        )
    else:
        yield ok(key, f"None of {len(samples)} {which} that were looked at has dynamic membership.")


def group_edit(subject: GenesysSubject) -> Iterator[Line]:
    """Read groups by SCIM, which demands the right to write even for reading."""
    key, client, samples = "genesys.group_edit", subject.need_token(), subject.samples()
    if not samples:
        raise NotReached("Not tried: there is no group to read.")
    refused: list[tuple[str, PermissionMissing]] = []
    for entity in samples:
        path = f"/api/v2/scim/v2/groups/{path_segment(str(entity['id']))}"
        try:
            client.call("GET", path, params={"attributes": "id,externalId"})
        except PermissionMissing as error:
            refused.append((str(entity.get("name")), error))
    if not refused:
        yield ok(key, f"SCIM lets the client read {counted(len(samples), 'group')}, which needs directory:group:edit.")
        return
    first = refused[0][1]
    if len(refused) == len(samples):
        yield problem(key, str(first), remedy_of(first))
    else:
        yield problem(
            key,
            f"SCIM refuses {len(refused)} of {len(samples)} groups. {first}",
            f"See which divisions these groups belong to. {PRIVATE_OR_DIVISION}",
            details=sorted(name for name, _ in refused),
        )


def write(subject: GenesysSubject) -> Iterator[Line]:
    """Say what only a write proves."""
    subject.need_token()
    key, strategy = "genesys.write", subject.definition.genesys.write
    needs = "directory:user:edit" if strategy is WriteStrategy.USER_PATCH else "directory:group:edit"
    yield not_proven(key, f"That `write: {strategy}` is accepted and in effect. It needs {needs}. Nothing was written.")


def rate_limit(subject: GenesysSubject) -> Iterator[Line]:
    """Read the limit from the answers."""
    subject.need_token()
    key, limit = "genesys.rate_limit", subject.rate_limit()
    if limit is None:
        raise NotReached("The answers do not show a rate limit.")
    text = f"{limit.allowed} requests a window; {limit.used} used, and {limit.reset:.0f} s until the next one."
    if limit.used > limit.allowed / 2:
        yield note(key, text, "Others seem to use this OAuth client, too. Use a client for this integration only.")
    else:
        yield ok(key, text)


def divisions_in(entities: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of the divisions that entities of an answer show."""
    shown = (entity.get("division") for entity in entities)
    return {str(one.get("name") or one.get("id")) for one in shown if isinstance(one, dict)}
