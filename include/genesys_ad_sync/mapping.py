"""The map of AD groups to Genesys groups.

It is the rules of `groups:`, applied to the groups of both sides. Pure. Knows nothing of members, and asks no server;
the caller looks external ids up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from genesys_ad_sync import names, patterns
from genesys_ad_sync.model import DirectoryGroup, GenesysGroup, GroupPair, Reason, SkippedGroup
from genesys_ad_sync.settings import GroupRule, SyncDefinition, fill

ExternalIds = Mapping[str, str | tuple[str, ...] | None]
"""By SCIM externalId: the id of the Genesys group that carries it; a tuple of ids if several do, None if none does."""


@dataclass(frozen=True)
class GroupMapping:
    """Pairs and skipped groups.

    Every AD group in scope is in exactly one list, in the order given.
    """

    pairs: list[GroupPair]
    skipped: list[SkippedGroup]


def map_groups(
    groups: Iterable[DirectoryGroup],
    genesys_groups: Iterable[GenesysGroup],
    definition: SyncDefinition,
    external_ids: ExternalIds,
) -> GroupMapping:
    """Apply the first rule that matches each AD group.

    The first rule counts even when its Genesys group does not exist.

    Groups that are only reached by nesting (``in_scope`` False) map to nothing and are left out.
    ``external_ids`` must have each of `needed_external_ids`. Raises KeyError for one that was not looked up, because
    "not asked" is not "does not exist".
    """
    genesys = _GenesysGroups.of(genesys_groups)
    pairs: list[GroupPair] = []
    skipped: list[SkippedGroup] = []
    for group in groups:
        if not group.in_scope:
            continue
        outcome = _map_one(group, genesys, definition, external_ids)
        if isinstance(outcome, GroupPair):
            pairs.append(outcome)
        else:
            skipped.append(outcome)
    return GroupMapping(pairs, skipped)


def needed_external_ids(groups: Iterable[DirectoryGroup], definition: SyncDefinition) -> tuple[str, ...]:
    """List the SCIM external ids that the mapping needs, sorted.

    They are those of the AD groups in scope.
    """
    needed: set[str] = set()
    if not any(rule.genesys_external_id for rule in definition.groups):
        return ()
    for group in groups:
        if group.in_scope and not _excluded(group, definition):
            rule = _first_rule(group, definition)
            if rule is not None and rule.genesys_external_id:
                needed.add(rule.genesys_external_id)
    return tuple(sorted(needed))


def attribute(attributes: Mapping[str, str], name: str) -> str | None:
    """Return the value of an LDAP attribute; None if missing or blank.

    The case of its name does not count.
    """
    wanted = name.lower()
    for key, value in attributes.items():
        if key.lower() == wanted:
            return value.strip() or None
    return None


def _first_rule(group: DirectoryGroup, definition: SyncDefinition) -> GroupRule | None:
    """Return the rule that decides; None if there is none.

    None also if an expression before it takes too long.
    """
    try:
        return next((rule for rule in definition.groups if _matches(rule, group)), None)
    except patterns.PatternTooSlow:
        return None


# -- one AD group -------------------------------------------------------------------------------------


def _map_one(
    group: DirectoryGroup,
    genesys: _GenesysGroups,
    definition: SyncDefinition,
    external_ids: ExternalIds,
) -> GroupPair | SkippedGroup:
    if _excluded(group, definition):
        return SkippedGroup(group.guid, Reason.EXCLUDED)
    for index, rule in enumerate(definition.groups):
        by_name = rule.name is not None
        try:
            texts = _filled_by_name(rule, group) if by_name else []
            if not (texts if by_name else _matches(rule, group)):
                continue
            found = _find(rule, group, texts, genesys, external_ids)
        except patterns.PatternTooSlow:
            # No later rule may decide: this one comes first.
            text = f"rule {index + 1} of groups: the expression takes too long for the name of this AD group"
            return SkippedGroup(group.guid, Reason.PATTERN_TOO_SLOW, text)
        if isinstance(found, GenesysGroup):
            return GroupPair(group.guid, found.id, found.name, index)
        return SkippedGroup(group.guid, found.reason, f"rule {index + 1} of groups: {found.detail}")
    return SkippedGroup(group.guid, Reason.UNMAPPED)


def _excluded(group: DirectoryGroup, definition: SyncDefinition) -> bool:
    return names.matches_any(definition.exclude.groups, (group.name, group.sam_account_name))


def _matches(rule: GroupRule, group: DirectoryGroup) -> bool:
    """Tell whether the rule is about this AD group, whatever Genesys has."""
    if rule.dn is not None:
        return names.normal_dn(rule.dn) == names.normal_dn(group.dn)
    if rule.sid is not None:
        return group.sid is not None and rule.sid.upper() == group.sid.upper()
    if rule.guid is not None:
        return rule.guid == group.guid
    if rule.attribute is not None:
        return attribute(group.attributes, rule.attribute) is not None
    return bool(_filled_by_name(rule, group))


def _filled_by_name(rule: GroupRule, group: DirectoryGroup) -> list[str]:
    """Fill a `name` rule in from each name that matches.

    The names are those of `name_of`. A name that does not match is left out.
    """
    filled: list[str] = []
    template = rule.template
    known = {"cn": group.name, "sAMAccountName": group.sam_account_name}
    for name in dict.fromkeys(known[key] for key in rule.name_of):
        found = _match_name(rule.name or "", name or "")
        text = fill(template, found).strip() if found is not None and name else ""
        if text and text not in filled:
            filled.append(text)
    return filled


def _match_name(expression: str, name: str) -> Mapping[str, str | None] | None:
    """Match the whole name, as AD has it or as `names` compares it.

    A doubled space must not hide a group.
    """
    expression = names.composed(expression)
    for form in dict.fromkeys((names.composed(name).strip(), names.tidy(name))):
        found = names.match_whole(expression, form)
        if found is not None:
            return found
    return None


# -- the Genesys side ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _NotFound:
    reason: Reason
    detail: str


@dataclass(frozen=True)
class _GenesysGroups:
    by_id: Mapping[str, GenesysGroup]
    by_name: Mapping[str, tuple[GenesysGroup, ...]]  # without deleted ones: their names are free again

    @classmethod
    def of(cls, groups: Iterable[GenesysGroup]) -> _GenesysGroups:
        by_id: dict[str, GenesysGroup] = {}
        by_name: dict[str, tuple[GenesysGroup, ...]] = {}
        for group in groups:
            by_id[group.id.lower()] = group
        for group in by_id.values():  # a group that a page repeated counts once
            if group.state != "deleted":
                key = names.normal_name(group.name)
                by_name[key] = (*by_name.get(key, ()), group)
        return cls(by_id, by_name)

    def with_id(self, genesys_id: str, asked: str) -> GenesysGroup | _NotFound:
        group = self.by_id.get(genesys_id.strip().lower())
        if group is None:
            return _NotFound(Reason.GENESYS_GROUP_MISSING, f"Genesys has no group with {asked}")
        if group.state != "active":
            return _NotFound(Reason.GENESYS_GROUP_MISSING, f"the Genesys group with {asked} is {group.state}")
        return group

    def with_name(self, texts: list[str]) -> GenesysGroup | _NotFound:
        """Find the group by the first text that is a Genesys group's name.

        The order is that of `name_of`.
        """
        for text in texts:
            same = self.by_name.get(names.normal_name(text), ())
            if len(same) > 1:
                ids = ", ".join(sorted(group.id for group in same))
                return _NotFound(Reason.AMBIGUOUS, f"{len(same)} Genesys groups have this name: {ids}")
            if same:
                return self.with_id(same[0].id, "this name")
        return _NotFound(Reason.GENESYS_GROUP_MISSING, "Genesys has no group of this name")


def _find(
    rule: GroupRule, group: DirectoryGroup, texts: list[str], genesys: _GenesysGroups, external_ids: ExternalIds
) -> GenesysGroup | _NotFound:
    """Find the Genesys group that the rule names. ``texts``: see `_filled_by_name`."""
    if rule.source == "attribute":
        value = attribute(group.attributes, rule.attribute or "") or ""
        return genesys.with_id(value, "the id that the attribute carries")
    if rule.source == "name":
        return genesys.with_name(texts) if rule.target == "genesys_name" else genesys.with_id(texts[0], "this id")
    if rule.target == "genesys_name":
        return genesys.with_name([rule.template])
    if rule.target == "genesys_external_id":
        return _with_external_id(external_ids[rule.template], genesys)
    return genesys.with_id(rule.template, "this id")


def _with_external_id(found: str | tuple[str, ...] | None, genesys: _GenesysGroups) -> GenesysGroup | _NotFound:
    """Return the group with the external id. ``found``: its Genesys id, or several, or None."""
    if found is None:
        return _NotFound(Reason.GENESYS_GROUP_MISSING, "Genesys has no group with this external id")
    if isinstance(found, tuple):
        text = f"{len(found)} Genesys groups carry this external id: {', '.join(found)}; leave it with one of them"
        return _NotFound(Reason.AMBIGUOUS, text)
    return genesys.with_id(found, "this external id")
