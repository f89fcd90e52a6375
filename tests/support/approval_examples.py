"""A row that waits for an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from genesys_ad_sync.model import Action, Reason, Row, Status
from tests.support.sync_examples import NOON


def row(user: str, group: str = "G", name: str = "Sales", **changed: Any) -> Row:
    fields: dict[str, Any] = {
        "action": Action.REMOVE,
        "status": Status.HELD,
        "genesys_group_id": group,
        "user_guid": user,
        "group_guids": ("g1",),
        "genesys_user_id": f"x-{user}",
        "reason": Reason.OVER_LIMIT,
        "observed_at": NOON,
        "observed_after": NOON - timedelta(minutes=15),
        "genesys_group": {"id": group, "name": name},
    }
    return Row(**{**fields, **changed})
