"""One small company, on both sides: what its Active Directory holds and what its Genesys Cloud holds. Pure data.

It is awkward the way real ones are; the comments say where. It also knows who is who on both sides, so that
a check can tell what membership Genesys Cloud must end up with, without any code of the product.
Uses no server and no product code.
"""

from __future__ import annotations

import functools
import random
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sandbox.directory_objects import (
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddMember,
    AddUser,
    Change,
    Computer,
    Contact,
    Content,
    Delete,
    Disable,
    Group,
    RemoveMember,
    Rename,
    SetAttributes,
    User,
)

AGENTS = 1600  # more than Active Directory gives in one answer (1,500)
AGENTS_ALREADY_RIGHT = 1500  # individuals of "All Agents" in Genesys Cloud from the start
AGENTS_UNKNOWN_TO_GENESYS = 10  # the last ones
INACTIVE_AGENT = AGENTS - AGENTS_UNKNOWN_TO_GENESYS  # the last one whom Genesys Cloud knows

# The attribute of an AD group that carries a Genesys id. A company with Exchange would take
# extensionAttribute7; Samba's schema has no Exchange attributes, and `info` is "Notes" in Windows' own tools.
GENESYS_ID_ATTRIBUTE = "info"
EMPLOYEE_AUTHORITY = "HR"

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "genesys-ad-sync.sandbox.example.com")


