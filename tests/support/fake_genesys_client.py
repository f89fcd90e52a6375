"""A `GenesysClient` without HTTP: routes to a function and notes what was called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.paging import list_page, read_pages
from genesys_ad_sync.genesys.request_counts import RequestCounts


@dataclass(frozen=True)
class Called:
    method: str
    path: str
    params: Mapping[str, Any]
    json: Any
    idempotent: bool | None


@dataclass
class FakeGenesysClient:
    answer: Callable[[Called], Any]  # gives the body, or an ApiResponse; or raises
    called: list[Called] = field(default_factory=list)
    request_counts: RequestCounts = field(default_factory=RequestCounts)

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
        if before_attempt:
            before_attempt()
        one = Called(method, path, params or {}, json(None) if callable(json) else json, idempotent)
        self.called.append(one)
        self.request_counts.sent(method, path)
        answer = self.answer(one)
        return answer if isinstance(answer, ApiResponse) else ApiResponse(200, answer, "corr")

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        return read_pages(lambda number: list_page(self, path, number, params=params, page_size=page_size), path)
