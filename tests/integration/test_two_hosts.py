"""A run whose `poll` ran on another host, against a real domain controller."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesys_ad_sync.errors import RunElsewhere
from genesys_ad_sync.journal.store import Journal
from genesys_ad_sync.run.whereabouts import refuse_elsewhere
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.this_machine import Host
from tests.support.pipeline import Pipeline


def test_poll_notes_its_host_for_the_tasks_of_other_hosts(pipeline: Pipeline, tmp_path: Path) -> None:
    task = pipeline.task("there", "poll")
    task.host = Host("anna", "boot")
    assert poll(task, pipeline.request())["host"] == "anna"
    assert task.run.host == task.host

    elsewhere = pipeline.task("there", "map_groups")
    elsewhere.host = Host("berta", "another")
    with Journal.open(f"sqlite:///{tmp_path / 'of-berta.db'}") as own:
        elsewhere.journal = own.of(pipeline.definition.name)
        with pytest.raises(RunElsewhere, match="Task 'poll' ran on host anna"):
            refuse_elsewhere(elsewhere, lambda: None)
