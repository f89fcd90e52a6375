"""The API of the Genesys sandbox by plain requests: nothing of the product comes between."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from sandbox.genesys_cloud import SandboxClient, SandboxGenesys

PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Api:
    """`requests` with a token, and nothing else."""

    def __init__(self, sandbox: SandboxClient) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.login()

    def login(self) -> None:
        answer = token(self.sandbox)
        assert answer.status_code == 200, answer.text
        self.session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __call__(self, method: str, path: str, **arguments: Any) -> requests.Response:
        prefix = "" if path.startswith("/") else "/api/v2/"
        return self.session.request(method, f"{self.sandbox.url}{prefix}{path}", timeout=300, **arguments)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self("GET", path, params=params)

    def version(self, group_id: str) -> int:
        version: int = self.get(f"groups/{group_id}").json()["version"]
        return version

    def add(self, group_id: str, ids: list[str], version: int | None = None) -> requests.Response:
        known = self.version(group_id) if version is None else version
        return self("POST", f"groups/{group_id}/members", json={"memberIds": ids, "version": known})

    def delete(self, group_id: str, ids: list[str]) -> requests.Response:
        return self("DELETE", f"groups/{group_id}/members", params={"ids": ",".join(ids)})

    def search(self, *criteria: dict[str, Any], **more: Any) -> requests.Response:
        return self("POST", "users/search", json={"query": list(criteria), **more})

    def patch(self, group_id: str, *operations: dict[str, Any], **headers: str) -> requests.Response:
        body = {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}
        return self("PATCH", f"scim/v2/groups/{group_id}", json=body, headers=headers)


def token(sandbox: SandboxClient, **changes: Any) -> requests.Response:
    arguments: dict[str, Any] = {
        "auth": (sandbox.client_id, sandbox.client_secret),
        "data": {"grant_type": "client_credentials"},
        **changes,
    }
    return requests.post(f"{sandbox.url}/oauth/token", timeout=300, **arguments)


def ids_of(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [item["id"] for item in body.get("entities", body.get("results"))]


def add_op(*ids: str) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": [{"value": one} for one in ids]}


def remove_op(one: str) -> dict[str, Any]:
    return {"op": "remove", "path": f'members[value eq "{one}"]'}


@pytest.fixture
def api(genesys: SandboxGenesys) -> Api:
    return Api(genesys)
