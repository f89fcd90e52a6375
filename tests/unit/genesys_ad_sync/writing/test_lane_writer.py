"""What a lane reads, sends and records for a group, whatever the plan said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.genesys.errors import GenesysError, PermissionMissing, ServerError
from genesys_ad_sync.genesys.writers import WriteResult
from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.planning import PlanContext
from genesys_ad_sync.writing import lane
from genesys_ad_sync.writing.lane import LaneWriter
from genesys_ad_sync.writing.read_back import READ_BACK_WAITS, ReadBack
from tests.support.sync_examples import NOON, matched, target

ADD = Row(Action.ADD, Status.PLANNED, "G", "ann", ("g1",), genesys_user_id="x-ann")
REMOVE = Row(Action.REMOVE, Status.PLANNED, "G", "bob", ("g1",), genesys_user_id="x-bob")
DOWN = ServerError("down", status=503)
READ = frozenset({"x-zoe"})


@dataclass
class World:
    """A lane of one Genesys group, and what it asks and does.

    ``maybe_sent``: row keys. ``late``: who is found when the rest of the wanted is looked up. ``rechecked``: members,
    matches and states of users that the rows were checked by. ``refusal``: of each request.
    """

    maybe_sent: frozenset[str] = frozenset()
    unreadable: GenesysError | None = None
    states_error: GenesysError | None = None
    late: dict[str, Any] = field(default_factory=dict)
    refusal: GenesysError | None = None
    write: str = "group_patch"
    verify: bool = True
    rows_of_lane: Sequence[Row] = ()
    now: datetime = NOON

    readings: int = 0
    waits: Sequence[float] | None = None
    sent: list[tuple[list[str], list[str]]] = field(default_factory=list)
    recorded: dict[str, Row] = field(default_factory=dict)
    rechecked: list[tuple[frozenset[str], set[str], dict[str, str]]] = field(default_factory=list)

    # -- Genesys ------------------------------------------------------------------------------------------

    def individuals(self, _: str) -> frozenset[str]:
        self.readings += 1
        if self.unreadable is not None:
            raise self.unreadable
        return READ

    def apply(self, _: str, adds: list[str], removes: list[str], *, before_request: Any) -> Iterable[WriteResult]:
        self.sent.append((adds, removes))
        if self.refusal is not None:
            raise self.refusal
        yield from (WriteResult(one, Action.ADD, ok=True) for one in adds)
        yield from (WriteResult(one, Action.REMOVE, ok=True) for one in removes)

    def states_of(self, _: Any, users: Iterable[str]) -> dict[str, str]:
        if self.states_error is not None:
            raise self.states_error
        return dict.fromkeys(users, "deleted")

    def read_back(
        self, _task: Any, _writer: Any, _group: str, rows: Sequence[Row], results: Any, waits: Sequence[float]
    ) -> ReadBack:
        self.waits = waits
        failed = {"status": Status.FAILED, "reason": Reason.NOT_ATTEMPTED}
        return ReadBack([replace(row, **({"status": Status.SUCCESS} if results else failed)) for row in rows], READ)

    # -- the product around the lane ----------------------------------------------------------------------

    def recheck(self, rows: Sequence[Row], seen: Any, matches: Any, _definition: Any, context: Any, _: Any) -> Any:
        self.rechecked.append((seen, set(matches), dict(context.user_states)))
        return rows

    def record_outcomes(self, _run: Any, rows: Sequence[Row], **_: Any) -> None:
        self.recorded.update({row.key: row for row in rows})

    def task(self) -> Any:
        return SimpleNamespace(
            run=SimpleNamespace(),
            definition=SimpleNamespace(verify=self.verify, genesys=SimpleNamespace(write=self.write)),
            genesys=self,
            clock=lambda: self.now,
            log=lambda _: None,
            organisation="org",
            journal=SimpleNamespace(
                together=nullcontext,
                rows=SimpleNamespace(
                    maybe_sent=lambda _run, keys: self.maybe_sent & set(keys),
                    mark_sending=lambda *_: None,
                    record_outcomes=self.record_outcomes,
                    of_run=lambda _run, **_: self.rows_of_lane,
                ),
                changes=SimpleNamespace(unsettled=lambda _: ()),
                figures=SimpleNamespace(groups=lambda *_: [], save_groups=lambda *_: None),
            ),
        )


class Refusals:
    """Nothing is known, and nothing kept."""

    client = None

    def __init__(self, _task: Any) -> None:
        self.of_group, self.is_known = lambda _: [], lambda _: False
        self.client_is_accepted = self.ask_with_one_first = lambda: None
        self.client_is_refused = lambda *_: None
        self.record = lambda met: list(met.rows)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    around: dict[str, Any] = {
        "undo_run": lambda _: None,
        "matched": lambda _: {"ann": matched("ann"), "bob": matched("bob")},
        "link_moves": lambda *_: {},
        "claimed_by_others": lambda *_: {},
        "objections": lambda *_: SimpleNamespace(standing={}),
        "mirrors": lambda _: False,
        "planning_context": lambda *_: PlanContext(observed_at=NOON),
        "target_of": lambda *_: target(wanted={"ann": ("g1",), "cid": ("g1",)}),
        "PlannedTargets": lambda _task, _targets, members, _claimed: [members["G"]],
        "Stop": lambda _: SimpleNamespace(is_set=lambda: False),
        "LaneRefusals": Refusals,
        "look_up": lambda *_: made.late,
        "recheck": made.recheck,
        "states_of": made.states_of,
        "read_back": made.read_back,
        "recheck_refused_users": lambda _, rows: rows,
        "grant_announced_adds": lambda *_: frozenset(),
    }
    around |= dict.fromkeys(
        ("grant_settled_adds", "take_back_grants", "drop_grants_of_settled_removals"), lambda *_: None
    )
    for name, value in around.items():
        monkeypatch.setattr(lane, name, value)
    return made


def lane_of(world: World, fresh_until: datetime | None = None) -> LaneWriter:
    lease: Any = SimpleNamespace(renew=lambda: None, fence=1)
    writer: Any = world
    return LaneWriter(world.task(), 0, lease, writer, fresh_until)


def test_a_group_is_read_checked_again_and_written(world: World) -> None:
    lane_of(world).write_group("G", [ADD, REMOVE])
    assert (world.readings, world.sent) == (1, [(["x-ann"], ["x-bob"])])
    assert world.rechecked == [(READ, {"ann", "bob"}, {"x-bob": "deleted"})]
    assert {row.status for row in world.recorded.values()} == {Status.SUCCESS}


def test_what_an_earlier_try_settled_is_neither_checked_nor_sent_again(world: World) -> None:
    lane_of(world).write_group("G", [replace(ADD, status=Status.SUCCESS), REMOVE])
    assert world.sent == [([], ["x-bob"])]
    assert set(world.recorded) == {REMOVE.key}


@pytest.mark.parametrize(
    ("minutes", "sent_before", "readings"), [(1, False, 0), (0, False, 1), (-1, False, 1), (1, True, 1)]
)
def test_the_plans_reading_is_relied_on_while_it_is_fresh_and_nothing_was_sent(
    world: World, minutes: int, readings: int, *, sent_before: bool
) -> None:
    world.maybe_sent = frozenset({REMOVE.key} if sent_before else ())
    lane_of(world, NOON + timedelta(minutes=minutes)).write_group("G", [ADD, REMOVE])
    assert world.readings == readings
    assert world.rechecked[0][0] == (READ if readings else {"x-bob"})


def test_a_group_whose_members_cannot_be_read_is_not_written(world: World) -> None:
    world.unreadable, world.maybe_sent = DOWN, frozenset({ADD.key})
    lane_of(world).write_group("G", [ADD, REMOVE])
    assert (world.rechecked, world.sent) == ([], [])
    assert {key: row.reason for key, row in world.recorded.items()} == {
        ADD.key: Reason.UNVERIFIED,
        REMOVE.key: Reason.GENESYS_UNREADABLE,
    }


def test_a_lane_that_met_an_error_of_all_groups_does_nothing_more(world: World) -> None:
    writer = lane_of(world)
    for number in range(3):
        writer.errors.add(f"H{number}", DOWN)
    writer.write_group("G", [ADD])
    assert (world.readings, world.sent, world.recorded) == (0, [], {})


@pytest.mark.parametrize(("rows", "looked_up"), [([ADD, REMOVE], True), ([ADD], False)])
def test_before_a_removal_all_wanted_people_are_looked_up(world: World, rows: list[Row], *, looked_up: bool) -> None:
    world.late = {"cid": matched("cid")}
    lane_of(world).write_group("G", rows)
    assert ("cid" in world.rechecked[0][1]) is looked_up


def test_a_state_that_cannot_be_read_is_unknown(world: World) -> None:
    world.states_error = DOWN
    lane_of(world).write_group("G", [REMOVE])
    assert world.rechecked[0][2] == {"x-bob": "unknown"}


@pytest.mark.parametrize(
    ("write", "verify", "reads"),
    [("user_patch", False, True), ("group_patch", False, False), ("group_patch", True, True)],
)
def test_what_is_documented_nowhere_is_always_read_back(world: World, write: str, *, verify: bool, reads: bool) -> None:
    world.write, world.verify = write, verify
    lane_of(world).write_group("G", [ADD])
    assert world.waits == (READ_BACK_WAITS if reads else ())


def test_what_a_refused_client_leaves_says_so_and_nothing_else(world: World) -> None:
    other = replace(ADD, genesys_group_id="H")
    done = replace(ADD, genesys_group_id="I", status=Status.SUCCESS)
    world.refusal = PermissionMissing("no", status=403, permissions=("directory:group:edit",))
    world.rows_of_lane = [ADD, other, done]
    writer = lane_of(world)
    writer.write_group("G", [ADD])
    assert world.recorded == {}
    writer.finish()
    assert {row.genesys_group_id: row.reason for row in world.recorded.values()} == {
        "G": Reason.REFUSED_CLIENT,
        "H": Reason.REFUSED_CLIENT,
    }
    assert {row.status for row in world.recorded.values()} == {Status.FAILED}
