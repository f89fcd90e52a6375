"""A throwaway S3-compatible store on 127.0.0.1, with one bucket: moto's server."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import requests

from sandbox.ports import reserve_port
from sandbox.processes import end_process, start_process

if TYPE_CHECKING:
    from types import TracebackType

REGION = "eu-central-1"
_KEY, _SECRET = "sandbox", "sandbox-secret"
_START_SECONDS = 300.0


class BucketError(RuntimeError):
    """The store did not start, or does not have a file."""


class Bucket:
    """A store with a bucket. A context manager: leaving it ends the store, and its content is gone."""

    def __init__(self, name: str = "group-sync-reports") -> None:
        self.name = name
        self._port = reserve_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def connection(self) -> dict[str, Any]:
        """Return an Airflow connection in its JSON form."""
        extra = {"endpoint_url": self.endpoint, "region_name": REGION}
        return {"conn_type": "aws", "login": _KEY, "password": _SECRET, "extra": extra}

    def start(self) -> Bucket:
        """Start the store and make the bucket. Raises BucketError."""
        server = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        self._process = start_process(server)
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                requests.get(f"{self.endpoint}/moto-api/", timeout=60)
            except requests.RequestException:
                time.sleep(0.2)
                continue
            self._client().create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": REGION})
            return self
        raise BucketError("moto's server did not start")

    def stop(self) -> None:
        if self._process is not None:
            end_process(self._process)
            self._process = None

    def read(self, url: str) -> bytes:
        """Return the content of a file by its URL `s3://[connection@]bucket/key`. Raises BucketError."""
        _, _, place = url.rpartition("@") if "@" in url else url.partition("://")
        bucket, _, key = place.partition("/")
        client = self._client()
        try:
            content: bytes = client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            raise BucketError(f"there is no {url}") from None
        return content

    def _client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
        )

    def __enter__(self) -> Bucket:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
