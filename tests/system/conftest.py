"""All tests here share one of three Airflows. Each has a pytest-xdist worker; whichever test comes first starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
AIRFLOW_OF = {"test_catch_up": 2, "test_approval": 3, "test_safety": 3}  # the others: 1. All take about as long
START_AND_TEST_SECONDS = 600  # the usual limit is not enough for both, on a slow machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(f"airflow {AIRFLOW_OF.get(item.path.stem, 1)}"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(START_AND_TEST_SECONDS))
