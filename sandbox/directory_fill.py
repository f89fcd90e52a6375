"""Fill a stopped Samba domain controller.

A script for Debian's own /usr/bin/python3, the only one that has the ``samba`` module. It knows nothing of this package
and takes everything as JSON on standard input.

    {"smb_conf": PATH, "sam": PATH,
     "objects": [{"dn": …, "objectClass": …, ATTRIBUTE: VALUE…}],
     "members": [{"group": DN, "members": [DN…]}],
     "primary_groups": [{"user": DN, "group": DN}],
     "deleted_objects_readers": [DN…]}      who may list and read CN=Deleted Objects
"""

from __future__ import annotations

import json
import sys
from typing import Any

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB
from samba.sd_utils import SDUtils

COMMIT_EVERY = 1000  # objects; one transaction for all is slower (reference/active-directory.md §2)


def fill(order: dict[str, Any]) -> None:
    parameters = LoadParm()
    parameters.load(order["smb_conf"])
    # batch_mode is the difference between 7 and 100 seconds for 10,000 users.
    database = SamDB(url=order["sam"], session_info=system_session(), lp=parameters, options=["batch_mode:1"])
    add_objects(database, order["objects"])
    database.transaction_start()
    for link in order["members"]:
        add_members(database, link["group"], link["members"])
    database.transaction_commit()
    database.transaction_start()
    for primary in order["primary_groups"]:
        set_primary_group(database, primary["user"], primary["group"])
    for account in order["deleted_objects_readers"]:
        let_read_deleted_objects(database, account)
    let_passwords_live_for_ever(database)
    database.transaction_commit()


def add_objects(database: SamDB, objects: list[dict[str, Any]]) -> None:
    for first in range(0, len(objects), COMMIT_EVERY):
        database.transaction_start()
        for attributes in objects[first : first + COMMIT_EVERY]:
            password = attributes.pop("password", None)
            if password is not None:
                attributes["unicodePwd"] = f'"{password}"'.encode("utf-16-le")
            database.add(attributes)
        database.transaction_commit()


def add_members(database: SamDB, group: str, members: list[str]) -> None:
    message = ldb.Message(ldb.Dn(database, group))
    message["member"] = ldb.MessageElement(members, ldb.FLAG_MOD_ADD, "member")
    database.modify(message)


def set_primary_group(database: SamDB, user: str, group: str) -> None:
    found = database.search(base=group, scope=ldb.SCOPE_BASE, attrs=["primaryGroupToken"])
    message = ldb.Message(ldb.Dn(database, user))
    message["primaryGroupID"] = ldb.MessageElement(
        str(found[0]["primaryGroupToken"]), ldb.FLAG_MOD_REPLACE, "primaryGroupID"
    )
    database.modify(message)


def let_read_deleted_objects(database: SamDB, account: str) -> None:
    """Do what ``dsacls "CN=Deleted Objects,…" /g ACCOUNT:LCRP`` does on Windows."""
    found = database.search(base=account, scope=ldb.SCOPE_BASE, attrs=["objectSid"])
    sid = ndr_unpack(security.dom_sid, found[0]["objectSid"][0])
    deleted_objects = f"CN=Deleted Objects,{database.domain_dn()}"
    controls = ["show_deleted:1"]
    tool = SDUtils(database)
    descriptor = tool.read_sd_on_dn(deleted_objects, controls)
    allowed = security.descriptor.from_sddl(f"D:(A;CI;LCRPLO;;;{sid})", tool.domain_sid)
    descriptor.dacl_add(allowed.dacl.aces[0])
    tool.modify_sd_on_dn(deleted_objects, descriptor, controls)


def let_passwords_live_for_ever(database: SamDB) -> None:
    """Let passwords never expire.

    The domain's default is 42 days, and a filled directory may be kept and copied for longer.
    """
    message = ldb.Message(ldb.Dn(database, str(database.domain_dn())))
    message["maxPwdAge"] = ldb.MessageElement(str(-(2**63)), ldb.FLAG_MOD_REPLACE, "maxPwdAge")
    database.modify(message)


if __name__ == "__main__":
    fill(json.load(sys.stdin))
