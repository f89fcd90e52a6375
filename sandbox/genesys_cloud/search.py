"""`POST /users/search` and `/groups/search`: criteria over an index, and the envelope of search.

The index is built once per state of the organisation and kept: 50 addresses among 20,000 users are 50 look-ups.
"""

from __future__ import annotations

import base64
import json
import math
import re
from typing import TYPE_CHECKING, Any

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.paging import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.responses import Response

    from sandbox.genesys_cloud.options import SandboxOptions

TYPES = (
    "EXACT", "STARTS_WITH", "CONTAINS", "REGEX", "TERM", "TERMS", "REQUIRED_FIELDS", "MATCH_ALL", "QUERY_STRING",
)  # fmt: skip
"""Those of the documented search types that the sandbox answers; ranges make no sense on its fields."""
OPERATORS = ("AND", "OR", "NOT")


class SearchIndex:
    """``items``: id → object; ``fields``: the API's name of each searchable field → the object's."""

    def __init__(self, items: Mapping[str, Any], fields: Mapping[str, str]) -> None:
        self._items = items
        self._fields = fields
        self._by_value: dict[str, dict[str, list[str]]] = {}

    def find(self, criteria: list[Any], options: SandboxOptions) -> set[str]:
        """Return the ids that meet the criteria.

        These are all criteria with AND (the default), none with NOT, and one of those with OR, if there are any.
        """
        found: set[str] | None = None
        either: set[str] = set()
        has_either = False
        neither: set[str] = set()
        for criterion in criteria:
            if not isinstance(criterion, dict):
                raise refusals.bad_request("A query is a list of criteria.")
            operator = criterion.get("operator", "AND")
            if operator not in OPERATORS:
                raise refusals.invalid_value(operator, "operator", ", ".join(OPERATORS))
            matching = self._match(criterion, options)
            if operator == "AND":
                found = matching if found is None else found & matching
            elif operator == "OR":
                either, has_either = either | matching, True
            else:
                neither |= matching
        if found is None:
            found = either if has_either else set(self._items)
        elif has_either:
            found &= either
        return found - neither

    def _match(self, criterion: dict[str, Any], options: SandboxOptions) -> set[str]:
        if criterion.get("group"):
            return self.find(criterion["group"], options)
        kind = criterion.get("type")
        if kind not in TYPES:
            raise refusals.invalid_value(kind, "type", ", ".join(TYPES))
        if kind == "MATCH_ALL":
            return set(self._items)
        fields = criterion.get("fields")
        if not isinstance(fields, list) or not fields:
            raise refusals.bad_request(f"A criterion of type {kind} needs fields.")
        for name in fields:
            if name not in self._fields:
                raise refusals.invalid_value(name, "fields", ", ".join(self._fields))
        if kind == "REQUIRED_FIELDS":
            return {key for key, item in self._items.items() if all(self._value(item, name) for name in fields)}
        values = self._wanted(criterion, options)
        matching: set[str] = set()
        for name in fields:
            for value in values:
                matching.update(self._lookup(kind, name, value, options))
        return matching

    @staticmethod
    def _wanted(criterion: dict[str, Any], options: SandboxOptions) -> list[str]:
        values = criterion.get("values")
        if values is None:
            values = [] if criterion.get("value") is None else [criterion["value"]]
        if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
            raise refusals.bad_request("A criterion needs a value, or a list of values, that are texts.")
        if any(text in value for text in options.search_refuses for value in values):
            raise refusals.bad_request("A value has characters that cannot be searched for.")
        if options.search_max_values is not None and len(values) > options.search_max_values:
            raise refusals.bad_request(
                f"A maximum of {options.search_max_values} values are allowed per criterion, got {len(values)}."
            )
        return values

    def _value(self, item: Any, name: str) -> str:
        return getattr(item, self._fields[name]) or ""

    def _values(self, name: str) -> dict[str, list[str]]:
        """Return ids by lower-cased value."""
        if name not in self._by_value:
            table: dict[str, list[str]] = {}
            for key, item in self._items.items():
                value = self._value(item, name)
                if value:
                    table.setdefault(value.casefold(), []).append(key)
            self._by_value[name] = table
        return self._by_value[name]

    def _lookup(self, kind: str, name: str, value: str, options: SandboxOptions) -> Iterable[str]:
        table = self._values(name)
        if kind == "EXACT" and options.search_exact != "analysed":
            same = table.get(value.casefold(), [])
            if options.search_exact == "match_case":
                return [key for key in same if self._value(self._items[key], name) == value]
            return same
        test = _test(kind, value)
        return [key for text, keys in table.items() if test(text) for key in keys]


def _test(kind: str, value: str) -> Callable[[str], bool]:
    """Return the test of one search type. It takes lower-cased values of a field."""
    folded = value.casefold()
    if kind == "EXACT":  # of an analysed field: one token in common is enough
        first = folded.partition("@")[0]
        return lambda text: first in re.split(r"[@\s]", text)
    if kind == "STARTS_WITH":
        return lambda text: text.startswith(folded)
    if kind == "REGEX":
        try:
            pattern = re.compile(value, re.IGNORECASE)
        except re.error:
            raise refusals.bad_request("The regular expression of a criterion cannot be read.") from None
        return lambda text: pattern.fullmatch(text) is not None
    if kind in ("TERM", "TERMS"):
        return lambda text: folded in re.split(r"[@\s.]", text) or text == folded
    return lambda text: folded in text  # CONTAINS, QUERY_STRING


def names_field(criteria: list[Any], name: str) -> bool:
    """Tell whether any criterion, nested ones included, asks for this field."""
    return any(
        isinstance(criterion, dict)
        and (name in (criterion.get("fields") or ()) or names_field(criterion.get("group") or [], name))
        for criterion in criteria
    )


def check_request(body: Any) -> dict[str, Any]:
    """Check and return the body of a search for users or groups."""
    if not isinstance(body, dict) or not isinstance(body.get("query", []), list):
        raise refusals.bad_request("A search is an object with a list of criteria, query.")
    order = body.get("sortOrder", "ASC")
    if order not in ("ASC", "DESC", "SCORE"):
        raise refusals.invalid_value(order, "sortOrder", "ASC, DESC, SCORE")
    for name in ("pageSize", "pageNumber"):
        value = body.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise refusals.invalid_value(value, name, "whole numbers from 1")
    return body


def from_q64(text: str | None) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(text or ""))
    except ValueError:
        raise refusals.bad_request("q64 cannot be read.") from None


def respond(
    body: dict[str, Any],
    found: Sequence[Any],
    kind: str,
    options: SandboxOptions,
    text: Callable[[Any], str],
    total: int,
) -> Response:
    """Build the envelope of search, which differs from that of listings.

    ``found``: all results that are shown, sorted.
    """
    size, number = body.get("pageSize", 25), body.get("pageNumber", 1)
    if options.search_max_page_size is not None and size > options.search_max_page_size:
        raise refusals.invalid_value(size, "pageSize", f"1 to {options.search_max_page_size}")
    count = math.ceil(total / size)

    def q64(page: int) -> str:
        return base64.urlsafe_b64encode(json.dumps({**body, "pageNumber": page}).encode()).decode()

    tail: dict[str, object] = {
        "total": total,
        "pageCount": count,
        "pageSize": size,
        "pageNumber": number,
        "currentPage": q64(number),
        "types": [kind],
    }
    if number > 1:
        tail["previousPage"] = q64(number - 1)
    if number < count:
        tail["nextPage"] = q64(number + 1)
    return joined("results", [text(item) for item in found[(number - 1) * size : number * size]], tail)
