"""All tests here share one Airflow, or one of two: they run in one pytest-xdist worker each, and whichever comes first
starts it."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECOND_AIRFLOW = ("test_catch_up", "test_safety")  # most of its time goes into waiting
START_AND_TEST_SECONDS = 600  # the usual limit is not enough for both, on a slow machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            second = item.path.stem in SECOND_AIRFLOW
            item.add_marker(pytest.mark.xdist_group("airflow 2" if second else "airflow 1"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(START_AND_TEST_SECONDS))
