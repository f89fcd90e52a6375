"""The words of the domain, as types. Pure data: no I/O, no clock, no Airflow.

Every ``datetime`` is aware and in UTC.
"""

from genesys_ad_sync.model.changes import Action, Change, Doubt, Evidence, Mode, Window
from genesys_ad_sync.model.directory import (
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    DirectoryView,
    Guid,
    MembershipPolicy,
    PrincipalKind,
    Scope,
    Vector,
)
from genesys_ad_sync.model.genesys import MEMBERS_PER_REQUEST, GenesysGroup, GenesysUser, UserKey, WriteStrategy
from genesys_ad_sync.model.identity import (
    BY_LINK,
    BY_PERSON,
    DryEvidence,
    FormerLink,
    Grant,
    GroupPair,
    Link,
    Match,
    MatchStatus,
    PairState,
    SkippedGroup,
)
from genesys_ad_sync.model.outcome import SETTLED, Outcome, Reason, Status
from genesys_ad_sync.model.rows import ABOUT_KEYS, GroupResult, Rival, Row, RowKey
from genesys_ad_sync.model.runs import (
    UNDECIDED,
    Decision,
    Objection,
    RunKey,
    RunRecord,
    RunRequest,
    StoredCursor,
    WrittenRow,
)

__all__ = [
    "ABOUT_KEYS",
    "BY_LINK",
    "BY_PERSON",
    "MEMBERS_PER_REQUEST",
    "SETTLED",
    "UNDECIDED",
    "Action",
    "Change",
    "Cursor",
    "Decision",
    "DirectoryGroup",
    "DirectoryUser",
    "DirectoryView",
    "Doubt",
    "DryEvidence",
    "Evidence",
    "FormerLink",
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
    "Objection",
    "Outcome",
    "PairState",
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
    "Vector",
    "Window",
    "WriteStrategy",
    "WrittenRow",
]
