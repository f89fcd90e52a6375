"""Replicate other domain controllers of the domain into one, on request.

A script for Debian's own /usr/bin/python3, the only one that has the ``samba`` module. It does what
`samba-tool drs replicate … --local` does. It keeps the database open: to open it is nearly all of that command's work.

    directory_replicate.py SMB_CONF NAMING_CONTEXT USER%PASSWORD

Each line of standard input is the host of a source. The answer to each is the line "done". An error ends the script.
"""

from __future__ import annotations

import os
import sys

import ldb
from samba import Ldb
from samba.auth import system_session
from samba.credentials import DONT_USE_KERBEROS, Credentials
from samba.dcerpc import misc
from samba.drs_utils import drs_Replicate
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB


class Replicator:
    """One domain controller's database, and how changes of others get into it."""

    def __init__(self, smb_conf: str, naming_context: str, user: str) -> None:
        self._parameters = LoadParm()
        self._parameters.load(smb_conf)
        self._naming_context = naming_context
        self._credentials = Credentials()
        self._credentials.guess(self._parameters)
        self._credentials.parse_string(user)
        self._credentials.set_kerberos_state(DONT_USE_KERBEROS)
        self._database = SamDB(session_info=system_session(), url=None, lp=self._parameters, flags=0)

    def replicate_from(self, source: str) -> None:
        mine = misc.GUID(self._database.get_invocation_id())
        settings = self._database.search(base=self._database.get_dsServiceName(), scope=ldb.SCOPE_BASE)[0]
        drs = drs_Replicate(f"ncacn_ip_tcp:{source}[seal]", self._parameters, self._credentials, self._database, mine)
        drs.replicate(
            self._naming_context,
            self._invocation_id_of(source),
            ndr_unpack(misc.GUID, settings["objectGUID"][0]),
            full_sync=False,
        )

    def _invocation_id_of(self, source: str) -> misc.GUID:
        other = Ldb(url=f"ldap://{source}", lp=self._parameters, credentials=self._credentials)
        [root] = other.search(base="", scope=ldb.SCOPE_BASE, attrs=["dsServiceName"])
        [settings] = other.search(base=str(root["dsServiceName"][0]), scope=ldb.SCOPE_BASE, attrs=["invocationId"])
        return ndr_unpack(misc.GUID, settings["invocationId"][0])


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Samba's libraries print what they replicate
    replicator = Replicator(*sys.argv[1:])
    for line in sys.stdin:
        replicator.replicate_from(line.strip())
        print("done", file=answers, flush=True)


main()
