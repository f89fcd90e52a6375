"""The rules about whom a group takes in and lets go, which the group routes, SCIM and PATCH user share."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.genesys_cloud import refusals
from sandbox.genesys_cloud.platform import Platform
from sandbox.genesys_cloud.refusals import Refusal
from sandbox.genesys_cloud.state import Group


def admissible(platform: Platform, group: Group, user_ids: Sequence[str]) -> list[str]:
    """Those of the ids that an add takes. Refuses the whole request for one that it must not take."""
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
    """Those of the ids that a remove finds in the group."""
    found: list[str] = []
    for user_id in dict.fromkeys(user_ids):
        if user_id in group.individuals:
            found.append(user_id)
        elif platform.options.member_not_there == "refuse":
            raise _refused(platform.options.refuse_member_status, f"User {user_id} is no member.", user_id)
    return found


def check_writable(platform: Platform, group: Group) -> None:
    if group.dynamic and platform.options.dynamic_group_writes == "refuse":
        raise refusals.bad_request(f"The membership of group {group.id} is dynamic.", scim_type="mutability")


def _check_room(platform: Platform, group: Group, user_id: str) -> None:
    limit = platform.options.max_groups_per_user
    if limit is None:
        return
    ids = platform.state.groups_of(user_id)
    if len(ids) >= limit and sum(platform.state.groups[one].type == group.type for one in ids) >= limit:
        raise _refused(400, f"User {user_id} is in {limit} {group.type} groups, which is the maximum.", user_id)


def _refused(status: int, message: str, user_id: str) -> Refusal:
    code = "not.found" if status == 404 else "bad.request"
    return Refusal(status, code, message, scim_type="invalidValue" if status == 400 else None, entity_id=user_id)
