"""Processes of their own for what is measured: their peak of memory is that of one measurement."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

_IMPORTED = [
    "benchmarks.synthetic",
    "genesys_ad_sync.polling.poller",
    "genesys_ad_sync_airflow.active_directory.hook",
    "sandbox.active_directory",
]


def in_a_process(work: Callable[..., Result], *args: Any) -> Result:
    """Return what the function returns in a new process.

    The process is a fork of one that has done nothing but import Airflow and the product. To import them each time took
    most of the time of a small benchmark.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(work, *args).result()
