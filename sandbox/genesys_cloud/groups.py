"""`/api/v2/groups`: listing, one group, its individuals and members, adding and deleting members, search."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals, search
from sandbox.genesys_cloud.platform import Exchange, Platform, as_version, json_body
from sandbox.genesys_cloud.state import Group

_SEARCH_FIELDS = {"id": "id", "name": "name", "state": "state", "type": "type"}


def router(platform: Platform) -> APIRouter:
    routes = APIRouter(prefix="/api/v2/groups")
    state, options = platform.state, platform.options
    index: dict[object, search.SearchIndex] = {}

    @routes.get("")
    async def list_groups(request: Request) -> Response:
        page = paging.page_of(request, options.max_page_size)
        wanted = paging.listed(request, "id")
        groups = [group for group in state.groups.values() if group.state != "deleted"]
        if wanted:
            if paging.listed(request, "jabberId"):
                raise refusals.bad_request("Specify either id or jabberId, not both.")
            groups = [group for group in groups if group.id in set(wanted)]
        _sort(groups, descending=paging.descending(request))
        return paging.entities(request, map(_text, page.of(groups)), page, len(groups))

    @routes.get("/search")
    async def search_again(request: Request) -> Response:
        return run_search(search.from_q64(request.query_params.get("q64")))

    @routes.post("/search")
    async def search_groups(request: Request) -> Response:
        return run_search(json_body(request))

    def run_search(asked: Any) -> Response:
        body = search.check_request(asked)
        if state.generation not in index:
            index.clear()
            index[state.generation] = search.SearchIndex(state.groups, _SEARCH_FIELDS)
        ids = index[state.generation].find(body.get("query", []), options)
        found = [state.groups[one] for one in ids]
        if not search.names_field(body.get("query", []), "state"):
            found = [group for group in found if group.state == "active"]
        _sort(found, descending=body.get("sortOrder") == "DESC")
        return search.respond(body, found, "groups", options, _text)

    @routes.get("/{group_id}")
    async def get_group(request: Request, group_id: str) -> Response:
        group = existing(group_id)
        _, version = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
        return refusals.json_response(group.as_json(version))

    @routes.get("/{group_id}/dynamicsettings")
    async def get_dynamic_settings(group_id: str) -> Response:
        platform.access.require("directory:group:view")
        if not existing(group_id).dynamic:
            raise refusals.not_found(group_id)
        return refusals.json_response({"groupId": group_id, "query": {"conditions": []}})

    @routes.get("/{group_id}/individuals")
    async def get_individuals(request: Request, group_id: str) -> Response:
        """All of them in one answer; the call has no paging parameters."""
        paging_params = {"pageSize", "pageNumber", "sortOrder"} & set(request.query_params)
        if paging_params and options.individuals_paging == "refuse":
            raise refusals.bad_request(f"Unknown parameter: {', '.join(sorted(paging_params))}")
        individuals, _ = existing(group_id).as_of(platform.clock() - Exchange.of(request).seconds_ago)
        texts = _user_texts(user_id for user_id in individuals if listed(user_id))
        shown = texts if options.individuals_limit is None else texts[: options.individuals_limit]
        return paging.entities(request, shown, paging.Page(max(len(texts), 1), 1), len(texts))

    @routes.get("/{group_id}/members")
    async def get_members(request: Request, group_id: str) -> Response:
        """Individuals, owners and people whom rules include."""
        page = paging.page_of(request, options.members_max_page_size)
        group = existing(group_id)
        individuals, _ = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
        ids = [user_id for user_id in group.members(individuals) if listed(user_id)]
        ids.sort(key=_name_of, reverse=paging.descending(request))
        return paging.entities(request, _user_texts(page.of(ids)), page, len(ids))

    @routes.post("/{group_id}/members")
    async def add_members(request: Request, group_id: str) -> Response:
        may_write_members()
        group = existing(group_id)
        body = json_body(request)
        if not isinstance(body, dict):
            raise refusals.bad_request("The body is no object.")
        ids = body.get("memberIds")
        if not isinstance(ids, list) or not ids or not all(isinstance(one, str) and one for one in ids):
            raise refusals.bad_request("memberIds is required: a list of user ids.")
        if body.get("version") is None:
            raise refusals.bad_request("version is required: the current version of the group.")
        version = as_version(body["version"])
        check_count(len(ids))
        members.check_writable(platform, group)
        if version != group.version:
            raise refusals.conflict("group", int(options.conflict))
        taken = members.admissible(platform, group, ids)
        state.change_members(group_id, add=Exchange.of(request).carried_out(taken))
        return refusals.json_response({}, 202)

    @routes.delete("/{group_id}/members")
    async def delete_members(request: Request, group_id: str) -> Response:
        may_write_members()
        group = existing(group_id)
        # One comma-separated text; no version is asked for.
        ids = [one for one in request.query_params.get("ids", "").split(",") if one]
        if not ids:
            raise refusals.bad_request("ids is required: user ids, separated by commas.")
        check_count(len(ids))
        members.check_writable(platform, group)
        found = members.removable(platform, group, ids)
        state.change_members(group_id, remove=Exchange.of(request).carried_out(found))
        return refusals.json_response({}, 202)

    def existing(group_id: str) -> Group:
        group = state.groups.get(group_id)
        if group is None or group.state == "deleted":
            raise refusals.not_found(group_id)
        return group

    def may_write_members() -> None:
        if options.members_need_permission:
            platform.access.require("directory:group:edit")

    def check_count(count: int) -> None:
        if count > options.max_members_per_request:
            raise refusals.bad_request(
                f"A maximum of {options.max_members_per_request} members are allowed per request, got {count}."
            )

    def listed(user_id: str) -> bool:
        user = state.users.get(user_id)
        return user is None or user.state in options.individuals_states

    def _name_of(user_id: str) -> tuple[str, str]:
        user = state.users.get(user_id)
        return (user.name.casefold() if user else "", user_id)

    def _user_texts(user_ids: Iterable[str]) -> list[str]:
        texts = []
        for user_id in user_ids:
            user = state.users.get(user_id)
            # An id that was accepted although nobody has it.
            texts.append(user.as_text() if user else json.dumps({"id": user_id, "selfUri": f"/api/v2/users/{user_id}"}))
        return texts

    return routes


def _sort(groups: list[Group], *, descending: bool) -> None:
    groups.sort(key=lambda group: (group.name.casefold(), group.id), reverse=descending)


def _text(group: Group) -> str:
    return json.dumps(group.as_json(), ensure_ascii=False, separators=(",", ":"))
