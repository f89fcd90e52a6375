"""People with roles of their own in FAB's auth manager."""

from __future__ import annotations

import json

from sandbox.airflow_stack import ADMIN, AirflowStack
from tests.support import pages_story
from tests.wheel.environments import Environment

DAGS, RUNS, READ, EDIT = "DAGs", "DAG Runs", "can_read", "can_edit"
_ITS_DAG, _ITS_FULL_DAG = f"DAG:{pages_story.DAG}", f"DAG:{pages_story.DAG}_full"

PEOPLE: dict[str, list[tuple[str, str]]] = {
    "editor": [(READ, DAGS), (EDIT, DAGS), (READ, RUNS), (READ, "Plugins")],  # the last: Airflow shows its frame
    "lead": [(READ, DAGS), (READ, RUNS)],
    "counts": [(READ, DAGS)],  # may read the DAGs, but not their runs
    "voice": [(READ, _ITS_DAG), (READ, _ITS_FULL_DAG), (READ, RUNS)],  # of one sync alone
    "nobody": [],
}
"""User, which is also the name of the role -> what the role permits."""

_MAKE = """\
import json, sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

given = json.load(sys.stdin)
with get_application_builder() as builder:
    manager = builder.sm
    for role, permissions in given["roles"].items():
        made = manager.add_role(role)
        for action, resource in permissions:
            manager.add_permission_to_role(made, manager.create_permission(action, resource))
    for user, role in given["users"].items():
        assert manager.add_user(user, user, user, f"{user}@example.com", manager.find_role(role), given["password"])
"""


def make_people(installed: Environment, airflow: AirflowStack) -> None:
    """Make the users of `PEOPLE`, each with a role of its own, and an administrator."""
    given = {
        "roles": PEOPLE,
        "users": {ADMIN: "Admin", **{name: name for name in PEOPLE}},
        "password": airflow.password,
    }
    installed.run(installed.python, "-c", _MAKE, settings=airflow.env, given=json.dumps(given))
