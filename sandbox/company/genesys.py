"""What the company's Genesys Cloud holds at the start, and which AD groups feed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.company.directory import AGENT_ACCOUNTS, AGENTS, PEOPLE
from sandbox.company.ids import genesys_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.directory_objects import User

AGENTS_ALREADY_RIGHT = AGENTS - 100  # individuals of "All Agents" from the start
AGENTS_UNKNOWN_TO_GENESYS = 10  # the last ones
INACTIVE_AGENT = AGENTS - AGENTS_UNKNOWN_TO_GENESYS  # the last one that Genesys Cloud knows
EMPLOYEE_AUTHORITY = "HR"

UNKNOWN_TO_GENESYS = frozenset({"eva.ebert", "hans.huber"}) | {
    agent.sam for agent in AGENT_ACCOUNTS[AGENTS - AGENTS_UNKNOWN_TO_GENESYS :]
}
INACTIVE_IN_GENESYS = frozenset({"ines.iglesias", AGENT_ACCOUNTS[INACTIVE_AGENT - 1].sam})
AMBIGUOUS = frozenset({"twin.one", "twin.two"})
EXCLUDED_PEOPLE = frozenset({"robot.dialer"})

# People that Active Directory does not know at all.
GENESYS_ONLY_PEOPLE = ("Manual Mary", "Manual Moritz", "Owner Olga", "Rule Rita")

# Genesys group by sAMAccountName of the AD group that feeds it, stated independently of the rules of the definition.
PAIRS: Mapping[str, str] = {
    "all-agents": "All Agents",
    "support": "Support",
    "support-nights": "Support",
    "service": "Service",
    "service-north": "Service North",
    "ring-a": "Ring A",
    "ring-b": "Ring B",
    "ring-c": "Ring C",
    "tier2": "Tier 2",
    "gold": 'Müller & Söhne "Gold" #1',
    "escalations": "Escalations",
    "billing": "Billing (ERP)",
    "skill-es": "skill SPANISH",  # differs in case from AD
    "empty": "Empty",
    "dispatch": "Dispatch",
    "twins": "Twins",
    "mixed": "Mixed",
}
UNTOUCHED_GENESYS_GROUPS = ("Untouched Executives", "Excluded Trainers")

# Who is in which Genesys group at the start, besides the agents: AD accounts and people of Genesys only.
_INDIVIDUALS: Mapping[str, tuple[str, ...]] = {
    "All Agents": ("Manual Mary", "sandra.sommer"),
    "Support": ("anna.arndt", "bernd.boehm", "Manual Mary"),
    "Service": ("ralf.roth", "Manual Moritz"),
    "Service North": ("tarik.tuncer",),
    "Ring A": ("anna.arndt",),
    'Müller & Söhne "Gold" #1': ("bernd.boehm", "dieter.dorn", "juergen.jaeger", "karl.kuehn"),  # all right already
    "Escalations": ("Manual Moritz",),
    "Billing (ERP)": ("lena.lang",),
    "Empty": ("Manual Mary",),
    "Dispatch": ("paul.peters", "sandra.sommer"),
    "Mixed": ("emil.ernst", "greta.gold"),  # Greta is disabled in AD, and AD never granted her this
    "Untouched Executives": ("anna.arndt", "Manual Mary", "Manual Moritz"),
    "Excluded Trainers": ("ulla.ulrich", "Manual Mary"),
}
_OWNERS: Mapping[str, tuple[str, ...]] = {"Support": ("Owner Olga",), "Untouched Executives": ("Owner Olga",)}
# Fatma belongs to Support by AD, too: she must become an individual although a rule includes her.
_RULE_MEMBERS: Mapping[str, tuple[str, ...]] = {"Support": ("Rule Rita", "fatma.fidan")}
_EXTERNAL_IDS: Mapping[str, str] = {"Billing (ERP)": "ERP-4711"}


def genesys_seed() -> dict[str, list[dict[str, Any]]]:
    """Return what the sandbox's Genesys Cloud starts with.

    ``{"users": [{id, name, email, username, state, external_ids: [{authority, key}]}],
    "groups": [{id, name, state, type, external_id, individuals, owners, rule_members}]}``, people by user id.
    """
    accounts = [user for user in PEOPLE + AGENT_ACCOUNTS if user.sam not in UNKNOWN_TO_GENESYS | {"twin.two"}]
    users = [_genesys_user(account, position) for position, account in enumerate(accounts)]
    users += [_genesys_only_user(name) for name in GENESYS_ONLY_PEOPLE]
    groups = [_genesys_group(name) for name in [*dict.fromkeys(PAIRS.values()), *UNTOUCHED_GENESYS_GROUPS]]
    return {"users": users, "groups": groups}


def _genesys_user(account: User, position: int) -> dict[str, Any]:
    mail = (account.mail or f"{account.sam}@private.example.net").lower()
    username = f"{account.sam}@example.com"
    if account.sam == "jan.jung":
        mail = username = "j.jung.1987@example.com"
    if (position - 3) % 10 == 0:
        mail = mail.title()  # Agent.0004@Example.Com
    external_ids = []
    if account.employee_number is not None:
        external_ids.append({"authority": EMPLOYEE_AUTHORITY, "key": account.employee_number})
    return {
        "id": genesys_id("user", account.sam),
        "name": account.cn.strip(),
        "email": mail,
        "username": username,
        "state": "inactive" if account.sam in INACTIVE_IN_GENESYS else "active",
        "external_ids": external_ids,
    }


def _genesys_only_user(name: str) -> dict[str, Any]:
    mail = f"{name.lower().replace(' ', '.')}@example.com"
    return {
        "id": genesys_id("user", name),
        "name": name,
        "email": mail,
        "username": mail,
        "state": "active",
        "external_ids": [],
    }


def _genesys_group(name: str) -> dict[str, Any]:
    individuals = [genesys_id("user", person) for person in _INDIVIDUALS.get(name, ())]
    if name == "All Agents":
        individuals += [genesys_id("user", agent.sam) for agent in AGENT_ACCOUNTS[:AGENTS_ALREADY_RIGHT]]
    return {
        "id": genesys_id("group", name),
        "name": name,
        "state": "active",
        "type": "official",
        "external_id": _EXTERNAL_IDS.get(name),
        "individuals": individuals,
        "owners": [genesys_id("user", person) for person in _OWNERS.get(name, ())],
        "rule_members": [genesys_id("user", person) for person in _RULE_MEMBERS.get(name, ())],
    }
