"""One small company: what its Active Directory and its Genesys Cloud hold. Pure data.

It is awkward the way real ones are; the comments say where. It also knows which accounts on both sides are the same
person, so that a check can tell what membership Genesys Cloud must end up with. Uses no server and no product code.
"""

from sandbox.company.crowd import CrowdSize, crowd
from sandbox.company.definition import GENESYS_ID_ATTRIBUTE, group_rules, sync_definition, user_rules
from sandbox.company.directory import AGENT_ACCOUNTS, AGENTS, PEOPLE, content, demo_changes
from sandbox.company.expected import expected_individuals, genesys_user_of
from sandbox.company.genesys import PAIRS, UNTOUCHED_GENESYS_GROUPS, genesys_seed
from sandbox.company.ids import genesys_id

__all__ = [
    "AGENTS",
    "AGENT_ACCOUNTS",
    "GENESYS_ID_ATTRIBUTE",
    "PAIRS",
    "PEOPLE",
    "UNTOUCHED_GENESYS_GROUPS",
    "CrowdSize",
    "content",
    "crowd",
    "demo_changes",
    "expected_individuals",
    "genesys_id",
    "genesys_seed",
    "genesys_user_of",
    "group_rules",
    "sync_definition",
    "user_rules",
]
