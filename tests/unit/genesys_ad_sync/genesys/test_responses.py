"""From an answer to a result or to the error that it means."""

from __future__ import annotations

import json
import pickle
from datetime import datetime, timezone
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.genesys.errors import (
    AuthenticationFailed,
    BadRequest,
    GenesysError,
    NotFound,
    PermissionMissing,
    ServerError,
    Throttled,
    UnexpectedAnswer,
    VersionConflict,
)
from genesys_ad_sync.genesys.responses import parse_response, retry_after


def parsed(status: int, body: Any = b"", *, method: str = "GET", path: str = "/api/v2/groups", **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_response(method, path, status, CaseInsensitiveDict(names), content)


def said(status: int, code: str, message: str) -> dict[str, Any]:
    return {"message": message, "code": code, "status": status, "contextId": "body-id"}


def test_a_good_answer_is_its_json_and_an_empty_one_is_none() -> None:
    assert parsed(200, {"total": 1}) == {"total": 1}
    assert parsed(202) is None
    assert parsed(204) is None


@pytest.mark.parametrize(
    ("status", "code", "message", "error", "ambiguous"),
    [
        (400, "bad.request", "No", BadRequest, False),
        (401, "bad.credentials", "Invalid login credentials.", AuthenticationFailed, False),
        (403, "not.authorized", "You are not authorized", PermissionMissing, False),
        (404, "not.found", "Unable to find a group", NotFound, False),
        (405, "method.not.allowed", "No", BadRequest, False),
        (408, "request.timeout", "Slow", ServerError, True),
        (409, "general.conflict", "Conflict", VersionConflict, False),
        (
            400,
            "bad.request",
            "The version supplied does not match the current version of the group",
            VersionConflict,
            0,
        ),
        (413, "too.large", "Large", BadRequest, False),
        (415, "unsupported", "Media", BadRequest, False),
        (429, "too.many.requests", "Slow down", Throttled, False),
        (500, "internal.server.error", "Oh", ServerError, True),
        (503, "service.unavailable", "Oh", ServerError, True),
        (504, "authentication.request.timeout", "Oh", ServerError, True),
    ],
)
def test_every_status_means_one_error(
    status: int, code: str, message: str, error: type[GenesysError], ambiguous: bool
) -> None:
    with pytest.raises(error) as caught:
        parsed(status, said(status, code, message), ININ_Correlation_Id="header-id")
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.code, caught.value.correlation_id) == (status, code, "header-id")
    assert (caught.value.method, caught.value.path) == ("GET", "/api/v2/groups")
    assert caught.value.ambiguous == ambiguous
    assert isinstance(caught.value, GroupSyncError)


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, VersionConflict), (404, VersionConflict), (401, AuthenticationFailed), (429, Throttled), (500, ServerError)],
)
def test_a_stale_version_is_known_by_its_text_unless_the_status_alone_decides(
    status: int, error: type[GenesysError]
) -> None:
    with pytest.raises(GenesysError) as caught:
        parsed(status, said(status, "bad.request", "It does not match the current version"))
    assert type(caught.value) is error


def test_a_scim_error_is_read_too() -> None:
    body = {"schemas": ["…"], "status": "400", "scimType": "invalidVers", "detail": "stale"}
    with pytest.raises(VersionConflict) as stale:
        parsed(400, body, method="PATCH")
    assert stale.value.words == "stale"
    with pytest.raises(BadRequest) as caught:
        parsed(400, {**body, "scimType": "noTarget"}, method="PATCH")
    assert caught.value.code == "noTarget"


def test_the_correlation_id_of_the_body_is_taken_when_no_header_tells_it() -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(400, said(400, "bad.request", "No"))
    assert caught.value.correlation_id == "body-id"
    assert "correlation id body-id" in str(caught.value)


def test_a_403_names_the_permission_that_genesys_names() -> None:
    message = (
        "Unable to perform the requested action. You are missing the following permission(s): directory:group:edit"
    )
    with pytest.raises(PermissionMissing) as caught:
        parsed(403, said(403, "missing.permissions", message))
    assert caught.value.permissions == ("directory:group:edit",)
    assert "directory:group:edit" in str(caught.value)


