"""The checks of Genesys Cloud and of the mapping, in their order.

They are grouped by the task that tries them.
"""

from __future__ import annotations

from genesys_ad_sync.doctor import genesys, genesys_users, mapping, people
from genesys_ad_sync.doctor.genesys import GenesysSubject
from genesys_ad_sync.doctor.lines import Check, Line, run_checks

_ACCESS: tuple[Check[GenesysSubject], ...] = (
    ("genesys.connection", genesys.connection),
    ("genesys.token", genesys.token),
)
MAPPING_CHECKS: tuple[Check[GenesysSubject], ...] = (
    *_ACCESS,
    ("genesys.groups", genesys.groups),
    ("mapping.groups", mapping.groups),
)
"""What shows which Genesys groups the definition maps."""
GROUP_CHECKS: tuple[Check[GenesysSubject], ...] = (
    *MAPPING_CHECKS,
    ("mapping.roles", mapping.roles),
    ("mapping.claims", mapping.claims),
    ("genesys.private_groups", genesys.private_groups),
    ("genesys.members", genesys.members),
    ("genesys.dynamic_groups", genesys.dynamic_groups),
    ("genesys.group_edit", genesys.group_edit),
    ("genesys.write", genesys.write),
)
USER_CHECKS: tuple[Check[GenesysSubject], ...] = (
    ("genesys.user_search", genesys_users.user_search),
    ("genesys.users", genesys_users.users),
    ("genesys.external_ids", genesys_users.external_ids),
    ("genesys.groups_of_users", genesys_users.groups_of_users),
    ("genesys.divisions", genesys_users.divisions),
    ("mapping.people", people.people),
    ("genesys.rate_limit", genesys.rate_limit),
)


def check_groups(subject: GenesysSubject) -> list[Line]:
    """Try what `map_groups`, `plan` and `patch` need."""
    return run_checks(GROUP_CHECKS, subject)


def check_users(subject: GenesysSubject) -> list[Line]:
    """Try what `resolve_users` needs, in a process of its own or after `check_groups`."""
    return run_checks(USER_CHECKS if subject.access_tried else (*_ACCESS, *USER_CHECKS), subject)
