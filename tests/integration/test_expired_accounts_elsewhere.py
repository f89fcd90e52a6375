"""Another domain controller may not know yet that an account was extended, or has expired: it decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.integration.test_expired_accounts import expires, redefine
from tests.support.small_company import members, rows
from tests.support.two_controllers import TwoControllers, domain, two

__all__ = ["domain", "two"]

HELD = ("held", "other_domain_controller", None)


@pytest.fixture
def expiring(two: TwoControllers) -> Iterator[TwoControllers]:
    redefine(two.pipeline, "remove")
    assert rows(two.run_on(two.dc1)) == []
    yield two
    two.dc1.apply([expires(None)])
    two.dc2.replicate_from(two.dc1)


@pytest.mark.parametrize("read_before", [False, True], ids=["read after the end", "read before and after"])
def test_who_was_extended_is_not_removed_by_a_lagging_controller(expiring: TwoControllers, read_before: bool) -> None:
    two = expiring
    end = two.dc1.clock() + timedelta(seconds=30)
    two.dc1.apply([expires(end)])
    two.dc2.replicate_from(two.dc1)
    assert rows(two.run_on(two.dc1)) == []
    two.dc1.apply([expires(None)])
    assert rows(two.run_on(two.dc1)) == []
    if read_before:  # then the journal has the end from this domain controller
        two.run_on(two.dc2, mode="full")
    while two.dc2.clock() <= end:
        two.dc2.tick()
    for mode in ("auto", "full") if read_before else ("full",):
        assert rows(two.run_on(two.dc2, mode=mode)) == [("remove", "cid", *HELD)]
    assert "cid" in members(two.pipeline, "Voice")


def test_who_has_expired_is_not_added_by_a_lagging_controller(expiring: TwoControllers) -> None:
    two = expiring
    two.dc1.apply([expires(two.dc1.clock() - timedelta(days=1))])
    assert rows(two.run_on(two.dc1)) == [("remove", "cid", "success", None, None)]
    assert rows(two.run_on(two.dc2, mode="full")) == [("add", "cid", *HELD)]
    assert "cid" not in members(two.pipeline, "Voice")