def test_a_403_that_names_none_shows_genesys_words_and_calls_its_guess_one() -> None:
    with pytest.raises(PermissionMissing) as caught:
        parsed(403, said(403, "not.authorized", "No"), method="PATCH", path="/api/v2/scim/v2/groups/g1")
    text = caught.value.report_text()
    assert "Genesys says: No" in text
    assert "A guess" in text
    assert "may lack directory:group:edit" in text
    assert "lacks" not in text
    assert caught.value.is_guess
    with pytest.raises(PermissionMissing, match="may lack directory:user:view"):
        parsed(403, said(403, "not.authorized", "No"), method="POST", path="/api/v2/users/search")


def test_genesys_own_words_are_shown_where_it_names_the_permission_too() -> None:
    with pytest.raises(PermissionMissing, match=r"lacks a:b:c \(") as caught:
        parsed(403, said(403, "missing.permissions", "Division X: needs a:b:c"))
    assert "lacks a:b:c (" in caught.value.report_text()
    assert caught.value.report_text().endswith(". Genesys says: Division X: needs a:b:c")
    assert not caught.value.is_guess


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "access_denied", "error_description": "IP address is not allowed"}, "IP address is not allowed"),
        ({"error": "access_denied", "description": "not from here"}, "access_denied: not from here"),
        ({"message": "IP 192.0.2.1 is not allowed", "code": "ip.not.allowed"}, "IP 192.0.2.1 is not allowed"),
    ],
)
def test_a_403_is_shown_with_its_words_in_whatever_shape(body: dict[str, Any], words: str) -> None:
    with pytest.raises(PermissionMissing) as caught:
        parsed(403, body)
    assert words in caught.value.report_text()


def test_a_404_in_oauths_shape_is_not_from_genesys() -> None:
    """A proxy may answer like that; "there is no such user" must not be concluded from it."""
    with pytest.raises(UnexpectedAnswer):
        parsed(404, {"error": "not_found", "error_description": "no route"})


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no Route matched with those values"},  # Kong
        {"message": "Not Found"},  # Amazon API Gateway
        {"statusCode": 404, "message": "Resource not found"},  # Azure API Management
        {"detail": "Not Found"},
    ],
)
def test_a_gateways_404_in_json_is_not_from_genesys(body: dict[str, Any]) -> None:
    """ "There is no such user" must not be concluded from a route that a gateway lacks."""
    with pytest.raises(UnexpectedAnswer):
        parsed(404, body)
    with pytest.raises(NotFound):
        parsed(404, body, ININ_Correlation_Id="a")


@pytest.mark.parametrize(
    "body",
    [
        {"message": "no", "code": "not.found"},
        {"message": "no", "status": 404, "contextId": "a"},
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404", "detail": "no"},
    ],
)
def test_a_404_of_genesys_is_known_by_its_keys(body: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        parsed(404, body)


@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_a_page_of_something_in_between_is_no_answer_of_genesys(status: int) -> None:
    """Above all not a 404: "there is no such user" would be concluded from a proxy's page."""
    with pytest.raises(UnexpectedAnswer) as caught:
        parsed(status, b"<html><body>Sign in</body></html>", Content_Type="text/html")
    assert "Sign in" not in str(caught.value)
    assert not caught.value.cut_off


def test_json_that_breaks_off_is_told_from_a_page() -> None:
    with pytest.raises(UnexpectedAnswer) as caught:
        parsed(200, b'{"entities": [{"id": "u', Content_Type="application/json")
    assert caught.value.cut_off
    assert caught.value.ambiguous  # a write may be in effect


@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_body_that_is_nested_too_deeply_is_no_answer_of_genesys(status: int) -> None:
    with pytest.raises(UnexpectedAnswer):
        parsed(status, b"[" * 100_000)


def test_a_redirect_is_no_answer() -> None:
    with pytest.raises(UnexpectedAnswer, match="redirect"):
        parsed(302, Location="https://elsewhere.example/")


def test_a_gateways_413_and_502_are_taken_by_their_status() -> None:
    with pytest.raises(BadRequest):
        parsed(413, b"<html>413</html>")
    with pytest.raises(ServerError):
        parsed(502, b"<html>Bad gateway</html>")


def test_texts_hold_no_mail_address_no_query_and_no_external_key() -> None:
    with pytest.raises(NotFound) as caught:
        parsed(404, said(404, "not.found", "no user 'jo@x.example'"), path="/api/v2/users/externalid/HR/E-123?a=secret")
    text = caught.value.report_text()
    assert "(address)" in text
    for hidden in ("jo@", "x.example", "secret", "E-123"):
        assert hidden not in text


TOKEN = "eyJ0eXAi" + "Ab9_-" * 20
HOSTILE = f"Mia Müller\r\n2026-01-01 ERROR forged \x1b[2J\u202e mia@x.example Bearer short {TOKEN}"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 418, 429, 500, 501, 503])
@pytest.mark.parametrize("key", ["message", "detail", "error_description", "error", "code", "scimType", "contextId"])
def test_the_text_for_logs_is_without_what_genesys_wrote(status: int, key: str) -> None:
    body = {"message": "No", key: HOSTILE}
    with pytest.raises(GenesysError) as caught:
        parsed(status, body, ININ_Correlation_Id="c-1" if key != "contextId" else "")
    text = f"{caught.value} {caught.value.args}"
    assert f"answered {status}" in text
    for part in ("Müller", "mia@", TOKEN, "\r", "\n", "\x1b", "\u202e", "Mia"):
        assert part not in text


