"""Looks up users by external ids: Genesys takes one in a request."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from genesys_ad_sync.genesys.errors import BadRequest
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.model import GenesysUser


def users_by_external_ids(
    gateway: GenesysGateway, authority: str, keys: Iterable[str]
) -> tuple[dict[str, list[GenesysUser]], Collection[str]]:
    """Return the users by key, and the refused keys. Raises GenesysError.

    A key that Genesys refuses, such as ".", concerns one user only.
    """
    found: dict[str, list[GenesysUser]] = {}
    refused: list[str] = []
    for key in keys:
        try:
            user = gateway.user_by_external_id(authority, key)
        except BadRequest:
            refused.append(key)
        else:
            found[key] = [user] if user else []
    return found, refused
