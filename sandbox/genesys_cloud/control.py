"""`/_sandbox/…`: look into the sandbox and steer it from another process.

No part of Genesys Cloud. Asks for no login: the sandbox listens on the loopback.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud.faults import FaultRule
from sandbox.genesys_cloud.gate import CONTROL_PREFIX
from sandbox.genesys_cloud.platform import Platform
from sandbox.genesys_cloud.refusals import json_response


def router(platform: Platform) -> APIRouter:
    routes = APIRouter(prefix=CONTROL_PREFIX)
    state = platform.state

    @routes.get("/health")
    async def health() -> Response:
        return json_response({"users": len(state.users), "groups": len(state.groups)})

    @routes.get("/state")
    async def get_state() -> Response:
        return json_response(state.snapshot())

    @routes.get("/groups/{group_id}")
    async def get_group(group_id: str) -> Response:
        return json_response(state.group_snapshot(group_id))

    @routes.post("/groups/{group_id}/members")
    async def change_members(request: Request, group_id: str) -> Response:
        """``{"add": [ids], "remove": [ids]}``: by hand, past all rules of the API."""
        body = await request.json()
        added, removed = state.change_members(group_id, body.get("add", ()), body.get("remove", ()))
        return json_response({"added": added, "removed": removed})

    @routes.post("/groups/{group_id}")
    async def change_group(request: Request, group_id: str) -> Response:
        state.change_group(group_id, await request.json())
        return json_response(state.group_snapshot(group_id))

    @routes.post("/users/{user_id}")
    async def change_user(request: Request, user_id: str) -> Response:
        state.change_user(user_id, await request.json())
        return json_response({})

    @routes.get("/log")
    async def get_log(request: Request) -> Response:
        query = request.query_params
        return json_response(platform.log.entries(query.get("method"), query.get("path"), int(query.get("after", "0"))))

    @routes.delete("/log")
    async def clear_log() -> Response:
        platform.log.clear()
        return json_response({})

    @routes.get("/faults")
    async def get_faults() -> Response:
        return json_response(platform.faults.rules())

    @routes.post("/faults")
    async def add_faults(request: Request) -> Response:
        """A rule or a list of rules: the fields of `FaultRule`."""
        body: Any = await request.json()
        platform.faults.add(*(FaultRule.from_dict(item) for item in (body if isinstance(body, list) else [body])))
        return json_response(platform.faults.rules())

    @routes.delete("/faults")
    async def clear_faults(request: Request) -> Response:
        seed = request.query_params.get("seed")
        platform.faults.clear(None if seed is None else int(seed))
        return json_response([])

    @routes.get("/options")
    async def get_options() -> Response:
        return json_response(platform.options.as_dict())

    @routes.post("/options")
    async def set_options(request: Request) -> Response:
        platform.options.update(await request.json())
        return json_response(platform.options.as_dict())

    @routes.post("/seed")
    async def load_seed(request: Request) -> Response:
        """Another organisation in place of the present one."""
        state.load(await request.json())
        return json_response({"users": len(state.users), "groups": len(state.groups)})

    @routes.post("/reset")
    async def reset() -> Response:
        platform.reset()
        return json_response({})

    @routes.post("/tokens/revoke")
    async def revoke_tokens() -> Response:
        platform.access.revoke()
        return json_response({})

    return routes
