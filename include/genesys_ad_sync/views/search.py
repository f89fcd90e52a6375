"""Find the AD accounts and the Genesys groups that somebody means by a text."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.lookup_answers import FoundUser, NamedPair
from genesys_ad_sync.model import Guid
from genesys_ad_sync.names import dn_key, normal_name

_NOTHING = "\x00"
"""No name has this character, and PostgreSQL refuses a text with it."""


@dataclass(frozen=True)
class PersonHit:
    """A person who may be meant. ``guid`` None: AD does not know the person."""

    guid: Guid | None
    genesys_user_id: str | None
    name: str | None
    mail: str | None
    definitions: tuple[str, ...]


@dataclass(frozen=True)
class GroupHit:
    """A Genesys group that may be meant, of one sync definition."""

    definition: str
    genesys_group_id: str
    genesys_group_name: str


def find_people(
    journal: Journal, who: str, definitions: Collection[str] | None = None, *, limit: int | None = None
) -> list[PersonHit]:
    """Return the people found by an id, a mail address, a login or a name.

    An id is an objectGUID or a Genesys user id. What equals the text comes first and alone; else each account with the
    text in its name or a value.

    :param definitions: only what these sync definitions know; default: all.
    :param limit: how many accounts are looked at, at most; default: all.
    """
    wanted, who = _folded(who), who.strip()
    if not wanted or _NOTHING in wanted:
        return []
    known = journal.lookups.definitions() if definitions is None else list(definitions)
    accounts = journal.lookups.users({_as_guid(who)} | journal.lookups.accounts_of(who, known), known)
    if accounts:
        return _people(accounts)
    users = journal.searches.users(wanted, known, lambda user: _has(user, wanted), limit)
    equal = [user for user in users if wanted in _texts(user)]
    if equal or users:
        return _people(equal or users)
    return _members_by_hand(journal, who, known)


def find_groups(journal: Journal, which: str, definitions: Collection[str] | None = None) -> list[GroupHit]:
    """Return the Genesys groups found by their id, name, or an AD group.

    The AD group feeds them. An AD group is known by its name, DN, objectGUID or sAMAccountName. A nested one feeds what
    contains it. ``definitions``: only groups of these sync definitions; default: of all.
    """
    wanted, which = _folded(which), which.strip()
    if not wanted or _NOTHING in wanted:
        return []
    pairs = journal.searches.pairs(wanted, which, definitions)
    named = [pair for pair in pairs if which == pair.genesys_group_id or wanted == _folded(pair.genesys_group_name)]
    if not named:
        known = journal.lookups.definitions() if definitions is None else definitions
        named = [pair for name in known for pair in _fed_by(journal, name, which)]
    if not named:
        named = [pair for pair in pairs if wanted in _folded(pair.genesys_group_name)]
    return _groups(named)


def _folded(text: str) -> str:
    """Return the form to search in.

    It is wider than the equality of names: "strasse" finds "Straße".
    """
    return normal_name(text).casefold()


def _as_guid(text: str) -> Guid:
    return text.strip("{}").lower()


def _texts(user: FoundUser) -> tuple[str, ...]:
    values = (user.name, user.sam_account_name or "", *user.values)
    return tuple(_folded(value) for value in values)


def _has(user: FoundUser, wanted: str) -> bool:
    return any(wanted in text for text in _texts(user))


def _people(users: Iterable[FoundUser]) -> list[PersonHit]:
    by_guid: dict[Guid, list[FoundUser]] = {}
    for user in users:
        by_guid.setdefault(user.guid, []).append(user)
    hits = [
        PersonHit(guid, None, same[0].name, same[0].mail, tuple(sorted({user.definition for user in same})))
        for guid, same in by_guid.items()
    ]
    return sorted(hits, key=lambda hit: (_folded(hit.name or ""), hit.guid or ""))


def _members_by_hand(journal: Journal, who: str, definitions: Collection[str]) -> list[PersonHit]:
    """Return the members that AD does not know.

    The last runs in mode full listed them.
    """
    wanted = _folded(who)
    found: dict[str, PersonHit] = {}
    for definition in definitions:
        last = journal.of(definition).lookups.last_full_run()
        for result in journal.searches.results(last[0], wanted) if last else ():
            for user_id in result.manual_member_ids or ():
                name = result.manual_member_names.get(user_id)
                if user_id == who or (name and wanted in _folded(name)):
                    found[user_id] = PersonHit(None, user_id, name, None, (definition,))
    return sorted(found.values(), key=lambda hit: (hit.name or "", hit.genesys_user_id or ""))


def _fed_by(journal: Journal, definition: str, which: str) -> list[NamedPair]:
    """Return the pairs of the AD group that is meant, in one definition."""
    wanted, guid = _folded(which), _as_guid(which)
    key = dn_key(which) if "=" in which else None
    groups = journal.searches.directory_groups(definition, None if key else wanted, guid)
    meant = {
        known
        for known, dn, name, login in groups
        if known == guid or wanted in {_folded(name), _folded(login or "")} or (key and key == dn_key(dn))
    }
    if not meant:
        return []
    feeding = meant | journal.of(definition).views.groups_above(meant)
    return journal.searches.named_pairs_from(definition, feeding)


def _groups(pairs: Iterable[NamedPair]) -> list[GroupHit]:
    active_first = sorted(pairs, key=lambda pair: not pair.active)
    hits: dict[tuple[str, str], GroupHit] = {}
    for pair in active_first:
        key = pair.definition, pair.genesys_group_id
        hits.setdefault(key, GroupHit(*key, pair.genesys_group_name))
    return list(hits.values())
