"""Errors of a lane: which ones stop it, and which one its task ends with."""

from __future__ import annotations

from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    ClientRefused,
    GenesysError,
    PermissionMissing,
    Throttled,
    concerns_all_groups,
    needs_a_person,
    passes_by_itself,
)
from genesys_ad_sync.genesys.writers import words_of_refusal
from genesys_ad_sync.model import Refusal

FAILURES_TOLERATED = 3
"""Groups in a row that Genesys may fail to serve before the rest of a lane is left to Airflow's retry."""

WRITES_TOLERATED = 10
"""The same where the groups can be read: then Genesys is there, and it may be those groups alone."""

REFUSALS_TOLERATED = 3
"""Groups that may be refused in the same way, and none accepted, before the client itself is taken for refused."""


class LaneErrors:
    """Errors that keep groups of a lane from being finished. Shared by the lane's threads.

    ``refused_before``: an earlier run's refusal of the client. If that was certain, one group is enough to see that it
    goes on.
    """

    def __init__(self, refused_before: Refusal | None = None) -> None:
        self._errors: list[tuple[str, GenesysError]] = []  # (group, error)
        self._failures = 0  # in a row
        self._failed_writes = 0  # in a row, in groups that can be read
        self._is_accepted = False  # a write was: then a refusal is its group's alone
        self._refused: dict[str, set[str]] = {}  # words -> groups
        self._names_client: set[str] = set()  # words that name a missing permission, or the address
        self._refused_before = refused_before.words if refused_before else None
        self._was_certain = refused_before is not None and refused_before.is_certain

    def add(
        self, group_id: str, error: GenesysError | None, *, is_known: bool = False, is_readable: bool = False
    ) -> None:
        """Keep an error that a retry, or a person, can do something about.

        ``is_readable``: the group could be read afterwards.
        ``is_known``: the group had the same trouble in an earlier run. A retry would not help, and nothing is new.
        """
        if error is None or not (needs_a_person(error) or passes_by_itself(error)):
            return
        if isinstance(error, PermissionMissing):
            self.refused(group_id, words_of_refusal(error), is_known=is_known)
            if _names_the_client(error) and not is_known:
                self._names_client.add(words_of_refusal(error))
        if is_known and not concerns_all_groups(error) and not isinstance(error, Throttled):
            return
        self._errors.append((group_id, error))
        if not isinstance(error, PermissionMissing):
            self._failures += not is_readable
            self._failed_writes += is_readable

    def refused(self, group_id: str, words: str, *, is_known: bool = False) -> None:
        """Note that a group is refused.

        A group that was refused before says nothing about the client.
        """
        if not is_known or words == self._refused_before:
            self._refused.setdefault(words, set()).add(group_id)

    def served(self, *, accepted: bool) -> None:
        """Note that Genesys served a group. ``accepted``: it accepted a write."""
        self._failures = self._failed_writes = 0
        self._is_accepted = self._is_accepted or accepted

    def withdraw(self, group_id: str) -> None:
        """Drop a group's errors: what they kept from being known is known by now."""
        self._errors = [(group, error) for group, error in self._errors if group != group_id]

    @property
    def is_accepted(self) -> bool:
        """True if Genesys accepted a write of this lane."""
        return self._is_accepted

    @property
    def should_stop(self) -> bool:
        """True if the other groups need not be tried."""
        return (
            self._failures >= FAILURES_TOLERATED
            or self._failed_writes >= WRITES_TOLERATED
            or self.client_refusal is not None
            or any(concerns_all_groups(error) or isinstance(error, Throttled) for _, error in self._errors)
        )

    @property
    def client_refusal(self) -> str | None:
        """The words in which the client itself is refused; None: it is not.

        - A token that is not accepted, also a new one.
        - A permission that is missing, or several groups refused in the same way, and no write was accepted.
        """
        for _, error in self._errors:
            if isinstance(error, AuthenticationFailed):
                return words_of_refusal(error)
        if self._is_accepted:
            return None
        for words, groups in self._refused.items():
            still = self._was_certain and words == self._refused_before
            if words in self._names_client or still or len(groups) >= REFUSALS_TOLERATED:
                return words
        return None

    @property
    def client_status(self) -> int | None:
        """Return the HTTP status of an answer that alone shows a refused client.

        None: there is no such answer.
        """
        for _, error in self._errors:
            if isinstance(error, AuthenticationFailed) or words_of_refusal(error) in self._names_client:
                return error.status
        return None

    def raise_worst(self) -> None:
        """Raise the error that says most about what to do, if there was any.

        A 403 of one group comes last: it ends a task without a retry, and a retry serves groups that failed otherwise.
        """
        words = self.client_refusal

        def weight(error: GenesysError) -> tuple[bool, bool, float]:
            is_403 = isinstance(error, PermissionMissing)
            is_client = is_403 and words_of_refusal(error) == words
            return concerns_all_groups(error) or is_client, not is_403, error.retry_after or 0.0

        worst = max((error for _, error in self._errors), key=weight, default=None)
        if words is not None and (worst is None or not weight(worst)[0]):
            raise ClientRefused("Genesys refuses the writes of this OAuth client", words=words)
        if worst is not None:
            raise worst


def _names_the_client(error: PermissionMissing) -> bool:
    """Return True if Genesys says what the client lacks: a permission, or an allowed address."""
    return bool(error.permissions and not error.is_guess) or "ip address" in (error.words or error.message).casefold()
