"""When AD is asked for the times of changes: where they decide about a window, or cost next to nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from genesys_ad_sync.directory.link_metadata import LinkHistory, LinkRecord
from genesys_ad_sync.model import Change, Window
from genesys_ad_sync.polling.times import SMALL_GROUP, ChangeTimes
from tests.support.journal import T0, change, view
from tests.support.sync_examples import definition

QUARTER = timedelta(minutes=15)  # T0 is a full hour, and so is each tick of the schedule a full quarter


class Records:
    """Has a record of each member that is asked for."""

    supported: bool | None = None

    def __init__(self) -> None:
        self.asked: list[dict[str, set[str]]] = []

    def history(self, wanted: dict[str, set[str]], _: object) -> LinkHistory:
        self.asked.append(wanted)
        self.supported = True
        record = LinkRecord("CN=u1", T0, None, T0 + timedelta(minutes=1), 1)
        return LinkHistory({group: dict.fromkeys(members, record) for group, members in wanted.items()})

    def notes(self) -> list[str]:
        return []


def found(after: datetime | None, until: datetime) -> Change:
    return change("g", "u1", path=("g",), observed_after=after, observed_at=until)


def asked(size: int, *changes: Change, window: Window | None = None, schedule: str = "*/15 * * * *") -> bool:
    records = Records()
    times = ChangeTimes(records, definition(schedule=schedule), window)  # type: ignore[arg-type]
    before = view({"g": " ".join(f"u{number}" for number in range(2, size + 1))})
    after = view({"g": " ".join(f"u{number}" for number in range(1, size + 1))})
    timed = times.of(changes, before, after, None)
    assert [one.changed_at is not None for one in timed] == [bool(records.asked)] * len(changes)
    return bool(records.asked)


def test_between_two_polls_without_a_border_only_small_groups_are_asked() -> None:
    change_ = found(T0 + timedelta(minutes=1), T0 + timedelta(minutes=14))
    assert asked(SMALL_GROUP, change_)
    assert not asked(SMALL_GROUP + 1, change_)


@pytest.mark.parametrize(
    ("after", "until"),
    [(T0 - timedelta(seconds=1), T0), (T0 + timedelta(minutes=14), T0 + QUARTER), (None, T0 + timedelta(minutes=1))],
)
def test_a_border_of_the_schedule_between_two_polls_asks_for_all(after: datetime | None, until: datetime) -> None:
    assert asked(SMALL_GROUP + 1, found(after, until))


def test_a_poll_at_the_border_itself_begins_the_next_window() -> None:
    assert not asked(SMALL_GROUP + 1, found(T0, T0 + timedelta(minutes=14)))


def test_the_borders_of_the_run_count_too() -> None:
    inside = found(T0 + timedelta(minutes=1), T0 + timedelta(minutes=14))
    assert asked(SMALL_GROUP + 1, inside, window=Window(None, T0 + timedelta(minutes=5)))
    assert not asked(SMALL_GROUP + 1, inside, window=Window(T0, T0 + timedelta(minutes=20)))


def test_nothing_is_asked_for_nothing() -> None:
    assert not asked(5)
