"""Store what is known of pairs before a person decides.

That is when pairs are new, and which names were protected.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import DefinitionStore, chunks, insert_new
from genesys_ad_sync.journal.stored_row import row_from_json
from genesys_ad_sync.model import Guid, Reason, RunKey

_FIRST = tables.first_mapping.c
_LISTED = tables.listed_pair.c
_PROTECTED = tables.protected_group.c
_ROW = tables.row.c
_RUN = tables.run.c


class NewPairs(DefinitionStore):
    """What makes a pair of the definition a new one."""

    def has_mapped(self) -> bool:
        """Return whether a live run has mapped the groups of the definition."""
        with self._database.reading() as connection:
            first = select(_FIRST.definition).where(_FIRST.definition == self._definition)
            return connection.execute(first).first() is not None

    def first_mapped_at(self) -> datetime | None:
        """Return when the first live run mapped the groups; None: none has."""
        with self._database.reading() as connection:
            found: datetime | None = connection.scalar(select(_FIRST.at).where(_FIRST.definition == self._definition))
        return found

    def note_mapped(self, at: datetime) -> None:
        """Note that a live run maps the groups; the first one counts."""
        with self._database.writing() as connection:
            insert_new(connection, tables.first_mapping, [{"definition": self._definition, "at": at}])

    def asked_in(self, questions: Mapping[str, RunKey]) -> dict[tuple[Guid, str], RunKey]:
        """Return the pairs that open questions are about, with the run that asks.

        :param questions: row key -> the run that asks about it.
        """
        statement = (
            select(_ROW.data, _ROW.key, _RUN.dag_id, _RUN.run_id)
            .join(tables.run, _RUN.id == _ROW.run)
            .where(
                _RUN.definition == self._definition,
                _ROW.replaced == 0,
                _ROW.data["reason"].as_string() == Reason.NEW_PAIR.value,
            )
        )
        asked: dict[tuple[Guid, str], RunKey] = {}
        with self._database.reading() as connection:
            for chunk in chunks(questions):
                for found in connection.execute(statement.where(_ROW.key.in_(chunk))):
                    pair, run = row_from_json(found.data).new_pair, RunKey(found.dag_id, found.run_id)
                    if pair is not None and questions[found.key] == run:
                        asked[pair] = run
        return asked

    def listed(self, rules: str) -> set[tuple[Guid, str]]:
        """Return the pairs that dry runs by these rules listed in reports.

        A pair is (AD group, Genesys group).
        """
        with self._database.reading() as connection:
            return {
                (row.group_guid, row.genesys_group_id)
                for row in connection.execute(
                    select(tables.listed_pair).where(_LISTED.definition == self._definition, _LISTED.rules == rules)
                )
            }

    def list_pairs(self, pairs: Collection[tuple[Guid, str]], rules: str) -> None:
        """Note the pairs that a dry run lists. Those by other rules are forgotten."""
        rows = [
            {"definition": self._definition, "group_guid": guid, "genesys_group_id": group_id, "rules": rules}
            for guid, group_id in pairs
        ]
        with self._database.writing() as connection:
            connection.execute(
                delete(tables.listed_pair).where(_LISTED.definition == self._definition, _LISTED.rules != rules)
            )
            insert_new(connection, tables.listed_pair, rows)


class ProtectedGroups(DefinitionStore):
    """The names by which `protect:` found Genesys groups, now or once."""

    def names(self) -> dict[str, frozenset[str]]:
        """Return Genesys group id -> the names by which a pattern found it."""
        found: dict[str, set[str]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(
                select(tables.protected_group).where(_PROTECTED.definition == self._definition)
            ):
                found.setdefault(row.genesys_group_id, set()).add(row.name)
        return {group_id: frozenset(names) for group_id, names in found.items()}

    def note(self, names: Mapping[str, str], at: datetime) -> None:
        """Note the names by which patterns find Genesys groups now, by id."""
        rows = [
            {"definition": self._definition, "genesys_group_id": group_id, "name": name, "since": at}
            for group_id, name in names.items()
        ]
        with self._database.writing() as connection:
            insert_new(connection, tables.protected_group, rows)
