"""The values that one task of a run leaves for later tasks.

They are in the journal, each with its type. The stored JSON is an interface: a run that an older version began is
finished by a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, PlainSerializer, TypeAdapter

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.model import (
    AccountState,
    Change,
    Decision,
    GenesysGroup,
    GroupPair,
    Guid,
    Match,
    MatchStatus,
    OpenChanges,
    PairState,
    Reason,
    Rival,
    RowKey,
    RunKey,
    RunRecord,
    SkippedGroup,
)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Fact(Generic[_T]):
    """A value that one task leaves in the journal for later tasks of the run.

    ``key``: its name there. ``kind``: its type. ``default``: while no task has left it.
    """

    key: str
    kind: Any
    default: _T

    @cached_property  # making it takes a while, and few tasks and commands need many facts
    def adapter(self) -> TypeAdapter[_T]:
        """What checks and writes the stored JSON."""
        return TypeAdapter(self.kind)


class Facts:
    """One task's access to the facts of its run.

    Each is read from the journal once per task.
    """

    def __init__(self, journal: Journal | DefinitionJournal, run: Callable[[], RunRecord]) -> None:
        self._journal = journal
        self._run = run
        self._known: dict[str, Any] = {}

    def __getitem__(self, fact: Fact[_T]) -> _T:
        """Return the value that an earlier task left, or the default."""
        if fact.key not in self._known:
            return self.read_again(fact)
        value: _T = self._known[fact.key]
        return value

    def __setitem__(self, fact: Fact[_T], value: _T) -> None:
        """Store a value for later tasks, and for this one."""
        self._journal.facts.put(self._run(), fact.key, fact.adapter.dump_python(value, mode="json"))
        self._known[fact.key] = value

    def read_again(self, fact: Fact[_T]) -> _T:
        """Return the stored value, where other tasks may have written one since."""
        stored = self._journal.facts.get(self._run(), fact.key, default=None)
        value = fact.default if stored is None else fact.adapter.validate_python(stored)
        self._known[fact.key] = value
        return value

    def read_ahead(self, *facts: Fact[Any]) -> None:
        """Read these facts before several threads ask for them, each for itself."""
        for fact in facts:
            self[fact]

    def required(self, fact: Fact[_T | None]) -> _T:
        """Return the value that an earlier task must have left. Raise JournalError if none did."""
        value = self[fact]
        if value is None:
            run = self._run()
            raise JournalError(
                f"The task before this one left no {fact.key!r} in the journal for run {run.key.run_id}, attempt "
                f"{run.attempt}: it has not finished. Clear it with everything downstream."
            )
        return value

    def forget(self, *facts: Fact[Any]) -> None:
        """Read these facts from the journal again when they are asked for."""
        for fact in facts:
            self._known.pop(fact.key, None)

    def override(self, fact: Fact[_T], value: _T) -> None:
        """Use a newer value in this task only; the journal keeps the earlier one."""
        self._known[fact.key] = value


# -- how values are stored ----------------------------------------------------------------------------


def _as_moment(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _as_polls(value: Mapping[Guid, int] | list[Guid]) -> Mapping[Guid, int]:
    """Read the polls, also from the list that an older version stored.

    The proofs in such a list are of an unknown poll.
    """
    return dict.fromkeys(value, 0) if isinstance(value, list) else value


def _as_pair(value: GroupPair | list[Any]) -> GroupPair:
    if isinstance(value, GroupPair):
        return value
    return GroupPair(*value[:5], *map(PairState, value[5:]))


def _pair_as_list(pair: GroupPair) -> list[Any]:
    """Return five values, as older versions read them.

    A pair that has to do with a person has more.
    """
    state = () if pair.state is PairState.CONFIRMED else (pair.state.value,)
    return [pair.group_guid, pair.genesys_group_id, pair.genesys_group_name, pair.rule, pair.has_baseline, *state]


def _as_skipped(value: SkippedGroup | list[Any]) -> SkippedGroup:
    if isinstance(value, SkippedGroup):
        return value
    guid, reason, detail = value
    return SkippedGroup(guid, Reason(reason), detail)


def _skipped_as_list(skipped: SkippedGroup) -> list[str]:
    return [skipped.group_guid, skipped.reason.value, skipped.detail]


def _as_match(value: Match | list[Any]) -> Match:
    if isinstance(value, Match):
        return value
    guid, status, user_id, matched_by, reason, candidates, *more = value
    rivals, refused, moved_from = more or ([], None, None)  # an older version stored six
    return Match(
        guid,
        MatchStatus(status),
        user_id,
        matched_by,
        Reason(reason) if reason else None,
        tuple(candidates),
        tuple(Rival(*rival) for rival in rivals),
        refused,
        moved_from,
    )


def _match_as_list(match: Match) -> list[Any]:
    """Return six values, as older versions read them, unless there is more to say."""
    more = [[[rival.guid, rival.genesys_user_id] for rival in match.rivals], match.value, match.moved_from]
    return [
        match.user_guid,
        match.status.value,
        match.genesys_user_id,
        match.matched_by,
        match.reason.value if match.reason else None,
        list(match.candidates),
        *(more if any(more) else ()),
    ]


# The serializers write what was stored before these types existed: lists by position, sorted sets, `isoformat()`.
_Moment = Annotated[datetime, BeforeValidator(_as_moment), PlainSerializer(datetime.isoformat)]
_SortedIds = Annotated[frozenset[str], PlainSerializer(sorted)]
_Polls = Annotated[Mapping[Guid, int], BeforeValidator(_as_polls)]
_PairAsList = Annotated[GroupPair, BeforeValidator(_as_pair), PlainSerializer(_pair_as_list)]
_SkippedAsList = Annotated[SkippedGroup, BeforeValidator(_as_skipped), PlainSerializer(_skipped_as_list)]
_MatchAsList = Annotated[Match, BeforeValidator(_as_match), PlainSerializer(_match_as_list)]


# -- what `poll` leaves -------------------------------------------------------------------------------

NOTES = Fact[tuple[str, ...]]("notes", tuple[str, ...], ())
"""Sentences for the report."""

COMPLETE = Fact[Mapping[Guid, int]]("complete", _Polls, {})
"""AD groups that were read completely in this run, each with the newest poll that did."""

LOSSES = Fact[dict[Guid, tuple[Guid, ...]]]("losses", dict[Guid, tuple[Guid, ...]], {})
"""AD group in scope -> users that readings lack without explanation, and that count as members nevertheless."""

HISTORY = Fact[list[Change]]("history", list[Change], [])
"""Of a dry run: changes from before the journal began."""

JOURNAL_RESTORED = Fact[bool]("journal_restored", bool, False)

UNDO = Fact[RunKey | None]("undo", RunKey | None, None)
"""The run that this one takes back."""

ACCOUNTS = Fact[dict[Guid, AccountState]]("accounts", dict[Guid, AccountState], {})
"""The state in AD of accounts that a person's decision keeps in a group, or that this undo would put back."""

