"""What the domain needs of an HTTP client for Genesys Cloud, and reading a listing page by page.

Says nothing of tokens, retries or pacing: `genesys_ad_sync_airflow.genesys_cloud` does that, and implements
`GenesysClient`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from genesys_ad_sync.genesys.errors import BadRequest, IncompleteListing, UnexpectedAnswer


@dataclass(frozen=True)
class ApiResponse:
    """A good answer. ``body``: the parsed JSON, None if there is none."""

    status: int
    body: Any
    correlation_id: str | None


@dataclass(frozen=True)
class Page:
    """One page of a listing. ``number`` counts from 1; ``total`` and ``count`` (of pages) as the answer tells them."""

    number: int
    entities: tuple[dict[str, Any], ...]
    total: int
    count: int


class GenesysClient(Protocol):
    """Calls of the API. Usable from several threads."""

    request_counts: RequestCounts

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        before_attempt: Callable[[], None] | None = None,
    ) -> ApiResponse:
        """Sends the request, repeats it where that is right, and raises a GenesysError if there is no result.

        ``path`` begins with ``/api/v2/``. ``idempotent`` None: by the method (GET, HEAD, PUT, DELETE are).
        True: the caller vouches that repeating this very request is right whatever became of the first, also
        after a version conflict. False: never repeated when the first may have been carried out.
        ``json`` may be a function: it makes the body anew for each attempt, and is given the error of the attempt
        before (None at first). It may call the client itself; what it raises ends the call.
        ``before_attempt`` is called before each time that the request is sent, repetitions included; what it
        raises ends the call.
        """
        ...

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """The entities of a listing, page by page. Raises IncompleteListing when a page is missing."""
        ...

    def share_ceiling(self, instances: int) -> None:
        """So many instances like this one may be sending at the same time: a ceiling that the connection sets for
        itself is divided among them. (Genesys' own limit needs no dividing: its headers count everybody.)"""
        ...


# -- paging -------------------------------------------------------------------------------------------


def read_pages(fetch: Callable[[int], Page], path: str, first: Page | None = None) -> Iterator[dict[str, Any]]:
    """The entities of all pages, ``fetch(number)`` giving one. Pages go by number; links in answers are not followed.

    Raises IncompleteListing if the pages do not add up to the total, or an id comes twice: then nothing may be
    concluded from what was read (somebody may have changed the list meanwhile: read it again).
    """
    page = first or fetch(1)
    total, seen = page.total, set[str]()
    while True:
        if page.total != total:
            raise _incomplete(path, f"its total changed from {total} to {page.total} while it was read")
        for entity in page.entities:
            if (entity_id := id_of(entity, path)) in seen:
                raise _incomplete(path, f"an id of page {page.number} was on a page before")
            seen.add(entity_id)
            yield entity
        if page.number >= page.count:
            break
        if not page.entities:
            raise _incomplete(path, f"page {page.number} of {page.count} is empty")
        number = page.number + 1
        page = fetch(number)
        if page.number != number:
            raise _incomplete(path, f"page {number} was asked for and page {page.number} answered")
    if len(seen) != total:
        raise _incomplete(path, f"{len(seen)} of {total} entities were answered")


def list_page(
    client: GenesysClient, path: str, number: int, *, params: Mapping[str, Any] | None = None, page_size: int
) -> Page:
    """One page of a plain listing (``GET path?pageSize=…&pageNumber=…``)."""
    answer = client.call("GET", path, params={**(params or {}), "pageSize": page_size, "pageNumber": number})
    return page_of(answer, "GET", path)


def page_of(answer: ApiResponse, method: str, path: str, entities_key: str = "entities") -> Page:
    """The page that an answer holds. Raises UnexpectedAnswer if it is of another shape."""
    body = answer.body
    entities = body.get(entities_key) if isinstance(body, dict) else None
    if entities is None and isinstance(body, dict) and body.get("total") == 0:
        entities = []  # lists without entries may be left out of an answer
    total = body.get("total") if isinstance(body, dict) else None
    if (
        not isinstance(entities, list)
        or not all(isinstance(entity, dict) for entity in entities)
        or not isinstance(total, int)
    ):
        raise UnexpectedAnswer(
            f"The answer is no page with `{entities_key}` and `total`",
            method=method,
            path=path,
            status=answer.status,
            correlation_id=answer.correlation_id,
        )
    return Page(
        number=_whole(body.get("pageNumber"), 1),
        entities=tuple(entities),
        total=total,
        count=_whole(body.get("pageCount"), 1),
    )


def id_of(entity: Mapping[str, Any], path: str) -> str:
    """The entity's id. Raises UnexpectedAnswer if it has none."""
    entity_id = entity.get("id")
    if not isinstance(entity_id, str) or not entity_id:
        raise UnexpectedAnswer("An entity of the answer has no id", method="GET", path=path)
    return entity_id


def path_segment(value: str) -> str:
    """``value`` as one segment of a path. Raises BadRequest for what would make it another path."""
    if value.strip() in ("", ".", ".."):
        raise BadRequest("An empty text or dots are no id")
    return quote(value, safe="")


def _incomplete(path: str, why: str) -> IncompleteListing:
    return IncompleteListing(f"The listing is not complete: {why}", method="GET", path=path)


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) else default


# -- counting -----------------------------------------------------------------------------------------


@dataclass
class RequestCounts:
    """What was really sent, token requests included. ``by_endpoint``: "GET /api/v2/groups/{id}" → how often."""

    total: int = 0
    retried: int = 0
    throttled: int = 0
    by_endpoint: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def sent(self, method: str, path: str, *, again: bool = False) -> None:
        endpoint = endpoint_of(method, path)
        with self._lock:
            self.total += 1
            self.retried += again
            self.by_endpoint[endpoint] = self.by_endpoint.get(endpoint, 0) + 1

    def was_throttled(self) -> None:
        with self._lock:
            self.throttled += 1

    def as_dict(self) -> dict[str, Any]:
        """The report's `requests`, as of now."""
        with self._lock:
            return {
                "total": self.total,
                "retried": self.retried,
                "throttled": self.throttled,
                "by_endpoint": dict(sorted(self.by_endpoint.items())),
            }

    def add(self, other: Mapping[str, Any]) -> None:
        """Adds what another task counted (its ``as_dict()``)."""
        with self._lock:
            self.total += other["total"]
            self.retried += other["retried"]
            self.throttled += other["throttled"]
            for endpoint, number in other["by_endpoint"].items():
                self.by_endpoint[endpoint] = self.by_endpoint.get(endpoint, 0) + number


def endpoint_of(method: str, path: str) -> str:
    """Method and path with ids replaced, so that it can be counted and shown."""
    path = path.partition("?")[0]
    path = re.sub(r"/externalid/[^/]+/.+", "/externalid/{authority}/{key}", path)
    return f"{method.upper()} " + re.sub(r"/(groups|users)/(?!search$|externalid/|bulk$)[^/]+", r"/\1/{id}", path)
