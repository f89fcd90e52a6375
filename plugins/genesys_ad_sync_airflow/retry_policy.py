"""Airflow's action after a task has failed.

It gives up where only a person can help, else it waits as asked.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryPolicy
from airflow.sdk.definitions.retry_policy import RetryDecision

from genesys_ad_sync import errors
from genesys_ad_sync.genesys import errors as genesys

if TYPE_CHECKING:
    from airflow.sdk import Context

# A retry does not help here, and a wrong password tried again and again locks the account.
NOT_WORTH_A_RETRY: tuple[type[BaseException], ...] = (
    errors.SettingsError,
    errors.ReportPathError,
    errors.ParamError,
    errors.WindowError,
    errors.JournalMoved,
    errors.RunUnknown,
    errors.RunElsewhere,
    errors.JournalOfOtherHost,
    errors.RunAmbiguous,
    errors.DirectoryCertificateError,
    errors.DirectoryBindError,
    errors.DirectoryNotFound,
    genesys.AuthenticationFailed,
    genesys.PermissionMissing,
    genesys.ClientRefused,
    genesys.RegionUnknown,
    genesys.CertificateRejected,
)

LEASE_BUSY_DELAY = timedelta(minutes=2)
"""The other run renews its lease while it writes, and may be done soon: no growing delay."""

LONGEST_DELAY = timedelta(hours=1)
"""Of what a Retry-After can ask for: a nonsensical one must not put the task off for days."""


class SyncRetryPolicy(RetryPolicy):
    """`retry_policy` of all tasks. How often a task is retried stays the business of `retries`."""

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002  Airflow's signature
        max_tries: int,  # noqa: ARG002  Airflow's signature
        context: Context | None = None,
    ) -> RetryDecision:
        if isinstance(exception, NOT_WORTH_A_RETRY):
            return RetryDecision.fail("a person has to correct this")
        if isinstance(exception, errors.LeaseBusy):
            return RetryDecision.retry(LEASE_BUSY_DELAY, "another run is writing")
        if isinstance(exception, genesys.GenesysError) and exception.retry_after:
            wait = timedelta(
                seconds=min(exception.retry_after, LONGEST_DELAY.total_seconds())
            )  # a float may be too large
            # The same second more for everybody would bring all of them back at once: spread by the try and the task.
            spread = timedelta(seconds=_spread(context))
            return RetryDecision.retry(wait + spread, f"Genesys Cloud asks to wait {exception.retry_after:.0f} s")
        return RetryDecision.default()


def _spread(context: Context | None) -> float:
    """Seconds, by the number of the mapped instance."""
    ti = (context or {}).get("ti")
    index = getattr(ti, "map_index", -1)
    return 1.0 + 2.0 * max(0, index if isinstance(index, int) else 0)
