"""What rows and notes say of other sync definitions.

A row is held if another one feeds its Genesys group. The name of that definition is for those who may see it. And what
waits goes by who feeds the group now: a row says who fed it when its run planned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.planning.verdicts import claim_error
from genesys_ad_sync.report.remedies import Answer, remedy

CLAIM_ENDED = "No other sync definition feeds this Genesys group any more: the next run takes the change up."
_UNNAMED = "another sync definition already feeds this Genesys group"
_ANOTHER = "another sync"

_NAME = r"[A-Za-z0-9._-]+"
_IN_NOTES = (
    re.compile(rf"\bsync definition ({_NAME})(?= is gone, and | has | had: | on Genesys group )"),
    re.compile(rf"\bsync definitions whose file is gone: ({_NAME}(?:, {_NAME})*)"),
)
"""How the notes of a run name definitions: see `run.claims` and `run.renaming`."""


def as_far_as_named(row: Row, named: Collection[str] | None) -> Row:
    """Return a row without the name of a definition outside ``named``.

    None: all may be named.
    """
    other = row.about.get("definition")
    if row.reason is not Reason.CLAIMED_BY or named is None or other in named:
        return row
    return replace(row, error=_UNNAMED, about={key: text for key, text in row.about.items() if key != "definition"})


def note_as_far_as_named(note: str, may_name: Callable[[str], bool]) -> str:
    """Return a note of a run without the names that may not be shown."""
    found = {name for pattern in _IN_NOTES for names in pattern.findall(note) for name in names.split(", ")}
    for name in sorted((name for name in found if not may_name(name)), key=len, reverse=True):
        note = re.sub(rf"(?:(?:the )?sync definition )?(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", _ANOTHER, note)
    return note


def hide_in_report(document: dict[str, Any], named: Collection[str]) -> dict[str, Any]:
    """Return a report whose rows do not name definitions outside ``named``."""
    return {**document, "details": [_hide_in_detail(detail, named) for detail in document["details"]]}


def _hide_in_detail(detail: dict[str, Any], named: Collection[str]) -> dict[str, Any]:
    error = detail.get("error")
    if detail.get("reason") != Reason.CLAIMED_BY.value or error in {claim_error(name) for name in named}:
        return detail
    without_name = Row(
        action=Action(detail["action"]),
        status=Status(detail["status"]),
        genesys_group_id=(detail.get("genesys_group") or {}).get("id"),
        user_guid=None,
        group_guids=(),
        reason=Reason.CLAIMED_BY,
    )
    return {**detail, "error": _UNNAMED, "remedy": remedy(without_name)}


@dataclass(frozen=True)
class Claims:
    """Who feeds Genesys groups now.

    ``own``: the definition whose rows are shown. ``holders``: Genesys group id -> definition. ``named``: the
    definitions that may be named; None: all.
    """

    own: str
    holders: Mapping[str, str]
    named: Collection[str] | None = None

    def present(self, row: Row) -> Row:
        """Return a row that waits, with the definition that feeds its Genesys group now."""
        if row.reason is not Reason.CLAIMED_BY:
            return row
        if self._has_ended(row):
            return replace(row, error=None)
        other = self.holders[row.genesys_group_id or ""]
        about = {**row.about, "definition": other}
        return as_far_as_named(replace(row, error=claim_error(other), about=about), self.named)

    def remedy(self, row: Row) -> str | None:
        """Return what a person can do about a row of `present`; None: nothing but wait."""
        if row.reason is Reason.CLAIMED_BY and self._has_ended(row):
            return CLAIM_ENDED
        return remedy(row, Answer.LATER)

    def _has_ended(self, row: Row) -> bool:
        return self.holders.get(row.genesys_group_id or "", self.own) == self.own
