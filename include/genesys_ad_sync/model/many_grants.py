"""Grants in large numbers, in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from genesys_ad_sync.model.directory import Guid
from genesys_ad_sync.model.identity import Grant


class ManyGrants(Sequence[Grant]):
    """Grants in a third of the memory that as many objects take.

    A million memberships are as many grants. Each is made when it is asked for.
    """

    __slots__ = ("_by_dry_run", "_group_guids", "_groups", "_user_guids", "_users", "_was_manual")
    __hash__ = None  # type: ignore[assignment]  # it grows

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._groups: list[str] = []
        self._users: list[str] = []
        self._user_guids: list[Guid] = []
        self._group_guids: list[Guid] = []
        self._by_dry_run = bytearray()
        self._was_manual = bytearray()
        self.extend(grants)

    def extend(self, grants: Iterable[Grant]) -> None:
        """Add grants."""
        for one in grants:
            self.add(
                one.genesys_group_id,
                one.genesys_user_id,
                one.user_guid,
                one.group_guid,
                by_dry_run=one.by_dry_run,
                was_manual=one.was_manual,
            )

    def add(
        self,
        genesys_group_id: str,
        genesys_user_id: str,
        user_guid: Guid,
        group_guid: Guid,
        *,
        by_dry_run: bool = False,
        was_manual: bool = False,
    ) -> None:
        """Add one grant by its values: see `Grant`."""
        self._groups.append(genesys_group_id)
        self._users.append(genesys_user_id)
        self._user_guids.append(user_guid)
        self._group_guids.append(group_guid)
        self._by_dry_run.append(by_dry_run)
        self._was_manual.append(was_manual)

    @property
    def user_guids(self) -> Sequence[Guid]:
        """Return the AD user of each grant."""
        return self._user_guids

    @property
    def memberships(self) -> Iterator[tuple[str, str]]:
        """Return the (Genesys group, Genesys user) of each grant."""
        return zip(self._groups, self._users, strict=True)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[Grant]:
        return map(
            Grant,
            self._groups,
            self._users,
            self._user_guids,
            self._group_guids,
            map(bool, self._by_dry_run),
            map(bool, self._was_manual),
        )

    @overload
    def __getitem__(self, index: int) -> Grant: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Grant, ...]: ...
    def __getitem__(self, index: int | slice) -> Grant | tuple[Grant, ...]:
        if isinstance(index, slice):
            return tuple(self[at] for at in range(*index.indices(len(self))))
        return Grant(
            self._groups[index],
            self._users[index],
            self._user_guids[index],
            self._group_guids[index],
            bool(self._by_dry_run[index]),
            bool(self._was_manual[index]),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (ManyGrants, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(mine == one for mine, one in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"ManyGrants({list(self)!r})"
