"""A membership in one sentence. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from genesys_ad_sync.views.named import Wait


@dataclass(frozen=True)
class Facts:
    """What is known of a membership.

    ``wanted``: AD's newest view wants it. ``owned``: AD owns it. ``asleep``: its removal is settled, and Genesys Cloud
    did not show the user. ``by_hand``: the last run that looked saw a member that AD does not own. ``removed``: the
    newest change was a removal that was carried out.
    """

    wanted: bool
    owned: bool = False
    asleep: bool = False
    by_hand: bool = False
    removed: bool = False


def verdict(facts: Facts, *, why_not: str | None = None, waits: Wait | None = None) -> str:
    """Sum a membership up. ``why_not``: why the account counts in no group."""
    sentences = [_sentence(facts)]
    if why_not and not facts.wanted:
        sentences.append(f"The account does not count: {why_not}.")
    if waits:
        sentences.append(f"A change waits: {waits.status}{f', {waits.reason}' if waits.reason else ''}.")
    return " ".join(sentences)


def _sentence(facts: Facts) -> str:
    if facts.wanted:
        return _wanted(facts)
    sentences = {
        "AD owns the membership and no longer wants it: to be removed.": facts.owned,
        "Removed; Genesys Cloud could not show whether the user is still a member.": facts.asleep,
        "Member by hand: AD does not want it and does not own it.": facts.by_hand,
        "Removed.": facts.removed,
    }
    return next((text for text, is_so in sentences.items() if is_so), "AD does not want it and does not own it.")


def _wanted(facts: Facts) -> str:
    if facts.owned:
        return "Member: AD wants it and owns it."
    if facts.by_hand:
        return "AD wants it; the person was added in Genesys Cloud by hand."
    return "AD wants it; it is not in effect yet."
