"""Provide the column types that all tables share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Integer, MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()

Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER key


class UtcDateTime(TypeDecorator[datetime]):
    """Store an aware time in UTC.

    SQLite keeps no time zone: it is removed when writing and added when reading.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be written to the journal")
        value = value.astimezone(timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return what makes a time of a stored value.

        Most are absent, and a view has millions.
        """
        made: Any = super().result_processor(dialect, coltype)
        return lambda value: None if value is None else made(value)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  SQLAlchemy's signature
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def json_column(name: str, *, nullable: bool = False) -> Column[Any]:
    """Return a JSON column; it is never NULL unless that is said."""
    return Column(name, JSON(none_as_null=True), nullable=nullable)