@functools.cache
def genesys_id(kind: str, name: str) -> str:
    """The same UUID for the same name, in every run."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


# -- Active Directory: people -------------------------------------------------------------------------


def _person(sam: str, cn: str, **details: Any) -> User:
    details.setdefault("mail", f"{sam}@example.com")
    return User(sam, cn, **details)


PEOPLE = (
    _person("anna.arndt", "Anna Arndt"),
    _person("bernd.boehm", "Bernd Böhm", mail="BERND.BOEHM@EXAMPLE.COM"),
    _person("carla.nunez", "Núñez, Carla (Ops)"),
    _person("dieter.dorn", "Dieter Dorn", mail=None),  # found by userPrincipalName
    _person("emil.ernst", "Emil Ernst"),
    _person("eva.ebert", "Eva Ebert", mail=None),  # found by nothing
    _person("fatma.fidan", "Fatma Fidan"),
    _person("fritz.falk", "Fritz Falk", disabled=True),
    _person("georg.gross", "Georg Groß"),
    _person("greta.gold", "Gretà «Gold» Götz", mail="GRETA.GOLD@EXAMPLE.COM", disabled=True),  # two awkward things
    _person("hanna.hess", "Hanna Heß"),
    _person("hans.huber", "Hans Huber"),  # Genesys Cloud does not know him
    _person("harry.hash", "#Hash, Harry"),
    _person("igor.iwanow", "Igor O'Iwanow"),
    _person("ines.iglesias", "Ines Iglesias"),  # inactive in Genesys Cloud
    # Known there under another mail and another name: only the employee number tells who he is.
    _person("jan.jung", "Jan Jung", mail="jan.jung@branch.example.com", employee_number="E-4711"),
    _person("jana.jansen", "Jana Jansen", employee_number="E-4712"),
    _person("juergen.jaeger", "Jürgen Jäger\\Süd"),
    _person("karl.kuehn", 'Karl "Kalle" Kühn * & Co', mail="Karl.Kuehn@Example.COM"),
    _person("klaus.kern", "Klaus Kern"),
    _person("lena.lang", "Lena Lang"),
    _person("luis.lopez", "Luis López"),
    _person("mario.maier", "Mario Maier"),
    _person("nina.nagel", "Nina Nagel"),
    _person("oskar.opitz", "Oskar Opitz", employee_number="E-4713"),
    _person("otto.oezdemir", "Özdemir, Otto", mail=None),  # no mail and an awkward name
    _person("paul.peters", "Paul Peters"),
    _person("paula.primus", "Paula Primus", primary_group="dispatch"),
    _person("petra.pohl", "Petra Pohl"),
    _person("quirin.quast", "Quirin Quast"),
    _person("ralf.roth", "Ralf Roth"),
    _person("robot.dialer", "Robot Dialer"),  # excluded by name
    _person("rosa.richter", "Rosa Richter"),
    _person("sandra.sommer", "Sandra Sommer"),  # put into Dispatch by hand, in Genesys Cloud only
    _person("sara.schulz", "Sara Schulz"),
    _person("tarik.tuncer", "Tarik Tuncer"),
    # Two accounts, one mail: who of them is the Genesys user?
    _person("twin.one", "Twin One", mail="shared.desk@example.com"),
    _person("twin.two", "Twin Two", mail="shared.desk@example.com"),
    _person("ulla.ulrich", "Ulla Ulrich"),
    _person("viktor.vogel", "Viktor Vogel"),
    _person("wanda.wolf", "Wanda Wolf"),
    _person("xaver.xylander", "Xaver Xylander "),  # trailing space
    _person("yvonne.yilmaz", "Yvonne Şahin-Yilmaz"),
    _person("zoe.zander", "Zoë Zander + <Partner>; a=b"),
)


def _agent(number: int) -> User:
    mail = f"agent.{number:04}@example.com"
    return User(f"agent.{number:04}", f"Agent {number:04}", mail=mail.upper() if number % 7 == 0 else mail)


AGENT_ACCOUNTS = tuple(_agent(number) for number in range(1, AGENTS + 1))

CONTACTS = (Contact("Kontakt, Externer (Partner)", "partner@example.net"),)
COMPUTERS = (Computer("WALLBOARD-1"),)

# -- Active Directory: groups -------------------------------------------------------------------------

GROUPS = (
    Group("all-agents", "GC-All Agents", tuple(agent.sam for agent in AGENT_ACCOUNTS)),
    # Two AD groups that feed one Genesys group; Anna and Klaus are in both.
    Group(
        "support",
        "GC-Support",
        (
            "anna.arndt",
            "bernd.boehm",
            "carla.nunez",
            "emil.ernst",
            "fatma.fidan",
            "georg.gross",
            "hanna.hess",
            "igor.iwanow",
            "jana.jansen",
            "klaus.kern",
            "lena.lang",
            "mario.maier",
        ),
    ),
    Group(
        "support-nights", "GC-Support Nights", ("anna.arndt", "klaus.kern", "nina.nagel", "oskar.opitz", "petra.pohl")
    ),
    # Nested three deep, the two lower groups outside of the Contact Center.
    Group("service", "GC-Service", ("ralf.roth", "sara.schulz", "service-north")),
    Group("service-north", "GC-Service North", ("tarik.tuncer", "ulla.ulrich", "service-hamburg")),
    Group("service-hamburg", "Service Hamburg", ("viktor.vogel", "service-altona"), ou=OTHER_GROUPS),
    Group(
        "service-altona", "Service Altona ", ("wanda.wolf", "xaver.xylander", "yvonne.yilmaz"), ou=OTHER_GROUPS
    ),  # trailing space
    # A cycle: everybody in one of the three is in all of them.
    Group("ring-a", "GC-Ring A", ("anna.arndt", "ralf.roth", "ring-b")),
    Group("ring-b", "GC-Ring B", ("nina.nagel", "ring-c")),
    Group("ring-c", "GC-Ring C", ("zoe.zander", "ring-a")),
    # Names that need escaping, in a DN or in a search filter.
    Group("tier2", "Tier 2, Voice (EMEA) *", ("carla.nunez", "harry.hash", "karl.kuehn", "zoe.zander")),
    Group("gold", 'GC-Müller & Söhne "Gold" #1', ("bernd.boehm", "dieter.dorn", "juergen.jaeger", "karl.kuehn")),
    Group(
        "escalations",
        "#1 Escalations\\Night",
        ("igor.iwanow", "jan.jung", "oskar.opitz"),
        info=genesys_id("group", "Escalations"),
    ),
    Group(
        "billing", "Billing & Collections", ("hans.huber", "ines.iglesias", "lena.lang", "mario.maier", "petra.pohl")
    ),
    Group("skill-es", "Skill Spanish", ("carla.nunez", "luis.lopez", "sara.schulz")),
    Group("empty", "GC-Empty"),
    Group("trainers", "GC-Excluded Trainers", ("ulla.ulrich", "viktor.vogel")),  # excluded by name
    Group("coffee", "Coffee Club", ("anna.arndt", "georg.gross", "hanna.hess")),  # no rule maps it
    Group("ghost", "GC-Ghost Team", ("georg.gross", "jana.jansen")),  # mapped to a group that Genesys has not
    Group("dispatch", "GC-Dispatch", ("paul.peters", "paula.primus", "rosa.richter")),  # Paula's primary group
    Group("twins", "GC-Twins", ("emil.ernst", "twin.one", "twin.two")),
    Group(
        "mixed",
        "GC-Mixed",
        (
            CONTACTS[0].sam,
            COMPUTERS[0].sam,
            "emil.ernst",
            "eva.ebert",
            "fatma.fidan",
            "fritz.falk",
            "greta.gold",
            "otto.oezdemir",
            "robot.dialer",
        ),
    ),
)


def content() -> Content:
    return Content(users=PEOPLE + AGENT_ACCOUNTS, contacts=CONTACTS, computers=COMPUTERS, groups=GROUPS)


def crowd(users: int, groups: int, memberships: int, seed: int = 1) -> Content:
    """A big directory for benchmarks: three large groups (a quarter, a tenth and a twentieth of the users, as far
    as ``memberships`` allow), the other memberships spread evenly over the other groups at random."""
    if min(users, groups) < 1 or memberships < 0 or memberships > users * groups:
        raise ValueError(f"{memberships} memberships do not fit {groups} groups of {users} users")
    accounts = tuple(_agent(number) for number in range(1, users + 1))
    sizes = _group_sizes(users, groups, memberships)
    dice = random.Random(seed)
    names = [account.sam for account in accounts]
    return Content(
        users=accounts,
        groups=tuple(
            Group(f"team-{number:04}", f"GC-Team {number:04}", tuple(dice.sample(names, size)))
            for number, size in enumerate(sizes, start=1)
        ),
    )


def _group_sizes(users: int, groups: int, memberships: int) -> list[int]:
    large: list[int] = []
    for part in (4, 10, 20):
        rest_of_groups = groups - len(large) - 1
        size = min(users // part, (memberships - sum(large)) // 2)
        if rest_of_groups and memberships - sum(large) - size <= rest_of_groups * users:
            large.append(size)
    rest, more = divmod(memberships - sum(large), groups - len(large))
    return large + [rest + (1 if number < more else 0) for number in range(groups - len(large))]


# -- Genesys Cloud ------------------------------------------------------------------------------------

UNKNOWN_TO_GENESYS = frozenset({"eva.ebert", "hans.huber"}) | {
    agent.sam for agent in AGENT_ACCOUNTS[AGENTS - AGENTS_UNKNOWN_TO_GENESYS :]
}
INACTIVE_IN_GENESYS = frozenset({"ines.iglesias", AGENT_ACCOUNTS[INACTIVE_AGENT - 1].sam})
AMBIGUOUS = frozenset({"twin.one", "twin.two"})
EXCLUDED_PEOPLE = frozenset({"robot.dialer"})

# People whom Active Directory does not know at all.
GENESYS_ONLY_PEOPLE = ("Manual Mary", "Manual Moritz", "Owner Olga", "Rule Rita")

# Genesys group by sAMAccountName of the AD group that feeds it, told independently of the rules below.
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
    """What the sandbox's Genesys Cloud starts with:
    ``{"users": [{id, name, email, username, state, external_ids: [{authority, key}]}],
    "groups": [{id, name, state, type, external_id, individuals, owners, rule_members}]}``, people by user id."""
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
    if position % 10 == 3:
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


# -- the sync definition that fits --------------------------------------------------------------------


def sync_definition() -> dict[str, Any]:
    """The keys of a sync definition (design.md, Interfaces) that depend on the company; the rest is default."""
    return {
        "directory": {"group_base": CONTACT_CENTER, "group_filter": "(objectClass=group)"},
        "groups": group_rules(),
        "users": user_rules(),
        "exclude": {"groups": ["GC-Excluded*"], "users": ["Robot *"]},
    }


def group_rules() -> list[dict[str, str]]:
    """One rule of each kind; none of them maps Coffee Club."""
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


# -- the demo -----------------------------------------------------------------------------------------


def demo_changes() -> list[Change]:
    """What happens in Active Directory before the demo's second run. Each line says what the run makes of it."""
    return [
        AddMember("support", "quirin.quast"),  # add: success
        RemoveMember("support", "lena.lang"),  # remove: success
        RemoveMember("support", "klaus.kern"),  # unchanged: Support Nights still grants it
        AddUser(_person("nora.neu", "Nora Neu")),
        AddMember("service-north", "nora.neu"),  # orphaned, in Service North and in Service
        AddMember("coffee", "igor.iwanow"),  # skipped: no rule maps Coffee Club
        AddMember("dispatch", "sandra.sommer"),  # unchanged: somebody had put her there by hand
        RemoveMember("billing", "hans.huber"),  # unchanged: Genesys never knew him
        Delete("wanda.wolf"),  # removed from Service North and Service, without any change of a group
        Rename("hanna.hess", "Hanna Heß-Hansen"),  # no change: she is still the same person …
        SetAttributes(
            "hanna.hess", {"mail": "hanna.hansen@example.com", "userPrincipalName": "hanna.hansen@example.com"}
        ),  # … and only the link of the first run tells so
        Disable("georg.gross"),  # removed from Support; skipped in Coffee Club and Ghost Team
        AddMember("service-altona", "luis.lopez"),  # far down: added to Service North and Service
    ]


