"""All tests here share one of two Airflows. Each has a pytest-xdist worker; whichever test comes first starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

# of this package: an Airflow that is not needed any more is ended, not kept until the last test of the session
from tests.support.stack import drilled, scheduled, stack  # noqa: F401 (fixtures)

HERE = Path(__file__).parent
SECOND_AIRFLOW = ("test_catch_up", "test_safety")  # they take as long as the others together; two cores bear no third
HANGING_SECONDS = 3600  # against waiting for ever, no more: a slow and busy machine may take half an hour


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            number = 2 if item.path.stem in SECOND_AIRFLOW else 1
            item.add_marker(pytest.mark.xdist_group(f"airflow {number}"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(HANGING_SECONDS))
