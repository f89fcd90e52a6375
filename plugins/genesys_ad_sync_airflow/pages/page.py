"""What each route gets: the viewer, the journal, and a way to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from genesys_ad_sync.settings import FULL_SUFFIX, SyncDefinition, dag_id_of
from genesys_ad_sync.views.claims import note_as_far_as_named
from genesys_ad_sync_airflow.pages.access import Right, Viewer, viewer
from genesys_ad_sync_airflow.pages.links import Links
from genesys_ad_sync_airflow.pages.sources import Sources
from genesys_ad_sync_airflow.pages.templating import render

if TYPE_CHECKING:
    from genesys_ad_sync.journal import Journal

NAVIGATION = (
    ("", "Overview"),
    ("runs", "Runs"),
    ("todo", "To do"),
    ("search", "Search"),
    ("preview", "Mapping preview"),
)

LONGEST_VALUE = 4000
"""Characters of a value in an address. SQLite refuses to search for a text of 50,000."""

_ZERO = "\x00"
"""PostgreSQL refuses a text with this character, and Active Directory has none."""

Position = Query(ge=0, le=2**63 - 1)
"""An id of the journal, behind which a list goes on. A larger number fits in no database."""


@dataclass
class Page:
    """A request for a page."""

    request: Request
    viewer: Viewer
    sources: Sources
    links: Links

    @cached_property
    def journal(self) -> Journal:
        """Return the journal. Raises JournalError; the app answers with what the viewer can do."""
        return self.sources.journal()

    @cached_property
    def now(self) -> datetime:
        """Return the time of the request."""
        return self.sources.clock()

    @cached_property
    def definitions(self) -> Mapping[str, SyncDefinition]:
        """Return the definitions whose DAG the viewer may read, by name.

        Those are missing whose files cannot be read here.
        """
        return {name: one for name, one in self.sources.definitions().items() if self.viewer.may("see", one.dag_id)}

    @cached_property
    def _known(self) -> set[str]:
        return {*self.journal.lookups.definitions(), *self.definitions}

    def names(self, right: Right = "see") -> list[str]:
        """Return the sync definitions on whose DAG the viewer has a right, sorted.

        All lists go by these.
        """
        return sorted(name for name in self._known if self.viewer.may(right, dag_id_of(name)))

    def dag_ids(self, right: Right = "see") -> list[str]:
        """Return the DAGs of all definitions on which the viewer has a right.

        Lists of runs go by these.
        """
        of_names = (dag_id for name in self.names(right) for dag_id in (dag_id_of(name), full_dag_id_of(name)))
        return [dag_id for dag_id in of_names if self.viewer.may(right, dag_id)]

    def must(self, right: Right, name: str) -> None:
        """Raise an HTTPException with status 403 unless the viewer has that right.

        The right is on the DAG of the definition.
        """
        self.viewer.must(right, dag_id_of(name))

    def definition_of(self, dag_id: str) -> str | None:
        """Return which sync definition a DAG belongs to; None: it is another DAG."""
        return next((name for name in self.names() if dag_id in (dag_id_of(name), full_dag_id_of(name))), None)

    def notes(self, notes: Iterable[str]) -> tuple[str, ...]:
        """Return notes of a run without the names of hidden definitions.

        Hidden are those whose DAG the viewer may not read. One that is gone may be among them, and the journal may not
        know it any more.
        """
        return tuple(note_as_far_as_named(note, lambda name: self.viewer.may("see", dag_id_of(name))) for note in notes)

    def render(self, template: str, *, title: str, current: str = "", **values: Any) -> HTMLResponse:
        """Return the answer. ``current``: the entry of the navigation that is marked."""
        return HTMLResponse(html(template, self.links, title=title, current=current, now=self.now, **values))


def full_dag_id_of(name: str) -> str:
    """Return the id of the DAG that compares everything of a definition."""
    return dag_id_of(name) + FULL_SUFFIX


def html(template: str, links: Links, *, title: str, current: str = "", **values: Any) -> str:
    """Return a page with the navigation."""
    return render(template, links=links, title=title, current=current, navigation=NAVIGATION, **values)


def page(request: Request, asks: Annotated[Viewer, Depends(viewer)]) -> Page:
    """Return the request for a page, of somebody who is logged in.

    Raises an HTTPException for a value that a database refuses: no page has such a link.
    """
    if any(_ZERO in value or len(value) > LONGEST_VALUE for value in request.query_params.values()):
        raise HTTPException(422)
    return Page(request, asks, request.app.state.sources, links_of(request))


def links_of(request: Request) -> Links:
    """Return the links for the place below which the request arrived."""
    return Links(request.scope.get("root_path", "").rstrip("/"))


def not_found(text: str) -> HTTPException:
    """Return the error for a thing that is not there."""
    return HTTPException(404, text)


PageDep = Annotated[Page, Depends(page)]
