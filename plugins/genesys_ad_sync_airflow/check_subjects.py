"""What `genesys_ad_sync.doctor` tries, as Airflow has it: connections, hooks, journal and reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy import URL

from genesys_ad_sync.directory.connection import LdapSettings
from genesys_ad_sync.doctor.directory import DirectorySubject
from genesys_ad_sync.doctor.genesys import GenesysSubject, RateLimit
from genesys_ad_sync.doctor.journal import JournalSubject
from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.genesys.responses import header_number
from genesys_ad_sync.settings import SyncDefinition
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
from genesys_ad_sync_airflow.genesys_cloud.connection import GenesysConnection
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from genesys_ad_sync_airflow.genesys_cloud.pacing import WindowPacer
from genesys_ad_sync_airflow.genesys_cloud.retries import HttpRetryPolicy
from genesys_ad_sync_airflow.journal_connection import journal_address
from genesys_ad_sync_airflow.task_context import report_store

PATIENCE = HttpRetryPolicy(attempts=3, longest_wait=65.0)
"""A check says what it finds; it does not wait for minutes until that passes."""


def directory_subject(definition: SyncDefinition) -> DirectorySubject:
    """Return what is tried of Active Directory."""
    connection_id = definition.directory.connection

    def settings() -> LdapSettings:
        try:
            return ActiveDirectoryHook(connection_id).settings()
        except AirflowNotFoundException:
            raise _no_connection(connection_id, "active_directory") from None

    return DirectorySubject(definition, settings, _now)


def genesys_subject(definition: SyncDefinition) -> GenesysSubject:
    """Return the subject of the checks of Genesys Cloud.

    It always fetches a token of its own: a kept one proves nothing.
    """
    connection_id = definition.genesys.connection
    pacer = _NotingPacer()
    hook = GenesysCloudHook(connection_id, pacer=pacer, retry_policy=PATIENCE, token_store=ProcessTokenStore())

    def settings() -> GenesysConnection:
        try:
            return hook.settings
        except AirflowNotFoundException:
            raise _no_connection(connection_id, "genesys_cloud") from None

    def client() -> GenesysCloudHook:
        settings()
        return hook

    return GenesysSubject(definition, client, lambda: settings().api_url, lambda: pacer.newest)


def journal_subject(
    definition: SyncDefinition, dag_id: str, address: Callable[[], URL] = journal_address
) -> JournalSubject:
    """Return what is tried of the journal and the reports. ``address``: where the journal is."""
    return JournalSubject(definition.name, dag_id, address, lambda: report_store(definition))


def _no_connection(connection_id: str, kind: str) -> SettingsError:
    return SettingsError(
        f"There is no Airflow connection {connection_id}. Create it with the type {kind}, or correct `connection` in "
        "the sync definition. It must be known on the machine where the tasks run."
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)


class _NotingPacer(WindowPacer):
    """A pacer that keeps what the newest answer said of the limit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.newest: RateLimit | None = None

    def observe(self, headers: Mapping[str, str], family: str = "") -> None:
        """Learn from an answer; see `Pacer.observe`."""
        super().observe(headers, family)
        used, allowed, reset = (
            header_number(headers.get(f"inin-ratelimit-{name}")) for name in ("count", "allowed", "reset")
        )
        if used is not None and allowed is not None:
            self.newest = RateLimit(int(used), int(allowed), reset or 0.0)
