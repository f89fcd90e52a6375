"""The ASGI application: the routes, put behind the gate."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from sandbox.genesys_cloud import control, groups, refusals, scim, users
from sandbox.genesys_cloud.gate import CONTROL_PREFIX, Gate, render
from sandbox.genesys_cloud.platform import PLATFORM, Exchange, Platform
from sandbox.genesys_cloud.refusals import RefusalError, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def create_app(platform: Platform) -> Gate:
    return Gate(_routes(), platform)


@functools.cache  # the same for all platforms, and FastAPI takes long to make it
def _routes() -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for module in (groups, users, control):
        app.include_router(module.routes)
    for prefix in scim.PREFIXES:
        app.include_router(scim.routes, prefix=prefix)

    @app.exception_handler(RefusalError)
    async def refused(request: Request, error: RefusalError) -> Response:
        return render(request.scope[PLATFORM], error, request.url.path, Exchange.of(request).correlation_id)

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith(CONTROL_PREFIX):
            return json_response({"error": error.detail}, error.status_code)
        return await refused(request, refusals.with_status(error.status_code))

    @app.exception_handler(ValueError)
    async def wrong_control_call(request: Request, error: ValueError) -> Response:
        if not request.url.path.startswith(CONTROL_PREFIX):
            raise error
        return json_response({"error": str(error)}, 400)

    @app.exception_handler(KeyError)
    async def unknown_id(request: Request, error: KeyError) -> Response:
        if not request.url.path.startswith(CONTROL_PREFIX):
            raise error
        return json_response({"error": f"no such id: {error.args[0]}"}, 404)

    return app
