"""`report.path` and `report.mode`: no secret gets into a path, which logs, XComs and asset events show."""

from __future__ import annotations

import pytest

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import parse_definition

SECRET = "s3cr3t-Xy"
GOOD = """
directory: {group_base: "OU=Contact Center,DC=example,DC=com"}
groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]
"""


def path_of(path: str) -> str:
    return parse_definition(GOOD + f"report: {{path: '{path}'}}").report.path


@pytest.mark.parametrize(
    "variable",
    [
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW_CONN_GENESYS_CLOUD_DEFAULT",
        "AWS_SECRET_ACCESS_KEY",
        "airflow_home",
        "PATH",
    ],
)
@pytest.mark.parametrize("form", ["${%s}", "$%s", "${%s", "$%s/x"])
def test_no_other_variable_is_filled_in(monkeypatch: pytest.MonkeyPatch, variable: str, form: str) -> None:
    monkeypatch.setenv(variable, SECRET)
    with pytest.raises(SettingsError) as refused:
        path_of("file:///reports/" + form % variable)
    assert variable in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_variable_is_filled_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_PLACE", "x/$AIRFLOW__CORE__FERNET_KEY")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", SECRET)
    assert SECRET not in path_of("file:///${GENESYS_AD_SYNC_PLACE}")


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://ann:{SECRET}@host/reports",
        f"FTP://ann:{SECRET}@host/reports",
        f"sftp://ann%3A{SECRET}@host/reports",
        f"ftp://ann:pass/{SECRET}@host/reports",
        f"ftp://:{SECRET}@host",
        f"ann:{SECRET}@host/reports",
        f"s3://bucket/x?AWSAccessKeyId=1&Signature={SECRET}",
        f"az://box/x#sig={SECRET}",
    ],
)
def test_a_login_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        path_of(url)
    assert "`report.path`" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_login_that_a_variable_brings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_LOGIN", f"ann:{SECRET}@")
    with pytest.raises(SettingsError) as refused:
        path_of("ftp://${GENESYS_AD_SYNC_LOGIN}host/x")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["s3://aws_default@bucket/reports", "abfss://box@account.dfs.core.windows.net/x", "file:///mail@home/x"]
)
def test_the_id_of_an_airflow_connection_is_no_login(url: str) -> None:
    assert path_of(url) == url


@pytest.mark.parametrize(("mode", "number"), [("0600", 0o600), ("0640", 0o640), ("0644", 0o644)])
def test_the_mode_is_octal(mode: str, number: int) -> None:
    assert parse_definition(GOOD + f'report: {{mode: "{mode}"}}').report.file_mode == number


@pytest.mark.parametrize("written", ["0640", "640", '"0666"', '"0777"', '"600"'])
def test_a_mode_that_may_mean_another_number_is_refused(written: str) -> None:
    """Without quotes, YAML reads 0640 as 416 and 640 as 640."""
    with pytest.raises(SettingsError, match=r"with the quotes"):
        parse_definition(GOOD + f"report: {{mode: {written}}}")
