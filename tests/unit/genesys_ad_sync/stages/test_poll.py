"""What `poll` refuses before it reads, and which AD groups it must prove."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.errors import ParamError, WindowError
from genesys_ad_sync.model import Change, GroupPair, Mode, Reason, RunRequest, Window
from genesys_ad_sync.stages import poll
from genesys_ad_sync.stages.poll import check_mirror_once, check_window
from tests.support.sync_examples import NOON, change, definition

HOUR = timedelta(hours=1)
REQUEST = RunRequest(run_type="manual")


@pytest.mark.parametrize(
    ("mode", "hours", "refused"),
    [(Mode.AUTO, 1, False), (Mode.AUTO, 0, True), (Mode.AUTO, -1, True), (Mode.FULL, 1, True)],
)
def test_a_window_that_cannot_be_meant_is_refused(mode: Mode, hours: int, *, refused: bool) -> None:
    request = replace(REQUEST, mode=mode, window=Window(NOON, NOON + hours * HOUR))
    if refused:
        with pytest.raises(WindowError):
            check_window(request)
    else:
        check_window(request)


@pytest.mark.parametrize(
    ("removals", "more"),
    [
        ("never", {}),
        ("granted", {"window": Window(NOON, NOON + HOUR)}),
        ("granted", {"undo_run": "run"}),
        ("granted", {"mode": Mode.CHANGES}),
    ],
)
def test_mirror_once_is_refused_with_what_speaks_against_it(removals: str, more: dict[str, Any]) -> None:
    check_mirror_once(replace(REQUEST, mirror_once=True), definition())
    check_mirror_once(replace(REQUEST, **more), definition(removals=removals))
    with pytest.raises(ParamError):
        check_mirror_once(replace(REQUEST, mirror_once=True, **more), definition(removals=removals))


# -- what must be read completely ---------------------------------------------------------------------

PAIRS = [GroupPair("g1", "A", "A", 0, True), GroupPair("g2", "A", "A", 0, True), GroupPair("g3", "B", "B", 0, True)]


@pytest.mark.parametrize(
    ("open_change", "to_prove"),
    [
        (change("remove", "ann", poll=7), {"g1": 7, "g2": 7}),  # another group may list the user
        (change("add", "ann", poll=7, held_reason=Reason.OTHER_DOMAIN_CONTROLLER), {"g1": 7, "g2": 7}),
        (change("add", "ann", poll=7), {}),
        (change("remove", "ann", poll=7, settled_by="dag/run"), {}),
    ],
)
def test_all_ad_groups_of_a_genesys_group_that_may_lose_somebody_are_read(
    monkeypatch: pytest.MonkeyPatch, open_change: Change, to_prove: dict[str, int]
) -> None:
    monkeypatch.setattr(poll.relink, "groups_concerned", lambda *_: set())
    stored = SimpleNamespace(
        sharing_a_target=lambda guids: (PAIRS if guids else [], []),
        any_active=lambda: True,
        without_baseline=list,
    )
    views = SimpleNamespace(guids_in_scope=lambda among=("g1", "g2", "g3"): {"g1", "g2", "g3"} & set(among))
    task: Any = SimpleNamespace(
        journal=SimpleNamespace(pairs=stored, views=views),
        facts={poll.RELINK_REQUESTS: ()},
        run=SimpleNamespace(dry_run=False),
    )
    assert poll._groups_to_prove(task, [open_change]) == to_prove
