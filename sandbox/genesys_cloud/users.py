"""`/api/v2/users`: listing, one user, PATCH, search, and the look-up by external id."""

# Without `from __future__ import annotations`: FastAPI reads the annotations of routes at run time.

import json
import zlib
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals, search, visibility
from sandbox.genesys_cloud.dependencies import CurrentPlatform
from sandbox.genesys_cloud.entities import STATES, Group, User
from sandbox.genesys_cloud.platform import Exchange, Platform, as_version, json_body

_WRITABLE = ("name", "email", "title", "department")  # of UpdateUser's, those that the sandbox keeps

routes = APIRouter(prefix="/api/v2/users")


@routes.get("")
async def list_users(request: Request, platform: CurrentPlatform) -> Response:
    options = platform.options
    page = paging.page_of(request, options.max_page_size)
    wanted_state = request.query_params.get("state", "active")
    if wanted_state not in (*STATES, "any"):
        raise refusals.invalid_value(wanted_state, "state", ", ".join((*STATES, "any")))
    cap = options.inactive_users_cap
    if wanted_state == "inactive" and cap is not None and page.number * page.size > cap:
        raise refusals.bad_request(f"Inactive users beyond {cap} cannot be listed.")
    users = platform.state.users_by_name(wanted_state, descending=paging.descending(request))
    wanted = paging.listed(request, "id")
    if wanted:
        limit = options.max_user_ids
        if limit is not None and len(wanted) > limit:
            raise refusals.RefusalError(400, "max.user.ids", f"Only {limit} users can be requested at a time.")
        users = [user for user in users if user.id in set(wanted)]
    shown = users if options.client_divisions is None else [u for u in users if visibility.sees_user(platform, u)]
    total = len(users if options.totals_count_hidden else shown)
    expand = paging.listed(request, "expand")
    return paging.entities(request, (_text(platform, user, expand) for user in page.of(shown)), page, total)


@routes.get("/search")
async def search_again(request: Request, platform: CurrentPlatform) -> Response:
    return _search(platform, search.from_q64(request.query_params.get("q64")))


@routes.post("/search")
async def search_users(request: Request, platform: CurrentPlatform) -> Response:
    return _search(platform, json_body(request))


@routes.get("/externalid/{authority}/{key:path}")
async def get_by_external_id(request: Request, platform: CurrentPlatform, authority: str, key: str) -> Response:
    """Answer with the user of an external id, case-sensitive in both parts."""
    user_id = platform.state.external_ids.get((authority, key))
    user = platform.state.users.get(user_id or "")
    if user is None or user.state == "deleted" or not visibility.sees_user(platform, user):
        raise refusals.not_found(f"{authority}/{key}")
    return _answer(platform, user, paging.listed(request, "expand"))


@routes.get("/{user_id}")
async def get_user(request: Request, platform: CurrentPlatform, user_id: str) -> Response:
    user = _existing(platform, user_id, deleted=request.query_params.get("state") in ("deleted", "any"))
    return _answer(platform, user, paging.listed(request, "expand"))


@routes.delete("/{user_id}")
async def delete_user(platform: CurrentPlatform, user_id: str) -> Response:
    platform.access.require("admin", "directory:user:delete", "directory:organization:admin")
    _existing(platform, user_id, deleted=False)
    platform.state.change_user(user_id, {"state": "deleted"})
    return refusals.json_response({})


@routes.patch("/{user_id}")
async def patch_user(request: Request, platform: CurrentPlatform, user_id: str) -> Response:
    platform.access.require("admin", "directory:user:edit", "directory:organization:admin")
    user = _existing(platform, user_id, deleted=True)  # PATCH can restore a deleted user
    body = json_body(request)
    if not isinstance(body, dict):
        raise refusals.bad_request("The body must be an object.")
    if body.get("version") is None:
        raise refusals.bad_request("version is required: the current version of the user.")
    version = as_version(body["version"])
    groups = _wanted_groups(platform, body)
    if version != user.version:
        raise refusals.conflict("user", int(platform.options.conflict))
    if body.get("state") is not None:  # "If specified, it is the only modifiable field."
        if body["state"] not in STATES:
            raise refusals.invalid_value(body["state"], "state", ", ".join(STATES))
        platform.state.change_user(user_id, {"state": body["state"]})
        return _answer(platform, user)
    if user.state == "deleted":
        raise refusals.not_found(user_id)
    touched: list[Group] = []
    if groups is not None and platform.options.user_patch_groups == "honoured":
        touched = _replace_groups(platform, Exchange.of(request), user_id, groups)
    platform.state.change_user(user_id, {name: body[name] for name in _WRITABLE if name in body})
    for group in touched:
        members.check_answered(platform, group)
    return _answer(platform, user)


