"""SCIM 2.0: groups and the service provider's configuration.

Syntax after RFC 7644, limits and ETags after the reference. The operations of a PATCH are in `scim_patch_operations`.
"""

# Without `from __future__ import annotations`: FastAPI reads the annotations of routes at run time.

import json
import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals, visibility
from sandbox.genesys_cloud.dependencies import CurrentPlatform
from sandbox.genesys_cloud.entities import Group, iso
from sandbox.genesys_cloud.platform import Exchange, Platform, json_body
from sandbox.genesys_cloud.refusals import RefusalError, bad_scim
from sandbox.genesys_cloud.scim_patch_operations import GROUP_SCHEMA, GroupEdit, operations_of

PREFIXES = ("/api/v2/scim/v2", "/api/v2/scim")  # twins
MEDIA_TYPE = "application/scim+json"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
SMALL_PAGE = 25  # groups; larger pages with members "may … return a 429"

_FILTER = re.compile(r'\s*(?P<name>[A-Za-z:.0-9]+)\s+eq\s+(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>.+?))\s*', re.I)


async def prefix_of(request: Request) -> str:
    """Return the one of `PREFIXES` that the request came by."""
    return next(prefix for prefix in PREFIXES if request.url.path.startswith(prefix))


Prefix = Annotated[str, Depends(prefix_of)]

routes = APIRouter()


@routes.get("/serviceproviderconfig")
async def get_config(request: Request, prefix: Prefix) -> Response:
    if _same_tag(request.headers.get("if-none-match"), "1"):
        return Response(status_code=304, headers={"ETag": '"1"'})
    config = {
        "schemas": [CONFIG_SCHEMA],
        "documentationUri": "https://developer.genesys.cloud/",
        "patch": {"supported": True},
        "filter": {"supported": True, "maxResults": 100},
        "etag": {"supported": True},
        "sort": {"supported": False},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "changePassword": {"supported": False},
        "authenticationSchemes": [
            {"type": "oauthbearertoken", "name": "OAuth Bearer Token", "description": "OAuth 2.0"}
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{prefix}/serviceproviderconfig",
            "version": "1",
        },
    }
    return _respond(config, etag="1")


@routes.get("/groups")
async def list_groups(request: Request, platform: CurrentPlatform, prefix: Prefix) -> Response:
    platform.access.require("directory:group:edit")
    query = request.query_params
    everything = _matching(platform, query.get("filter"))
    found = [group for group in everything if visibility.is_listed(platform, group)]
    start, count = _whole(query.get("startIndex"), 1), _whole(query.get("count"), SMALL_PAGE)
    names = _shown(request)
    is_refused = platform.options.scim_large_pages == "refuse"
    if count > SMALL_PAGE and is_refused and names & {"members", "externalid"}:
        raise refusals.too_many_requests(10)
    start = max(start, 1)
    page = found[start - 1 : start - 1 + max(count, 0)]
    tail: dict[str, object] = {
        "schemas": [LIST_SCHEMA],
        "totalResults": len(everything if platform.options.totals_count_hidden else found),
        "startIndex": start,
        "itemsPerPage": len(page),
    }
    texts = [json.dumps(_as_json(platform, prefix, group, names)) for group in page]
    return paging.joined("Resources", texts, tail, MEDIA_TYPE)


@routes.get("/groups/{group_id}")
async def get_group(request: Request, platform: CurrentPlatform, prefix: Prefix, group_id: str) -> Response:
    platform.access.require("directory:group:edit")
    group = _existing(platform, group_id)
    individuals, version = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
    if _same_tag(request.headers.get("if-none-match"), str(version)):
        return Response(status_code=304, headers={"ETag": f'"{version}"'})
    body = _as_json(platform, prefix, group, _shown(request), individuals, version)
    return _respond(body, etag=str(version))


@routes.patch("/groups/{group_id}")
async def patch_group(request: Request, platform: CurrentPlatform, prefix: Prefix, group_id: str) -> Response:
    platform.access.require("directory:group:edit")
    group = _existing(platform, group_id)
    body = json_body(request, MEDIA_TYPE, "application/json")
    wanted_tag = request.headers.get("if-match")
    if wanted_tag is not None and not _same_tag(wanted_tag, str(group.version)):
        # Not 412, as RFC 7644 has it.
        raise bad_scim("invalidVers", "The version of the resource differs from the one that If-Match names.")
    edit = GroupEdit(platform, group)
    for operation in operations_of(body, platform.options):
        edit.apply(operation)
    _write(platform, Exchange.of(request), edit)
    return _respond(_as_json(platform, prefix, group, _shown(request)), etag=str(group.version))