# -- the independent check ----------------------------------------------------------------------------


@functools.cache
def _genesys_users() -> frozenset[str]:
    """AD accounts (sAMAccountName) whose Genesys users may get memberships."""
    known = {user.sam for user in PEOPLE + AGENT_ACCOUNTS} - UNKNOWN_TO_GENESYS
    return frozenset(known - INACTIVE_IN_GENESYS - AMBIGUOUS - EXCLUDED_PEOPLE)


def genesys_user_of(sam: str) -> str | None:
    """The Genesys user who may get memberships for this AD account: known, active, unambiguous, not excluded.
    It stays the same after the account was renamed."""
    return genesys_id("user", sam) if sam in _genesys_users() else None


def expected_individuals(
    before: Mapping[str, Collection[str]], now: Mapping[str, Collection[str]]
) -> dict[str, set[str]]:
    """The individuals (user ids) that each Genesys group (by id) must have, policy ``removals: granted``.

    ``before`` and ``now``: effective members of AD groups, all by sAMAccountName, at the first run and at the
    last one. Whom AD did not list at the first run, and Genesys had, stays.
    """
    seed = genesys_seed()
    identity = {sam: genesys_user_of(sam) for sams in [*before.values(), *now.values()] for sam in sams}
    expected = {}
    for group in seed["groups"]:
        feeding = [sam for sam, name in PAIRS.items() if name == group["name"]]
        first = {identity[person] for sam in feeding for person in before.get(sam, ())}
        last = {identity[person] for sam in feeding for person in now.get(sam, ())}
        expected[group["id"]] = (set(group["individuals"]) - first) | {user for user in last if user is not None}
    return expected