@pytest.mark.parametrize("key", ["message", "detail", "error_description"])
def test_the_text_for_the_report_has_genesys_words_made_safe(key: str) -> None:
    with pytest.raises(GenesysError) as caught:
        parsed(403, {"code": "x", key: HOSTILE})
    text = caught.value.report_text()
    assert "Mia Müller 2026-01-01 ERROR forged \ufffd[2J\ufffd (address) (token) (token)" in text
    for part in ("mia@", TOKEN, "\r", "\n", "\x1b", "\u202e"):
        assert part not in text


def test_a_header_of_a_proxy_forges_no_line() -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(400, said(400, "a", "No"), ININ_Correlation_Id="c-1\x1b[2J forged")
    assert caught.value.correlation_id == "(not shown)"


def test_a_very_long_text_is_cut_before_it_is_looked_at() -> None:
    with pytest.raises(BadRequest) as caught:
        parsed(400, said(400, "bad.request", "a" * 5_000_000))
    assert len(caught.value.words) <= 500


def test_an_error_survives_pickling() -> None:
    with pytest.raises(PermissionMissing) as caught:
        parsed(403, said(403, "not.authorized", "No"))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert copy.permissions == caught.value.permissions


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"Retry-After": "42"}, "", 42),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, "", 30),
        ({"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT"}, "", 0),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 -0000"}, "", 30),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30"}, "", 30),
        ({"Retry-After": "Tue Nov 24 10:00:30 2026"}, "", 30),
        ({"Retry-After": "Tuesday, 24-Nov-26 10:00:30 GMT"}, "", 30),
        ({"Retry-After": "Tue, 24 Nov 2026 12:00:30 +0200"}, "", 30),
        ({"Retry-After": "Tue, 24 Nov 99999999999 10:00:30 GMT"}, "", None),
        ({"Retry-After": "Tue, 99 Nov 2026 10:00:30 GMT"}, "", None),
        ({"Retry-After": ""}, "", None),
        ({"Retry-After": "inf"}, "", None),
        ({"Retry-After": "nan"}, "", None),
        ({"Retry-After": "-5"}, "", 0),
        ({"Retry-After": "1.5"}, "", 1.5),
        ({"Retry-After": "soon"}, "", None),
        ({}, "Rate limit exceeded the maximum. Retry the request in [42] seconds", 42),
        ({"inin-ratelimit-reset": "17"}, "", 17),
        ({}, "", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], message: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 24, 10, 0, 0, tzinfo=timezone.utc)
    assert retry_after(CaseInsensitiveDict(headers), message, rate_limited=True, now=now) == seconds


def test_the_end_of_the_budgets_window_is_a_wait_only_for_the_throttled() -> None:
    assert retry_after({"inin-ratelimit-reset": "17"}) is None
