"""Whether somebody can use an AD account, by its entry."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from genesys_ad_sync.directory.accounts import state_of
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.model import AccountState

NOW = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
NEVER = 0x7FFFFFFFFFFFFFFF


def file_time(moment: datetime) -> int:
    return (moment - datetime(1601, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 10


@pytest.mark.parametrize(
    ("control", "expires", "state"),
    [
        (512, 0, AccountState.ENABLED),
        (512, NEVER, AccountState.ENABLED),
        (512, NEVER - 1, AccountState.ENABLED),  # beyond any calendar
        (512, None, AccountState.ENABLED),
        (512, -1, AccountState.ENABLED),  # as every other reading takes it
        (512, file_time(NOW), AccountState.EXPIRED),
        (512, file_time(NOW + timedelta(seconds=1)), AccountState.ENABLED),
        (512, file_time(NOW - timedelta(seconds=1)), AccountState.EXPIRED),
        (514, 0, AccountState.DISABLED),
        (514, file_time(NOW - timedelta(days=1)), AccountState.DISABLED),
        (None, 0, AccountState.UNSEEN),  # every account has it: it may not be read
    ],
)
def test_the_state_of_an_account(control: int | None, expires: int | None, state: AccountState) -> None:
    values = {"useraccountcontrol": control, "accountexpires": expires}
    entry = Entry("CN=x", {name: [str(value).encode()] for name, value in values.items() if value is not None})
    assert state_of(entry, NOW) is state
