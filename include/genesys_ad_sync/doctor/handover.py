"""Files that the tasks of a `check` run leave each other.

They hold the reading of AD, and the pairs. The journal is not used for it: a check changes nothing that a run believes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from genesys_ad_sync.model import DirectoryGroup, DirectoryUser, DirectoryView, GroupPair, PrincipalKind


@dataclass(frozen=True)
class Handover:
    """``pairs`` None: the groups were not mapped yet, or could not be."""

    view: DirectoryView
    pairs: tuple[GroupPair, ...] | None = None

    def as_bytes(self) -> bytes:
        """Return it as JSON."""
        view = self.view
        content = {
            "groups": [asdict(group) for group in view.groups.values()],
            "users": [asdict(user) for user in view.users.values()],
            "members": {guid: sorted(members) for guid, members in view.members.items()},
            "pairs": None if self.pairs is None else [asdict(pair) for pair in self.pairs],
        }
        return json.dumps(content, default=_as_text).encode("utf-8", "surrogatepass")

    @classmethod
    def of(cls, content: bytes) -> Handover:
        """Read what `as_bytes` returned."""
        data: dict[str, Any] = json.loads(content.decode("utf-8", "surrogatepass"))
        groups = [DirectoryGroup(**group) for group in data["groups"]]
        users = [_user(user) for user in data["users"]]
        view = DirectoryView(
            groups={group.guid: group for group in groups},
            users={user.guid: user for user in users},
            members={guid: set(members) for guid, members in data["members"].items()},
        )
        pairs: Sequence[dict[str, Any]] | None = data["pairs"]
        return cls(view, None if pairs is None else tuple(GroupPair(**pair) for pair in pairs))


def _user(data: dict[str, Any]) -> DirectoryUser:
    expires_at = data["expires_at"]
    changed = {
        "kind": PrincipalKind(data["kind"]),
        "expires_at": None if expires_at is None else datetime.fromisoformat(expires_at),
    }
    known = {field.name for field in fields(DirectoryUser)}
    return DirectoryUser(**{name: value for name, value in {**data, **changed}.items() if name in known})


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
