"""Rules of joining and leaving a group, for the group routes, SCIM and PATCH user."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox.genesys_cloud import refusals, visibility
from sandbox.genesys_cloud.refusals import RefusalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.genesys_cloud.entities import Group
    from sandbox.genesys_cloud.platform import Platform


def admissible(platform: Platform, group: Group, user_ids: Sequence[str]) -> list[str]:
    """Return the ids that an add takes.

    Raises RefusalError, for the whole request, if one of them must not be a member.
    """
    options, users = platform.options, platform.state.users
    taken: list[str] = []
    for user_id in dict.fromkeys(user_ids):
        user = users.get(user_id)
        state = "unknown" if user is None else user.state
        policy = {
            "unknown": options.unknown_member,
            "deleted": options.deleted_member,
            "inactive": options.inactive_member,
        }.get(state, "accept")
        if user is not None and not visibility.sees_user(platform, user):
            policy, state = options.member_of_other_division, "of another division"
        if policy == "refuse":
            raise _refused(options.refuse_member_status, f"User {user_id} is {state} and cannot be a member.", user_id)
        if policy == "ignore":
            continue
        if user_id in group.individuals:
            if options.member_already_there == "refuse":
                raise _refused(options.refuse_member_status, f"User {user_id} is a member already.", user_id)
            continue
        _check_room(platform, group, user_id)
        taken.append(user_id)
    return taken


def removable(platform: Platform, group: Group, user_ids: Sequence[str]) -> list[str]:
    """Return the ids that a remove finds in the group.

    Raises RefusalError if one is missing and the options forbid it.
    """
    found: list[str] = []
    for user_id in dict.fromkeys(user_ids):
        if user_id in group.individuals:
            found.append(user_id)
        elif platform.options.member_not_there == "refuse":
            raise _refused(platform.options.refuse_member_status, f"User {user_id} is not a member.", user_id)
    return leaving(platform, group, found)


def leaving(platform: Platform, group: Group, user_ids: Sequence[str]) -> list[str]:
    """Return those of the ids that a remove really takes out.

    Raises RefusalError if the options forbid to remove one of them.
    """
    options, users = platform.options, platform.state.users
    going: list[str] = []
    for user_id in user_ids:
        user = users.get(user_id)
        policy, why = "accept", ""
        if user is not None and not visibility.sees_user(platform, user):
            policy, why = options.member_of_other_division, "is of another division"
        elif group.include_owners and user_id in group.owners:
            policy, why = options.included_owner_removal, "owns the group"
        if policy == "refuse":
            raise _refused(options.refuse_member_status, f"User {user_id} {why} and cannot be removed.", user_id)
        if policy == "accept":
            going.append(user_id)
    return going


def check_writable(platform: Platform, group: Group) -> None:
    """Raise RefusalError if nobody's membership of the group may be written."""
    options = platform.options
    if group.id in options.forbidden_groups:
        raise refusals.not_authorized()
    if group.id in options.missing_groups:
        raise refusals.not_found(group.id)
    if group.id in options.conflicting_groups:
        raise refusals.conflict("group", int(options.conflict))
    if group.id in options.failing_groups:
        raise refusals.with_status(500)
    if group.dynamic and options.dynamic_group_writes == "refuse":
        raise refusals.bad_request(f"The membership of group {group.id} is dynamic.", scim_type="mutability")


def check_answered(platform: Platform, group: Group) -> None:
    """Raise RefusalError if a write that was carried out is answered with an error all the same."""
    if group.id in platform.options.late_groups:
        raise refusals.with_status(504)


def _check_room(platform: Platform, group: Group, user_id: str) -> None:
    limit = platform.options.max_groups_per_user
    if limit is None:
        return
    ids = platform.state.groups_of(user_id)
    if len(ids) >= limit and sum(platform.state.groups[group_id].type == group.type for group_id in ids) >= limit:
        raise _refused(400, f"User {user_id} is in {limit} {group.type} groups, which is the maximum.", user_id)


def _refused(status: int, message: str, user_id: str) -> RefusalError:
    if status == HTTPStatus.NOT_FOUND:
        return RefusalError(status, "not.found", message, entity_id=user_id)
    scim_type = "invalidValue" if status == HTTPStatus.BAD_REQUEST else None
    return RefusalError(status, "bad.request", message, scim_type=scim_type, entity_id=user_id)
