"""The shape of a report, as pydantic models.

It is for tests, and for scripts that read reports. Knows nothing of how a report comes about. People's scripts use the
keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from genesys_ad_sync.model import Action, Reason, Status

SCHEMA_VERSION = 1
"""Rises when a key goes away or changes its meaning. A new key does not raise it."""

COUNT_KEYS: dict[Status, str] = {
    Status.SUCCESS: "successes",
    Status.FAILED: "failures",
    Status.ORPHANED: "orphans",
    Status.SKIPPED: "skipped",
    Status.HELD: "held",
    Status.UNCHANGED: "unchanged",
    Status.SUPERSEDED: "superseded",
    Status.PLANNED: "planned",
}
"""Under which key the report counts the rows of a status."""

Timestamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", description="RFC 3339, UTC")]
Count = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    # Reports hold names and mail addresses; an error message must not repeat them.
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class DirectoryGroupRef(_Strict):
    guid: str
    dn: str | None
    name: str | None


class GenesysGroupRef(_Strict):
    id: str
    name: str | None


class DirectoryUserRef(_Strict):
    guid: str
    dn: str | None
    mail: str | None


class RivalRef(_Strict):
    guid: str | None
    genesys_user_id: str | None


class WindowRef(_Strict):
    start: Timestamp | None
    end: Timestamp | None


class Detail(_Strict):
    action: Action
    status: Status
    user_id: str | None
    http_code: int | None
    error: str | None
    reason: Reason | None
    correlation_id: str | None
    changed_at: Timestamp | None
    observed_after: Timestamp | None
    observed_at: Timestamp | None
    settled_by: str | None
    first_seen_at: Timestamp | None
    first_seen_run: str | None
    remedy: str | None
    retry_after: Timestamp | None
    rivals: list[RivalRef]
    directory_groups: list[DirectoryGroupRef]
    genesys_group: GenesysGroupRef | None
    directory_user: DirectoryUserRef | None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Return the key that is unique in a report.

        It is (Genesys group, or the AD groups of an unmapped one; person; action).
        """
        target = self.genesys_group.id if self.genesys_group else ",".join(g.guid for g in self.directory_groups)
        person = self.directory_user.guid if self.directory_user else self.user_id or ""
        return target, person, self.action.value


class RefusedRef(_Strict):
    since: Timestamp | None
    retry_after: Timestamp | None
    reason: Reason
    http_code: int | None
    error: str | None
    correlation_id: str | None


class OpenCountRef(_Strict):
    count: Count
    oldest_first_seen_at: Timestamp | None


class OpenRef(_Strict):
    orphaned: OpenCountRef
    held: OpenCountRef
    failed: OpenCountRef
    listed_in: str | None


class Group(_Strict):
    genesys_group: GenesysGroupRef
    directory_groups: list[DirectoryGroupRef]
    complete: bool
    before: Count | None
    after: Count | None
    added: Count
    removed: Count
    manual_members: Count | None
    manual_member_ids: list[str] | None
    refused: RefusedRef | None


class Requests(_Strict):
    total: Count
    retried: Count
    throttled: Count
    by_endpoint: dict[str, Count]


class Approval(_Strict):
    by: str | None
    at: Timestamp | None
    decision: str | None


class Report(_Strict):
    """One attempt of one run."""

    schema_version: Literal[1]
    dag_id: str
    run_id: str
    run_type: str
    attempt: Annotated[int, Field(ge=1)]
    mode: Literal["changes", "full"]
    dry_run: bool
    timestamp: Timestamp
    window: WindowRef | None
    total_changes: Count
    successes: Count
    failures: Count
    orphans: Count
    skipped: Count
    held: Count
    unchanged: Count
    superseded: Count
    planned: Count
    details: list[Detail]
    groups: list[Group]
    requests: Requests
    approval: Approval | None
    notes: list[str]
    open: OpenRef | None

    @model_validator(mode="after")
    def _totals_add_up(self) -> Report:
        rows = Counter(detail.status for detail in self.details)
        for status, key in COUNT_KEYS.items():
            if getattr(self, key) != rows[status]:
                raise ValueError(f"{key} is {getattr(self, key)}, but {rows[status]} rows are {status.value}")
        if self.total_changes != len(self.details):
            raise ValueError(f"total_changes is {self.total_changes}, but there are {len(self.details)} rows")
        return self

    @model_validator(mode="after")
    def _each_row_appears_once(self) -> Report:
        twice = [identity for identity, times in Counter(d.identity for d in self.details).items() if times > 1]
        if twice:
            raise ValueError(f"{len(twice)} changes appear more than once, the first: {':'.join(twice[0])}")
        return self

    @model_validator(mode="after")
    def _window_fits_the_mode(self) -> Report:
        if (self.window is None) != (self.mode == "full"):
            raise ValueError("window is null for mode full, and only for it")
        return self


def validate(report: Mapping[str, Any]) -> None:
    """Check a report against the models.

    Raises pydantic.ValidationError (a ValueError), which names every key that is missing, unknown or wrong, totals
    that do not add up, and changes that appear twice.
    """
    # By way of JSON, because that is what is in the file: strict, and with texts for enums.
    Report.model_validate_json(json.dumps(report, allow_nan=False))


def json_schema() -> dict[str, Any]:
    """Return the models as JSON Schema (draft 2020-12), which cannot express the sums."""
    return Report.model_json_schema()
