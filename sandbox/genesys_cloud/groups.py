"""`/api/v2/groups`: listing, one group, its individuals and members, changing members, search."""

# Without `from __future__ import annotations`: FastAPI reads the annotations of routes at run time.

import json
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals, search, visibility
from sandbox.genesys_cloud.dependencies import CurrentPlatform
from sandbox.genesys_cloud.entities import Group
from sandbox.genesys_cloud.platform import Exchange, Platform, as_version, json_body

routes = APIRouter(prefix="/api/v2/groups")


@routes.get("")
async def list_groups(request: Request, platform: CurrentPlatform) -> Response:
    page = paging.page_of(request, platform.options.max_page_size)
    wanted = paging.listed(request, "id")
    groups = [group for group in platform.state.groups.values() if group.state != "deleted"]
    if wanted:
        if paging.listed(request, "jabberId"):
            raise refusals.bad_request("Specify either id or jabberId, not both.")
        groups = [group for group in groups if group.id in set(wanted)]
    shown = [group for group in groups if visibility.is_listed(platform, group)]
    _sort(shown, descending=paging.descending(request))
    total = len(groups if platform.options.totals_count_hidden else shown)
    with_owners = platform.options.owners_in_listing
    texts = (_text(group, with_owners=with_owners) for group in page.of(shown))
    return paging.entities(request, texts, page, total)


@routes.get("/search")
async def search_again(request: Request, platform: CurrentPlatform) -> Response:
    return _search(platform, search.from_q64(request.query_params.get("q64")))


@routes.post("/search")
async def search_groups(request: Request, platform: CurrentPlatform) -> Response:
    return _search(platform, json_body(request))


@routes.get("/{group_id}")
async def get_group(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    group = visibility.group_of(platform, group_id)
    _, version = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
    return refusals.json_response(group.as_json(version))


@routes.get("/{group_id}/dynamicsettings")
async def get_dynamic_settings(platform: CurrentPlatform, group_id: str) -> Response:
    platform.access.require("directory:group:view")
    if not visibility.group_of(platform, group_id).dynamic:
        raise refusals.not_found(group_id)
    return refusals.json_response({"groupId": group_id, "query": {"conditions": []}})


@routes.get("/{group_id}/individuals")
async def get_individuals(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    """Answer with all of them: the call has no paging parameters."""
    options = platform.options
    paging_params = {"pageSize", "pageNumber", "sortOrder"} & set(request.query_params)
    if paging_params and options.individuals_paging == "refuse":
        raise refusals.bad_request(f"Unknown parameter: {', '.join(sorted(paging_params))}")
    group = visibility.group_of(platform, group_id)
    individuals, _ = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
    texts = _user_texts(platform, visibility.shown_members(platform, individuals))
    shown = texts if options.individuals_limit is None else texts[: options.individuals_limit]
    total = len(individuals if options.totals_count_hidden else texts)
    return paging.entities(request, shown, paging.Page(max(total, 1), 1), total)


@routes.get("/{group_id}/members")
async def get_members(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    """Answer with individuals, owners and people included by rules."""
    page = paging.page_of(request, platform.options.members_max_page_size)
    group = visibility.group_of(platform, group_id)
    individuals, _ = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
    everybody = group.members(individuals)
    ids = visibility.shown_members(platform, everybody)
    ids.sort(key=lambda user_id: _sort_key(platform, user_id), reverse=paging.descending(request))
    total = len(everybody if platform.options.totals_count_hidden else ids)
    return paging.entities(request, _user_texts(platform, page.of(ids)), page, total)


@routes.post("/{group_id}/members")
async def add_members(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    _check_permission(platform)
    group = visibility.group_of(platform, group_id)
    ids, version = _wanted_members(json_body(request))
    _check_count(platform, len(ids))
    members.check_writable(platform, group)
    if version != group.version:
        raise refusals.conflict("group", int(platform.options.conflict))
    taken = members.admissible(platform, group, ids)
    platform.state.change_members(group_id, add=Exchange.of(request).carried_out(taken))
    members.check_answered(platform, group)
    return refusals.json_response({}, 202)


@routes.delete("/{group_id}/members")
async def delete_members(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    _check_permission(platform)
    group = visibility.group_of(platform, group_id)
    # One comma-separated text; no version is asked for.
    ids = [user_id for user_id in request.query_params.get("ids", "").split(",") if user_id]
    if not ids:
        raise refusals.bad_request("ids is required: user ids, separated by commas.")
    _check_count(platform, len(ids))
    members.check_writable(platform, group)
    found = members.removable(platform, group, ids)
    platform.state.change_members(group_id, remove=Exchange.of(request).carried_out(found))
    members.check_answered(platform, group)
    return refusals.json_response({}, 202)


# -- steps of the routes ---------------------------------------------------------------------------------------------


def _search(platform: Platform, asked: Any) -> Response:
    body = search.check_request(asked)
    ids = platform.group_index.find(body.get("query", []), platform.options)
    found = [platform.state.groups[group_id] for group_id in ids]
    if not search.names_field(body.get("query", []), "state"):
        found = [group for group in found if group.state == "active"]
    shown = [group for group in found if visibility.is_listed(platform, group)]
    _sort(shown, descending=body.get("sortOrder") == "DESC")
    total = len(found if platform.options.totals_count_hidden else shown)
    return search.respond(body, shown, "groups", platform.options, _text, total)


def _check_permission(platform: Platform) -> None:
    if platform.options.members_need_permission:
        platform.access.require("directory:group:edit")


def _check_count(platform: Platform, count: int) -> None:
    limit = platform.options.max_members_per_request
    if count > limit:
        raise refusals.bad_request(f"A maximum of {limit} members are allowed per request, got {count}.")


def _wanted_members(body: Any) -> tuple[list[str], int]:
    """Read (user ids, version) from the body of an add."""
    if not isinstance(body, dict):
        raise refusals.bad_request("The body must be an object.")
    ids = body.get("memberIds")
    if not isinstance(ids, list) or not ids or not all(isinstance(user_id, str) and user_id for user_id in ids):
        raise refusals.bad_request("memberIds is required: a list of user ids.")
    if body.get("version") is None:
        raise refusals.bad_request("version is required: the current version of the group.")
    return ids, as_version(body["version"])


def _sort_key(platform: Platform, user_id: str) -> tuple[str, str]:
    user = platform.state.users.get(user_id)
    return (user.name.casefold() if user else "", user_id)


def _user_texts(platform: Platform, user_ids: Iterable[str]) -> list[str]:
    texts = []
    for user_id in user_ids:
        user = platform.state.users.get(user_id)
        # An id that was accepted although nobody has it.
        texts.append(user.as_text() if user else json.dumps({"id": user_id, "selfUri": f"/api/v2/users/{user_id}"}))
    return texts


def _sort(groups: list[Group], *, descending: bool) -> None:
    groups.sort(key=lambda group: (group.name.casefold(), group.id), reverse=descending)


def _text(group: Group, *, with_owners: bool = True) -> str:
    return json.dumps(group.as_json(with_owners=with_owners), ensure_ascii=False, separators=(",", ":"))
