"""Read a multi-valued attribute range by range. Knows no connection: the caller sends the searches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from genesys_ad_sync.directory import ldap_controls as ctl

log = logging.getLogger(__name__)

RANGE_SIZE = 1500  # values per range; AD's MaxValRange is 1500, a server may choose less
RANGE_ATTEMPTS = 3  # how often an attribute is read from its start when it changes meanwhile

Ask = Callable[[str], dict[str, list[bytes]]]
"""Sends a search for one attribute (``member;range=0-1499``) and returns the attributes of the answer."""


def read_values(ask: Ask, attribute: str, seen: Sequence[bytes] = ()) -> list[bytes] | None:
    """Return all values of one attribute, or None if it never came complete.

    ``seen``: the values from index 0 on that are already known.

    Each range begins with the last known value. When a value is removed, all later ones move down by one index; the
    overlap shows that, so that no value is skipped. The attribute is then read again from its start, at most
    ``RANGE_ATTEMPTS`` times.
    """
    for attempt in range(RANGE_ATTEMPTS):
        values = list(seen) if attempt == 0 else []
        if _read_to_the_end(ask, attribute, values):
            return values
        log.debug("range retrieval of %s starts again", attribute)
    return None


def read_ranges(ask: Ask, attribute: str) -> Iterator[list[bytes]]:
    """Yield the values of one attribute, range by range, without overlap.

    Raises ValueError for a range that is missing, or that is not what its name says.
    """
    low = 0
    while True:
        part = ctl.find_range(ask(f"{attribute};range={low}-{low + RANGE_SIZE - 1}"), attribute)
        if part is None and low:
            raise ValueError(f"the range from {low} on is missing")
        if part is None:
            return
        if part.low != low or not (part.values or part.last):
            raise ValueError(f"the range from {low} on begins at {part.low}")
        yield part.values
        if part.last:
            return
        low += len(part.values)


def _read_to_the_end(ask: Ask, attribute: str, values: list[bytes]) -> bool:
    """Append the remaining values to ``values``. False: they shifted meanwhile, or a range is missing."""
    while True:
        low = max(len(values) - 1, 0)
        attributes = ask(f"{attribute};range={low}-{low + RANGE_SIZE - 1}")
        try:
            part = ctl.find_range(attributes, attribute)
        except ValueError:
            return False
        if part is None:
            return not values  # an object without values; or, further on, a range that should be there
        if part.low != low or (values and _links(part.values[:1]) != _links(values[low:])):
            return False
        fresh = part.values[1:] if values else part.values
        values += fresh
        if part.last:
            return True
        if not fresh:
            return False


def _links(values: Sequence[bytes]) -> list[bytes]:
    """Return link values without their TTLs, which run down from one request to the next."""
    return [ctl.split_ttl(value)[0] for value in values]
