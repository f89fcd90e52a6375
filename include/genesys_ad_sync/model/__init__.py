"""The words of the domain, as types. Pure data: no I/O, no clock, no Airflow.

Every ``datetime`` is aware and in UTC.
"""

from genesys_ad_sync.model.changes import Action, Change, Mode, Window
from genesys_ad_sync.model.directory import Cursor, DirectoryGroup, DirectoryUser, Guid, PrincipalKind, Scope, View
from genesys_ad_sync.model.genesys import MEMBERS_PER_REQUEST, GenesysGroup, GenesysUser, UserKey, WriteStrategy
from genesys_ad_sync.model.identity import Grant, Link, Match, MatchStatus, Pair, SkippedGroup
from genesys_ad_sync.model.outcome import SETTLED, Outcome, Reason, Status
from genesys_ad_sync.model.rows import GroupResult, Row, RowKey
from genesys_ad_sync.model.runs import Decision, Done, RunKey, RunRecord, RunRequest, StoredCursor

__all__ = [
    "MEMBERS_PER_REQUEST",
    "SETTLED",
    "Action",
    "Change",
    "Cursor",
    "Decision",
    "DirectoryGroup",
    "DirectoryUser",
    "Done",
    "GenesysGroup",
    "GenesysUser",
    "Grant",
    "GroupResult",
    "Guid",
    "Link",
    "Match",
    "MatchStatus",
    "Mode",
    "Outcome",
    "Pair",
    "PrincipalKind",
    "Reason",
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
    "View",
    "Window",
    "WriteStrategy",
]
