"""`/api/v2/users`: listing, one user, PATCH, search, and the look-up by external id."""

from __future__ import annotations

import json
import zlib
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals, search
from sandbox.genesys_cloud.platform import Exchange, Platform, as_version, json_body
from sandbox.genesys_cloud.state import STATES, User

_SEARCH_FIELDS = {
    "id": "id",
    "name": "name",
    "email": "email",
    "username": "username",
    "state": "state",
    "title": "title",
    "department": "department",
}
_WRITABLE = ("name", "email", "title", "department")  # of UpdateUser's, those that the sandbox keeps


def router(platform: Platform) -> APIRouter:
    routes = APIRouter(prefix="/api/v2/users")
    state, options = platform.state, platform.options
    index: dict[object, search.SearchIndex] = {}

    @routes.get("")
    async def list_users(request: Request) -> Response:
        page = paging.page_of(request, options.max_page_size)
        wanted_state = request.query_params.get("state", "active")
        if wanted_state not in (*STATES, "any"):
            raise refusals.invalid_value(wanted_state, "state", ", ".join((*STATES, "any")))
        cap = options.inactive_users_cap
        if wanted_state == "inactive" and cap is not None and page.number * page.size > cap:
            raise refusals.bad_request(f"Inactive users beyond {cap} cannot be listed.")
        users = state.users_by_name(wanted_state, descending=paging.descending(request))
        wanted = paging.listed(request, "id")
        if wanted:
            if options.max_user_ids is not None and len(wanted) > options.max_user_ids:
                raise refusals.Refusal(
                    400, "max.user.ids", f"Only {options.max_user_ids} users can be requested at a time."
                )
            users = [user for user in users if user.id in set(wanted)]
        expand = expands_groups(paging.listed(request, "expand"))
        return paging.entities(request, (text(user, expand) for user in page.of(users)), page, len(users))

    @routes.get("/search")
    async def search_again(request: Request) -> Response:
        return run_search(search.from_q64(request.query_params.get("q64")))

    @routes.post("/search")
    async def search_users(request: Request) -> Response:
        return run_search(json_body(request))

    def run_search(asked: Any) -> Response:
        platform.access.require("directory:user:view")
        body = search.check_request(asked)
        if state.generation not in index:
            index.clear()
            index[state.generation] = search.SearchIndex(state.users, _SEARCH_FIELDS)
        ids = index[state.generation].find(body.get("query", []), options)
        found = [state.users[one] for one in ids]
        if not search.names_field(body.get("query", []), "state"):
            found = [user for user in found if user.state in options.search_default_states]
        found.sort(key=lambda user: (user.name.casefold(), user.id), reverse=body.get("sortOrder") == "DESC")
        expand = expands_groups(body.get("expand") or [])
        return search.respond(body, found, "users", options, lambda user: text(user, expand))

    @routes.get("/externalid/{authority}/{key:path}")
    async def get_by_external_id(request: Request, authority: str, key: str) -> Response:
        """Case-sensitive in both parts."""
        user_id = state.external_ids.get((authority, key))
        if user_id is None or state.users[user_id].state == "deleted":
            raise refusals.not_found(f"{authority}/{key}")
        return one(state.users[user_id], expands_groups(paging.listed(request, "expand")))

    @routes.get("/{user_id}")
    async def get_user(request: Request, user_id: str) -> Response:
        user = existing(user_id, deleted=request.query_params.get("state") in ("deleted", "any"))
        return one(user, expands_groups(paging.listed(request, "expand")))

    @routes.patch("/{user_id}")
    async def patch_user(request: Request, user_id: str) -> Response:
        platform.access.require("admin", "directory:user:edit", "directory:organization:admin")
        user = existing(user_id, deleted=True)  # PATCH can restore a deleted user
        body = json_body(request)
        if not isinstance(body, dict):
            raise refusals.bad_request("The body is no object.")
        if body.get("version") is None:
            raise refusals.bad_request("version is required: the current version of the user.")
        version = as_version(body["version"])
        groups = wanted_groups(body)
        if version != user.version:
            raise refusals.conflict("user", int(options.conflict))
        if body.get("state") is not None:  # "If specified, it is the only modifiable field."
            if body["state"] not in STATES:
                raise refusals.invalid_value(body["state"], "state", ", ".join(STATES))
            state.change_user(user_id, {"state": body["state"]})
            return one(user, expand=False)
        if user.state == "deleted":
            raise refusals.not_found(user_id)
        if groups is not None and options.user_patch_groups == "honoured":
            replace_groups(request, user_id, groups)
        state.change_user(user_id, {name: body[name] for name in _WRITABLE if name in body})
        return one(user, expand=False)

    def wanted_groups(body: dict[str, Any]) -> list[str] | None:
        """Ids of `groups`, which holds Group objects; None if it is not there."""
        if body.get("groups") is None:
            return None
        groups = body["groups"]
        if not isinstance(groups, list) or not all(
            isinstance(item, dict) and isinstance(item.get("id"), str) for item in groups
        ):
            raise refusals.bad_request("groups is a list of Group objects, each with an id.")
        if options.user_patch_groups == "rejected":
            raise refusals.bad_request("groups cannot be changed through this endpoint.")
        return [item["id"] for item in groups]

    def replace_groups(request: Request, user_id: str, wanted: list[str]) -> None:
        """The whole list: what is not in it is left."""
        for group_id in wanted:
            if group_id not in state.groups:
                raise refusals.bad_request(f"Group {group_id} does not exist.")
        present = state.groups_of(user_id)
        joining = [group_id for group_id in dict.fromkeys(wanted) if group_id not in present]
        joining = [one for one in joining if members.admissible(platform, state.groups[one], [user_id])]
        leaving = [group_id for group_id in present if group_id not in wanted]
        changes = Exchange.of(request).carried_out([*joining, *leaving])
        for group_id in changes:
            if group_id in joining:
                state.change_members(group_id, add=[user_id])
            else:
                state.change_members(group_id, remove=[user_id])

    def existing(user_id: str, *, deleted: bool) -> User:
        user = state.users.get(user_id)
        if user is None or (user.state == "deleted" and not deleted):
            raise refusals.not_found(user_id)
        return user

    def expands_groups(values: list[str]) -> bool:
        return "groups" in values

    def text(user: User, expand: bool) -> str:
        if not expand or options.expand_groups == "never":
            return user.as_text()
        if options.expand_groups == "sometimes" and zlib.crc32(user.id.encode()) % 2:
            return user.as_text()  # best effort: the key is just not there
        ids = state.groups_of(user.id, with_rules=options.expand_groups_includes_rules)
        groups = [{"id": group_id, "selfUri": f"/api/v2/groups/{group_id}"} for group_id in ids]
        return f'{user.as_text()[:-1]},"groups":{json.dumps(groups)}}}'

    def one(user: User, expand: bool) -> Response:
        return Response(text(user, expand).encode(), media_type="application/json")

    return routes
