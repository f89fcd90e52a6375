"""A refused login waits, as each attempt counts towards locking the account.

After a refusal, scheduled runs wait for a growing time. They do not wait once the Airflow connection has changed: a new
password is used by the next request that needs it. A run that a person triggered tries at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from genesys_ad_sync.errors import DirectoryBindError, GroupSyncError
from genesys_ad_sync.genesys.errors import AuthenticationFailed
from genesys_ad_sync.journal.refused_logins import RefusedLogins
from genesys_ad_sync.model import RefusedLogin, RunKey

FIRST_PAUSE = timedelta(minutes=30)
LONGEST_PAUSE = timedelta(hours=4)
PAUSE_OF_A_MANUAL_RUN = timedelta(minutes=1)
"""Its other tasks do not try at the same moment what one of them has just been refused."""


@dataclass(frozen=True)
class Logins:
    """The logins of one task.

    ``fingerprint``: of the parts of a connection, keyed, so that the journal holds nothing to guess a password by.
    """

    store: RefusedLogins
    run: RunKey
    is_manual: bool
    fingerprint: Callable[[Sequence[str]], str]
    clock: Callable[[], datetime]

    @contextmanager
    def attempt(
        self, connection: str, parts: Sequence[str], refusal: type[DirectoryBindError | AuthenticationFailed]
    ) -> Iterator[None]:
        """Surround a login.

        Raises ``refusal`` without an attempt if the login must not be tried yet.

        :param connection: the id of the Airflow connection.
        :param parts: what the login depends on, secrets included.
        """
        refused = self.store.get(connection)
        if refused is not None and refused.fingerprint == self.fingerprint(parts):
            self._require_turn(connection, refused, refusal)
        try:
            yield
        except refusal:
            self.store.add(connection, self.fingerprint(parts), self.run, self.clock())
            raise
        if refused is not None:
            self.store.forget(connection)

    def _require_turn(self, connection: str, refused: RefusedLogin, refusal: type[GroupSyncError]) -> None:
        """Raise if the login must not be tried yet."""
        own = self.is_manual and refused.run == self.run
        if self.is_manual and not own:
            return
        again = refused.refused_at + (PAUSE_OF_A_MANUAL_RUN if own else pause(refused.times))
        if self.clock() < again:
            raise refusal(
                f"The login of the connection {connection} was refused {_times(refused.times)}, last in run "
                f"{refused.run} at {refused.refused_at.isoformat(timespec='seconds')}. It was not tried again, so that "
                f"the account is not locked. Correct the connection. It is tried at once when it has changed, or when "
                f"a person triggers a run, otherwise after {again.isoformat(timespec='seconds')}."
            )


def pause(times: int) -> timedelta:
    """Return how long scheduled runs wait after so many refusals in a row."""
    return min(FIRST_PAUSE * (1 << min(times - 1, 10)), LONGEST_PAUSE)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