# -- steps of the routes ---------------------------------------------------------------------------------------------


def _search(platform: Platform, asked: Any) -> Response:
    platform.access.require("directory:user:view")
    body = search.check_request(asked)
    ids = platform.user_index.find(body.get("query", []), platform.options)
    found = [platform.state.users[user_id] for user_id in ids]
    if not search.names_field(body.get("query", []), "state"):
        found = [user for user in found if user.state in platform.options.search_default_states]
    shown = found
    if platform.options.search_divisions == "own":
        shown = [user for user in found if visibility.sees_user(platform, user)]
    shown.sort(key=lambda user: (user.name.casefold(), user.id), reverse=body.get("sortOrder") == "DESC")
    total = len(found if platform.options.totals_count_hidden else shown)
    expand = body.get("expand") or []
    return search.respond(body, shown, "users", platform.options, lambda user: _text(platform, user, expand), total)


def _existing(platform: Platform, user_id: str, *, deleted: bool) -> User:
    user = platform.state.users.get(user_id)
    if user is None or (user.state == "deleted" and not deleted) or not visibility.sees_user(platform, user):
        raise refusals.not_found(user_id)
    return user


def _wanted_groups(platform: Platform, body: dict[str, Any]) -> list[str] | None:
    """Read the ids of `groups`, which holds Group objects; None if it is not there."""
    if body.get("groups") is None:
        return None
    groups = body["groups"]
    if not isinstance(groups, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) for item in groups
    ):
        raise refusals.bad_request("groups is a list of Group objects, each with an id.")
    if platform.options.user_patch_groups == "rejected":
        raise refusals.bad_request("groups cannot be changed through this endpoint.")
    return [item["id"] for item in groups]


def _replace_groups(platform: Platform, exchange: Exchange, user_id: str, wanted: list[str]) -> list[Group]:
    """Make the user a member of these groups, and of no others. Return the groups that this concerns."""
    state = platform.state
    for group_id in wanted:
        if group_id not in state.groups:
            raise refusals.bad_request(f"Group {group_id} does not exist.")
    present = state.groups_of(user_id)
    if platform.options.user_patch_hidden_groups == "kept":
        present = [group_id for group_id in present if visibility.is_listed(platform, state.groups[group_id])]
    missing = [visibility.group_of(platform, group_id) for group_id in dict.fromkeys(wanted) if group_id not in present]
    unwanted = [state.groups[group_id] for group_id in present if group_id not in wanted]
    for group in (*missing, *unwanted):
        members.check_writable(platform, group)
    joining = [group.id for group in missing if members.admissible(platform, group, [user_id])]
    leaving = [group.id for group in unwanted if members.leaving(platform, group, [user_id])]
    for group_id in exchange.carried_out([*joining, *leaving]):
        if group_id in joining:
            state.change_members(group_id, add=[user_id])
        else:
            state.change_members(group_id, remove=[user_id])
    return [*missing, *unwanted]


def _text(platform: Platform, user: User, expand: list[str]) -> str:
    """Serialise a user, with its `groups` if ``expand`` asks for them."""
    options = platform.options
    if "groups" not in expand or options.expand_groups == "never":
        return user.as_text()
    if options.expand_groups == "sometimes" and zlib.crc32(user.id.encode()) % 2:
        return user.as_text()  # best effort: the key is just not there
    ids = platform.state.groups_of(user.id, with_rules=options.expand_groups_includes_rules)
    if not options.expand_groups_includes_hidden:
        ids = [group_id for group_id in ids if visibility.is_listed(platform, platform.state.groups[group_id])]
    groups = [{"id": group_id, "selfUri": f"/api/v2/groups/{group_id}"} for group_id in ids]
    return f'{user.as_text()[:-1]},"groups":{json.dumps(groups)}}}'


def _answer(platform: Platform, user: User, expand: list[str] | None = None) -> Response:
    return Response(_text(platform, user, expand or []).encode(), media_type="application/json")
