"""Search for a text in names and values, as `names.normal_name` and `str.casefold` compare them.

A database knows ASCII capitals and no more. So it picks the rows that may have the text, by an expression that passes
over none that has it, and the caller compares these few in Python. Nothing is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, String, and_, cast, collate, exists, func, or_, select
from sqlalchemy import Row as Record
from sqlalchemy import column as sql_column

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, chunks
from genesys_ad_sync.journal.figures import GROUP_RESULT
from genesys_ad_sync.journal.lookup_answers import FoundUser, NamedPair
from genesys_ad_sync.journal.lookup_columns import GROUP, PAIR, RESULT, USER
from genesys_ad_sync.journal.view_rows import first_value
from genesys_ad_sync.model import GroupResult, Guid, RunRecord

BECOME = {
    " ": r"\u0001-\u001f\u0085\u00a0\u1680\u2000-\u200a\u2028-\u2029\u202f\u205f\u3000",
    "a": r"\u1e9a",
    "f": r"\ufb00-\ufb04",
    "h": r"\u1e96",
    "i": r"\u0130\ufb01\ufb03",
    "j": r"\u01f0",
    "k": r"\u212a",
    "l": r"\ufb02\ufb04",
    "n": r"\u0149",
    "s": r"\u00df\u017f\u1e9e\ufb05-\ufb06",
    "t": r"\u1e97\ufb05-\ufb06",
    "w": r"\u1e98",
    "y": r"\u1e99",
}
"""The characters that have this one in their form to compare: "ß" is "ss", a tabulator is a space."""

_ASCII = re.compile("[\x00-\x7f]+")
_LAST_LATIN = 0x24F
_ROWS_AT_A_TIME = 500


class Searches(Store):
    """Accounts, groups and members that may be meant by a text.

    ``text`` is always in the form to compare, without spaces around it.
    """

    def users(
        self,
        text: str,
        definitions: Collection[str],
        is_meant: Callable[[FoundUser], bool],
        limit: int | None = None,
    ) -> list[FoundUser]:
        """Return the accounts that have the text in the name, the login or a value.

        A definition whose first view of AD is still being written has none yet.

        :param is_meant: whether an account that may have it has it.
        :param limit: so many at most; those of which a name or a value is the text come first.
        """
        value = self._value_of(USER.attributes)
        in_a_value = self._may_have_in_json(USER.attributes, text)
        may_have = or_(
            self._may_have(USER.name, text),
            self._may_have(USER.sam_account_name, text),
            and_(in_a_value, exists().where(self._may_have(value, text))),
        )
        columns = (USER.definition, USER.guid, USER.name, USER.sam_account_name, USER.attributes)
        statement = select(*columns).where(USER.definition.in_(that_have_read(definitions)))
        found = self._meant(statement.where(may_have), is_meant, limit)
        if limit is None or len(found) < limit:
            return found
        is_equal = or_(
            self._is_like(USER.name, _escaped(text)),
            self._is_like(USER.sam_account_name, _escaped(text)),
            and_(in_a_value, exists().where(self._is_like(value, _escaped(text)))),
        )
        first = self._meant(statement.where(is_equal), is_meant, limit)
        known = {(user.definition, user.guid) for user in first}
        return (first + [user for user in found if (user.definition, user.guid) not in known])[:limit]

    def pairs(self, text: str, genesys_group_id: str, definitions: Collection[str] | None = None) -> list[NamedPair]:
        """Return pairs, former ones included, whose Genesys group may have the text.

        Or it has that id. They come by its name. ``definitions`` None: of all definitions.
        """
        meant = or_(PAIR.genesys_group_id == genesys_group_id, self._may_have(PAIR.genesys_group_name, text))
        return self._pairs(meant, definitions)

    def named_pairs_from(self, definition: str, group_guids: Collection[Guid]) -> list[NamedPair]:
        """Return the pairs of these AD groups, former ones included.

        They come by name of the Genesys group.
        """
        found = [
            pair for chunk in chunks(group_guids) for pair in self._pairs(PAIR.group_guid.in_(chunk), [definition])
        ]
        return sorted(found, key=lambda pair: pair.genesys_group_name)

    def _pairs(self, which: ColumnElement[bool], definitions: Collection[str] | None) -> list[NamedPair]:
        columns = (PAIR.definition, PAIR.group_guid, PAIR.genesys_group_id, PAIR.genesys_group_name, PAIR.active)
        statement = select(*columns).where(which).order_by(PAIR.genesys_group_name, PAIR.rule)
        if definitions is not None:
            statement = statement.where(PAIR.definition.in_(list(definitions)))
        with self._database.reading() as connection:
            return [NamedPair(*row) for row in connection.execute(statement)]

    def directory_groups(
        self, definition: str, text: str | None, guid: Guid
    ) -> list[tuple[Guid, str, str, str | None]]:
        """Return (objectGUID, DN, name, sAMAccountName) of AD groups that the definition has ever seen.

        :param text: only those whose name or login may have it, or with that guid; None: all.
        """
        statement = select(GROUP.guid, GROUP.dn, GROUP.name, GROUP.sam_account_name)
        statement = statement.where(GROUP.definition == definition)
        if text is not None:
            names = (self._may_have(column, text) for column in (GROUP.name, GROUP.sam_account_name))
            statement = statement.where(or_(GROUP.guid == guid, *names))
        with self._database.reading() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(statement)]

    def results(self, run: RunRecord, text: str) -> list[GroupResult]:
        """Return the results of a run that may have the text.

        The text may be in the id or the name of a member by hand.
        """
        may_have = self._may_have_in_json(RESULT.data, text)
        statement = select(RESULT.data).where(RESULT.run == run.id, may_have)
        with self._database.reading() as connection:
            return [GROUP_RESULT.validate_python(data) for data in connection.scalars(statement)]

    # -- parts ----------------------------------------------------------------------------------------

    def _value_of(self, column: Column[Any]) -> ColumnElement[str]:
        """Return a column of the values of a JSON object, one a row."""
        unpacked = func.json_each(column) if self._is_sqlite else func.json_each_text(column)
        value: ColumnElement[str] = unpacked.table_valued("key", sql_column("value", String)).c.value
        return value

    def _meant(self, statement: Any, is_meant: Callable[[FoundUser], bool], limit: int | None) -> list[FoundUser]:
        with self._database.reading() as connection:
            rows = connection.execute(statement, execution_options={"yield_per": _ROWS_AT_A_TIME})
            users: Iterable[FoundUser] = (user for user in map(found_user, rows) if is_meant(user))
            found = list(islice(users, limit))
            rows.close()
        return found

    def _may_have(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """Return whether a name may have the text.

        Either it has each piece of it in ASCII, and for each other character one that becomes it. Or it has a character
        that becomes one in ASCII, or two spaces that become one.
        """
        pieces = [self._is_like(column, f"%{_escaped(piece)}%") for piece in _ASCII.findall(text)]
        pieces += [self._has(column, _sources(letter)) for letter in sorted(set(text)) if not letter.isascii()]
        become = "".join(BECOME.get(letter, "") for letter in sorted(set(text)))
        odd = [and_(self._has(column, "^ -~"), self._has(column, become))] if become else []
        return or_(and_(*pieces), *odd, *_spaces(column, text))

    def _may_have_in_json(self, column: Column[Any], text: str) -> ColumnElement[bool]:
        """Return whether a text of a JSON value may have the text.

        Written as JSON, a character that is not ASCII has a backslash in front, and so have quotation mark, backslash
        and tabulator.
        """
        written = cast(column, String)
        plain = [self._is_like(written, f"%{_escaped(text)}%")] if text.isascii() else []
        is_exact = text.isascii() and not BECOME.keys() & set(text) and not set('"\\') & set(text)
        other = [] if is_exact else [written.like("%\\\\%", escape="\\")]
        return or_(*plain, *other, *_spaces(written, text))

    def _is_like(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """Return whether a column is like a pattern in small letters.

        The case of ASCII letters does not matter.
        """
        if self._is_sqlite:
            return column.like(pattern, escape="\\")  # SQLite's own LIKE, without a second text in small letters
        return func.lower(collate(column, "C")).like(pattern, escape="\\")  # "C": ASCII alone, and fast

    def _has(self, column: ColumnElement[Any], characters: str) -> ColumnElement[bool]:
        """Return whether a column has any of the characters.

        ``characters``: as between the brackets of a pattern.
        """
        if self._is_sqlite:
            return column.op("GLOB", is_comparison=True)(f"*[{characters.encode().decode('unicode_escape')}]*")
        return column.op("~", is_comparison=True)(f"[{characters}]")

    @property
    def _is_sqlite(self) -> bool:
        return self._database.engine.dialect.name == "sqlite"


def that_have_read(definitions: Collection[str]) -> Select[tuple[str]]:
    """Select the definitions among these that have read AD completely once.

    A first view that is still being written has a part of the people.
    """
    cursor = tables.cursor.c
    return select(cursor.definition).where(cursor.definition.in_(list(definitions)))


def found_user(row: Record[Any]) -> FoundUser:
    """Return a stored account for a search."""
    attributes = row.attributes
    values = tuple(str(value) for value in attributes.values())
    mail = attributes.get("mail")
    first = None if mail is None else first_value(mail)
    return FoundUser(row.definition, row.guid, row.name, row.sam_account_name, values, first)


def _sources(letter: str) -> str:
    """Return the characters from which a letter may come, for `Searches._has`.

    A name has one of them if its form to compare has the letter.
    """
    if ord(letter) > _LAST_LATIN:
        return "^ -~"
    same = {letter, *(form for form in (letter.upper(), letter.title()) if len(form) == 1)}
    marks = {part for one in same for part in unicodedata.normalize("NFD", one) if not part.isascii()}
    angstrom = {"\u212b"} if letter == "\u00e5" else set()
    return "".join(f"\\u{ord(one):04x}" for one in sorted(same | marks | angstrom))


def _spaces(column: ColumnElement[Any], text: str) -> list[ColumnElement[bool]]:
    """Return the condition that two spaces make one, where the text has any."""
    return [column.like("%  %")] if " " in text else []


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
