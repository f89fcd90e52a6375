"""Connecting without a server: what the settings show, and what becomes of a refused login."""

import pytest

from genesys_ad_sync.directory import connection
from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.errors import DirectoryBindError


def test_the_password_is_in_no_repr():
    settings = LdapSettings(("dc1",), "svc@t", "s3cret-word")
    assert "s3cret-word" not in repr(settings)
    assert "s3cret-word" not in str(settings)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v1db1", "wrong"),
        ("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 775, v1db1", "locked out"),
        ("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 533, v1db1", "disabled"),
        ("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 532, v3839", "expired"),
        ("something new", "wrong"),
    ],
)
def test_a_refused_login_is_translated_and_tried_once(monkeypatch, message, said):
    binds = []

    class Refusing:
        def __init__(self, server, **_):
            self.host = server.host

        def open(self, **_):
            pass

        def bind(self, **_):
            binds.append(self.host)
            return False, {"result": 49, "description": "invalidCredentials", "message": message}, None, None

        def unbind(self):
            pass

    monkeypatch.setattr(connection.ldap3, "Connection", Refusing)
    settings = LdapSettings(("dc1", "dc2"), "svc@t", "s3cret-word", transport=Transport.PLAIN)
    with pytest.raises(DirectoryBindError, match=said) as refused:
        connect(settings)
    assert binds == ["dc1"], "a second try would count towards locking the account"
    assert "s3cret-word" not in str(refused.value)
