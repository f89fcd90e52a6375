"""The words of the domain, as types. Pure data: no I/O, no clock, no Airflow.

Every ``datetime`` is aware and in UTC.
"""

from genesys_ad_sync.model.changes import Action, Change, Mode, Window
from genesys_ad_sync.model.directory import (
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    DirectoryView,
    Guid,
    MembershipPolicy,
    PrincipalKind,
    Scope,
)
from genesys_ad_sync.model.genesys import MEMBERS_PER_REQUEST, GenesysGroup, GenesysUser, UserKey, WriteStrategy
from genesys_ad_sync.model.identity import DryEvidence, Grant, GroupPair, Link, Match, MatchStatus, SkippedGroup
from genesys_ad_sync.model.outcome import SETTLED, Outcome, Reason, Status
from genesys_ad_sync.model.rows import ABOUT_KEYS, GroupResult, Rival, Row, RowKey
from genesys_ad_sync.model.runs import Decision, RunKey, RunRecord, RunRequest, StoredCursor, WrittenRow

__all__ = [
    "ABOUT_KEYS",
    "MEMBERS_PER_REQUEST",
    "SETTLED",
    "Action",
    "Change",
    "Cursor",
    "Decision",
    "DirectoryGroup",
    "DirectoryUser",
    "DirectoryView",
    "DryEvidence",
    "GenesysGroup",
    "GenesysUser",
    "Grant",
    "GroupPair",
    "GroupResult",
    "Guid",
    "Link",
    "Match",
    "MatchStatus",
    "MembershipPolicy",
    "Mode",
    "Outcome",
    "PrincipalKind",
    "Reason",
    "Rival",
    "Row",
    "RowKey",
    "RunKey",
    "RunRecord",
    "RunRequest",
    "Scope",
    "SkippedGroup",
    "Status",
    "StoredCursor",
    "UserKey",
    "Window",
    "WriteStrategy",
    "WrittenRow",
]
