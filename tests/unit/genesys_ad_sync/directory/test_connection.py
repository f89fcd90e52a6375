"""Connecting without a server: what the settings show."""

from genesys_ad_sync.directory.connection import LdapSettings


def test_the_password_is_in_no_repr():
    settings = LdapSettings(("dc1",), "svc@t", "s3cret-word")
    assert "s3cret-word" not in repr(settings)
    assert "s3cret-word" not in str(settings)
