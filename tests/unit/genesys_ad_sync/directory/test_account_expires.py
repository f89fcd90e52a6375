"""``accountExpires``: the forms in which AD writes a time, and "never"."""

from datetime import datetime, timezone

import pytest

from genesys_ad_sync.directory.attribute_values import account_expires


@pytest.mark.parametrize("ticks", [None, 0, 0x7FFFFFFFFFFFFFFF, -1])
def test_never(ticks):
    assert account_expires(ticks) is None


def test_a_time_counts_in_ticks_since_1601():
    assert account_expires(116444736000000000) == datetime(1970, 1, 1, tzinfo=timezone.utc)
