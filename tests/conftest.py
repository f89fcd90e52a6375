"""Fixtures for all tests. Servers are started once per session and only when a test asks for one."""

import functools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from include.group_sync.report import page

# No example has to be quick: the machine may be slow and busy.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = [
    "tests.fixtures.directory",
    "tests.fixtures.genesys",
    "tests.fixtures.pipeline",
]


@pytest.fixture(scope="session", autouse=True)
def page_template_compiled_once() -> Iterator[None]:
    """Compile the template of the report's page once per process: it takes a fifth of a small run's time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(page, "_environment", functools.cache(page._environment))
        yield
