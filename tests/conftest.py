"""Fixtures for all tests. Servers are started once per session and only when a test asks for one."""

pytest_plugins = [
    "tests.fixtures.directory",
    "tests.fixtures.genesys",
    "tests.fixtures.pipeline",
]
