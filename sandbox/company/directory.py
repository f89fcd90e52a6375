"""What the company's Active Directory holds, and what the demo changes in it."""

from __future__ import annotations

import os
from typing import Any

from sandbox.company.ids import genesys_id
from sandbox.directory_objects import (
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

# 1,600 is more than Active Directory returns in one answer (1,500). Most tests need no such crowd, and are faster with
# fewer. 101 of them are not right in Genesys Cloud at the start (`sandbox.company.genesys`).
AGENTS = max(int(os.environ.get("GENESYS_AD_SYNC_SANDBOX_AGENTS", "1600")), 110)

# -- people -------------------------------------------------------------------------------------------


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


def agent(number: int) -> User:
    mail = f"agent.{number:04}@example.com"
    return User(f"agent.{number:04}", f"Agent {number:04}", mail=mail.upper() if number % 7 == 0 else mail)


def agents(count: int) -> tuple[User, ...]:
    return tuple(agent(number) for number in range(1, count + 1))


AGENT_ACCOUNTS = agents(AGENTS)

CONTACTS = (Contact("Kontakt, Externer (Partner)", "partner@example.net"),)
COMPUTERS = (Computer("WALLBOARD-1"),)

# -- groups -------------------------------------------------------------------------------------------

GROUPS = (
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


def content(agent_count: int = AGENTS) -> Content:
    accounts = agents(agent_count)
    everybody = Group("all-agents", "GC-All Agents", tuple(agent.sam for agent in accounts))
    return Content(users=PEOPLE + accounts, contacts=CONTACTS, computers=COMPUTERS, groups=(everybody, *GROUPS))


# -- the demo -----------------------------------------------------------------------------------------


def demo_changes() -> list[Change]:
    """Return the changes before the demo's second run, with what it makes of them."""
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
