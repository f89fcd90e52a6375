"""Values that would make a new link, and other accounts that carry them.

The other accounts are those of the domain. Many directories let people edit their own mail. Whoever writes another
person's value into their own account must not become that person in Genesys Cloud.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from genesys_ad_sync.matching.results import as_ambiguous
from genesys_ad_sync.matching.state import spellings_for
from genesys_ad_sync.model import BY_LINK, BY_PERSON, DirectoryUser, Guid, Match, MatchStatus, Rival, UserKey
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
    """Return attribute -> values that would make a new link, as AD has them.

    A value is asked for under each attribute that may name the same Genesys user, see `_attributes`.
    """
    asked: dict[str, set[str]] = {}
    for guid, match in matches.items():
        rule, user = _rule_of(match, rules), users.get(guid)
        if rule and (spellings := spellings_for(rule, user)):
            for name in _attributes(rule, rules):
                asked.setdefault(name, set()).update(spellings.values())
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
    rivals: dict[Guid, set[Guid]] = {}
    for name, found in carriers.items():
        contesting = [one for one in found if not one.account.disabled and one.account.guid not in without_veto]
        by_value = {key: _by_value(contesting, key) for key in {rule.genesys for rule in rules}}
        for guid, match in matches.items():
            rule = _rule_of(match, rules)
            if rule is not None and name in _attributes(rule, rules):
                own = spellings_for(rule, users.get(guid))
                others = {one for value in own for one in by_value[rule.genesys].get(value, ())} - {guid}
                rivals.setdefault(guid, set()).update(others)
    contested = {guid: others for guid, others in rivals.items() if others}
    return dict(matches) | {
        guid: as_ambiguous(
            matches[guid], tuple(Rival(other, matches[guid].genesys_user_id) for other in sorted(others))
        )
        for guid, others in contested.items()
    }


def _attributes(rule: UserRule, rules: Sequence[UserRule]) -> list[str]:
    """Return the attributes by which another account may be the same Genesys user.

    The rule finds that user. Mail addresses and user names are often the same texts: whoever has one as user name may
    be linked by that.
    """
    alike = [other.directory for other in rules if not other.genesys.needs_authority]
    return [rule.directory] if rule.genesys.needs_authority else list(dict.fromkeys(alike))


def _by_value(carriers: Iterable[Carrier], key: UserKey) -> dict[str, set[Guid]]:
    """Return the accounts by their values, as ``key`` compares them."""
    accounts: dict[str, set[Guid]] = {}
    for carrier in carriers:
        for value in carrier.values:
            accounts.setdefault(key.normalise(value.strip()), set()).add(carrier.account.guid)
    return accounts


def _rule_of(match: Match, rules: Sequence[UserRule]) -> UserRule | None:
    """Return the rule that found the Genesys user of a new link.

    None: the link is not new.
    """
    if match.status is not MatchStatus.MATCHED or match.matched_by in (BY_LINK, BY_PERSON):
        return None
    return next((rule for rule in rules if rule.label == match.matched_by), None)
