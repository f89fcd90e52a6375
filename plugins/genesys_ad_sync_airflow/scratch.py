"""`check --scratch-group`: what only writes show, by the connection of a sync definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genesys_ad_sync.doctor.lines import problem
from genesys_ad_sync.doctor.scratch_group import Lab, try_all
from genesys_ad_sync.doctor.scratch_refusals import (
    ScratchRefused,
    World,
    find_test_users,
    require_named_twice,
    require_unmapped,
)
from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.examination import examine
from genesys_ad_sync_airflow import check_subjects

if TYPE_CHECKING:
    from sqlalchemy import URL

    from genesys_ad_sync.doctor import Line
    from genesys_ad_sync.settings import SyncDefinition


@dataclass(frozen=True)
class ScratchRequest:
    """The request of a person for the scratch test.

    ``yes_change``: the id once more. ``test_users``: empty: the group's two members.
    """

    group_id: str
    yes_change: str | None
    test_users: tuple[str, ...] = ()


def try_scratch_group(
    chosen: SyncDefinition, every: Sequence[SyncDefinition], asked: ScratchRequest, address: Callable[[], URL]
) -> list[Line]:
    """Try the group, if it may be used.

    Otherwise return one line that says why not.
    ``every``: all sync definitions, none of which may map the group. ``address``: where the journal is. Raises
    GroupSyncError if it cannot be known whether a definition maps the group.
    """
    try:
        require_named_twice(asked.group_id, asked.yes_change)
        _require_unmapped(asked.group_id, every, address())
        client = check_subjects.genesys_subject(chosen).connected()
        one, other = find_test_users(client, asked.group_id, asked.test_users)
    except ScratchRefused as refused:
        return [problem("scratch.group", f"{refused} Nothing was written.")]
    lab = Lab(client, asked.group_id, one, other, chosen.genesys.verify_within.total_seconds())
    return try_all(lab)


def _require_unmapped(group_id: str, every: Sequence[SyncDefinition], address: URL) -> None:
    worlds = [
        World(check_subjects.directory_subject(definition), check_subjects.genesys_subject(definition))
        for definition in every
    ]
    found = examine(address)
    if found.version is None:
        require_unmapped(group_id, worlds, None)
        return
    if not found.is_current:
        raise ScratchRefused("The journal is of another version, so it is not known which groups are mapped.")
    with Journal.open(address, create=False) as journal:
        require_unmapped(group_id, worlds, journal)
