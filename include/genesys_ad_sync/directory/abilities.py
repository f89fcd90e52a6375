"""Version, functional levels and abilities of a domain controller.

Of the abilities, only the ones that this product makes use of.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any

from genesys_ad_sync.directory.entries import RootDse
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError

log = logging.getLogger(__name__)

# MS-ADTS 6.1.4.2 to 6.1.4.4
_LEVELS = {0: "2000", 2: "2003", 3: "2008", 4: "2008 R2", 5: "2012", 6: "2012 R2", 7: "2016", 10: "2025"}


@dataclass(frozen=True)
class Abilities:
    """What is reported of a domain controller. None: not known.

    ``metadata``: whether it keeps times of memberships. ``understood``: whether all their records have a known form.
    """

    operating_system: str | None = None
    domain_level: int | None = None
    forest_level: int | None = None
    changes: bool | None = None
    tombstones: bool | None = None
    recycled: bool | None = None
    link_ttl: bool | None = None
    metadata: bool | None = None
    understood: bool | None = None

    @classmethod
    def of_stored(cls, stored: dict[str, Any]) -> Abilities:
        """Read the stored form, which another version may have written."""
        return cls(**{name: value for name, value in stored.items() if name in cls.__dataclass_fields__})

    def stored(self) -> dict[str, Any]:
        """Return the form that is stored."""
        return asdict(self)

    def completed(self, earlier: Abilities) -> Abilities:
        """Return these abilities, with those that are not known now as they were."""
        mine = {name: value for name, value in asdict(self).items() if value is not None}
        return Abilities(**{**asdict(earlier), **mine})

    def differs_from(self, earlier: Abilities) -> bool:
        """Return True if something differs from the earlier answer.

        A value that was not known is no difference.
        """
        before = asdict(earlier)
        return any(before[name] not in {None, value} for name, value in asdict(self).items())

    def words(self, domain_controller: str, understood: int, records: int) -> str:
        """Return a note for the report. ``understood`` of ``records`` about times have a known form."""
        times = _words(self.metadata)
        if records:
            times += f", {understood} of {records} records understood"
        version = self.operating_system or "version not readable"
        facts = {
            "functional level of the domain": _level(self.domain_level),
            "of the forest": _level(self.forest_level),
            "lists changes (DirSync)": _words(self.changes),
            "deleted objects visible": _words(self.tombstones),
            "recycled objects": _words(self.recycled),
            "ends of temporary memberships": _words(self.link_ttl),
            "times of memberships": times,
        }
        return f"domain controller {domain_controller}: {version}; " + "; ".join(
            f"{name}: {value}" for name, value in facts.items()
        )


def operating_system(session: LdapSession, root: RootDse) -> str | None:
    """Return name and version of a domain controller's operating system.

    This takes two requests. None: it is not shown.
    """
    try:
        _, _, server = (root.service or "").partition(",")  # above CN=NTDS Settings
        found = session.search(server, "(objectClass=*)", ["serverReference"], "BASE") if server else []
        computer = found[0].text("serverReference") if found else None
        shown = ["operatingSystem", "operatingSystemVersion"]
        entries = session.search(computer, "(objectClass=*)", shown, "BASE") if computer else []
    except DirectoryError as error:
        log.debug("the version of the domain controller cannot be read: %s", error)
        return None
    texts = [entry.text(name) for entry in entries[:1] for name in shown]
    return " ".join(text for text in texts if text) or None


def _level(number: int | None) -> str:
    return "unknown" if number is None else _LEVELS.get(number, str(number))


_WORDS = {None: "not known yet", True: "yes", False: "no"}


def _words(value: bool | None) -> str:  # noqa: FBT001  the fact itself
    return _WORDS[value]
