"""What the viewer of a page may see: Airflow's auth manager decides, by DAG.

- to read the DAG: verdicts, counts, runs;
- to read the DAG's runs: names of people, plans, reports;
- to edit the DAG: the preview of a mapping.

These are imports of Airflow's core, not of its SDK: `docs/pages.md` names the releases with which they were tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException

Right = Literal["see", "names", "edit"]

_METHODS: dict[Right, tuple[Literal["GET", "PUT"], DagAccessEntity | None]] = {
    "see": ("GET", None),
    "names": ("GET", DagAccessEntity.RUN),
    "edit": ("PUT", None),
}
_WORDS: dict[Right, str] = {
    "see": "read the DAG",
    "names": "read the runs of the DAG",
    "edit": "edit the DAG",
}


@dataclass
class Viewer:
    """The person that asks for a page.

    Each right is asked of Airflow once in a request.
    """

    user: BaseUser
    _known: dict[tuple[str, Right], bool] = field(default_factory=dict)

    def may(self, right: Right, dag_id: str) -> bool:
        """Return whether the viewer has a right on a DAG.

        A right includes the ones before it in `Right`.
        """
        if (dag_id, right) not in self._known:
            self._known[dag_id, right] = all(self._is_authorized(one, dag_id) for one in {"see", right})
        return self._known[dag_id, right]

    def must(self, right: Right, dag_id: str) -> None:
        """Raise an HTTPException with status 403 unless the viewer has that right."""
        if not self.may(right, dag_id):
            raise HTTPException(403, f"Your Airflow account may not {_WORDS[right]}.")

    def _is_authorized(self, right: Right, dag_id: str) -> bool:
        method, entity = _METHODS[right]
        team = DagModel.get_team_name(dag_id) if conf.getboolean("core", "multi_team", fallback=False) else None
        return get_auth_manager().is_authorized_dag(
            method=method, access_entity=entity, details=DagDetails(id=dag_id, team_name=team), user=self.user
        )


def viewer(user: Annotated[BaseUser, Depends(get_user)]) -> Viewer:
    """Return the viewer of this request.

    Airflow raises an HTTPException with status 401 for anybody else.
    """
    return Viewer(user)
