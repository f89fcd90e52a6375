"""SCIM 2.0: groups and the service provider's configuration, at `/api/v2/scim/v2` and its twin `/api/v2/scim`.

Syntax after RFC 7644 (3.5.2 for PATCH), limits and ETags after the reference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud import members, paging, refusals
from sandbox.genesys_cloud.platform import Exchange, Platform, json_body
from sandbox.genesys_cloud.refusals import Refusal
from sandbox.genesys_cloud.state import Group, iso

MEDIA_TYPE = "application/scim+json"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
CONFIG_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

_FILTER = re.compile(r'\s*(?P<name>[A-Za-z:.0-9]+)\s+eq\s+(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>.+?))\s*', re.I)
_MEMBER_PATH = re.compile(r'members\[\s*value\s+eq\s+"(?P<id>[^"]+)"\s*\]', re.I)


@dataclass
class _Edit:
    """Where the group stands while the operations of one PATCH are gone through; nothing is written before the end."""

    members: dict[str, None]
    external_id: str | None
    replaced: bool = False


def router(platform: Platform, prefix: str) -> APIRouter:
    routes = APIRouter(prefix=prefix)
    state, options = platform.state, platform.options

    @routes.get("/serviceproviderconfig")
    async def get_config(request: Request) -> Response:
        if _same_tag(request.headers.get("if-none-match"), "1"):
            return Response(status_code=304, headers={"ETag": '"1"'})
        return _scim(
            {
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
            },
            etag="1",
        )

    @routes.get("/groups")
    async def list_groups(request: Request) -> Response:
        platform.access.require("directory:group:edit")
        query = request.query_params
        found = matching(query.get("filter"))
        start, count = _whole(query.get("startIndex"), 1), _whole(query.get("count"), 25)
        names = shown(request)
        if count > 25 and options.scim_large_pages == "refuse" and names & {"members", "externalid"}:
            raise refusals.too_many_requests(10)
        start = max(start, 1)
        page = found[start - 1 : start - 1 + max(count, 0)]
        tail: dict[str, object] = {
            "schemas": [LIST_SCHEMA],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(page),
        }
        return paging.joined("Resources", [json.dumps(as_json(group, names)) for group in page], tail, MEDIA_TYPE)

    @routes.get("/groups/{group_id}")
    async def get_group(request: Request, group_id: str) -> Response:
        platform.access.require("directory:group:edit")
        group = existing(group_id)
        individuals, version = group.as_of(platform.clock() - Exchange.of(request).seconds_ago)
        if _same_tag(request.headers.get("if-none-match"), str(version)):
            return Response(status_code=304, headers={"ETag": f'"{version}"'})
        return _scim(as_json(group, shown(request), individuals, version), etag=str(version))

    @routes.patch("/groups/{group_id}")
    async def patch_group(request: Request, group_id: str) -> Response:
        platform.access.require("directory:group:edit")
        group = existing(group_id)
        body = json_body(request, MEDIA_TYPE, "application/json")
        wanted_tag = request.headers.get("if-match")
        if wanted_tag is not None and not _same_tag(wanted_tag, str(group.version)):
            # Not 412, as RFC 7644 has it.
            raise bad("invalidVers", "The version of the resource differs from the one that If-Match names.")
        operations = checked_operations(body)
        edit = _Edit(dict(group.individuals), group.external_id)
        for operation in operations:
            apply(group, edit, operation)
        adding = [one for one in edit.members if one not in group.individuals]
        removing = [one for one in group.individuals if one not in edit.members]
        if adding or removing or edit.replaced:
            members.check_writable(platform, group)
        happening = set(Exchange.of(request).carried_out([*adding, *removing]))
        if edit.external_id != group.external_id:
            state.change_group(group_id, {"external_id": edit.external_id})
        state.change_members(
            group_id,
            add=[one for one in adding if one in happening],
            remove=[one for one in removing if one in happening],
        )
        return _scim(as_json(group, shown(request)), etag=str(group.version))

    def existing(group_id: str) -> Group:
        group = state.groups.get(group_id)
        if group is None or group.state == "deleted":
            raise Refusal(404, "not.found", f"Resource {group_id} not found.", entity_id=group_id)
        return group

    def matching(text: str | None) -> list[Group]:
        groups = sorted(
            (group for group in state.groups.values() if group.state != "deleted"), key=lambda group: group.id
        )
        if not text:
            if options.scim_filter_required:
                raise bad("invalidFilter", "The filter parameter is required.")
            return groups
        parts = _FILTER.fullmatch(text)
        name = parts["name"].rpartition(":")[2].lower() if parts else ""
        allowed = ["id", "displayname"] + (["externalid"] if options.scim_filter_external_id else [])
        if parts is None or name not in allowed:
            raise bad("invalidFilter", f"Only a single eq on {', '.join(allowed)} is supported.")
        value = parts["bare"] if parts["quoted"] is None else re.sub(r"\\(.)", r"\1", parts["quoted"])
        if name == "id":
            return [group for group in groups if group.id == value]
        if name == "externalid":
            return [group for group in groups if group.external_id == value]
        return [group for group in groups if group.name.casefold() == value.casefold()]

    def shown(request: Request) -> set[str]:
        """Which attributes the answer has. id, schemas and meta are always there."""
        names = {"displayname", "externalid", "members"}

        def named(parameter: str) -> set[str]:
            return {value.rpartition(":")[2].strip().lower() for value in paging.listed(request, parameter)}

        if named("attributes"):
            return names & named("attributes")
        return names - named("excludedAttributes")

    def as_json(
        group: Group, names: set[str], individuals: dict[str, None] | None = None, version: int | None = None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"id": group.id, "schemas": [GROUP_SCHEMA]}
        if "displayname" in names:
            body["displayName"] = group.name
        if "externalid" in names and group.external_id is not None:
            body["externalId"] = group.external_id
        if "members" in names:
            ids = list(group.individuals if individuals is None else individuals)
            if options.scim_members == "all":
                ids = group.members(ids)
            body["members"] = [{"type": "User", "value": one, "$ref": f"../users/{one}"} for one in ids]
        body["meta"] = {
            "resourceType": "Group",
            "lastModified": iso(group.modified),
            "location": f"{prefix}/groups/{group.id}",
            "version": str(group.version if version is None else version),
        }
        return body

    # -- PATCH ---------------------------------------------------------------------------------------------------

    def checked_operations(body: Any) -> list[dict[str, Any]]:
        if not isinstance(body, dict) or PATCH_SCHEMA not in (body.get("schemas") or []):
            raise bad("invalidSyntax", f"schemas must contain {PATCH_SCHEMA}.")
        operations = body.get("Operations")
        if not isinstance(operations, list) or not operations or not all(isinstance(o, dict) for o in operations):
            raise bad("invalidSyntax", "Operations must be a list of operations.")
        if options.scim_max_operations is not None and len(operations) > options.scim_max_operations:
            raise bad("tooMany", f"A maximum of {options.scim_max_operations} operations is allowed.")
        values = sum(len(o["value"]) if isinstance(o.get("value"), list) else 1 for o in operations)
        if options.scim_max_member_values is not None and values > options.scim_max_member_values:
            raise bad("tooMany", f"A maximum of {options.scim_max_member_values} members is allowed.")
        return operations

    def apply(group: Group, edit: _Edit, operation: dict[str, Any]) -> None:
        op = str(operation.get("op", "")).lower()
        if op not in ("add", "replace", "remove"):
            raise bad("invalidSyntax", "op must be add, replace or remove.")
        path, value = operation.get("path"), operation.get("value")
        if path is None or path == "":
            if op == "remove":
                raise bad("noTarget", "A remove needs a path.")
            if not isinstance(value, dict) or not value:
                raise bad("invalidValue", "Without a path, value must be an object of attributes.")
            for name, part in value.items():
                apply(group, edit, {"op": op, "path": name, "value": part})
            return
        if not isinstance(path, str):
            raise bad("invalidPath", "path must be a text.")
        name = path.removeprefix(f"{GROUP_SCHEMA}:").strip()
        single = _MEMBER_PATH.fullmatch(name)
        if single:
            if op != "remove":
                raise bad("invalidPath", "A member chosen by a filter can only be removed.")
            drop(group, edit, [single["id"]])
        elif name.lower() == "members":
            change_all(group, edit, op, value)
        elif name.lower() == "externalid":
            if op != "remove" and not isinstance(value, str):
                raise bad("invalidValue", "externalId must be a text.")
            edit.external_id = None if op == "remove" else value
        elif name.lower() in ("displayname", "id", "meta", "schemas"):
            raise bad("mutability", f"{name} cannot be changed.")
        else:
            raise bad("invalidPath", f"There is no attribute {name}.")

    def change_all(group: Group, edit: _Edit, op: str, value: Any) -> None:
        if op == "add":
            take(group, edit, _ids(value))
        elif op == "replace":
            ids = _ids(value) if value else []
            edit.members, edit.replaced = {one: None for one in edit.members if one in ids}, True
            take(group, edit, [one for one in ids if one not in edit.members])
        elif options.scim_bare_remove == "empty":
            edit.members, edit.replaced = {}, True
        elif options.scim_bare_remove == "honour_values":
            if value:
                drop(group, edit, _ids(value))
            else:
                edit.members, edit.replaced = {}, True
        else:
            raise bad("invalidPath", 'A remove needs a path like members[value eq "ID"].')

    def take(group: Group, edit: _Edit, ids: list[str]) -> None:
        # Members that an earlier operation of this request removed count as known: they are in the group still.
        returning = [one for one in ids if one in group.individuals and one not in edit.members]
        edit.members.update(dict.fromkeys(members.admissible(platform, group, ids)))
        edit.members.update(dict.fromkeys(returning))

    def drop(group: Group, edit: _Edit, ids: list[str]) -> None:
        absent = [one for one in ids if one not in edit.members]
        if absent:
            members.removable(platform, group, [one for one in absent if one not in group.individuals])
        for one in ids:
            edit.members.pop(one, None)

    return routes


def bad(scim_type: str, detail: str) -> Refusal:
    return Refusal(400, "bad.request", detail, scim_type=scim_type)


def _ids(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    ids = []
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("value"), str) or not item["value"]:
            raise bad("invalidValue", 'Members are objects like {"value": "ID"}.')
        if str(item.get("type", "User")).lower() != "user":
            raise bad("invalidValue", "Only users can be members.")
        ids.append(item["value"])
    return ids


def _whole(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        raise bad("invalidValue", "startIndex and count are whole numbers.") from None


def _same_tag(header: str | None, version: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return version in tags or "*" in tags


def _scim(body: dict[str, Any], etag: str) -> Response:
    response = refusals.json_response(body, headers={"ETag": f'"{etag}"'})
    response.headers["content-type"] = MEDIA_TYPE
    return response
