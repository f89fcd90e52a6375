"""A part of a mapping, without a copy of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class Chosen(Mapping[_K, _V]):
    """The values of some keys, as far as there are any."""

    def __init__(self, values: Mapping[_K, _V], keys: Collection[_K]) -> None:
        self._values = values
        self._keys = keys if isinstance(keys, frozenset) else frozenset(keys)

    def __getitem__(self, key: _K) -> _V:
        if key not in self._keys:
            raise KeyError(key)
        return self._values[key]

    def __iter__(self) -> Iterator[_K]:
        return (key for key in self._keys if key in self._values)

    def __len__(self) -> int:
        return sum(1 for _ in self)
