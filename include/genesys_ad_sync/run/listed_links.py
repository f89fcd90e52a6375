"""The links for people: each AD account's Genesys user, and contradicted links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from genesys_ad_sync.journal import DefinitionJournal, Journal
from genesys_ad_sync.model import Guid, Link


@dataclass(frozen=True)
class ListedLink:
    """A link with what AD says of the account.

    ``also``: other accounts that are linked to the same Genesys user.
    """

    definition: str
    link: Link
    name: str | None
    mail: str | None
    also: tuple[Guid, ...] = ()

    @property
    def relink(self) -> str | None:
        """Return the entry of param `relink` that the rules suggest.

        None: they find no other user.
        """
        return f"{self.link.user_guid}={self.link.others[0]}" if len(self.link.others) == 1 else None

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        link = self.link
        return {
            "definition": self.definition,
            "guid": link.user_guid,
            "name": self.name,
            "mail": self.mail,
            "genesys_user_id": link.genesys_user_id,
            "matched_by": link.matched_by,
            "since": link.since.isoformat(),
            "contradicted_since": link.contradicted_since.isoformat() if link.contradicted_since else None,
            "others": list(link.others),
            "also_linked": list(self.also),
            "relink": self.relink,
        }


def listed_links(journal: Journal, *, contradicted: bool = False) -> list[ListedLink]:
    """Return the links of all definitions, sorted by definition and name.

    ``contradicted``: only those that the rules contradict.
    """
    return [
        one
        for name in journal.definitions_with_links()
        for one in _of_definition(journal.of(name), contradicted=contradicted)
    ]


def _of_definition(journal: DefinitionJournal, *, contradicted: bool) -> list[ListedLink]:
    links = journal.links.all()
    chosen = [link for link in links.values() if link.contradicted_since or not contradicted]
    people = journal.views.users({link.user_guid for link in chosen})
    accounts = _accounts(links.values())
    listed = []
    for link in chosen:
        user = people.get(link.user_guid)
        also = tuple(guid for guid in accounts[link.genesys_user_id] if guid != link.user_guid)
        listed.append(
            ListedLink(journal.definition, link, user.name if user else None, user.mail if user else None, also)
        )
    return sorted(listed, key=lambda one: ((one.name or "").casefold(), one.link.user_guid))


def _accounts(links: Iterable[Link]) -> dict[str, list[Guid]]:
    accounts: dict[str, list[Guid]] = {}
    for link in sorted(links, key=lambda one: one.user_guid):
        accounts.setdefault(link.genesys_user_id, []).append(link.user_guid)
    return accounts
