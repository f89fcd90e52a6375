"""Faults on purpose: rules by method and path that say how an answer fails.

Deciding which rules fire is here; carrying it out is the gate's work.
"""

from __future__ import annotations

import dataclasses
import random
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal[
    "status",  # answer `status` (500, 502, 503, 504, 408, 409, 413, …), with `retry_after` if given; `processed` or not
    "throttle",  # 429, with Retry-After if `retry_after` is given, without if not
    "unauthorized",  # 401 bad.credentials although the token is good (`times=1`: once)
    "token_revoked",  # the token that came with the request is revoked: 401 until a new one is fetched
    "html",  # an HTML page with `status` (default 200) instead of JSON, as a proxy would; not processed
    "truncated_json",  # processed; the JSON is cut in the middle, Content-Length fits the cut
    "cut_body",  # processed; the connection ends in the middle of the body
    "reset_before",  # connection reset, not processed
    "reset_after",  # processed, then connection reset: the caller cannot know
    "slow",  # `seconds` of silence, `when` before or after processing; it ends when the rules are cleared
    "stale",  # reads of a group and its members show what was `seconds` ago
    "short_page",  # `drop` items are missing at the end of a page; `total` stays
    "foreign_write",  # before processing, somebody else changes the group of the path: `add`, `remove`, a new version
    "lost_write",  # answered like a success, nothing is changed
    "partial_write",  # answered like a success, only the first half of the member changes is carried out
]

ANSWERING: frozenset[str] = frozenset(
    {"status", "throttle", "unauthorized", "html", "truncated_json", "cut_body", "reset_before", "reset_after"}
)
"""Kinds that decide the answer: of these only the first that fires counts. All others may come together."""


@dataclass
class FaultRule:
    """A rule that makes requests fail.

    ``method`` and ``path`` are regular expressions: the method must match in full, the path somewhere.
    ``times``: fire for the next n matches, then never again (None: for ever). ``skip``: let the first n matches pass.
    ``probability``: of firing, drawn from the seeded generator of `Faults`. ``processed`` (kind `status`): the request
    is carried out and the error is answered all the same. ``message`` (kind `status`): Genesys' own words.
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    status: int | None = None
    message: str | None = None
    retry_after: int | None = None
    seconds: float = 1.0
    when: Literal["before", "after"] = "after"
    processed: bool = False
    drop: int = 1
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    fired: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"no such fault: {self.kind!r}; there are {', '.join(get_args(Kind))}")
        if self.kind == "status" and self.status is None:
            raise ValueError("fault 'status' needs a status")
        re.compile(self.method)
        re.compile(self.path)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FaultRule:
        try:
            rule = cls(**values)
        except TypeError as error:
            raise ValueError(f"no such fault rule: {error}") from error
        rule.add, rule.remove = tuple(rule.add), tuple(rule.remove)
        return rule

    def matches(self, method: str, path: str) -> bool:
        return re.fullmatch(self.method, method, re.IGNORECASE) is not None and re.search(self.path, path) is not None


class Faults:
    """The rules in force, in order. Thread-safe."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []
        self._random = random.Random(seed)

    def add(self, *rules: FaultRule) -> None:
        with self._lock:
            self._rules.extend(rules)

    def clear(self, seed: int | None = None) -> None:
        with self._lock:
            self._rules.clear()
            if seed is not None:
                self._random = random.Random(seed)

    def has(self, rule: FaultRule) -> bool:
        """Return True unless the rules were cleared since that one was added."""
        with self._lock:
            return any(rule is each for each in self._rules)

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules with how often each has fired."""
        with self._lock:
            return [dataclasses.asdict(rule) for rule in self._rules]

    def fire(self, method: str, path: str) -> Fired:
        """Return the rules that hit this request, and count them down."""
        chosen: list[FaultRule] = []
        answered = False
        with self._lock:
            for rule in self._rules:
                if not rule.matches(method, path) or rule.times == 0:
                    continue
                if rule.kind in ANSWERING and answered:
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.probability < 1.0 and self._random.random() >= rule.probability:
                    continue
                if rule.times is not None:
                    rule.times -= 1
                rule.fired += 1
                answered = answered or rule.kind in ANSWERING
                chosen.append(rule)
        return Fired(chosen)


class Fired:
    """The rules that hit one request."""

    def __init__(self, rules: Iterable[FaultRule] = ()) -> None:
        self._rules = list(rules)

    def of(self, *kinds: Kind) -> FaultRule | None:
        return next((rule for rule in self._rules if rule.kind in kinds), None)

    @property
    def names(self) -> list[str]:
        return [rule.kind for rule in self._rules]
