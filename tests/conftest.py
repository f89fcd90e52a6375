"""Fixtures for all tests. Servers are started once per session and only when a test asks for one."""

pytest_plugins = [
    "tests.support.directory",
    "tests.support.genesys",
    "tests.support.pipeline",
]
