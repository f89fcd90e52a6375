"""The search for garbage, which only costs time while everything is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Pause the search for cycles in garbage.

    Nearly all that is read is kept, and each search would walk it and all of Airflow: a fifth of the time of
    `benchmarks/poll.py`. Other objects go by their reference count as ever.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
