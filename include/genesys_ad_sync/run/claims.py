"""Claims: which sync definition feeds a Genesys group.

Param `release_claim` gives a group to another definition.
"""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.model import PairState, RunRecord, RunRequest
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import RELEASED_CLAIMS
from genesys_ad_sync.run.targets import newest_pairs


def claimed_by_others(task: TaskContext, run: RunRecord, group_ids: Collection[str] = ()) -> dict[str, str]:
    """Claim the Genesys groups that the definition feeds; return those that another sync definition feeds.

    The result is Genesys group id -> definition. A pair feeds nothing before a person has confirmed it.

    A claim lasts until the definition no longer maps the group, or only by pairs that a person rejected, until its file
    is gone, or until a person releases it. A dry run takes no claim. It ends those of groups that its definition no
    longer maps, and keeps the others.

    ``group_ids``: if the definition has claimed all of these, no other group is looked at.
    """
    if group_ids and not run.dry_run:
        holders = task.journal.claims.holders(task.organisation, group_ids)
        if all(holders.get(group_id) == task.definition.name for group_id in group_ids):
            return {}
    if not run.dry_run and task.journal.claims.are_as_mapped(task.organisation):
        return {}
    pairs = newest_pairs(task)
    mapped = sorted({pair.genesys_group_id for pair in pairs})
    kept = sorted({pair.genesys_group_id for pair in pairs if pair.state is not PairState.REJECTED})
    fed = sorted({pair.genesys_group_id for pair in pairs if pair.state is PairState.CONFIRMED})
    claims, now = task.journal.claims, task.clock()
    claims.take(task.organisation, fed, now, dry_run=run.dry_run)
    claimed = claims.take(task.organisation, mapped, now, dry_run=True)
    gone = set() if task.all_definitions is None else set(claimed.values()) - task.all_definitions
    # what another run claimed since a dry run began, that run maps by newer rules
    claims.release_except(task.organisation, kept, before=run.started_at if run.dry_run else None)
    if gone and not run.dry_run:
        for definition in gone:
            task.journal.of(definition).claims.release_except(task.organisation, ())
        claims.take(task.organisation, fed, now)
        claimed = claims.take(task.organisation, mapped, now, dry_run=True)
        task.note(f"released the claims of sync definitions whose file is gone: {', '.join(sorted(gone))}")
    return {group_id: by for group_id, by in claimed.items() if by not in gone}


def release_claims(task: TaskContext, run: RunRecord, request: RunRequest) -> list[str]:
    """End the claims that the run names; return notes.

    A retry returns what the first try released, and a cleared run leaves out what it released before. Raises ParamError
    if no other definition has a claim on one of the groups. Then none is released.
    """
    if not request.release_claim:
        return []
    done = task.facts[RELEASED_CLAIMS]
    if done:
        return list(done)
    with task.journal.together():
        holders = task.journal.claims.holders(task.organisation, request.release_claim)
        before = _released_before(task, run)
        released = {id_ for id_ in before if holders.get(id_) in {None, task.definition.name}}
        asked = [id_ for id_ in request.release_claim if id_ not in released]
        for group_id in asked:
            _refuse_unless_claimed(task, group_id, holders.get(group_id))
        names = {id_: holders[id_] for id_ in sorted(asked)}
        if run.dry_run:
            return [f"dry run: {_of(name, id_)} was not released" for id_, name in names.items()]
        task.journal.claims.release(task.organisation, asked)
        notes = [f"{_of(name, id_)}{_WAS_RELEASED}" for id_, name in names.items()]
        done = tuple([before[id_] for id_ in sorted(released)] + notes)
        task.facts[RELEASED_CLAIMS] = done
    return list(done)


_WAS_RELEASED = " was released"


def _released_before(task: TaskContext, run: RunRecord) -> dict[str, str]:
    """Return what earlier attempts of this run released: Genesys group id -> the note."""
    stored = task.journal.facts.of_attempts(task.journal.runs.earlier_attempts(run), RELEASED_CLAIMS.key)
    notes = [note for of_attempt in stored.values() for note in of_attempt]
    return {note.removesuffix(_WAS_RELEASED).rpartition(" ")[2]: note for note in notes}


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
