"""Values that would make a new link, and other accounts that carry them.

The other accounts are those of the domain. Many directories let people edit their own mail. Whoever writes another
person's value into their own account must not become that person in Genesys Cloud.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.matching.results import as_ambiguous
from genesys_ad_sync.matching.state import spellings_for
from genesys_ad_sync.model import BY_LINK, BY_PERSON, DirectoryUser, Guid, Match, MatchStatus, Rival
from genesys_ad_sync.settings import UserRule


@dataclass(frozen=True)
class Carrier:
    """An AD account that carries a wanted value.

    ``values``: all its values of that attribute.
    """

    account: DirectoryUser
    values: tuple[str, ...]


def values_to_ask(
    matches: Mapping[Guid, Match], users: Mapping[Guid, DirectoryUser], rules: Sequence[UserRule]
) -> dict[str, set[str]]:
    """Return attribute -> values that would make a new link, as AD has them."""
    asked: dict[str, set[str]] = {}
    for guid, match in matches.items():
        rule, user = _rule_of(match, rules), users.get(guid)
        if rule and (spellings := spellings_for(rule, user)):
            asked.setdefault(rule.directory, set()).update(spellings.values())
    return asked


def only_unique(
    matches: Mapping[Guid, Match],
    users: Mapping[Guid, DirectoryUser],
    rules: Sequence[UserRule],
    carriers: Mapping[str, Iterable[Carrier]],
    without_veto: Collection[Guid],
) -> dict[Guid, Match]:
    """Return the matches; ambiguous where another account carries the value of a new link.

    ``carriers``: by attribute, who carries the values of `values_to_ask`. ``without_veto``: accounts that contest
    no Genesys user. A disabled account contests none either.
    """
    result = dict(matches)
    for name, found in carriers.items():
        rivals = [one for one in found if not one.account.disabled and one.account.guid not in without_veto]
        for guid, match in matches.items():
            rule, user = _rule_of(match, rules), users.get(guid)
            if rule is None or rule.directory != name:
                continue
            own, normalise = spellings_for(rule, user).keys(), rule.genesys.normalise
            others = {
                carrier.account.guid for carrier in rivals if own & set(map(normalise, map(str.strip, carrier.values)))
            } - {guid}
            if others:
                result[guid] = as_ambiguous(match, tuple(Rival(one, match.genesys_user_id) for one in sorted(others)))
    return result


def _rule_of(match: Match, rules: Sequence[UserRule]) -> UserRule | None:
    """Return the rule that found the Genesys user of a new link.

    None: the link is not new.
    """
    if match.status is not MatchStatus.MATCHED or match.matched_by in (BY_LINK, BY_PERSON):
        return None
    return next((rule for rule in rules if rule.label == match.matched_by), None)
