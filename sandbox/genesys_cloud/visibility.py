"""What the OAuth client sees: groups that are public or its own, users and members of its divisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.options import PRIVATE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.genesys_cloud.entities import Group, User
    from sandbox.genesys_cloud.platform import Platform


def is_listed(platform: Platform, group: Group) -> bool:
    """Tell whether listings and searches show the group to the client."""
    return not _is_private(platform, group) and not _is_elsewhere(platform, group.division)


def group_of(platform: Platform, group_id: str) -> Group:
    """Return a group by its id. Raises RefusalError for one that does not exist, or that the client may not see."""
    group = platform.state.groups.get(group_id)
    if group is None or group.state == "deleted" or _is_elsewhere(platform, group.division):
        raise refusals.not_found(group_id)
    if _is_private(platform, group):
        if platform.options.private_group_by_id == "not_found":
            raise refusals.not_found(group_id)
        if platform.options.private_group_by_id == "forbidden":
            raise refusals.not_authorized()
    return group


def sees_user(platform: Platform, user: User) -> bool:
    """Tell whether the user is of a division of the client's role."""
    return not _is_elsewhere(platform, user.division)


def shown_members(platform: Platform, user_ids: Iterable[str]) -> list[str]:
    """Return those of a group's members that its listings show to the client."""
    return [user_id for user_id in user_ids if _is_shown_as_member(platform, platform.state.users.get(user_id))]


def _is_shown_as_member(platform: Platform, user: User | None) -> bool:
    if user is None:  # an id that was accepted although nobody has it
        return True
    seen = platform.options.individuals_divisions == "all" or sees_user(platform, user)
    return seen and user.state in platform.options.individuals_states


def _is_private(platform: Platform, group: Group) -> bool:
    is_private = group.visibility != "public" or group.id in platform.options.private_groups
    return is_private and PRIVATE_GROUPS not in platform.options.permissions


def _is_elsewhere(platform: Platform, division: str | None) -> bool:
    own = platform.options.client_divisions
    return own is not None and division is not None and division not in own
