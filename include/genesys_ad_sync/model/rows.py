"""Rows of the plan and of the report, and the figures of a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from genesys_ad_sync.model.changes import Action
from genesys_ad_sync.model.directory import Guid
from genesys_ad_sync.model.outcome import Reason, Status


@dataclass(frozen=True)
class RowKey:
    """The subject of a row.

    ``target``: the Genesys group, or the AD groups' guids where no rule maps them.
    ``person``: see `Row.person`. No id contains a colon.
    """

    target: str
    person: str
    action: Action

    def __str__(self) -> str:
        """Return the form in which the journal stores it."""
        return f"{self.target}:{self.person}:{self.action.value}"

    @classmethod
    def parse(cls, text: str) -> RowKey:
        """Read the stored form. Raises ValueError when the text is not one."""
        target, person, action = text.rsplit(":", 2)
        return cls(target, person, Action(action))


ABOUT_KEYS = frozenset(
    {
        "run",  # dag_id/run_id: the run that asked, undid or wrote
        "by",  # the Airflow user who decided
        "at",  # when, RFC 3339
        "definition",  # the other sync definition
        "domain_controller",  # those whose changes are missing: each of them can confirm it
        "shown_by",  # the domain controller that was read last
        "since",  # when it was first seen, RFC 3339
        "behind",  # how many changes are missing, in words
        "ask",  # "yes": Active Directory cannot decide any more, so a person is asked
        "rule",  # the rule of the definition, as it is written there
        "value",  # the value that was looked up
        "account",  # guid of the AD account that a Genesys user belonged to, or that no undo puts back
        "former_user",  # Genesys user of the link so far
        "new_user",  # Genesys user of the link from now on
        "limit",  # the exceeded limit in words
        "on_excess",  # the definition's `limits.on_excess`, where it asks nobody
        "asked_by",  # run_id of the run that asks about it already
        "gone",  # those of the rivals that no AD group lists any more
        "group",  # the AD group, by name
        "former_group",  # the Genesys group that this AD group fed before, by name
        "member",  # the member as Genesys Cloud shows it: name, mail, user name
        "unidentified",  # the AD accounts whose Genesys user is not known: name and mail of each
    }
)
"""What the reason of a row may name, beside the row's own group and person. The values are texts for people."""


@dataclass(frozen=True)
class Rival:
    """Another AD account or Genesys user that may be the person of a row.

    At least one id is known.
    """

    guid: Guid | None = None
    genesys_user_id: str | None = None


@dataclass(frozen=True)
class Row:
    """A line of the plan and of the report: (Genesys group, directory user, action).

    ``change_ids``: the journal's changes that are settled with the row. ``lane``: the mapped `patch` task that writes
    it; None: there is nothing to write. The dicts have the shape of the report's keys. ``about``: what the reason is
    about, see `ABOUT_KEYS`. ``rivals``: who else may be the person.
    """

    action: Action
    status: Status
    genesys_group_id: str | None
    user_guid: Guid | None
    group_guids: tuple[Guid, ...]
    genesys_user_id: str | None = None
    reason: Reason | None = None
    error: str | None = None
    http_code: int | None = None
    correlation_id: str | None = None
    changed_at: datetime | None = None
    observed_after: datetime | None = None
    observed_at: datetime | None = None
    settled_by: str | None = None  # DAG id/run id
    change_ids: tuple[int, ...] = ()
    lane: int | None = None
    genesys_group: Mapping[str, str | None] | None = None  # {id, name}
    directory_groups: tuple[Mapping[str, str | None], ...] = ()  # {guid, dn, name}
    directory_user: Mapping[str, str | None] | None = None  # {guid, dn, mail}
    undoes_run: str | None = None  # run_id of the run whose change this row reverses
    about: Mapping[str, str] = field(default_factory=dict)
    rivals: tuple[Rival, ...] = ()
    unseen: bool = False  # a removal of a user that Genesys does not show: not as a member, and not as active
    first_seen_at: datetime | None = None  # when a run first listed the oldest of its changes; set for the report
    first_seen_run: str | None = None  # DAG id/run id
    retry_after: datetime | None = None  # it is refused, or its group fails: not sent before that time

    @property
    def person(self) -> str:
        """Return the AD user; where AD does not know the person, the Genesys user."""
        return self.user_guid or self.genesys_user_id or ""

    @property
    def changes_ownership(self) -> bool:
        """Tell whether the row's outcome creates a grant (an add) or ends grants (a removal).

        An undo that finds its result in effect already changes none: somebody else has put it back.
        """
        in_effect = self.status is Status.SUCCESS or (self.status is Status.UNCHANGED and not self.undoes_run)
        return in_effect and self.settled_by is None

    @property
    def new_pair(self) -> tuple[Guid, str] | None:
        """Return the pair that the row asks a person about: (AD group, Genesys group).

        None: the row is about something else.
        """
        if self.reason is not Reason.NEW_PAIR or self.action is not Action.ADD or not self.genesys_group_id:
            return None
        return self.group_guids[0], self.genesys_group_id

    @property
    def group_name(self) -> str:
        """Return the Genesys group's name, or its id where the name is not known."""
        return (self.genesys_group or {}).get("name") or self.genesys_group_id or ""

    @property
    def row_key(self) -> RowKey:
        """Return the key of the row, unique in a run."""
        return RowKey(self.genesys_group_id or ",".join(self.group_guids), self.person, self.action)

    @property
    def key(self) -> str:
        """Return `row_key` as the journal stores it."""
        return str(self.row_key)


@dataclass(frozen=True)
class GroupRefusal:
    """Genesys refuses each change of a group.

    ``since``: when it first did. ``retry_after``: when it is asked again; None: in the next run.
    """

    since: datetime | None
    retry_after: datetime | None
    reason: Reason
    http_code: int | None = None
    error: str | None = None
    correlation_id: str | None = None


@dataclass(frozen=True)
class GroupResult:
    """The figures of one Genesys group in the report.

    Counts are of individuals. None: not read.
    ``manual_member_ids``: None where the group was not compared in full. ``manual_member_names``: by id, for the
    page. ``refused``: what Genesys refuses in the whole group.
    """

    genesys_group_id: str
    genesys_group_name: str
    group_guids: tuple[Guid, ...]
    complete: bool
    before: int | None
    after: int | None
    added: int
    removed: int
    manual_members: int | None
    manual_member_ids: tuple[str, ...] | None = None
    manual_member_names: Mapping[str, str] = field(default_factory=dict)
    refused: GroupRefusal | None = None


@dataclass(frozen=True)
class OpenCount:
    """Changes that wait without a row in the report, and since when.

    The time is that of the oldest of them.
    """

    count: int = 0
    oldest_first_seen_at: datetime | None = None


@dataclass(frozen=True)
class OpenChanges:
    """Changes that wait and have no row in the report.

    ``listed_in``: DAG id/run id of the last report that lists all.
    """

    orphaned: OpenCount
    held: OpenCount
    failed: OpenCount
    listed_in: str | None
