"""All tests here share one Airflow: they run in one pytest-xdist worker, and whichever comes first starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
START_AND_TEST_SECONDS = 600  # the usual limit is not enough for both, on a slow machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("airflow"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(START_AND_TEST_SECONDS))
