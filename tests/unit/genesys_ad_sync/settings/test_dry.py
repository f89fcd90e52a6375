"""A dry definition writes nothing, whatever a run asks for."""

from __future__ import annotations

import pytest

from genesys_ad_sync.errors import ParamError
from tests.support.sync_examples import definition


@pytest.mark.parametrize(
    ("dry", "asked", "is_dry"), [(True, None, True), (True, True, True), (False, True, True), (False, False, False)]
)
def test_a_run_is_dry_if_the_definition_or_the_param_says_so(dry: bool, asked: bool | None, *, is_dry: bool) -> None:
    assert definition(dry_run=dry).is_dry(asked=asked) is is_dry


def test_no_param_makes_a_dry_definition_write() -> None:
    with pytest.raises(ParamError):
        definition(dry_run=True).is_dry(asked=False)
