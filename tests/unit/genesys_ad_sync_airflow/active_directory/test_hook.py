"""ActiveDirectoryHook: what it makes of a connection that only an environment variable knows."""

import json
import subprocess
import sys

import pytest

from genesys_ad_sync.directory.connection import Transport
from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook

PASSWORD = "s3cret-word"


@pytest.fixture
def hook_for(monkeypatch):
    def make(extra=None, **fields):
        connection = {
            "conn_type": "active_directory",
            "host": "dc1.t",
            "login": "svc@t",
            "password": PASSWORD,
            "extra": extra or {},
            **fields,
        }
        monkeypatch.setenv("AIRFLOW_CONN_AD", json.dumps(connection))
        return ActiveDirectoryHook("ad")

    return make


def test_all_fields_arrive(hook_for, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    settings = hook_for(
        {
            "transport": "STARTTLS",
            "ca_certs_file": str(ca),
            "server_name": "dc.t",
            "base_dn": "DC=t",
            "connect_timeout": 3.0,
            "receive_timeout": "20",
        },
        host=" dc1.t, 10.0.0.2 ,",
        port=1389,
    ).settings()
    assert settings.hosts == ("dc1.t", "10.0.0.2")
    assert (settings.port, settings.transport) == (1389, Transport.STARTTLS)
    assert (settings.login, settings.password) == ("svc@t", PASSWORD)
    assert (settings.ca_certs_file, settings.server_name, settings.base_dn) == (str(ca), "dc.t", "DC=t")
    assert (settings.connect_timeout, settings.receive_timeout) == (3, 20)


def test_nothing_said_means_verified_ldaps(hook_for):
    settings = hook_for({"transport": "", "base_dn": None, "connect_timeout": ""}).settings()
    assert settings.transport is Transport.LDAPS
    assert (settings.port, settings.ca_certs_file, settings.server_name, settings.base_dn) == (None,) * 4


@pytest.mark.parametrize(
    ("extra", "fields", "said"),
    [
        ({"transport": "ssl"}, {}, "transport.*ldaps, starttls, plain"),
        ({"ca_certs_file": "/nowhere/ca.pem"}, {}, "ca_certs_file.*does not exist"),
        ({"ca_certs": "/etc/ssl/ca.pem"}, {}, "ca_certs.*BEGIN CERTIFICATE"),
        ({"ca_certs": "-----BEGIN CERTIFICATE-----?-----END CERTIFICATE-----"}, {}, "ca_certs.*BEGIN CERTIFICATE"),
        ({"connect_timeout": "soon"}, {}, "connect_timeout.*seconds"),
        ({"receive_timeout": 0}, {}, "receive_timeout.*seconds"),
        ({"receive_timeout": "2.5"}, {}, "receive_timeout.*seconds"),
        ({"receive_timeout": "nan"}, {}, "receive_timeout.*seconds"),
        ({"receive_timeout": "1e300"}, {}, "receive_timeout.*at most"),
        ({"connect_timeout": 86_401}, {}, "connect_timeout.*at most"),
        ({"use_ssl": True}, {}, "unknown extra use_ssl"),
        ({}, {"host": " , "}, "host is empty"),
        ({}, {"host": "ldap://dc1"}, "ldap://.*transport"),
        ({}, {"host": "dc1,ldap://dc2:389"}, "ldap://.*transport"),
        ({"transport": "starttls"}, {"host": "ldaps://dc1"}, "ldaps://.*transport"),
        ({}, {"port": 70000}, "`port` is 70000"),
        ({"server_name": "a.t,b.t"}, {}, "2 names for 1 hosts"),
        ({}, {"login": None}, "login and password"),
        ({}, {"password": None}, "login and password"),
    ],
)
def test_a_wrong_connection_is_explained(hook_for, extra, fields, said):
    hook = hook_for(extra, **fields)
    with pytest.raises(SettingsError, match=said) as wrong:
        hook.settings()
    assert "Connection ad" in str(wrong.value)
    assert PASSWORD not in str(wrong.value)


PEM = "-----BEGIN CERTIFICATE-----{0}MIIB{0}AAAA{0}-----END CERTIFICATE-----"


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\\n", " ", ""])
def test_line_breaks_of_a_pasted_certificate_do_not_matter(hook_for, line_break):
    text = PEM.format(line_break)
    assert hook_for({"ca_certs": text}).settings().ca_certs == PEM.format("\n").replace("MIIB\nAAAA", "MIIBAAAA") + "\n"
    assert hook_for({"ca_certs": text + text}).settings().ca_certs.count("BEGIN") == 2


def test_the_test_button_explains_too(hook_for):
    ok, message = hook_for({"transport": "ssl"}).test_connection()
    assert not ok
    assert "transport" in message


def test_the_test_button_names_every_host_that_is_none(hook_for):
    ok, message = hook_for(host="dc1:abc,dc 2").test_connection()
    assert not ok
    assert "dc1:abc: the port" in message
    assert "dc 2: it is not a DNS name" in message


def test_importing_the_hook_loads_no_ldap_library(pytestconfig):
    code = (
        "import sys; sys.path[:0] = ['include', 'plugins']; import genesys_ad_sync_airflow.active_directory.hook; "
        "print('ldap3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=pytestconfig.rootpath, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "False"


@pytest.mark.parametrize(
    ("host", "said"), [("dc1,dc2:3269", ["3269"]), ("dc1:3268,dc2:3269", ["3268 and 3269"]), ("dc1", [])]
)
def test_the_global_catalog_is_warned_of(hook_for, host, said):
    """It has no accountExpires by default: every account would last for ever."""
    warnings = hook_for(host=host).warnings()
    assert [text for text in said if text in " ".join(warnings)] == said
    assert len(warnings) == len(said)
