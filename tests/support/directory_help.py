"""A DirectoryReader on a sandbox directory."""

import contextlib

from genesys_ad_sync.directory.connection import LdapSettings, connect
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.model import Scope


@contextlib.contextmanager
def reader_of(
    directory,
    *,
    account="reader",
    group_base=None,
    group_filter="(objectClass=group)",
    nested_groups=True,
    user_attributes=(),
    group_attributes=(),
):
    connection = directory.connection(account)
    settings = LdapSettings(
        hosts=(connection["host"],),
        login=connection["login"],
        password=connection["password"],
        ca_certs_file=directory.ca_certs_file,
        server_name=directory.server_name,
    )
    scope = Scope(
        naming_context=directory.base_dn,
        group_base=group_base or directory.group_base,
        group_filter=group_filter,
        nested_groups=nested_groups,
        disabled_users="remove",
        group_attributes=tuple(sorted(name.lower() for name in group_attributes)),
        user_attributes=tuple(sorted(name.lower() for name in user_attributes)),
    )
    with connect(settings) as session:
        yield DirectoryReader(session, scope)


def names(objects):
    return {thing.sam_account_name for thing in objects}
