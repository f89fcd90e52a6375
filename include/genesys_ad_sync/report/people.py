"""AD accounts in words, for reports that may name people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def person(user: Mapping[str, Any] | None) -> str:
    """Name an AD user in one line.

    The name is the CN of the DN, else the mail, else the guid.
    """
    if not user:
        return ""
    return _common_name(user["dn"]) or user["mail"] or user["guid"] or ""


def _common_name(dn: str | None) -> str:
    # RFC 4514: a comma in a name is escaped by a backslash, other bytes as a backslash and two hex digits.
    first = re.match(r"CN=((?:\\.|[^,\\])*)", dn or "", re.IGNORECASE)
    if not first:
        return ""
    return re.sub(
        r"((?:\\[0-9a-fA-F]{2})+)|\\(.)",
        lambda found: (
            bytes.fromhex(found[1].replace("\\", "")).decode("utf-8", errors="replace") if found[1] else found[2]
        ),
        first[1],
    )


def folder(dn: str | None) -> str:
    """Return where in AD an object is: its DN without the first part."""
    return re.sub(r"^(?:\\.|[^,\\])*,", "", dn or "", count=1)
