"""What a person may have to do: what waits, by cause, with the way out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.listings import LeftBehind, WaitingChange
from genesys_ad_sync.journal.lookup_answers import StoredPair
from genesys_ad_sync.model import DirectoryUser, Guid, Reason, Refusal, Row, RowKey
from genesys_ad_sync.report.wording import READING_ORDER, reason_words
from genesys_ad_sync.views.claims import Claims
from genesys_ad_sync.views.named import NamedGroup, named_groups

MOST = 100
"""Entries of a list of other things than changes: links, refusals, pairs. One more says that there are more."""

_PLACE = {status.value: place for place, status in enumerate(READING_ORDER)}
_NOT_TRIED = "No live run has acted on it yet."

_WHO_IS_WHO = frozenset({Reason.AMBIGUOUS, Reason.LINK_CONTRADICTED, Reason.NO_GENESYS_USER, Reason.INACTIVE})
_DECIDED = frozenset({Reason.REJECTED, Reason.UNDONE})


@dataclass(frozen=True)
class Cause:
    """Changes that wait for the same.

    ``new``: how many of them are new. ``since``: the oldest.
    """

    status: str
    reason: str | None
    words: str
    count: int
    new: int
    since: datetime


@dataclass(frozen=True)
class Item:
    """A change that waits.

    ``remedy`` None: nothing is known to do but wait. ``params``: of a run that settles it, where ids are known.
    """

    id: int
    action: str
    person: DirectoryUser | None
    guid: Guid | None
    genesys_user_id: str | None
    source: NamedGroup
    genesys_group_id: str | None
    genesys_group_name: str | None
    since: datetime
    error: str | None
    remedy: str | None
    params: Mapping[str, Any] | None
    last_run: str | None


@dataclass(frozen=True)
class ContradictedLink:
    """An AD account whose Genesys user carries none of its values.

    ``others``: users that the rules find.
    """

    guid: Guid
    name: str | None
    mail: str | None
    genesys_user_id: str
    since: datetime
    others: tuple[str, ...]

    @property
    def params(self) -> Mapping[str, Any] | None:
        """Return the params of a run that settles it.

        None: the rules find no user, or several.
        """
        return {"relink": [f"{self.guid}={self.others[0]}"]} if len(self.others) == 1 else None


def causes(journal: Journal, name: str, *, new_since: datetime) -> list[Cause]:
    """Return what waits in a definition, new ones first, then the most urgent."""
    found = [
        Cause(
            kind.status or "new",
            kind.reason,
            reason_words(kind.reason) if kind.status else _NOT_TRIED,
            kind.count,
            kind.new,
            kind.since,
        )
        for kind in journal.listings.waiting_kinds(name, new_since=new_since)
    ]
    return sorted(found, key=lambda cause: (not cause.new, _PLACE.get(cause.status, len(_PLACE)), cause.since))


def items(
    journal: Journal,
    name: str,
    status: str,
    reason: str | None,
    *,
    after: int = 0,
    limit: int,
    named: Collection[str] | None = None,
) -> list[Item]:
    """Return changes of a definition that wait for one cause, the oldest first.

    :param status: of the `Cause`.
    :param after: `Item.id` of the last one of the piece before.
    :param named: the sync definitions that may be named; default: all.
    """
    stored = None if status == "new" else status
    changes = journal.listings.waiting_changes(name, stored, reason or None, after=after, limit=limit)
    mine = journal.of(name)
    pairs = _pairs(journal, name, {change.group_guid for change in changes})
    keys = {change.id: _key(change, pairs.get(change.group_guid)) for change in changes}
    rows = mine.lookups.newest_rows(
        {str(key) for key in keys.values()}, [change.last_run for change in changes if change.last_run]
    )
    people = mine.views.users({change.user_guid for change in changes if change.user_guid})
    groups = mine.views.groups({change.group_guid for change in changes})
    claims = Claims(name, mine.lookups.claims_on({pair.genesys_group_id for pair in pairs.values()}), named)
    return [
        _item(
            change,
            rows.get(str(keys[change.id])),
            people.get(change.user_guid or ""),
            named_groups(groups, [change.group_guid])[0],
            pairs.get(change.group_guid),
            claims,
        )
        for change in changes
    ]


def contradicted_links(journal: Journal, name: str) -> list[ContradictedLink]:
    """Return links of a definition that the rules contradict, the oldest first.

    At most one more than `MOST`.
    """
    found = journal.listings.contradicted(name, limit=MOST + 1)
    people = journal.of(name).views.users({guid for guid, *_ in found})
    return [
        ContradictedLink(
            guid, people[guid].name if guid in people else None, _mail(people.get(guid)), user_id, since, others
        )
        for guid, user_id, since, others in found
    ]


def refusals(journal: Journal, name: str) -> list[Refusal]:
    """Return the groups and the client that Genesys Cloud refuses.

    At most one more than `MOST`.
    """
    return journal.of(name).refusals.not_of_people(MOST + 1)


def left_behind(journal: Journal, name: str) -> list[LeftBehind]:
    """Return pairs that no rule makes any more.

    AD still owns memberships through them. At most one more than `MOST`.
    """
    return journal.listings.left_behind(name, limit=MOST + 1)


def group_names(journal: Journal, name: str, genesys_group_ids: Collection[str]) -> dict[str, str]:
    """Return the names of these Genesys groups that a definition feeds, or fed, by id."""
    pairs = sorted(journal.lookups.pairs_of(name, genesys_group_ids), key=lambda pair: pair.active)
    return {pair.genesys_group_id: pair.genesys_group_name for pair in pairs}


def _pairs(journal: Journal, name: str, group_guids: Collection[Guid]) -> dict[Guid, StoredPair]:
    mine = journal.lookups.pairs_from(name, group_guids)
    return {pair.group_guid: pair for pair in sorted(mine, key=lambda pair: pair.active)}  # an active one counts


def _key(change: WaitingChange, pair: StoredPair | None) -> RowKey:
    target = pair.genesys_group_id if pair else change.group_guid
    return RowKey(target, change.user_guid or change.genesys_user_id or "", change.action)


def _item(
    change: WaitingChange,
    row: Row | None,
    person: DirectoryUser | None,
    source: NamedGroup,
    pair: StoredPair | None,
    claims: Claims,
) -> Item:
    row = claims.present(row) if row else None
    return Item(
        change.id,
        change.action.value,
        person,
        change.user_guid,
        row.genesys_user_id if row else change.genesys_user_id,
        source,
        pair.genesys_group_id if pair else None,
        pair.genesys_group_name if pair else None,
        change.since,
        row.error if row else None,
        claims.remedy(row) if row else None,
        _params(row) if row else None,
        str(change.last_run[0]) if change.last_run else None,
    )


def _params(row: Row) -> Mapping[str, Any] | None:
    """Return the params of a run that settles a row.

    None: no run does, or an id is not known.
    """
    if row.reason in _WHO_IS_WHO and row.user_guid:
        users = _users(row.rivals)
        return {"relink": [f"{row.user_guid}={users[0]}"]} if users else None
    if row.reason in _DECIDED and row.about.get("run") and not row.undoes_run:
        return {"release_run": row.about["run"]}
    return {"mirror_once": True} if row.reason is Reason.MIRROR_ONCE else None


def _users(rivals: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(rival.genesys_user_id for rival in rivals if rival.genesys_user_id))


def _mail(person: DirectoryUser | None) -> str | None:
    return person.mail if person else None
