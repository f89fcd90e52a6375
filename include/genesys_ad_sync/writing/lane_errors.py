"""Errors of a lane: which ones stop it, and which one its task ends with."""

from __future__ import annotations

from genesys_ad_sync.genesys.errors import GenesysError, PermissionMissing, Throttled, needs_a_person, passes_by_itself

FAILURES_TOLERATED = 3
"""Groups in a row that Genesys may fail to serve before the rest of a lane is left to Airflow's retry."""

REFUSALS_TOLERATED = 3
"""Groups that may be refused in the same way, and none accepted, before the client itself is taken for refused."""


class LaneErrors:
    """Errors that keep groups of a lane from being finished. Shared by the lane's threads."""

    def __init__(self) -> None:
        self._errors: list[tuple[str, GenesysError]] = []  # (group, error)
        self._failures = 0  # in a row
        self._is_accepted = False  # a write was: then a 403 is its group's alone

    def add(self, group_id: str, error: GenesysError | None) -> None:
        """Keep an error that a retry, or a person, can do something about."""
        if error is None or not (needs_a_person(error) or passes_by_itself(error)):
            return
        self._errors.append((group_id, error))
        self._failures += not isinstance(error, PermissionMissing)

    def served(self, *, accepted: bool) -> None:
        """Note that Genesys served a group. ``accepted``: it accepted a write."""
        self._failures = 0
        self._is_accepted = self._is_accepted or accepted

    def withdraw(self, group_id: str) -> None:
        """Drop a group's errors: what they kept from being known is known by now."""
        self._errors = [(group, error) for group, error in self._errors if group != group_id]

    @property
    def should_stop(self) -> bool:
        """True if the other groups need not be tried."""
        return (
            self._failures >= FAILURES_TOLERATED
            or self._client_is_refused
            or any(_concerns_all_groups(error) or isinstance(error, Throttled) for _, error in self._errors)
        )

    def raise_worst(self) -> None:
        """Raise the error that says most about what to do, if there was any.

        A 403 of one group comes last: it ends a task without a retry, and a retry serves groups that failed otherwise.
        """
        client_is_refused = self._client_is_refused

        def weight(error: GenesysError) -> tuple[bool, bool, float]:
            is_403 = isinstance(error, PermissionMissing)
            return _concerns_all_groups(error) or (is_403 and client_is_refused), not is_403, error.retry_after or 0.0

        if self._errors:
            raise max((error for _, error in self._errors), key=weight)

    @property
    def _client_is_refused(self) -> bool:
        """True if several groups were refused in the same way, and no write was accepted."""
        refusals: dict[str | None, set[str]] = {}
        for group_id, error in self._errors:
            if isinstance(error, PermissionMissing):
                refusals.setdefault(error.code, set()).add(group_id)
        return not self._is_accepted and any(len(groups) >= REFUSALS_TOLERATED for groups in refusals.values())


def _concerns_all_groups(error: GenesysError) -> bool:
    return needs_a_person(error) and not isinstance(error, PermissionMissing)
