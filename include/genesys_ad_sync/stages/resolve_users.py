"""Third task: who each AD user is in Genesys Cloud."""

from __future__ import annotations

from collections import Counter
from typing import Any

from genesys_ad_sync.model import MatchStatus, Reason
from genesys_ad_sync.run import targets as target_groups
from genesys_ad_sync.run.context import Sync, tells_of_failure
from genesys_ad_sync.run.users import _keep, _people_of, _resolve


@tells_of_failure
def resolve_users(task: Sync) -> dict[str, Any]:
    """Finds the Genesys user of everybody whom this run concerns. Raises GenesysError if they cannot be looked up.

    A known link (objectGUID -> Genesys user id) comes first, so that a changed mail does not lose a person. It tells
    who somebody is, not that this user is active: of those who may be added Genesys is asked (50 a request, or all
    users), and in mode full of everybody. Else it is believed without a request, until Genesys refuses a write
    (`look_at_refused`).
    """
    task.journal.put_fact(task.run, "resolved_to", task.journal.last_change())
    targets, _ = target_groups.collect(task)
    people = _people_of(task, targets)
    matches = _resolve(task, targets, people)
    _keep(task, matches)
    counts = Counter(match.status.value for match in matches.values())
    task.say("users: " + (", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none to resolve"))
    return {
        **{status.value: counts.get(status.value, 0) for status in MatchStatus},
        "not_matched": {
            guid: (match.reason.value if match.reason else match.status.value)
            for guid, match in matches.items()
            if match.status is not MatchStatus.MATCHED
        }
        | dict.fromkeys(sorted(people - matches.keys()), Reason.GENESYS_UNREADABLE.value),
    }
