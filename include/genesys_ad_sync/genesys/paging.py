"""Reads a listing page by page: complete, or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genesys_ad_sync.genesys.errors import IncompleteListing, UnexpectedAnswer

if TYPE_CHECKING:
    from genesys_ad_sync.genesys.client import ApiResponse, GenesysClient

HIDDEN = (
    ". If this remains, a guess: the total includes entities that the OAuth client may not see. Its role may lack "
    "Directory > Private Group > View, or the division of a group or user"
)


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    ``number`` counts from 1; ``total`` and ``count`` (of pages) as the answer says.
    """

    number: int
    entities: tuple[dict[str, Any], ...]
    total: int
    count: int


def read_pages(fetch: Callable[[int], Page], path: str, first: Page | None = None) -> Iterator[dict[str, Any]]:
    """Iterate over the entities of all pages; ``fetch(number)`` returns one page.

    Pages are requested by number; links in answers are not followed.

    Raises IncompleteListing if the pages do not add up to the total, or an id comes twice. Nothing may then be
    concluded from the entities: the list may have changed meanwhile, so read it again.
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
            raise _incomplete(path, f"page {page.number} of {page.count} is empty", missing=total - len(seen))
        number = page.number + 1
        page = fetch(number)
        if page.number != number:
            raise _incomplete(path, f"page {number} was asked for and page {page.number} answered")
    if len(seen) != total:
        why = f"{len(seen)} of {total} entities were returned"
        missing = total - len(seen)
        raise _incomplete(path, why + (HIDDEN if missing > 0 else ""), missing=missing)


def list_page(
    client: GenesysClient, path: str, number: int, *, params: Mapping[str, Any] | None = None, page_size: int
) -> Page:
    """Fetch one page of a plain listing (``GET path?pageSize=…&pageNumber=…``)."""
    answer = client.call("GET", path, params={**(params or {}), "pageSize": page_size, "pageNumber": number})
    return page_of(answer, "GET", path)


def page_of(answer: ApiResponse, method: str, path: str, entities_key: str = "entities") -> Page:
    """Return the page that an answer holds. Raises UnexpectedAnswer if it has another shape."""
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
            f"The answer is not a page with `{entities_key}` and `total`",
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
    """Return the entity's id. Raises UnexpectedAnswer if it has none."""
    entity_id = entity.get("id")
    if not isinstance(entity_id, str) or not entity_id:
        raise UnexpectedAnswer("An entity of the answer has no id", method="GET", path=path)
    return entity_id


def _incomplete(path: str, why: str, *, missing: int | None = None) -> IncompleteListing:
    error = IncompleteListing(f"The listing is not complete: {why}", method="GET", path=path)
    error.missing = missing if missing is not None and missing > 0 else None
    return error


def _whole(value: Any, default: int) -> int:
    return value if isinstance(value, int) else default
