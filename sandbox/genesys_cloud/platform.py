"""What all routes share: organisation, options, faults, tokens and log; and the request at hand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.access import DEFAULT_CLIENT_ID, Access, Token
from sandbox.genesys_cloud.faults import Faults, Fired
from sandbox.genesys_cloud.options import SandboxOptions
from sandbox.genesys_cloud.request_log import RequestLog
from sandbox.genesys_cloud.search import SearchIndex
from sandbox.genesys_cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

PLATFORM = "platform"
"""Where the scope of a request has the platform that is asked."""

# The API's names of the searchable fields, and those of `state`.
GROUP_FIELDS = {name: name for name in ("id", "name", "state", "type")}
USER_FIELDS = {name: name for name in ("id", "name", "email", "username", "state", "title", "department")}


class Platform:
    """One sandbox without its server."""

    def __init__(
        self,
        seed: dict[str, Any],
        options: SandboxOptions | None = None,
        *,
        client_id: str = DEFAULT_CLIENT_ID,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.options = options or SandboxOptions()
        self.state = State(seed, self.options, clock)
        self.faults = Faults()
        self.access = Access(self.options, client_id, client_secret, clock)
        self.log = RequestLog(self.options.log_limit)
        self._indexes: dict[str, SearchIndex] = {}
        self._indexed: object = None  # the generation of the organisation that the indexes are of

    @property
    def group_index(self) -> SearchIndex:
        return self._index("groups", self.state.groups, GROUP_FIELDS)

    @property
    def user_index(self) -> SearchIndex:
        return self._index("users", self.state.users, USER_FIELDS)

    def _index(self, kind: str, items: Mapping[str, Any], fields: Mapping[str, str]) -> SearchIndex:
        if self._indexed is not self.state.generation:
            self._indexes.clear()
            self._indexed = self.state.generation
        if kind not in self._indexes:
            self._indexes[kind] = SearchIndex(items, fields)
        return self._indexes[kind]

    def reset(self) -> None:
        """Return to the seed: no faults, no tokens, an empty log. Options stay."""
        self.state.load(self.state.seed)
        self.faults.clear(seed=0)
        self.access.revoke()
        self.log.clear()


@dataclass
class Exchange:
    """What the gate knows of a request and its handler needs."""

    correlation_id: str
    token: Token | None = None
    fired: Fired = field(default_factory=Fired)
    body: bytes = b""

    @classmethod
    def of(cls, request: Request) -> Exchange:
        exchange: Exchange = request.scope["state"]["exchange"]
        return exchange

    @property
    def seconds_ago(self) -> float:
        """How old a group must look to this reader."""
        rule = self.fired.of("stale")
        return rule.seconds if rule else 0.0

    def carried_out(self, changes: list[str]) -> list[str]:
        """Return the changes that really happen: all of them, unless a fault says otherwise."""
        if self.fired.of("lost_write"):
            return []
        if self.fired.of("partial_write"):
            return changes[: len(changes) // 2]
        return changes


def json_body(request: Request, *media_types: str) -> Any:
    """Return the JSON of a request.

    Raises RefusalError for another media type (415) and for a body that is not JSON (400).
    """
    sent = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if sent not in (media_types or ("application/json",)):
        raise refusals.with_status(415)
    try:
        return json.loads(Exchange.of(request).body)
    except ValueError:
        raise refusals.bad_request(
            "The request could not be understood by the server due to malformed syntax.", scim_type="invalidSyntax"
        ) from None


def as_version(value: Any) -> int:
    """Read a version: a whole number or its text, since the API's samples show both."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusals.invalid_value(value, "version", "a whole number")
    return value
