"""All tests here share one of two Airflows, since two cores bear no third.

Each has a pytest-xdist worker; whichever test comes first starts it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

# of this package: an Airflow that is not needed any more is ended, not kept until the last test of the session
from tests.support.stack import drilled, scheduled, stack  # noqa: F401 (fixtures)

HERE = Path(__file__).parent
SECOND_AIRFLOW = ("test_catch_up", "test_safety", "test_two_people", "test_form")  # half of the time
HANGING_SECONDS = 3600  # against waiting for ever, no more: a slow and busy machine may take half an hour


LAST = "test_traces"  # looks at what all others have left in the Airflow of their worker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem == LAST)
    for item in items:
        if HERE in item.path.parents:
            number = _airflow_of(item)
            item.add_marker(pytest.mark.xdist_group(f"airflow {number}"))
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(HANGING_SECONDS))


def _airflow_of(item: pytest.Item) -> int:
    """Return the number of the Airflow that a test uses."""
    if item.path.stem == LAST:
        return int(item.callspec.params["airflow"])  # type: ignore[attr-defined]  # pytest's, of a parametrized test
    return 2 if item.path.stem in SECOND_AIRFLOW else 1
