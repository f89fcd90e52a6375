"""Store refused logins, and how often each was refused in a row.

No secret is stored: a fingerprint shows only a change.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from genesys_ad_sync.journal import tables
from genesys_ad_sync.journal.database import Store, upsert
from genesys_ad_sync.model import RefusedLogin, RunKey

_REFUSED = tables.refused_login.c


class RefusedLogins(Store):
    """The last refusal of each Airflow connection, until a login succeeds."""

    def get(self, connection: str) -> RefusedLogin | None:
        """Return the last refusal; None if the last login succeeded, or there was none."""
        with self._database.reading() as reading:
            row = reading.execute(select(tables.refused_login).where(_REFUSED.connection == connection)).first()
        if row is None:
            return None
        return RefusedLogin(row.fingerprint, row.times, row.refused_at, RunKey(row.dag_id, row.run_id))

    def add(self, connection: str, fingerprint: str, run: RunKey, at: datetime) -> RefusedLogin:
        """Note a refusal, counted from 1 since the connection was changed; return it."""
        with self._database.writing() as writing:
            before = writing.execute(
                select(_REFUSED.times).where(_REFUSED.connection == connection, _REFUSED.fingerprint == fingerprint)
            ).scalar()
            refused = RefusedLogin(fingerprint, (before or 0) + 1, at, run)
            row = {
                "connection": connection,
                "fingerprint": fingerprint,
                "times": refused.times,
                "refused_at": at,
                "dag_id": run.dag_id,
                "run_id": run.run_id,
            }
            upsert(writing, tables.refused_login, [row])
        return refused

    def forget(self, connection: str) -> None:
        """Note that a login succeeded."""
        with self._database.writing() as writing:
            writing.execute(delete(tables.refused_login).where(_REFUSED.connection == connection))
