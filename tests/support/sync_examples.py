"""Small builders for the pure rooms' tests: a definition, people, groups and changes with as few words as possible."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from genesys_ad_sync.model import (
    Action,
    Change,
    DirectoryGroup,
    DirectoryUser,
    GenesysGroup,
    GenesysUser,
    Grant,
    Match,
    MatchStatus,
    PrincipalKind,
)
from genesys_ad_sync.planning import Plan, PlanContext, Target, UnmappedGroup, plan
from genesys_ad_sync.settings import SyncDefinition

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
BASE = "OU=Contact Center,DC=example,DC=com"


def definition(**changed: Any) -> SyncDefinition:
    return SyncDefinition.model_validate(
        {
            "directory": {"group_base": BASE},
            "groups": [{"name": "(?P<same>.+)", "genesys_name": "{same}"}],
            "report": {"path": "file:///reports"},
            **changed,
        }
    )


def directory_group(name: str, **changed: Any) -> DirectoryGroup:
    fields: dict[str, Any] = {
        "guid": f"guid-{name}",
        "dn": f"CN={name},{BASE}",
        "name": name,
        "sam_account_name": None,
        "sid": None,
        "in_scope": True,
    }
    return DirectoryGroup(**{**fields, **changed})


def directory_user(guid: str, **changed: Any) -> DirectoryUser:
    fields: dict[str, Any] = {
        "guid": guid,
        "dn": f"CN={guid},{BASE}",
        "kind": PrincipalKind.USER,
        "name": guid,
        "sam_account_name": guid,
        "disabled": False,
        "attributes": {"mail": f"{guid}@example.com"},
    }
    return DirectoryUser(**{**fields, **changed})


def genesys_user(id_: str, email: str | None = None, state: str = "active", username: str | None = None) -> GenesysUser:
    return GenesysUser(id=id_, name=id_, email=email, username=username or email, state=state)


def genesys_group(id_: str = "G", name: str = "Sales", state: str = "active") -> GenesysGroup:
    return GenesysGroup(id=id_, name=name, state=state)


def matched(user: str, genesys_id: str | None = None) -> Match:
    return Match(user, MatchStatus.MATCHED, genesys_id or f"x-{user}", "mail=email")


def matches(*users: str | Match) -> dict[str, Match]:
    made = [user if isinstance(user, Match) else matched(user) for user in users]
    return {match.user_guid: match for match in made}


def change(action: str, user: str | None, group: str = "g1", **changed: Any) -> Change:
    fields: dict[str, Any] = {
        "group_guid": group,
        "user_guid": user,
        "action": Action(action),
        "observed_at": NOON,
        "observed_after": NOON - timedelta(minutes=15),
        "id": 1,
    }
    return Change(**{**fields, **changed})


def grant(user: str, group: str = "g1", genesys_id: str | None = None, target: str = "G") -> Grant:
    return Grant(target, genesys_id or f"x-{user}", user, group)


def target(**changed: Any) -> Target:
    """Return a Genesys group fed by the AD group g1, read completely, without members."""
    fields: dict[str, Any] = {
        "genesys_group": genesys_group(),
        "sources": ("g1",),
        "full": False,
        "wanted": {},
        "complete": True,
        "members": frozenset(),
    }
    return Target(**{**fields, **changed})


def planned(
    *targets: Target,
    known: Mapping[str, Match] | None = None,
    unmapped: tuple[UnmappedGroup, ...] = (),
    policy: SyncDefinition | None = None,
    **context: Any,
) -> Plan:
    return plan(targets, known or {}, unmapped, policy or definition(), PlanContext(observed_at=NOON, **context))


def told(made: Plan) -> list[tuple[str, str | None, str, str | None]]:
    """Return (action, AD user, status, reason) of each row, in order."""
    return [
        (row.action.value, row.user_guid, row.status.value, row.reason.value if row.reason else None)
        for row in made.rows
    ]
