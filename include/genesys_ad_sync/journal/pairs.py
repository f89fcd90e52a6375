"""Store the pairs: which AD group feeds which Genesys group, and since when completely."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, case, select, update

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, upsert
from genesys_ad_sync.journal.waiting import wake_changes
from genesys_ad_sync.model import Action, GroupPair, Guid, Objection, PairState, Reason, RunKey

_PAIR = tables.pair.c
_STATE = case(
    (_PAIR.rejected_at.is_not(None), PairState.REJECTED.value),
    (_PAIR.confirmed_at.is_not(None), PairState.CONFIRMED.value),
    else_=PairState.NEW.value,
)
_STATES = {state.value: state for state in PairState}
_COLUMNS = (  # each task reads all pairs, some several times: no time of theirs is made for it
    _PAIR.group_guid,
    _PAIR.genesys_group_id,
    _PAIR.genesys_group_name,
    _PAIR.rule,
    _STATE.label("state"),
    _PAIR.baseline_at.is_not(None).label("has_baseline"),
)


@dataclass(frozen=True)
class StoredPairs:
    """Pairs as they are stored: AD group, Genesys group, its name, rule, state, baseline.

    Thousands are the same as in the run before: a digest tells, in half of the time that the objects take.
    """

    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, pairs: Iterable[GroupPair]) -> StoredPairs:
        """Return pairs as they would be stored."""
        return cls(
            [
                (p.group_guid, p.genesys_group_id, p.genesys_group_name, p.rule, p.state.value, p.has_baseline)
                for p in pairs
            ]
        )

    @property
    def digest(self) -> str:
        """Return a digest of the pairs, whatever their order and their baselines."""
        return hashlib.sha256(repr(sorted(tuple(row[:5]) for row in self.rows)).encode()).hexdigest()

    @property
    def are_decided(self) -> bool:
        """Return True if no pair waits for a decision."""
        return all(row[4] != PairState.NEW.value for row in self.rows)

    @property
    def keys(self) -> set[tuple[Guid, str]]:
        """Return what identifies each pair: AD group and Genesys group."""
        return {(row[0], row[1]) for row in self.rows}

    @property
    def genesys_group_ids(self) -> set[str]:
        """Return the Genesys groups of the pairs."""
        return {row[1] for row in self.rows}

    def pairs(self) -> list[GroupPair]:
        """Return the pairs."""
        return [
            GroupPair(guid, group_id, name, rule, has_baseline, _STATES[state])
            for guid, group_id, name, rule, state, has_baseline in self.rows
        ]


@dataclass(frozen=True)
class MirrorPair:
    """A pair, and what a person has confirmed of it under `removals: mirror`.

    ``empty_confirmed_change``: the journal's newest change when a person answered for an AD group without members.
    """

    group_guid: Guid
    genesys_group_id: str
    confirmed: bool
    empty_confirmed_change: int | None


class Pairs(DefinitionStore):
    """The mapping of AD groups to Genesys groups, with its baselines."""

    def active(self, genesys_group_id: str | None = None) -> list[GroupPair]:
        """Return the pairs as last mapped, by rule.

        :param genesys_group_id: only those of this Genesys group.
        """
        with self._database.reading() as connection:
            return _pairs(connection, self._definition, genesys_group_id, active=True)

    def as_stored(self) -> StoredPairs:
        """Return the pairs of `active` as they are stored, by AD group."""
        statement = _of_definition(self._definition, active=True).order_by(_PAIR.group_guid, _PAIR.genesys_group_id)
        with self._database.reading() as connection:
            return StoredPairs(connection.execute(statement).all())

    def sharing_a_target(self, group_guids: Collection[Guid]) -> tuple[list[GroupPair], list[GroupPair]]:
        """Return the active and the former pairs of some Genesys groups.

        They are those that one of ``group_guids`` feeds, or fed once.
        """
        targets: set[str] = set()
        active: list[GroupPair] = []
        former: list[GroupPair] = []
        of_definition = select(_PAIR.genesys_group_id).where(_PAIR.definition == self._definition)
        with self._database.reading() as connection:
            for guids in chunks(group_guids):
                targets.update(connection.scalars(of_definition.where(_PAIR.group_guid.in_(guids))))
            for ids in chunks(sorted(targets)):
                which = _PAIR.genesys_group_id.in_(ids)
                active += _pairs(connection, self._definition, None, which, active=True)
                former += _pairs(connection, self._definition, None, which, active=False)
        return active, former

    def any_baseline(self) -> bool:
        """Return True if a pair that is mapped has a baseline."""
        return self._has(_PAIR.active, _PAIR.baseline_at.is_not(None))

    def any_active(self) -> bool:
        """Return True if a pair is mapped."""
        return self._has(_PAIR.active)

    def without_baseline(self) -> list[GroupPair]:
        """Return the mapped pairs without a baseline, by rule."""
        with self._database.reading() as connection:
            return _pairs(connection, self._definition, None, _PAIR.baseline_at.is_(None), active=True)

    def _has(self, *which: ColumnElement[bool]) -> bool:
        statement = select(_PAIR.rule).where(_PAIR.definition == self._definition, *which).limit(1)
        with self._database.reading() as connection:
            return connection.execute(statement).first() is not None

    def former(self, genesys_group_id: str | None = None) -> list[GroupPair]:
        """Return the pairs that no rule produces any more.

        ``has_baseline``: the pair had a baseline when it was last mapped.
        """
        with self._database.reading() as connection:
            return _pairs(connection, self._definition, genesys_group_id, active=False)

    def replace(
        self, pairs: Sequence[GroupPair], at: datetime, confirmed: Collection[tuple[Guid, str]] | None = None
    ) -> list[GroupPair]:
        """Replace the mapping; return ``pairs`` in the same order, with the stored baselines and states.

        A pair that is missing from the list becomes inactive. If it returns later, it has lost its baseline.

        :param confirmed: (AD group, Genesys group) of those that need no person; None: all of them.
        """
        definition = self._definition
        with self._database.writing() as connection:
            mapped = _by_key(pairs)
            stored = _by_key(_pairs(connection, definition, active=True))
            for group_guid, genesys_group_id in stored.keys() - mapped.keys():
                connection.execute(
                    update(tables.pair)
                    .where(
                        _PAIR.definition == definition,
                        _PAIR.group_guid == group_guid,
                        _PAIR.genesys_group_id == genesys_group_id,
                    )
                    .values(active=False, until=at)
                )
            new = [_as_columns(definition, pair, at) for key, pair in mapped.items() if key not in stored]
            upsert(connection, tables.pair, new)
            edited = [
                _as_columns(definition, pair, at)
                for key, pair in mapped.items()
                if key in stored
                and (stored[key].rule, stored[key].genesys_group_name) != (pair.rule, pair.genesys_group_name)
            ]
            upsert(connection, tables.pair, edited, ["rule", "genesys_group_name"])
            chosen = _confirm_undecided(
                connection, definition, mapped.keys() if confirmed is None else set(confirmed) & mapped.keys(), at
            )
            moved = {group_guid for group_guid, _ in stored.keys() ^ mapped.keys()}
            wake_changes(connection, definition, groups=moved)
            now = _by_key(_pairs(connection, definition, active=True)) if moved or edited or chosen else stored
            return [now[pair.group_guid, pair.genesys_group_id] for pair in pairs]

    def set_baselines(self, pairs: Collection[tuple[Guid, str]], dag_id: str, run_id: str, at: datetime) -> None:
        """Note that a run has compared these pairs completely.

        The first baseline of a pair counts.

        :param pairs: (AD group, Genesys group).
        """
        new = (
            update(tables.pair)
            .where(
                _PAIR.definition == self._definition,
                _PAIR.group_guid == bindparam("source"),
                _PAIR.genesys_group_id == bindparam("target"),
                _PAIR.active,
                _PAIR.baseline_at.is_(None),
            )
            .values(baseline_dag_id=dag_id, baseline_run_id=run_id, baseline_at=at)
        )
        chosen = [{"source": group_guid, "target": genesys_group_id} for group_guid, genesys_group_id in pairs]
        if chosen:
            with self._database.writing() as connection:
                connection.execute(new, chosen)

    def confirm(self, pairs: Collection[tuple[Guid, str]], at: datetime) -> None:
        """Note that a person has confirmed these pairs: (AD group, Genesys group)."""
        with self._database.writing() as connection:
            _confirm_undecided(connection, self._definition, pairs, at)

    def reject(self, pairs: Collection[tuple[Guid, str]], *, run: RunKey, by: str | None, at: datetime) -> None:
        """Note that a person has rejected these pairs, in that run."""
        said = {"rejected_at": at, "rejected_by": by, "rejected_dag_id": run.dag_id, "rejected_run_id": run.run_id}
        with self._database.writing() as connection:
            for group_guid, genesys_group_id in pairs:
                this = (_PAIR.group_guid == group_guid, _PAIR.genesys_group_id == genesys_group_id)
                connection.execute(
                    update(tables.pair)
                    .where(_PAIR.definition == self._definition, *this)
                    .values(confirmed_at=None, **said)
                )

    def rejections(self) -> dict[tuple[Guid, str], Objection]:
        """Return the objections of persons to pairs.

        (AD group, Genesys group) -> by which person, when, in which run.
        """
        rejected = select(tables.pair).where(_PAIR.definition == self._definition, _PAIR.rejected_at.is_not(None))
        with self._database.reading() as connection:
            return {
                (row.group_guid, row.genesys_group_id): Objection(
                    reason=Reason.REJECTED,
                    run=RunKey(row.rejected_dag_id, row.rejected_run_id),
                    at=row.rejected_at,
                    last_change=0,
                    by=row.rejected_by,
                    action=Action.ADD,
                )
                for row in connection.execute(rejected)
            }

    def release(self, run: RunKey) -> int:
        """Release the pairs that were rejected in that run; return their number.

        Runs may ask about them again. They are compared in full again.
        """
        nothing = dict.fromkeys(("rejected_at", "rejected_by", "rejected_dag_id", "rejected_run_id"))
        baseline = dict.fromkeys(("baseline_at", "baseline_run_id", "baseline_dag_id"))
        with self._database.writing() as connection:
            return connection.execute(
                update(tables.pair)
                .where(
                    _PAIR.definition == self._definition,
                    _PAIR.rejected_dag_id == run.dag_id,
                    _PAIR.rejected_run_id == run.run_id,
                )
                .values(**nothing, **baseline)
            ).rowcount

    def mirrors(self, genesys_group_ids: Collection[str]) -> list[MirrorPair]:
        """Return the active pairs of these Genesys groups, with their confirmations by a person."""
        with self._database.reading() as connection:
            return [
                MirrorPair(
                    row.group_guid,
                    row.genesys_group_id,
                    row.mirror_confirmed_at is not None,
                    row.empty_confirmed_change,
                )
                for chunk in chunks(genesys_group_ids)
                for row in connection.execute(
                    select(tables.pair).where(
                        _PAIR.definition == self._definition, _PAIR.active, _PAIR.genesys_group_id.in_(chunk)
                    )
                )
            ]

    def confirm_mirror(self, genesys_group_ids: Collection[str], at: datetime) -> None:
        """Note that a person has answered the first question of these mirrors."""
        self._confirm(genesys_group_ids, (_PAIR.mirror_confirmed_at.is_(None),), mirror_confirmed_at=at)

    def confirm_empty(self, genesys_group_id: str, group_guids: Collection[Guid], change_id: int) -> None:
        """Note that a person has answered what these AD groups without members asked.

        :param change_id: the newest change of the journal; members that come later are asked about again.
        """
        self._confirm([genesys_group_id], (_PAIR.group_guid.in_(group_guids),), empty_confirmed_change=change_id)

    def _confirm(
        self, genesys_group_ids: Collection[str], which: tuple[ColumnElement[bool], ...], **values: Any
    ) -> None:
        with self._database.writing() as connection:
            for chunk in chunks(genesys_group_ids):
                mapped = (_PAIR.definition == self._definition, _PAIR.active, _PAIR.genesys_group_id.in_(chunk))
                connection.execute(update(tables.pair).where(*mapped, *which).values(**values))


def void_baselines(connection: Connection, definitions: Collection[str]) -> None:
    """Make every pair of these definitions be compared completely again."""
    void = update(tables.pair).values(baseline_at=None, baseline_run_id=None, baseline_dag_id=None)
    connection.execute(void.where(_PAIR.definition.in_(definitions)))


def _confirm_undecided(
    connection: Connection, definition: str, pairs: Collection[tuple[Guid, str]], at: datetime
) -> bool:
    """Confirm the pairs without a decision; return False if there were none.

    An AD group has one confirmed pair at most.
    """
    without = (_PAIR.definition == definition, _PAIR.confirmed_at.is_(None), _PAIR.rejected_at.is_(None))
    stored = connection.execute(select(_PAIR.group_guid, _PAIR.genesys_group_id).where(*without))
    undecided = {(group_guid, genesys_group_id) for group_guid, genesys_group_id in stored}
    chosen = [{"source": guid, "target": group_id} for guid, group_id in sorted(undecided & set(pairs))]
    if not chosen:
        return False
    of_source = (_PAIR.definition == definition, _PAIR.group_guid == bindparam("source"))
    connection.execute(update(tables.pair).where(*of_source).values(confirmed_at=None), chosen)
    this = (*of_source, _PAIR.genesys_group_id == bindparam("target"))
    connection.execute(update(tables.pair).where(*this).values(confirmed_at=at), chosen)
    return True


def _by_key(pairs: Collection[GroupPair]) -> dict[tuple[Guid, str], GroupPair]:
    return {(pair.group_guid, pair.genesys_group_id): pair for pair in pairs}


def _pairs(
    connection: Connection,
    definition: str,
    genesys_group_id: str | None = None,
    *which: ColumnElement[bool],
    active: bool,
) -> list[GroupPair]:
    if genesys_group_id is not None:
        which = (*which, _PAIR.genesys_group_id == genesys_group_id)
    statement = _of_definition(definition, *which, active=active)
    ordered = statement.order_by(_PAIR.rule, _PAIR.group_guid, _PAIR.genesys_group_id)
    return StoredPairs(connection.execute(ordered).all()).pairs()


def _of_definition(definition: str, *which: ColumnElement[bool], active: bool) -> Select[Any]:
    return select(*_COLUMNS).where(_PAIR.definition == definition, _PAIR.active == active, *which)


def _as_columns(definition: str, pair: GroupPair, at: datetime) -> dict[str, Any]:
    """Return the columns of a pair that is new or returns: without a baseline."""
    return {
        "definition": definition,
        "group_guid": pair.group_guid,
        "genesys_group_id": pair.genesys_group_id,
        "genesys_group_name": pair.genesys_group_name,
        "rule": pair.rule,
        "active": True,
        "since": at,
        "until": None,
        "baseline_dag_id": None,
        "baseline_run_id": None,
        "baseline_at": None,
        "mirror_confirmed_at": None,
        "empty_confirmed_change": None,
    }
