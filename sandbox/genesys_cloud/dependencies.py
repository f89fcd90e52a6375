"""What routes get from FastAPI: the platform that the application serves."""

# Without `from __future__ import annotations`: FastAPI reads the annotations of routes and dependencies at run time.

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from sandbox.genesys_cloud.platform import PLATFORM, Platform


# async: FastAPI would run a plain function in a thread of its own for each request.
async def platform_of(request: Request) -> Platform:
    """Return the platform that `create_app` was called with."""
    platform: Platform = request.scope[PLATFORM]
    return platform


CurrentPlatform = Annotated[Platform, Depends(platform_of)]
