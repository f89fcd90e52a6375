"""Notes on what the domain controller can do.

They are in the first report, and whenever that changes.
"""

from __future__ import annotations

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.abilities import Abilities, operating_system
from genesys_ad_sync.directory.entries import RootDse
from genesys_ad_sync.directory.link_metadata import MetadataReader
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.journal import DefinitionJournal


def notes_on_abilities(
    journal: DefinitionJournal,
    session: LdapSession,
    root: RootDse,
    metadata: MetadataReader,
    *,
    tombstones: bool,
    full: bool,
) -> list[str]:
    """Return the note, if something is new, and store what is known.

    ``full``: look at the version again, too.
    """
    stored = journal.views.cursor()
    if stored is None:
        return []
    name = stored.cursor.domain_controller
    told = journal.abilities.of(name)
    earlier = Abilities() if told is None else Abilities.of_stored(told)
    if root.domain_controller != name:
        return []  # another run has read another one meanwhile
    found = Abilities(
        operating_system=operating_system(session, root) if full or told is None else None,
        domain_level=root.domain_level,
        forest_level=root.forest_level,
        changes=stored.cursor.cookie is not None,
        tombstones=tombstones,
        recycled=ctl.SHOW_RECYCLED in root.supported_controls,
        link_ttl=ctl.LINK_TTL in root.supported_controls,
        metadata=metadata.supported,
        understood=not metadata.unknown if metadata.supported else None,
    )
    now = found.completed(earlier)
    if told is not None and now == earlier:
        return []
    journal.abilities.put(name, now.stored())
    if told is not None and not now.differs_from(earlier):
        return []
    return [now.words(name, metadata.understood, metadata.understood + metadata.unknown)]
