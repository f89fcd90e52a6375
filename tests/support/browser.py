"""Chromium, spoken to by chromedriver."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's own key of a reference to an element
ENTER = "\ue007"  # WebDriver's code of the key
_LEADS_ON = "a[href], form button, input[type=submit], button[type=submit]"
_PAGE_SECONDS = 600  # against waiting for ever


class BrowserError(RuntimeError):
    """Chromium could not do it, for example because no such element is there."""


class Browser:
    """As much of WebDriver as these tests need."""

    def __init__(self, url: str) -> None:
        self._url = url
        chrome = {"args": ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"]}
        started = self._post("", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": chrome}}})
        self._session = f"/{started['sessionId']}"

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(f"{self._url}/session{path}", json=body, timeout=300)
        if not answer.ok:
            raise BrowserError(answer.json()["value"]["message"].splitlines()[0])
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self._post(f"{self._session}/url", {"url": url})

    def run(self, script: str) -> Any:
        return self._post(f"{self._session}/execute/sync", {"script": script, "args": []})

    def run_async(self, script: str) -> Any:
        """Run a script that calls ``done`` with its answer."""
        body = {"script": f"const done = arguments[arguments.length - 1]; {script}", "args": []}
        return self._post(f"{self._session}/execute/async", body)

    def resize(self, width: int, height: int) -> None:
        """Give the page that size in CSS pixels, which may be less than a window's smallest."""
        params = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._post(f"{self._session}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": params})

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        answer = requests.get(f"{self._url}/session{self._session}/screenshot", timeout=300)
        answer.raise_for_status()
        return base64.b64decode(answer.json()["value"])

    def press(self, key: str) -> None:
        """Press a key, in WebDriver's code, or the keys of a text, where the focus is."""
        strokes = [{"type": kind, "value": one} for one in key for kind in ("keyDown", "keyUp")]
        self._post(f"{self._session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]})

    def forget_cookies(self) -> None:
        requests.delete(f"{self._url}/session{self._session}/cookie", timeout=300)

    def set_cookie(self, name: str, value: str) -> None:
        """Set a cookie of the open page."""
        self._post(f"{self._session}/cookie", {"cookie": {"name": name, "value": value, "path": "/"}})

    def type(self, css: str, text: str) -> None:
        """Type into the first element that the selector finds. A text that ends with Enter sends the form."""
        with self._leaving() if text.endswith(ENTER) else nullcontext():
            self._post(f"{self._session}/element/{self._find(css)}/value", {"text": text})

    def click(self, css: str) -> None:
        """Click on the first element that the selector finds. If that leads to a page, wait for it."""
        element = self._find(css)
        leads_on = self.run(f"return document.querySelector({json.dumps(css)}).matches({json.dumps(_LEADS_ON)})")
        with self._leaving() if leads_on else nullcontext():
            self._post(f"{self._session}/element/{element}/click", {})

    def follow(self, link: str) -> None:
        """Click on the first link with that text, and wait for the page behind it."""
        with self._leaving():
            self._post(f"{self._session}/element/{self._find(link, 'link text')}/click", {})

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """Wait for the page behind an act: WebDriver waits only if the browser is on its way already."""
        self.run("window.leaves = location.href")
        yield
        deadline = time.monotonic() + _PAGE_SECONDS
        while self.run("return window.leaves === location.href || document.readyState !== 'complete'"):
            if time.monotonic() > deadline:
                raise BrowserError(f"the next page did not come within {_PAGE_SECONDS} s")
            time.sleep(0.05)

    def _find(self, value: str, using: str = "css selector") -> str:
        return str(self._post(f"{self._session}/element", {"using": using, "value": value})[ELEMENT])

    def close(self) -> None:
        requests.delete(f"{self._url}/session{self._session}", timeout=300)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("needs Debian's chromium-driver")
    with _started(driver) as port:
        opened = Browser(f"http://127.0.0.1:{port}")
        yield opened
        opened.close()


@contextmanager
def _started(driver: str) -> Iterator[str]:
    """Start chromedriver, and yield the port that it chose.

    It takes a port of IPv4, and ends if another process has the same one of IPv6. Then it is started again.
    """
    said = ""
    for _ in range(10):
        command = [driver, "--port=0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                for line in iter(process.stdout.readline, ""):
                    said += line
                    if found := re.search(r"started successfully on port (\d+)", line):
                        yield found[1]
                        return
            finally:
                process.terminate()
    raise AssertionError(f"chromedriver does not start: {said}")
