"""Param `release_claim`: let another sync definition feed a Genesys group."""

from __future__ import annotations

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.model import RunRecord, RunRequest
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import RELEASED_CLAIMS


def release_claims(task: TaskContext, run: RunRecord, request: RunRequest) -> list[str]:
    """End the claims that the run names; return notes.

    A retry returns what the first try released. Raises ParamError if no other definition has a claim on one of the
    groups. Then none is released.
    """
    if not request.release_claim:
        return []
    done = task.facts[RELEASED_CLAIMS]
    if done:
        return list(done)
    with task.journal.together():
        holders = task.journal.claims.holders(task.organisation, request.release_claim)
        for group_id in request.release_claim:
            _refuse_unless_claimed(task, group_id, holders.get(group_id))
        if run.dry_run:
            return [f"dry run: {_of(name, id_)} was not released" for id_, name in sorted(holders.items())]
        task.journal.claims.release(task.organisation, holders)
        notes = tuple(f"{_of(name, id_)} was released" for id_, name in sorted(holders.items()))
        task.facts[RELEASED_CLAIMS] = notes
    return list(notes)


def _refuse_unless_claimed(task: TaskContext, group_id: str, holder: str | None) -> None:
    if holder is None:
        raise ParamError(
            f"release_claim: no sync definition has a claim on Genesys group {group_id} at {task.organisation}. "
            "`genesys-ad-sync claims` lists all claims with their Genesys group ids."
        )
    if holder == task.definition.name:
        raise ParamError(
            f"release_claim: Genesys group {group_id} is fed by this sync definition, {holder}. Remove its rule for "
            "that group, or trigger the DAG of the definition that is to feed it."
        )


def _of(definition: str, group_id: str) -> str:
    return f"the claim of sync definition {definition} on Genesys group {group_id}"
