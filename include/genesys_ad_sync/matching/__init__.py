"""Matching: the Genesys user of each AD user.

Links come first, then the rules of `users:` in order. It is never a guess. Pure: the caller asks Genesys. `start` →
(`next_lookup` → ask Genesys → `answered`)* → `with_links` → `without_veto` → `finish`.
"""

from genesys_ad_sync.matching.accounts import accounts_without_veto, disabled_users, excluded_users
from genesys_ad_sync.matching.claims import claimable, outsiders, with_links, without_veto
from genesys_ad_sync.matching.links import LinkFinding, link_findings
from genesys_ad_sync.matching.listing import wants_listing, with_listing
from genesys_ad_sync.matching.lookups import Lookup, answered, next_lookup, start
from genesys_ad_sync.matching.results import finish
from genesys_ad_sync.matching.state import MatchState, is_digest_of, value_for, values_digest

__all__ = [
    "LinkFinding",
    "Lookup",
    "MatchState",
    "accounts_without_veto",
    "answered",
    "claimable",
    "disabled_users",
    "excluded_users",
    "finish",
    "is_digest_of",
    "link_findings",
    "next_lookup",
    "outsiders",
    "start",
    "value_for",
    "values_digest",
    "wants_listing",
    "with_links",
    "with_listing",
    "without_veto",
]