# -- steps of the routes ---------------------------------------------------------------------------------------------


def _write(platform: Platform, exchange: Exchange, edit: GroupEdit) -> None:
    group, added, removed = edit.group, edit.added, edit.removed
    concerns_members = edit.concerns_members  # of the group as it is before
    if concerns_members:
        members.check_writable(platform, group)
    happening = set(exchange.carried_out([*added, *removed]))
    if edit.external_id != group.external_id:
        platform.state.change_group(group.id, {"external_id": edit.external_id})
    platform.state.change_members(
        group.id,
        add=[user_id for user_id in added if user_id in happening],
        remove=[user_id for user_id in removed if user_id in happening],
    )
    if concerns_members:
        members.check_answered(platform, group)


def _existing(platform: Platform, group_id: str) -> Group:
    try:
        return visibility.group_of(platform, group_id)
    except RefusalError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        raise RefusalError(404, "not.found", f"Resource {group_id} not found.", entity_id=group_id) from None


def _matching(platform: Platform, text: str | None) -> list[Group]:
    """Return the groups that a filter names, sorted by id."""
    groups = sorted(
        (group for group in platform.state.groups.values() if group.state != "deleted"), key=lambda group: group.id
    )
    if not text:
        if platform.options.scim_filter_required:
            raise bad_scim("invalidFilter", "The filter parameter is required.")
        return groups
    parts = _FILTER.fullmatch(text)
    name = parts["name"].rpartition(":")[2].lower() if parts else ""
    allowed = ["id", "displayname"] + (["externalid"] if platform.options.scim_filter_external_id else [])
    if parts is None or name not in allowed:
        raise bad_scim("invalidFilter", f"Only a single eq on {', '.join(allowed)} is supported.")
    value = parts["bare"] if parts["quoted"] is None else re.sub(r"\\(.)", r"\1", parts["quoted"])
    if name == "id":
        return [group for group in groups if group.id == value]
    if name == "externalid":
        return [group for group in groups if group.external_id == value]
    return [group for group in groups if group.name.casefold() == value.casefold()]


def _shown(request: Request) -> set[str]:
    """Return which attributes the answer has, beside id, schemas and meta."""
    names = {"displayname", "externalid", "members"}

    def named(parameter: str) -> set[str]:
        return {value.rpartition(":")[2].strip().lower() for value in paging.listed(request, parameter)}

    if named("attributes"):
        return names & named("attributes")
    return names - named("excludedAttributes")


def _as_json(
    platform: Platform,
    prefix: str,
    group: Group,
    names: set[str],
    individuals: dict[str, None] | None = None,
    version: int | None = None,
) -> dict[str, Any]:
    body: dict[str, Any] = {"id": group.id, "schemas": [GROUP_SCHEMA]}
    if "displayname" in names:
        body["displayName"] = group.name
    if "externalid" in names and group.external_id is not None:
        body["externalId"] = group.external_id
    if "members" in names:
        ids = list(group.individuals if individuals is None else individuals)
        if platform.options.scim_members == "all":
            ids = group.members(ids)
        ids = visibility.shown_members(platform, ids)
        body["members"] = [{"type": "User", "value": user_id, "$ref": f"../users/{user_id}"} for user_id in ids]
    body["meta"] = {
        "resourceType": "Group",
        "lastModified": iso(group.modified),
        "location": f"{prefix}/groups/{group.id}",
        "version": str(group.version if version is None else version),
    }
    return body


def _whole(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        raise bad_scim("invalidValue", "startIndex and count are whole numbers.") from None


def _same_tag(header: str | None, version: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return version in tags or "*" in tags


def _respond(body: dict[str, Any], etag: str) -> Response:
    response = refusals.json_response(body, headers={"ETag": f'"{etag}"'})
    response.headers["content-type"] = MEDIA_TYPE
    return response
