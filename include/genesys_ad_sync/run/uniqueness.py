"""Asks AD, before a new link is made, whether another account carries the same value."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.errors import DirectoryNotAsked
from genesys_ad_sync.matching import accounts_without_veto
from genesys_ad_sync.matching.uniqueness import Carrier, only_unique, values_to_ask
from genesys_ad_sync.model import DirectoryUser, Guid, Match
from genesys_ad_sync.run.context import TaskContext


def with_unique_values(
    task: TaskContext, matches: Mapping[Guid, Match], users: Mapping[Guid, DirectoryUser]
) -> dict[Guid, Match]:
    """Return the matches; those that another account of the domain contests are ambiguous. Raises DirectoryError.

    AD is asked only if new links would be made, 50 values a request.
    """
    rules = task.definition.users
    asked = values_to_ask(matches, users, rules)
    if not asked:
        return dict(matches)
    task.log(f"asking AD who else carries {sum(map(len, asked.values()))} values by which new links would be made")
    try:
        carriers = _carriers(task, asked)
    except DirectoryNotAsked:
        task.note("AD was not asked whether other accounts carry the values by which new links would be made")
        return dict(matches)
    accounts = {carrier.account.guid: carrier.account for found in carriers.values() for carrier in found}
    deleted = task.journal.views.deleted_users()  # a domain controller that lags behind still shows them
    free = accounts_without_veto(list(accounts.values()), task.definition, deleted)
    return only_unique(matches, users, rules, carriers, free)


def _carriers(task: TaskContext, asked: Mapping[str, Collection[str]]) -> dict[str, list[Carrier]]:
    """Ask AD for the accounts with these values, by attribute. Raises DirectoryError."""
    with task.directory() as session:
        reader = DirectoryReader(session, task.definition.scope(session.root_dse().naming_context))
        return {
            name: [Carrier(user, values) for user, values in reader.objects.accounts_with(name, of_name)]
            for name, of_name in asked.items()
        }
