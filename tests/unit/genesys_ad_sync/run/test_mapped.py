"""A run takes the mapping of an earlier one where it follows from the same, and maps anew where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.scale_company import BASE, CompanyClient
from benchmarks.synthetic import definition_for
from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import RunRequest
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import MAPPING, StoredMapping
from genesys_ad_sync.run.mapped import IN_SHORT, MappingInShort, listed_versions
from genesys_ad_sync.stages import map_groups
from tests.unit.genesys_ad_sync.run.test_planned_targets import GROUPS, LOOSE, Runs


class World:
    """A company after its first run. ``made``: how often the rules were applied."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.journal = journal
        self.definition = definition_for(folder, limits=LOOSE, directory={"group_base": BASE})
        self.runs = Runs(folder, journal, self.definition)
        self.runs.run()
        self.made = 0
        self.number = 0
        self.dry_run = False

    def map(self) -> StoredMapping:
        """Map the groups in a run of its own; return what its tasks read."""
        self.number += 1
        key = RunKey("dag", f"map-{self.number}")
        mine = self.journal.of(self.definition.name)
        run = self.journal.runs.begin(
            key, self.definition.name, RunRequest(run_type="scheduled", dry_run=self.dry_run), self.runs.now
        )
        stored = mine.views.cursor()
        assert stored is not None
        self.journal.runs.set_polled(run, stored.poll, self.runs.now)
        self.told = map_groups.map_groups(self.task(key))
        return self.read(key)

    def read(self, key: RunKey) -> StoredMapping:
        later = self.task(key)
        mapping = later.facts.required(MAPPING)
        assert later.facts[IN_SHORT] == MappingInShort.of(mapping)
        assert self.told["pairs"] == len(mapping.pairs)
        assert listed_versions(later) == {pair.genesys_group_id: 1 for pair in mapping.pairs}
        return mapping

    def task(self, key: RunKey) -> TaskContext:
        made = self.runs._task(key.run_id, "map_groups", [])
        made.definition = self.definition
        return made

    def execute(self, statement: str) -> None:
        with self.journal.database.writing() as connection:
            connection.execute(text(statement))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with Journal.open(f"sqlite:///{tmp_path}/journal.db") as journal:
        made = World(tmp_path, journal)
        honest = map_groups.map_purely

        def counted(*arguments: Any) -> Any:
            made.made += 1
            return honest(*arguments)

        monkeypatch.setattr(map_groups, "map_purely", counted)
        yield made


def anew(world: World, monkeypatch: pytest.MonkeyPatch) -> StoredMapping:
    """Return the mapping of a run that takes none of an earlier one."""
    with monkeypatch.context() as patch:
        patch.setattr(map_groups, "take_earlier_mapping", lambda *_, **__: False)
        return world.map()


def test_the_mapping_of_an_earlier_run_is_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = world.journal.of(world.definition.name).pairs.active()
    taken = world.map()
    assert world.made == 0
    assert len(taken.pairs) == GROUPS
    assert world.told["new"] == world.told["gone"] == {}
    assert taken == anew(world, monkeypatch)
    assert world.journal.of(world.definition.name).pairs.active() == pairs


def rename_a_directory_group(world: World, _: pytest.MonkeyPatch) -> None:
    world.execute("UPDATE journal_group SET name = 'Nobody' WHERE name = 'Team 00001'")


def change_an_attribute(world: World, _: pytest.MonkeyPatch) -> None:
    world.execute("UPDATE journal_group SET attributes = '{\"info\": \"x\"}' WHERE name = 'Team 00001'")


def lose_a_directory_group(world: World, _: pytest.MonkeyPatch) -> None:
    world.execute("UPDATE journal_group SET gone_at = '2026-01-01 00:00:00' WHERE name = 'Team 00001'")


def edit_the_definition(world: World, _: pytest.MonkeyPatch) -> None:
    exclude = world.definition.exclude.model_copy(update={"groups": ("Team 00001",)})
    world.definition = world.definition.model_copy(update={"exclude": exclude})


def listed(**values: Any) -> Callable[[World, pytest.MonkeyPatch], None]:
    """Return a change of the second Genesys group in the listing."""

    def change(_: World, monkeypatch: pytest.MonkeyPatch) -> None:
        honest = CompanyClient.listed_groups

        def changed(self: CompanyClient) -> list[dict[str, Any]]:
            first, second, *others = honest(self)
            return [first, {**second, **values}, *others]

        monkeypatch.setattr(CompanyClient, "listed_groups", changed)

    return change


def reject_a_pair(world: World, _: pytest.MonkeyPatch) -> None:
    pairs = world.journal.of(world.definition.name).pairs
    one = pairs.active()[1]
    pairs.reject([(one.group_guid, one.genesys_group_id)], run=RunKey("dag", "r"), by="olivia", at=world.runs.now)


def end_a_pair(world: World, _: pytest.MonkeyPatch) -> None:
    """Another run, by other rules, no longer mapped it."""
    world.execute("UPDATE journal_pair SET active = 0 WHERE genesys_group_name = 'Team 00001'")


CHANGES = {
    "an AD group has another name": rename_a_directory_group,
    "an AD group has another attribute": change_an_attribute,
    "an AD group is gone": lose_a_directory_group,
    "the definition is another": edit_the_definition,
    "a Genesys group has another name": listed(name="Other"),
    "a Genesys group is deleted": listed(state="deleted"),
    "a person rejected a pair": reject_a_pair,
    "a pair is no longer mapped": end_a_pair,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_mapping_follows_from_makes_it_anew(world: World, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    world.map()
    CHANGES[change](world, monkeypatch)
    assert world.made == 0
    made = world.map()
    assert world.made == 1
    again = world.map()  # what a run retired is not shared
    assert replace(made, retired=frozenset()) == replace(anew(world, monkeypatch), retired=frozenset()) == again
    assert again.retired == frozenset()


def test_versions_change_without_the_mapping(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.map()
    listed(version=7)(world, monkeypatch)
    with pytest.raises(AssertionError, match="7"):
        world.map()  # `read` expects the first version
    assert world.made == 0
    later = world.task(RunKey("dag", f"map-{world.number}"))
    assert sorted(listed_versions(later).values()) == [1] * (GROUPS - 1) + [7]
    assert later.facts.required(MAPPING) == first


@pytest.mark.parametrize("why", ["a dry run", "a pair without a decision", "an external id", "a retry"])
def test_a_mapping_that_follows_from_more_is_not_shared(world: World, why: str) -> None:
    world.map()
    if why == "a dry run":
        world.dry_run = True
    elif why == "a pair without a decision":
        world.execute("UPDATE journal_pair SET confirmed_at = NULL WHERE genesys_group_name = 'Team 00001'")
    elif why == "an external id":
        rule = world.definition.groups[0].model_copy(update={"genesys_external_id": "x", "genesys_name": None})
        world.definition = world.definition.model_copy(update={"groups": (*world.definition.groups, rule)})
    else:
        world.number -= 1
    world.map()
    assert world.made == 1


def test_a_run_that_an_older_version_mapped_goes_on(world: World) -> None:
    world.map()
    key = RunKey("dag", f"map-{world.number}")
    run = world.task(key).run
    old = replace(world.task(key).facts.required(MAPPING), versions={"G": 7, "H": None})
    for name in (IN_SHORT.key, "versions"):
        world.execute(f"DELETE FROM journal_run_fact WHERE run = {run.id} AND key = '{name}'")
    world.task(key).facts[MAPPING] = old
    assert listed_versions(world.task(key)) == {"G": 7}
