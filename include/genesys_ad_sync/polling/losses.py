"""Who loses memberships by what a reading lacks, had it been believed."""

from __future__ import annotations

from collections.abc import Mapping

from genesys_ad_sync.directory.membership import effective_members
from genesys_ad_sync.journal import DefinitionJournal
from genesys_ad_sync.model import DirectoryView, Guid, MembershipPolicy

MOST_LISTED = 500
"""Losses of direct memberships. A directory that lost more is not listed person by person: the notes say it."""


def lost_users(
    journal: DefinitionJournal, losses: Mapping[Guid, frozenset[Guid]], policy: MembershipPolicy
) -> dict[Guid, tuple[Guid, ...]]:
    """Return the users that would leave each group in scope.

    ``losses``: group -> direct members that are not believed.
    """
    if not losses or sum(map(len, losses.values())) > MOST_LISTED:
        return {}
    roots = journal.views.groups_above(losses)
    view = journal.views.load(roots)
    believed = DirectoryView(
        view.groups, view.users, {guid: members - losses.get(guid, set()) for guid, members in view.members.items()}
    )
    found = {}
    for root in sorted(roots):
        gone = effective_members(view, root, policy).keys() - effective_members(believed, root, policy).keys()
        if gone:
            found[root] = tuple(sorted(gone))
    return found
