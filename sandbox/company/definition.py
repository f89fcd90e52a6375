"""The sync definition that fits the company."""

from __future__ import annotations

from typing import Any

from sandbox.company.directory import content
from sandbox.company.genesys import EMPLOYEE_AUTHORITY
from sandbox.company.ids import genesys_id
from sandbox.directory_objects import CONTACT_CENTER

# The attribute of an AD group that carries a Genesys id. A company with Exchange would take
# extensionAttribute7; Samba's schema has no Exchange attributes, and `info` is "Notes" in Windows' own tools.
GENESYS_ID_ATTRIBUTE = "info"


def sync_definition() -> dict[str, Any]:
    """Return the keys of a sync definition that depend on the company."""
    return {
        "directory": {"group_base": CONTACT_CENTER, "group_filter": "(objectClass=group)"},
        "groups": group_rules(),
        "users": user_rules(),
        "exclude": {"groups": ["GC-Excluded*"], "users": ["Robot *"]},
    }


def group_rules() -> list[dict[str, str]]:
    """Return one rule of each kind; none of them maps Coffee Club."""
    dns = content().dns()
    return [
        {"dn": dns["tier2"], "genesys_id": genesys_id("group", "Tier 2")},
        {"attribute": GENESYS_ID_ATTRIBUTE, "genesys_id": "{value}"},
        {"dn": dns["billing"], "genesys_external_id": "ERP-4711"},
        {"name": "GC-(?P<team>Support)( .+)?", "genesys_name": "{team}"},
        {"name": "GC-(?P<team>.+)", "genesys_name": "{team}"},
        {"name": "(?P<same>Skill .+)", "genesys_name": "{same}"},
    ]


def user_rules() -> list[dict[str, str]]:
    return [
        {"directory": "mail", "genesys": "email"},
        {"directory": "userPrincipalName", "genesys": "username"},
        {"directory": "employeeNumber", "genesys": "external_id", "authority": EMPLOYEE_AUTHORITY},
    ]
