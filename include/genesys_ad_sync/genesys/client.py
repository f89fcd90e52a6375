"""The calls that the domain needs of an HTTP client for Genesys Cloud.

Tokens, retries and pacing belong to `genesys_ad_sync_airflow.genesys_cloud`, which implements `GenesysClient`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from genesys_ad_sync.genesys.errors import BadRequest
from genesys_ad_sync.genesys.request_counts import (
    RequestCounts,
    endpoint_of,  # noqa: F401 (shim until the rooms are merged)
)


@dataclass(frozen=True)
class ApiResponse:
    """A good answer. ``body``: the parsed JSON, None if there is none."""

    status: int
    body: Any
    correlation_id: str | None


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
        """Send the request, and repeat it where that is right.

        - ``path`` begins with ``/api/v2/``.
        - ``idempotent`` None: as the method is (GET, HEAD, PUT, DELETE are). True: the caller guarantees that this very
          request may be repeated whatever became of the first, also after a version conflict. False: it is never
          repeated when the first may have been carried out.
        - ``json`` may be a function that makes a new body for each attempt. Its argument is the error of the attempt
          before (None at first). It may call the client; an exception of it ends the call.
        - ``before_attempt`` is called before each sending, repetitions included. An exception of it ends the call.

        Raises a GenesysError if there is no result.
        """
        ...

    def pages(
        self, path: str, *, params: Mapping[str, Any] | None = None, page_size: int = 100
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the entities of a listing. Raises IncompleteListing when a page is missing."""
        ...

    def share_ceiling(self, instances: int) -> None:
        """Divide the connection's own ceiling among ``instances`` that may send at the same time.

        Genesys' own limit needs no dividing: its headers count all clients of the token.
        """
        ...


def path_segment(value: str) -> str:
    """Quote ``value`` as one segment of a path.

    Raises BadRequest for a value that would change the path.
    """
    if value.strip() in ("", ".", ".."):
        raise BadRequest("An id must not be empty or consist of dots")
    return quote(value, safe="")


from genesys_ad_sync.genesys.paging import (  # noqa: E402, F401 (shim until the rooms are merged)
    Page,
    id_of,
    list_page,
    page_of,
    read_pages,
)
