"""The tree of errors in the docstring of `errors`."""

from __future__ import annotations

import re

from genesys_ad_sync import errors
from genesys_ad_sync.genesys import errors as genesys_errors


def drawn() -> dict[str, str]:
    """Return {name: name of its base} as drawn."""
    above: dict[int, str] = {}
    tree: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.fullmatch(r"([ │├└─]*)([A-Z]\w+)(?:  +.*| [a-z].*)?", line)
        if found and (found[1] or found[2] == "GroupSyncError"):
            depth = len(found[1])
            above = {place: name for place, name in above.items() if place < depth}
            if above:
                tree[found[2]] = above[max(above)]
            above[depth] = found[2]
    return tree


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {
        name: made.__base__.__name__
        for module in (errors, genesys_errors)
        for name, made in vars(module).items()
        if isinstance(made, type) and issubclass(made, errors.GroupSyncError) and made is not errors.GroupSyncError
    }
    assert drawn() == real
