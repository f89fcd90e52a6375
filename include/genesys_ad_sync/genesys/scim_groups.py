"""Lists groups by SCIM: it alone shows their externalId."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from genesys_ad_sync.genesys.client import GenesysClient
from genesys_ad_sync.genesys.errors import UnexpectedAnswer
from genesys_ad_sync.genesys.paging import Page, read_pages

SCIM_PAGE_SIZE = 25  # "page size over 25 may exceed internal resource limits" where externalId is asked for


def scim_groups(client: GenesysClient) -> Iterator[dict[str, Any]]:
    """Yield the id and externalId of each group, as SCIM has them. Raises GenesysError."""
    path = "/api/v2/scim/v2/groups"

    def fetch(number: int) -> Page:
        start = (number - 1) * SCIM_PAGE_SIZE + 1
        answer = client.call(
            "GET", path, params={"startIndex": start, "count": SCIM_PAGE_SIZE, "attributes": "id,externalId"}
        )
        body = answer.body
        if not isinstance(body, dict) or not isinstance(body.get("totalResults"), int):
            raise UnexpectedAnswer("The answer is not a SCIM listing", method="GET", path=path, status=answer.status)
        total = body["totalResults"]
        return Page(number, tuple(body.get("Resources") or ()), total, math.ceil(total / SCIM_PAGE_SIZE))

    return read_pages(fetch, path)
