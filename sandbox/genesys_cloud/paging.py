"""Page numbers and envelopes. Bodies are joined from serialised items, so large pages cost little."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from sandbox.genesys_cloud import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    size: int
    number: int

    def of(self, items: Sequence[T]) -> Sequence[T]:
        start = (self.number - 1) * self.size
        return items[start : start + self.size]


def page_of(request: Request, max_size: int, default_size: int = 25) -> Page:
    """Read `pageSize` and `pageNumber` of the query.

    Raises RefusalError (400) if they are out of bounds or not numbers.
    """
    size = _number(request, "pageSize", default_size)
    number = _number(request, "pageNumber", 1)
    if size > max_size:
        raise refusals.invalid_value(size, "pageSize", f"1 to {max_size}")
    return Page(size, number)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise refusals.invalid_value(text, name, "whole numbers from 1")
    return value


def listed(request: Request, name: str) -> list[str]:
    """Read a parameter with several values.

    It may be repeated, as the spec says, or joined with commas, as the official SDK does.
    """
    return [value for text in request.query_params.getlist(name) for value in text.split(",") if value]


def descending(request: Request) -> bool:
    """Read `sortOrder`: ascending (ASC, the default) or descending."""
    order = request.query_params.get("sortOrder", "ascending").lower()
    if order in ("ascending", "asc"):
        return False
    if order in ("descending", "desc"):
        return True
    raise refusals.invalid_value(order, "sortOrder", "ascending, descending")


def entities(request: Request, items: Iterable[str], page: Page, total: int) -> Response:
    """Build the envelope of listings. ``items``: the serialised items of this page."""
    count = math.ceil(total / page.size) if total else 0

    def uri(number: int) -> str:
        others = [(k, v) for k, v in request.query_params.multi_items() if k not in ("pageSize", "pageNumber")]
        query = urlencode([*others, ("pageSize", page.size), ("pageNumber", number)])
        return f"{request.url.path}?{query}"

    tail: dict[str, object] = {
        "pageSize": page.size,
        "pageNumber": page.number,
        "total": total,
        "pageCount": count,
        "firstUri": uri(1),
        "selfUri": uri(page.number),
        "lastUri": uri(max(count, 1)),
    }
    if page.number > 1:
        tail["previousUri"] = uri(page.number - 1)
    if page.number < count:
        tail["nextUri"] = uri(page.number + 1)
    return joined("entities", items, tail)


def joined(key: str, items: Iterable[str], tail: dict[str, object], media_type: str = "application/json") -> Response:
    """Build ``{key: [items], **tail}`` without serialising the items again."""
    rest = json.dumps(tail, ensure_ascii=False, separators=(",", ":"))[1:]
    text = f'{{"{key}":[{",".join(items)}],{rest}'
    return Response(text.encode(), media_type=media_type)
