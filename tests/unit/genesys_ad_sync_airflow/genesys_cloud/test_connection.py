"""The connection to Genesys Cloud: nothing secret crosses a network in clear, or gets into a name that is shown."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.genesys.errors import RegionUnknown
from genesys_ad_sync_airflow.genesys_cloud import hook as hook_module
from genesys_ad_sync_airflow.genesys_cloud.connection import GenesysConnection, read_connection
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook

SECRET = "s3cr3t-Xy"


def read(host: str | None = "mypurecloud.de", **extra: Any) -> GenesysConnection:
    connection = SimpleNamespace(host=host, login="id", password="secret", extra_dejson=extra)
    return read_connection("genesys", connection)


@pytest.mark.parametrize("key", ["api_url", "login_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "HTTP://api.example.com:8080/x",
        "http://10.0.0.7",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:1",
    ],
)
def test_http_is_for_this_machine_alone(key: str, url: str) -> None:
    with pytest.raises(SettingsError, match=rf"`{key}` would send the client secret .* unencrypted.*plain"):
        read(**{key: url})
    allowed = read(**{key: url, "transport": "plain"})
    assert getattr(allowed, key) == url
    assert [text for text in allowed.warnings if key in text]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8123", "http://localhost", "http://[::1]:8/x", "https://a.example"])
def test_loopback_and_https_need_no_consent(url: str) -> None:
    settings = read(api_url=url, login_url=url)
    assert (settings.api_url, settings.login_url, settings.warnings) == (url, url, ())


@pytest.mark.parametrize("key", ["api_url", "login_url"])
@pytest.mark.parametrize(
    "url",
    [
        f"https://ann:{SECRET}@proxy.example.com",
        f"https://{SECRET}@proxy.example.com",
        f"https://proxy.example.com/x@{SECRET}",
        f"http://ann:{SECRET}@127.0.0.1",
        f"https://a.example?token={SECRET}",
        f"https://a.example#{SECRET}",
        f"https://a.example:{SECRET}",
    ],
)
def test_a_login_in_a_url_is_refused_and_not_shown(key: str, url: str) -> None:
    """Both URLs become part of keys of the journal, and are shown in logs."""
    with pytest.raises(SettingsError, match=key) as refused:
        read(**{key: url, "transport": "plain"})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("host", [f"https://ann:{SECRET}@mypurecloud.example", f"ann:{SECRET}@nowhere"])
def test_a_login_in_the_host_is_not_shown(host: str) -> None:
    with pytest.raises(RegionUnknown) as refused:
        read(host)
    assert SECRET not in str(refused.value)


def test_another_transport_is_refused() -> None:
    with pytest.raises(SettingsError, match="`transport` must be https or plain"):
        read(transport="ldaps")


@pytest.mark.parametrize("extra", [{"verify": False}, {"verify": "false"}, {"verify_ssl": "False"}, {"verify": 0}])
def test_a_certificate_that_is_not_verified_is_warned_of(extra: dict[str, Any]) -> None:
    assert ["does not verify" in text for text in read(**extra).warnings] == [True]


@pytest.mark.parametrize("extra", [{}, {"verify": True}, {"verify": __file__}])
def test_a_verified_certificate_is_not_warned_of(extra: dict[str, Any]) -> None:
    assert read(**extra).warnings == ()


@pytest.mark.parametrize(
    "extra", [{"verify": "/no/ca.pem"}, {"verify_ssl": "no"}, {"cert": "/no/x"}, {"cert": [__file__, "/no/key.pem"]}]
)
def test_a_missing_certificate_file_is_named(extra: dict[str, Any]) -> None:
    """To requests it is an OSError while sending, which no stage expects."""
    with pytest.raises(SettingsError, match="does not exist on this machine"):
        read(**extra)


@pytest.mark.parametrize("key", ["api_url", "login_url"])
@pytest.mark.parametrize("ending", ["/api/v2", "/api/v2/", "/API/V2", "/oauth/token", "/oauth"])
def test_a_path_that_is_added_anyway_is_refused(key: str, ending: str) -> None:
    """Genesys would answer 404, as for a group that does not exist."""
    with pytest.raises(SettingsError, match=f"`{key}`.* without {ending.rstrip('/')}: that is added"):
        read(**{key: f"https://api.example.com{ending}"})
    assert read(**{key: "https://proxy.example.com/genesys"})


@pytest.mark.parametrize("url", ["https://a.example/x y", "https://a.ex\nample", "https://a.example\\x"])
def test_a_url_holds_nothing_that_libraries_read_in_different_ways(url: str) -> None:
    with pytest.raises(SettingsError, match="must be a URL"):
        read(api_url=url)


PROXY = "http://proxy.example.com:3128"


@pytest.mark.parametrize("key", ["proxy", "proxies"])
@pytest.mark.parametrize(
    "value", [PROXY, {"http": PROXY, "https": PROXY}, f'{{"http": "{PROXY}", "https": "{PROXY}"}}']
)
def test_a_proxy_may_be_one_url_or_one_for_each_scheme(key: str, value: object) -> None:
    """To requests a text is an AttributeError while sending."""
    assert read(**{key: value}).http_extra == {key: {"http": PROXY, "https": PROXY}}


@pytest.mark.parametrize("value", [[PROXY], 3128, {"https": None}, "proxy.example.com", f"{{'https': '{SECRET}'}}"])
def test_another_proxy_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(SettingsError, match="`proxies` must be a URL") as refused:
        read(proxies=value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "proxies",
    [
        {"https": f"http://ann:{SECRET}@proxy.example.com:3128"},
        {"https": "http://ann:s3cr3t%2DXy@proxy.example.com"},
    ],
)
def test_the_password_of_a_proxy_is_hidden_from_logs(
    proxies: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hidden: list[str] = []
    monkeypatch.setattr(hook_module, "hide_from_logs", hidden.append)
    hook = GenesysCloudHook()
    connection = SimpleNamespace(
        host="mypurecloud.de", login="id", password="secret", extra_dejson={"proxies": proxies, "nobody": 1}
    )
    monkeypatch.setattr(hook, "get_connection", lambda _: connection)
    with caplog.at_level(logging.DEBUG):
        settings = hook.settings
    assert settings.http_extra == {"proxies": proxies}
    assert SECRET in hidden
    assert SECRET not in caplog.text + repr(settings.warnings)
