"""Third task: finds the Genesys user of each AD user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from genesys_ad_sync.model import Guid, Match, MatchStatus, Mode
from genesys_ad_sync.run import relink
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MATCHES, RESOLVED_TO
from genesys_ad_sync.run.failures import records_failure
from genesys_ad_sync.run.orphan_news import turn_of
from genesys_ad_sync.run.orphans import let_rest, people_to_look_at
from genesys_ad_sync.run.targets import collect
from genesys_ad_sync.run.users import resolve, users_of_targets

PEOPLE_SHOWN = 100
"""People without a Genesys user in the XCom. The report has all of them."""


@records_failure
def resolve_users(task: TaskContext) -> dict[str, Any]:
    """Find the Genesys user of each AD user that this run concerns.

    Raises GenesysError if they cannot be looked up.

    - A known link (objectGUID -> Genesys user id) comes first, so that a changed mail does not lose a user.
    - A link says which user it is, not that the user is active: Genesys is asked for users who may be added (50 a
      request, or all users), and in mode full for all.
    - Known orphans are left alone until something has changed, or their turn has come and Genesys has news of them.
    - Otherwise a link is believed without a request, until Genesys refuses a write (`recheck_refused_users`).
    - In mode full, people that no look-up finds are compared with all users (500 a request): a search may be
      case-sensitive.
    """
    task.facts[RESOLVED_TO] = task.journal.changes.newest_id()
    turn = turn_of(task, people_to_look_at(task))
    work = collect(task)
    targets = work.targets
    users = users_of_targets(task, targets) | relink.accounts_concerned(task) | turn.news
    in_full = task.run.mode is Mode.FULL
    resolved = resolve(task, targets, users, unsure=turn.news, compare_with_all=in_full)
    matches = relink.prepare(task, resolved)
    matches = let_rest(task, work, matches, turn.people)
    if turn.people:
        task.journal.waiting.note_looked_up_to(turn.people[-1])
    task.facts[MATCHES] = tuple(matches.values())
    counts = Counter(match.status.value for match in matches.values())
    task.log("users: " + (", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none to resolve"))
    return {
        **{status.value: counts.get(status.value, 0) for status in MatchStatus},
        "not_matched": dict(islice(_why_not_matched(matches.values()), PEOPLE_SHOWN)),
    }


def _why_not_matched(matches: Iterable[Match]) -> Iterator[tuple[Guid, str]]:
    for match in matches:
        if match.status is not MatchStatus.MATCHED:
            yield match.user_guid, match.reason.value if match.reason else match.status.value
