"""Ids of the company's Genesys Cloud, the same in every run."""

from __future__ import annotations

import functools
import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "genesys-ad-sync.sandbox.example.com")


@functools.cache
def genesys_id(kind: str, name: str) -> str:
    """Return the UUID of a name: the same in every run."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))
