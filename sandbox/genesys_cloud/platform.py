"""What all routes share: the organisation, the options, the faults, the tokens, the log; and the request at hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.access import DEFAULT_CLIENT_ID, Access, Token
from sandbox.genesys_cloud.faults import Faults, Fired
from sandbox.genesys_cloud.options import SandboxOptions
from sandbox.genesys_cloud.request_log import RequestLog
from sandbox.genesys_cloud.state import State


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

    def reset(self) -> None:
        """Back to the seed: no faults, no tokens, an empty log. Options stay."""
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
        """The part of the changes that really happens: all of them, unless a fault says otherwise."""
        if self.fired.of("lost_write"):
            return []
        if self.fired.of("partial_write"):
            return changes[: len(changes) // 2]
        return changes


def json_body(request: Request, *media_types: str) -> Any:
    """The JSON of a request. Refuses another media type (415) and what is no JSON (400)."""
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
    """A version as the API takes it: a whole number, or a text of one (samples show both)."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusals.invalid_value(value, "version", "a whole number")
    return value