REQUESTED_BY = Fact[str | None]("requested_by", str | None, None)
"""The Airflow user who triggered the run; None: the scheduler did, or it is not known."""

MIRROR_ONCE = Fact[bool]("mirror_once", bool, False)
"""The policy of this run is `mirror`, and each removal of a stranger asks."""

RELEASED = Fact[str | None]("released", str | None, None)
"""The note on the run that was released."""


TAKEN_OVER = Fact[str | None]("taken_over", str | None, None)
"""The note on what was taken over from the definition's former name."""

RELEASED_CLAIMS = Fact[tuple[str, ...]]("released_claims", tuple[str, ...], ())
"""The notes on the claims that were released."""


# -- what `map_groups` leaves -------------------------------------------------------------------------


@dataclass(frozen=True)
class StoredMapping:
    """The mapping of this run, and the Genesys groups as they were listed for it.

    ``pairs``: baselines only of a dry run. ``names``: by Genesys group id. ``retired``: Genesys groups that an AD group
    fed until this run, and feeds no more. ``versions``: as an older version stored them; see `mapped.VERSIONS`.
    """

    pairs: tuple[_PairAsList, ...] = ()
    skipped: tuple[_SkippedAsList, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    retired: _SortedIds = frozenset()
    versions: dict[str, int | None] = field(default_factory=dict)

    @cached_property
    def genesys_groups(self) -> dict[str, GenesysGroup]:
        """All Genesys groups that there are, by id."""
        return {id_: GenesysGroup(id=id_, name=name) for id_, name in self.names.items()}


# No empty mapping as default: in it, every Genesys group would seem to be deleted.
MAPPING = Fact[StoredMapping | None]("mapping", StoredMapping | None, None)


OWNERS = Fact[dict[str, tuple[str, ...]]]("owners", dict[str, tuple[str, ...]], {})
"""Under `mirror`: Genesys group id -> its owners, where Genesys has shown them."""


HIDDEN_GROUPS = Fact[int]("hidden_groups", int, 0)
"""Genesys groups that the total of the listing counts, and that the client may not see."""

# -- what `resolve_users` and `plan` leave ------------------------------------------------------------

RESOLVED_TO = Fact[int]("resolved_to", int, 0)
"""The newest change that the journal knew when users were looked up."""

MATCHES = Fact[tuple[Match, ...]]("matches", tuple[_MatchAsList, ...], ())

SHOWN_USERS = Fact[dict[str, str]]("shown_users", dict[str, str], {})
"""Genesys user id -> the user in words, for the form and the page."""

RELINK_REQUESTS = Fact[tuple[str, ...]]("relink_requests", tuple[str, ...], ())
"""Param `relink`, as it was given."""

RELINK_REMARKS = Fact[dict[Guid, str]]("relink_remarks", dict[Guid, str], {})
"""Why the link of an account stays although the rules were asked."""


@dataclass(frozen=True)
class Relink:
    """A link that is to move.

    ``former``, ``new``: its Genesys users. ``ended``: other accounts whose link to the new one ends with it. The labels
    name both users for people.
    """

    guid: Guid
    former: str | None
    new: str
    ended: tuple[Guid, ...]
    former_label: str
    new_label: str


RELINKS = Fact[tuple[Relink, ...]]("relinks", tuple[Relink, ...], ())
"""What an approver must still confirm."""

LAST_CHANGE = Fact[int]("last_change", int, 0)
"""The newest change that the plan has considered."""


@dataclass(frozen=True)
class PlanReading:
    """The time at which `plan` read Genesys.

    ``fence``: under which this run writes if no other run did; None: another one was.
    """

    at: _Moment
    fence: int | None


READING = Fact[PlanReading | None]("reading", PlanReading | None, None)


@dataclass(frozen=True)
class StoredPlan:
    """The facts of the plan that later tasks must know beyond its rows.

    ``fail_reason``: why nothing may be written.
    """

    hash: str
    fail_reason: str | None
    at: _Moment


PLAN = Fact[StoredPlan | None]("plan", StoredPlan | None, None)

WHOLE = Fact[frozenset[str]]("whole", _SortedIds, frozenset())
"""Genesys groups that were to be compared in full."""

EMPTY_SOURCES = Fact[dict[str, tuple[Guid, ...]]]("empty_sources", dict[str, tuple[Guid, ...]], {})
"""Genesys group id -> its AD groups that read as having nobody when the plan was made: see `Target.empty_sources`."""

COMPARED = Fact[frozenset[str]]("compared", _SortedIds, frozenset())
"""Genesys groups that could be compared in full."""


OPEN = Fact[OpenChanges | None]("open", OpenChanges | None, None)

STOPPED = Fact[str | None]("stopped", str | None, None)
"""Why nothing more may be sent: the definition has turned dry."""


# -- the approval -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FrozenQuestion:
    """The approval request as the plan left it.

    ``rows``: their keys. ``options``: Genesys group id, or id of a new pair -> its line in the form. ``limits``: the
    same id -> the limits that it exceeds, in words; ``limits_of_run``: those of the run. ``singles``: row key -> the
    line of a row that can be chosen alone.
    """

    hash: str
    rows: list[str]
    options: dict[str, str]
    limits: dict[str, list[str]]
    limits_of_run: list[str]
    singles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredApproval:
    """The answer. ``groups``: the decision on each option; ``decision``: their common one, else a word.

    ``rows``: by row key, the decisions on rows that were chosen alone, or with a new pair.
    """

    by: str | None
    at: _Moment
    decision: str
    groups: dict[str, Decision]
    rows: dict[str, Decision] = field(default_factory=dict)

    def of(self, row_key: str) -> Decision:
        """Return the decision on a row of the question."""
        return self.rows.get(row_key) or self.groups[RowKey.parse(row_key).target]


QUESTION = Fact[FrozenQuestion | None]("question", FrozenQuestion | None, None)

APPROVAL = Fact[StoredApproval | None]("approval", StoredApproval | None, None)


def failure_of(stage: str) -> Fact[str | None]:
    """Return the fact that says why a stage ended with an error."""
    return Fact(f"failed:{stage}", str | None, None)
