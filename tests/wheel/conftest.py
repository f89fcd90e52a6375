"""The wheel, and fresh environments in which it is installed: `make test-wheel`.

It takes minutes and asks the package registry. So `pytest tests` leaves it out (`norecursedirs` in pyproject.toml).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wheel.environments import REQUIREMENTS, Environment, named_wheel, newest, project

OLDEST_AIRFLOW = "apache-airflow==3.3.0"
OLDEST_STANDARD = "apache-airflow-providers-standard==1.15.0"


@pytest.fixture(scope="session")
def wheel() -> Path:
    """Return the wheel under test: the file that WHEEL names."""
    return named_wheel()


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("oldest", marks=pytest.mark.xdist_group("oldest")),
        pytest.param("newest", marks=pytest.mark.xdist_group("newest")),
    ],
)
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """Install Airflow first, then the wheel, then the copied DAG file and a definition."""
    made = Environment.make(tmp_path_factory.mktemp(request.param))
    if request.param == "oldest":
        made.install(OLDEST_AIRFLOW, OLDEST_STANDARD)
    else:
        made.install(newest("apache-airflow<4"), newest("apache-airflow-providers-standard"))
    made.install_wheel(wheel)
    project(made.home / "dags")
    made.airflow("db", "migrate")
    yield made
    # pytest keeps the folders of three runs, and an environment is large.
    shutil.rmtree(made.folder)


@pytest.fixture(scope="session")
def lowest(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Install the lowest version of each dependency that requirements.txt allows, then the wheel."""
    made = Environment.make(tmp_path_factory.mktemp("lowest"))
    made.install("--resolution", "lowest-direct", "-r", str(REQUIREMENTS))
    made.install_wheel(wheel)
    yield made
    shutil.rmtree(made.folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the versions that were tested."""
    terminalreporter.section("environments")
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "environment":
                terminalreporter.write_line(value)
