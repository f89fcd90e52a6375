"""`/_sandbox/…`: look into the sandbox and steer it from another process.

No part of Genesys Cloud. Asks for no login: the sandbox listens on the loopback.
"""

# Without `from __future__ import annotations`: FastAPI reads the annotations of routes at run time.

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sandbox.genesys_cloud.dependencies import CurrentPlatform
from sandbox.genesys_cloud.faults import FaultRule
from sandbox.genesys_cloud.gate import CONTROL_PREFIX
from sandbox.genesys_cloud.refusals import json_response

routes = APIRouter(prefix=CONTROL_PREFIX)


@routes.get("/health")
async def health(platform: CurrentPlatform) -> Response:
    return json_response({"users": len(platform.state.users), "groups": len(platform.state.groups)})


@routes.get("/state")
async def get_state(platform: CurrentPlatform) -> Response:
    return json_response(platform.state.snapshot())


@routes.get("/groups/{group_id}")
async def get_group(platform: CurrentPlatform, group_id: str) -> Response:
    return json_response(platform.state.group_snapshot(group_id))


@routes.post("/groups/{group_id}/members")
async def change_members(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    """Change members by hand, past all rules of the API: ``{"add": [ids], "remove": [ids]}``."""
    body = await request.json()
    added, removed = platform.state.change_members(group_id, body.get("add", ()), body.get("remove", ()))
    return json_response({"added": added, "removed": removed})


@routes.post("/groups/{group_id}")
async def change_group(request: Request, platform: CurrentPlatform, group_id: str) -> Response:
    platform.state.change_group(group_id, await request.json())
    return json_response(platform.state.group_snapshot(group_id))


@routes.post("/users/{user_id}")
async def change_user(request: Request, platform: CurrentPlatform, user_id: str) -> Response:
    platform.state.change_user(user_id, await request.json())
    return json_response({})


@routes.get("/log")
async def get_log(request: Request, platform: CurrentPlatform) -> Response:
    query = request.query_params
    return json_response(platform.log.entries(query.get("method"), query.get("path"), int(query.get("after", "0"))))


@routes.delete("/log")
async def clear_log(platform: CurrentPlatform) -> Response:
    platform.log.clear()
    return json_response({})


@routes.get("/faults")
async def get_faults(platform: CurrentPlatform) -> Response:
    return json_response(platform.faults.rules())


@routes.post("/faults")
async def add_faults(request: Request, platform: CurrentPlatform) -> Response:
    """Add a rule or a list of rules, with the fields of `FaultRule`."""
    body: Any = await request.json()
    platform.faults.add(*(FaultRule.from_dict(item) for item in (body if isinstance(body, list) else [body])))
    return json_response(platform.faults.rules())


@routes.delete("/faults")
async def clear_faults(request: Request, platform: CurrentPlatform) -> Response:
    seed = request.query_params.get("seed")
    platform.faults.clear(None if seed is None else int(seed))
    return json_response([])


@routes.get("/options")
async def get_options(platform: CurrentPlatform) -> Response:
    return json_response(platform.options.as_dict())


@routes.post("/options")
async def set_options(request: Request, platform: CurrentPlatform) -> Response:
    platform.options.update(await request.json())
    return json_response(platform.options.as_dict())


@routes.post("/seed")
async def load_seed(request: Request, platform: CurrentPlatform) -> Response:
    """Load another organisation in place of the present one."""
    platform.state.load(await request.json())
    return await health(platform)


@routes.post("/reset")
async def reset(platform: CurrentPlatform) -> Response:
    platform.reset()
    return json_response({})


@routes.post("/tokens/revoke")
async def revoke_tokens(platform: CurrentPlatform) -> Response:
    platform.access.revoke()
    return json_response({})
