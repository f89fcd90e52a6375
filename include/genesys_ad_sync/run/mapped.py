"""The mapping of a run in short, and the mapping that runs share.

Most runs map thousands of groups as the run before did. A mapping follows from the AD groups, the listed Genesys
groups, the definition, and what the journal knows of the pairs. Where all of these are the same, so is the mapping, and
nothing of it is made, written or read again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genesys_ad_sync.journal.pairs import StoredPairs
from genesys_ad_sync.journal.view_rows import GroupsInScope
from genesys_ad_sync.model import GenesysGroup, Reason
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING, Fact, StoredMapping

_FORM = 1
"""To be raised when the code maps the same in another way, or stores a mapping in another form."""


@dataclass(frozen=True)
class MappingInShort:
    """What most tasks need of a mapping.

    ``pairs``: their number. ``skipped``: number of AD groups by reason. ``retired``: see `StoredMapping`.
    """

    pairs: int
    skipped: dict[str, int]
    retired: tuple[str, ...]

    @classmethod
    def of(cls, mapping: StoredMapping) -> MappingInShort:
        """Return the mapping in short."""
        return cls(
            pairs=len({(pair.group_guid, pair.genesys_group_id) for pair in mapping.pairs}),
            skipped=dict(Counter(skipped.reason.value for skipped in mapping.skipped)),
            retired=tuple(sorted(mapping.retired)),
        )


IN_SHORT = Fact[MappingInShort | None]("mapping_in_short", MappingInShort | None, None)

NAMES = Fact[dict[str, str] | None]("group_names", dict[str, str] | None, None)
"""The names of the mapping again: most tasks need no more of it, and thousands of pairs take a while to read."""

VERSIONS = Fact[dict[str, int] | None]("versions", dict[str, int] | None, None)
"""The versions of the mapped Genesys groups, as listed for this run. They change without the mapping."""


def mapping_in_short(task: TaskContext) -> MappingInShort:
    """Return the mapping of the run in short.

    An older version may have mapped the run.
    """
    short = task.facts[IN_SHORT]
    return MappingInShort.of(task.facts.required(MAPPING)) if short is None else short


def names_of_groups(task: TaskContext) -> dict[str, str]:
    """Return the names of all Genesys groups that there are, by id.

    An older version may have mapped the run.
    """
    names = task.facts[NAMES]
    return task.facts.required(MAPPING).names if names is None else names


def listed_versions(task: TaskContext) -> dict[str, int]:
    """Return the versions that are known of the mapped Genesys groups."""
    versions = task.facts[VERSIONS]
    if versions is not None:
        return versions
    stored = task.facts.required(MAPPING).versions
    return {group_id: version for group_id, version in stored.items() if version is not None}


def note_versions(task: TaskContext, listed: Iterable[GenesysGroup], fed: Collection[str]) -> None:
    """Keep the versions of the mapped Genesys groups for later tasks. ``fed``: the mapped groups."""
    versions = {group.id: group.version for group in listed if group.version is not None and group.id in fed}
    digest = hashlib.sha256(repr(versions).encode()).hexdigest()
    if not task.journal.facts.take_derived(task.run, [VERSIONS.key], digest):
        task.journal.facts.put_derived(task.run, {VERSIONS.key: versions}, digest)
    task.facts.override(VERSIONS, versions)


_FACTS = (MAPPING, IN_SHORT, NAMES)


# -- the mapping of an earlier run --------------------------------------------------------------------


def follows_from(task: TaskContext, in_scope: GroupsInScope, listed: Iterable[GenesysGroup], pairs: StoredPairs) -> str:
    """Return a digest of all that a mapping follows from.

    ``pairs``: as the mapping leaves them.
    """
    genesys = [(group.id, group.name, group.state) for group in listed]
    definition = (task.definition.name, task.definition.digest, task.organisation)
    return hashlib.sha256(repr((_FORM, definition, in_scope.digest, genesys, pairs.digest)).encode()).hexdigest()


def take_earlier_mapping(
    task: TaskContext,
    in_scope: GroupsInScope,
    listed: Sequence[GenesysGroup],
    pairs: StoredPairs,
    *,
    hidden: int,
) -> bool:
    """Give the run the mapping of an earlier one that followed from the same.

    Return False if there is none.

    ``pairs``: those that the journal has now. ``hidden``: see `keep_mapping`. A retry maps again: only its first try
    knew which pairs it ended.
    """
    if hidden or task.facts[MAPPING] is not None or not _may_be_shared(task, pairs):
        return False
    taken = task.journal.facts.take_derived(
        task.run, [fact.key for fact in _FACTS], follows_from(task, in_scope, listed, pairs)
    )
    if taken:
        task.facts.forget(*_FACTS)
    return taken


def keep_mapping(
    task: TaskContext, in_scope: GroupsInScope, listed: Sequence[GenesysGroup], mapping: StoredMapping, *, hidden: int
) -> None:
    """Store the mapping of the run, where possible for later runs, too.

    ``hidden``: Genesys groups that the listing does not show, and on which the mapping depends. A live run asks the
    journal which pairs have a baseline: what is shared does not say it.
    """
    if not task.run.dry_run:
        mapping = replace(mapping, pairs=tuple(replace(pair, has_baseline=False) for pair in mapping.pairs))
    short = MappingInShort.of(mapping)
    stored = StoredPairs.of(mapping.pairs)
    too_slow = any(skipped.reason is Reason.PATTERN_TOO_SLOW for skipped in mapping.skipped)  # only now, perhaps
    values: dict[Fact[Any], Any] = {MAPPING: mapping, IN_SHORT: short, NAMES: mapping.names}
    if hidden or too_slow or mapping.retired or not _may_be_shared(task, stored):
        for fact, value in values.items():
            task.facts[fact] = value
        return
    dumped = {fact.key: fact.adapter.dump_python(value, mode="json") for fact, value in values.items()}
    task.journal.facts.put_derived(task.run, dumped, follows_from(task, in_scope, listed, stored))
    for fact, value in values.items():
        task.facts.override(fact, value)


def _may_be_shared(task: TaskContext, pairs: StoredPairs) -> bool:
    """Return True if the mapping follows from nothing beyond `follows_from`.

    Then storing it again changes nothing, too.

    A dry run goes by more than the stored pairs. External ids are read again after a day. A pair without a decision may
    get one.
    """
    if task.run.dry_run or any(rule.genesys_external_id for rule in task.definition.groups):
        return False
    return pairs.are_decided
