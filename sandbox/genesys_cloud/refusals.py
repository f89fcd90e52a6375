"""Answers that are errors: ErrorBody of the platform API, ScimError, and OAuth's own shape."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

SCIM_ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"
CONFLICT_MESSAGE = "The version supplied does not match the current version of the {entity}"


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, headers, media_type="application/json")


class RefusalError(Exception):
    """A request that is answered with an error.

    ``code`` is ErrorBody's (`not.found`, …); ``scim_type`` ScimError's, for a 400 only.
    """

    gateway = False

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        scim_type: str | None = None,
        entity_id: str | None = None,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.scim_type = scim_type
        self.entity_id = entity_id
        self.params = params or {}
        self.headers = headers or {}

    def as_error_body(self, correlation_id: str) -> Response:
        body: dict[str, Any] = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "messageParams": self.params,
            "contextId": correlation_id,
            "details": [],
            "errors": [],
        }
        if self.entity_id is not None:
            body["entityId"] = self.entity_id
        return json_response(body, self.status, self.headers)

    def as_scim_error(self) -> Response:
        body: dict[str, Any] = {
            "schemas": [SCIM_ERROR_SCHEMA],
            "status": str(self.status),
            "detail": self.message,
        }
        if self.scim_type is not None:
            body["scimType"] = self.scim_type
        response = json_response(body, self.status, self.headers)
        response.headers["content-type"] = "application/scim+json"
        return response


class GatewayRefusalError(RefusalError):
    """A request that the service behind its path never saw (401, 403, 429).

    It matters for the shape of SCIM errors.
    """

    gateway = True


def bad_request(message: str, *, scim_type: str = "invalidValue") -> RefusalError:
    return RefusalError(400, "bad.request", message, scim_type=scim_type)


def bad_scim(scim_type: str, detail: str) -> RefusalError:
    return RefusalError(400, "bad.request", detail, scim_type=scim_type)


def invalid_value(value: object, field: str, allowed: str) -> RefusalError:
    return RefusalError(
        400,
        "invalid.value",
        f"Value [{value}] is not valid for field type [{field}]. Allowable values are: {allowed}",
        scim_type="invalidValue",
        params={"value": str(value), "field": field},
    )


def not_found(entity_id: str | None = None) -> RefusalError:
    return RefusalError(404, "not.found", "The requested resource was not found.", entity_id=entity_id)


def conflict(entity: str, status: int) -> RefusalError:
    message = CONFLICT_MESSAGE.format(entity=entity)
    if status == HTTPStatus.CONFLICT:
        return RefusalError(409, "general.conflict", message)
    return RefusalError(400, "bad.request", f"Error from directory: {message}", scim_type="invalidVers")


def not_authorized(message: str = "You are not authorized to perform the requested action.") -> RefusalError:
    return RefusalError(403, "not.authorized", message)


def address_refused(message: str) -> RefusalError:
    return GatewayRefusalError(403, "not.authorized", message)


def missing_permissions(needed: tuple[str, ...]) -> RefusalError:
    """Build a 403. ``needed``: any one of them would do."""
    names = ", ".join(needed)
    if len(needed) == 1:
        return GatewayRefusalError(
            403,
            "missing.permissions",
            f"Unable to perform the requested action. You are missing the following permission(s): {names}",
            params={"permissions": names},
        )
    return GatewayRefusalError(
        403,
        "missing.any.permissions",
        f"Unable to perform the requested action. You must have at least one of the following permissions assigned: "
        f"{names}",
        params={"permissions": names},
    )


def authentication_required() -> RefusalError:
    return GatewayRefusalError(
        401, "authentication.required", "No authentication bearer token specified in authorization header."
    )


def bad_credentials() -> RefusalError:
    return GatewayRefusalError(401, "bad.credentials", "Invalid login credentials.")


def too_many_requests(retry_after: int | None) -> RefusalError:
    """Build a 429, whose body is documented since 2021-11-10.

    ``retry_after``: seconds; None leaves the header out, as some proxies do.
    """
    seconds = 42 if retry_after is None else retry_after
    return GatewayRefusalError(
        429,
        "too.many.requests.retry.after",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        headers={} if retry_after is None else {"Retry-After": str(retry_after)},
    )


_BY_STATUS = {
    400: ("bad.request", "The request could not be understood by the server due to malformed syntax."),
    404: ("not.found", "The requested resource was not found."),
    405: ("method.not.allowed", "The request method is not supported for this resource."),
    408: ("request.timeout", "The client did not produce a request within the server timeout limit."),
    409: ("general.conflict", "The request conflicts with the current state of the target resource."),
    413: ("request.entity.too.large", "The request is over the size limit."),
    415: (
        "unsupported.media.type",
        "Unsupported Media Type - Unsupported or incorrect media type, such as an incorrect Content-Type value in "
        "the header.",
    ),
    500: (
        "internal.server.error",
        "The server encountered an unexpected condition which prevented it from fulfilling the request.",
    ),
    502: ("bad.gateway", "The server received an invalid response from an upstream server."),
    503: (
        "service.unavailable",
        "Service Unavailable - The server is currently unavailable (because it is overloaded or down for maintenance).",
    ),
    504: ("request.timeout", "The request timed out."),
}


def with_status(status: int, headers: dict[str, str] | None = None) -> RefusalError:
    """Return the usual error of a status, as the 2018 swagger words it."""
    code, message = _BY_STATUS.get(status, (f"status.{status}", f"Status {status}"))
    return RefusalError(status, code, message, headers=headers)


def oauth_error(status: int, error: str, description: str) -> Response:
    """Build an error of the token endpoint, which is not an ErrorBody."""
    return json_response({"error": error, "description": description, "error_description": description}, status)
