"""Fixtures for all tests. Servers are started once per session and only when a test asks for one."""

from hypothesis import HealthCheck, settings

# No example has to be quick: the machine may be slow and busy.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

pytest_plugins = [
    "tests.fixtures.directory",
    "tests.fixtures.genesys",
    "tests.fixtures.pipeline",
]
