"""The plugin that Airflow loads through the entry point `airflow.plugins`: pages, and links to them.

Every process of Airflow loads it, also a task's. So the app is made when the first request comes.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

from genesys_ad_sync_airflow.report_link import PREFIX

FRAME = PREFIX.strip("/")
"""Without a slash in front: the browser puts Airflow's own base path before it."""


class PagesApp:
    """An ASGI app that is made by the first request."""

    title = "Genesys AD sync"

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from genesys_ad_sync_airflow.pages.app import create_app

            self._app = create_app()
        await self._app(scope, receive, send)


def _view(name: str, route: str, path: str, destination: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "href": f"{FRAME}/{path}",
        "url_route": route,
        "destination": destination,
        **more,
    }


class GenesysAdSyncPlugin(AirflowPlugin):
    """The pages, in the navigation and as tabs."""

    name = "genesys_ad_sync"
    # Airflow declares both as attributes of the instance, and reads them from the class.
    fastapi_apps = [{"app": PagesApp(), "url_prefix": PREFIX, "name": "Genesys AD sync"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        _view("Genesys AD sync", "genesys-ad-sync", "", "nav", category="browse"),
        _view("Genesys sync", "genesys-ad-sync-dag", "dag?dag_id={DAG_ID}", "dag"),
        _view("Reconciliation", "genesys-ad-sync-run", "run?dag_id={DAG_ID}&run_id={RUN_ID}", "dag_run"),
    ]
