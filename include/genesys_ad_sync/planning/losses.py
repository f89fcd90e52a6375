"""Members that a reading of AD lacks, and that count nevertheless.

They are listed, so that they do not wait unseen. Pure. Nothing is removed because of them. The AD group proves nothing
in this run, see `polling.shrinkage`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator

from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.planning.facts import Person
from genesys_ad_sync.planning.inputs import PlanContext
from genesys_ad_sync.planning.rows import skeleton


def rows_of_losses(listed: Collection[str], context: PlanContext) -> Iterator[Row]:
    """Yield one held row per lost membership that the plan does not list already.

    ``listed``: keys of its rows.
    """
    for loss in context.losses:
        person = Person(loss.user_guid, loss.genesys_user_id)
        row = dataclasses.replace(
            skeleton(person, Action.REMOVE, Status.HELD, loss.group_guids, (), context),
            genesys_group_id=loss.genesys_group.id,
            genesys_group={"id": loss.genesys_group.id, "name": loss.genesys_group.name},
            reason=Reason.UNEXPLAINED_LOSS,
        )
        if row.key not in listed:
            yield row
