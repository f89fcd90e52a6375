"""All checks of a sync definition, in one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from genesys_ad_sync.doctor.directory import check_directory
from genesys_ad_sync.doctor.genesys_parts import check_groups, check_users
from genesys_ad_sync.doctor.journal import check_journal
from genesys_ad_sync_airflow import check_subjects
from genesys_ad_sync_airflow.airflow_checks import check_airflow

if TYPE_CHECKING:
    from sqlalchemy import URL

    from genesys_ad_sync.doctor import Line
    from genesys_ad_sync.settings import SyncDefinition


def check_all(definition: SyncDefinition, address: Callable[[], URL]) -> list[Line]:
    """Return the lines of all parts. ``address``: where the journal is."""
    directory = check_subjects.directory_subject(definition)
    genesys = check_subjects.genesys_subject(definition)
    with check_subjects.journal_subject(definition, definition.dag_id, address) as journal:
        lines = [*check_airflow(definition), *check_journal(journal), *check_directory(directory)]
        genesys.view = directory.view
        if journal.journal is not None:
            genesys.links = journal.journal.of(definition.name).links.all()
            genesys.claims = {claim.genesys_group_id: claim.definition for claim in journal.journal.claims.list()}
        return [*lines, *check_groups(genesys), *check_users(genesys)]
