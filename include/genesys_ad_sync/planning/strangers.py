"""Strangers: members that AD neither wants nor owns.

Under `mirror` they go, but not where a wanted person is unknown. A person may be unreadable, not identified, or absent:
these are three things, and only the last may go.
"""

from __future__ import annotations

from collections.abc import Iterator

from genesys_ad_sync import names
from genesys_ad_sync.model import Action, DirectoryUser, GenesysUser, Guid, Match, Reason, Rival, Row
from genesys_ad_sync.planning.facts import TargetFacts

PEOPLE_NAMED = 5
"""So many of those who are not identified are named in a row; the others are counted."""


def is_stranger(row: Row, facts: TargetFacts) -> bool:
    """Return True for the removal of a member that AD does not own."""
    return row.action is Action.REMOVE and not facts.grants_of.get(row.genesys_user_id or "")


def stays_as_owner(genesys_user_id: str, facts: TargetFacts) -> bool:
    """Return True for a stranger that is a member as the group's owner.

    A mirror leaves such a stranger in the group. *Include Owners* made it a member. A person may take the owner out all
    the same: param `mirror_once` asks about each stranger.
    """
    is_owner = genesys_user_id in facts.target.owners and not facts.grants_of.get(genesys_user_id)
    return is_owner and facts.mirrors and not facts.context.mirror_once


def why_asked(row: Row, facts: TargetFacts) -> Reason | None:
    """Return why a person must confirm this removal under `mirror`; None: the limits decide."""
    if not facts.mirrors or not is_stranger(row, facts):
        return None
    if facts.context.mirror_once:
        return Reason.MIRROR_ONCE
    if facts.unidentified:
        return Reason.UNIDENTIFIED_MEMBERS
    if not facts.target.mirror_confirmed:
        return Reason.FIRST_MIRROR
    return Reason.EMPTY_GROUP if facts.target.empty_sources else None


def about(genesys_user_id: str | None, facts: TargetFacts) -> dict[str, str]:
    """Return what a person must know to judge the removal of a stranger: see `Row.about`."""
    texts = {"member": _member(facts.target.profiles.get(genesys_user_id or ""), genesys_user_id)}
    if genesys_user_id in facts.target.owners:
        texts["member"] += ", who owns the Genesys group"
    if facts.unidentified:
        texts["unidentified"] = _people(facts)
    if facts.target.empty_sources:
        texts["group"] = ", ".join(_group(guid, facts) for guid in facts.target.empty_sources)
    return texts


def rivals(facts: TargetFacts) -> tuple[Rival, ...]:
    """Return those who are not identified: a stranger may be any of them."""
    return tuple(Rival(guid=guid) for guid in facts.unidentified)


def may_be_unidentified(genesys_user_id: str, facts: TargetFacts) -> bool:
    """Return True if the member carries a value of an account that is not identified.

    No rule found the member by it, so the rules may be wrong. Excluded accounts count, too.
    """
    profile = facts.target.profiles.get(genesys_user_id)
    if profile is None:
        return False
    own = {names.normal_mail(value) for value in (profile.email, profile.username) if value}
    excluded = (guid for guid in facts.context.excluded_users if not _is_known(facts.matches.get(guid)))
    unknown = {*facts.unidentified, *excluded}
    return any(own & _values(facts.context.users.get(guid)) for guid in unknown)


def _is_known(match: Match | None) -> bool:
    return match is not None and match.genesys_user_id is not None


def _values(user: DirectoryUser | None) -> set[str]:
    if user is None:
        return set()
    several = (value for ranks in user.ranked_values.values() for rank in ranks for value in rank)
    texts = (*user.attributes.values(), *several, user.sam_account_name)
    return {names.normal_mail(value) for value in texts if value}


# -- words --------------------------------------------------------------------------------------------


def in_words(profile: GenesysUser) -> str:
    """Name a Genesys user for people."""
    return _member(profile, profile.id)


def _member(profile: GenesysUser | None, genesys_user_id: str | None) -> str:
    if profile is None:
        return f"Genesys user {genesys_user_id}"
    parts = [profile.name or f"Genesys user {genesys_user_id}"]
    parts += [f"mail {profile.email}"] if profile.email else []
    parts += [f"user name {profile.username}"] if profile.username else []
    return ", ".join(parts)


def _people(facts: TargetFacts) -> str:
    texts = list(_named(facts))
    more = len(facts.unidentified) - len(texts)
    return "; ".join(texts) + (f" and {more} more" if more > 0 else "")


def _named(facts: TargetFacts) -> Iterator[str]:
    for guid in facts.unidentified[:PEOPLE_NAMED]:
        user = facts.context.users.get(guid)
        if user is None or guid in facts.target.unreadable:
            yield f"AD object {guid}, which cannot be read"
        else:
            yield f"{user.name} ({user.mail or 'no mail in AD'})"


def _group(guid: Guid, facts: TargetFacts) -> str:
    group = facts.context.groups.get(guid)
    return group.name if group else guid
