"""What the rules of `groups:` make of what both sides have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from genesys_ad_sync.doctor.genesys import GenesysSubject
from genesys_ad_sync.doctor.lines import Line, NotTried, note, ok, problem
from genesys_ad_sync.genesys.errors import AmbiguousExternalId
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.mapping import map_groups, needed_external_ids
from genesys_ad_sync.model import GroupPair, Guid, Reason, SkippedGroup
from genesys_ad_sync.text import counted


def groups(subject: GenesysSubject) -> Iterator[Line]:
    """Map the AD groups by the rules, as a run does."""
    view, genesys_groups = subject.need_view(), subject.groups()
    in_scope = [group for group in view.groups.values() if group.in_scope]
    external_ids = {
        external_id: _carriers(subject.gateway, external_id)
        for external_id in needed_external_ids(in_scope, subject.definition)
    }
    mapping = map_groups(in_scope, genesys_groups, subject.definition, external_ids)
    subject.pairs = mapping.pairs
    fed = {pair.genesys_group_id for pair in mapping.pairs}
    text = f"{len(mapping.pairs):,} of {counted(len(in_scope), 'AD group')} feed {counted(len(fed), 'Genesys group')}."
    if fed:
        yield ok("mapping.groups", text)
    else:
        yield problem("mapping.groups", text)
    yield from _skipped(mapping.skipped, {group.guid: group.name for group in in_scope})


def _carriers(gateway: GenesysGateway, external_id: str) -> str | tuple[str, ...] | None:
    try:
        return gateway.group_id_by_external_id(external_id)
    except AmbiguousExternalId as error:
        return error.group_ids


def _skipped(skipped: Sequence[SkippedGroup], group_names: Mapping[Guid, str]) -> Iterator[Line]:
    doubtful = [group for group in skipped if group.reason is Reason.AMBIGUOUS]
    missing = [group for group in skipped if group.reason is Reason.GENESYS_GROUP_MISSING]
    unmapped = [group for group in skipped if group.reason is Reason.UNMAPPED]
    excluded = sum(group.reason is Reason.EXCLUDED for group in skipped)

    def named(groups: Iterable[SkippedGroup]) -> list[str]:
        texts = (f"{group_names[group.group_guid]}: {group.detail}".removesuffix(": ") for group in groups)
        return sorted(texts)

    if doubtful:
        yield problem("mapping.in_doubt", f"Several Genesys groups fit: {counted(len(doubtful), 'AD group')}.",
                      details=named(doubtful))  # fmt: skip
    else:
        yield ok("mapping.in_doubt", "No AD group fits several Genesys groups.")
    if missing:
        yield note(
            "mapping.missing",
            f"The Genesys group of the rule is not seen: {counted(len(missing), 'AD group')}.",
            "Create the Genesys groups, correct the rules, or see the line about private groups.",
            details=named(missing),
        )
    if unmapped or excluded:
        yield note(
            "mapping.unmapped",
            f"No rule: {counted(len(unmapped), 'AD group')}. Excluded: {excluded:,}.",
            "None, if these groups feed nothing. Otherwise add a rule to `groups:`." if unmapped else None,
            details=named(unmapped),
        )


def roles(subject: GenesysSubject) -> Iterator[Line]:
    """Name mapped groups that roles may be assigned to.

    Such roles come and go with the membership.
    """
    entities, pairs = subject.need_entities(), need_pairs(subject)
    fed = {pair.genesys_group_id for pair in pairs}
    with_roles = sorted(str(one.get("name")) for one in entities if one.get("id") in fed and one.get("rolesEnabled"))
    if with_roles:
        yield note(
            "mapping.roles",
            f"Roles may come with the membership: {counted(len(with_roles), 'mapped Genesys group')}.",
            "List groups that grant rights under `protect:`, so that each change needs approval.",
            details=with_roles,
        )
    else:
        yield ok("mapping.roles", "No mapped Genesys group can have roles.")


def claims(subject: GenesysSubject) -> Iterator[Line]:
    """Look whether another definition feeds a mapped group."""
    own = subject.definition.name
    others = {
        f"{pair.genesys_group_name}: {subject.claims[pair.genesys_group_id]}"
        for pair in need_pairs(subject)
        if subject.claims.get(pair.genesys_group_id, own) != own
    }
    if others:
        yield problem(
            "mapping.claims",
            f"Fed by another definition: {counted(len(others), 'Genesys group')}.",
            details=sorted(others),
        )
    else:
        yield ok("mapping.claims", "No other definition feeds a mapped Genesys group.")


def need_pairs(subject: GenesysSubject) -> Sequence[GroupPair]:
    """Return the pairs. Raises NotReached if the groups could not be mapped."""
    if subject.pairs is None:
        subject.need_view()
        subject.need_entities()
        raise NotTried("Not tried: the groups could not be mapped, see the lines above.")
    return subject.pairs
