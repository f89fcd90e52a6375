"""The interface of a write strategy: changes in, results out.

Knows nothing of a particular endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from genesys_ad_sync.genesys.errors import BadRequest, GenesysError, NotFound, VersionConflict
from genesys_ad_sync.model import Action

# An id goes into paths and queries: other characters could make it mean other members.
MAX_WORDS = 300
_SAFE_ID = re.compile(r"[0-9A-Za-z_-]+\Z")


class MemberChange(NamedTuple):
    """An action on a Genesys user id."""

    action: Action
    user_id: str


@dataclass(frozen=True)
class WriteResult:
    """The result of one change.

    ``ok``: Genesys accepted it. ``ambiguous``: it is unknown whether it was carried out. In both cases only a
    read-back shows whether it is in effect.
    ``words``: what a refusal says, the same for the same cause; empty if it is none, as a version conflict.
    ``of_group``: the group itself is refused, whoever the member is. ``conflict``: the group changed meanwhile, again
    and again; neither a refusal nor a failure.
    """

    user_id: str
    action: Action
    ok: bool
    http_code: int | None = None
    correlation_id: str | None = None
    error: str | None = None
    ambiguous: bool = False
    words: str = ""
    of_group: bool = False
    conflict: bool = False


class MembershipWriter(Protocol):
    """A write strategy. Usable from several threads, each with a group of its own."""

    def apply(
        self, group_id: str, add: Sequence[str], remove: Sequence[str], before_request: Callable[[], None]
    ) -> Iterator[WriteResult]:
        """Send the changes of one group, and yield each result as it comes.

        ``before_request`` is called before every request, repetitions included. If it raises, nothing more is sent.

        A change that Genesys refuses is a result. Raises a GenesysError when further requests cannot succeed (no
        permission, token refused, service down). Changes without a result were then not carried out; those of the
        last request that may have been are yielded as ``ambiguous`` first.
        """
        ...

    def lost_groups(self, user_ids: Collection[str]) -> Mapping[str, frozenset[str] | None]:
        """Return groups that these users lost by being written, against the plan.

        None: the groups of the user could not be read. Users without a loss are left out. The result is empty for a
        strategy whose requests cannot touch other groups.
        """
        ...


def changes_of(add: Sequence[str], remove: Sequence[str]) -> tuple[list[MemberChange], list[MemberChange]]:
    """Return the changes that can be sent, and those with an unsafe id.

    Adds come first, and each change once. Raises ValueError for a member that is to be added and removed.
    """
    if both := set(add) & set(remove):
        raise ValueError(f"{len(both)} members are to be added and removed in the same request")
    changes = [MemberChange(Action.ADD, user_id) for user_id in dict.fromkeys(add)]
    changes += [MemberChange(Action.REMOVE, user_id) for user_id in dict.fromkeys(remove)]
    return (
        [change for change in changes if _SAFE_ID.match(change.user_id)],
        [change for change in changes if not _SAFE_ID.match(change.user_id)],
    )


def unsafe_ids(changes: Sequence[MemberChange]) -> Iterator[WriteResult]:
    """Yield the results of changes that are not sent because of their id."""
    for action, user_id in changes:
        yield WriteResult(user_id, action, ok=False, error="This is not an id of a Genesys user; nothing was sent")


def refused(
    batch: Sequence[MemberChange], error: GenesysError, *, ambiguous: bool, of_group: bool = False
) -> Iterator[WriteResult]:
    """Yield the results of a batch with an error or without an answer."""
    words = words_of_refusal(error) if isinstance(error, (BadRequest, NotFound)) else ""
    for action, user_id in batch:
        # RFC 7644: noTarget = the filter matches nobody, so there is nothing left to remove.
        gone = action is Action.REMOVE and error.code == "noTarget" and len(batch) == 1
        yield WriteResult(
            user_id,
            action,
            ok=gone,
            http_code=error.status,
            correlation_id=error.correlation_id,
            error=None if gone else error.report_text(),
            ambiguous=ambiguous and not gone,
            words="" if gone or ambiguous else words,
            of_group=of_group and not gone,
            conflict=isinstance(error, VersionConflict),
        )


def words_of_refusal(error: GenesysError) -> str:
    """Return what a refusal says. Words that name a user differ from user to user."""
    return " ".join(str(part) for part in (error.status, error.code, error.words or error.message) if part)[:MAX_WORDS]
