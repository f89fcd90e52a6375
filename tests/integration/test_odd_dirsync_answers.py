"""DirSync answers that Windows gives and Samba does not, put into the place of Samba's own.

Real: Samba and all that is read besides. Documented: the entry of a deleted object for an account that may not see
tombstones (Samba's test suite, dirsync.py, whose expectations are those of Windows), and that a full answer may come at
any time (Microsoft's page on DirSync).
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from genesys_ad_sync.directory.entries import DirSyncResult, Entry
from genesys_ad_sync.directory.session import LdapSession
from sandbox.directory_objects import AddMember, Delete, RemoveMember
from tests.support.pipeline import Pipeline, set_connection
from tests.support.small_company import connection_to, definition_keys, members, rows, small

__all__ = ["small"]


def test_a_deletion_of_which_only_the_guid_is_shown_is_carried_out_in_the_same_run(
    small: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, "active_directory_default", connection_to(small.directory, account="limited"))
    small.redefine(**{**definition_keys(), "limits": {**definition_keys()["limits"], "shrink_percent": 100}})
    small.run()
    people = small.journal.of("default").views.all_users()
    cid = next(person.guid for person in people if person.sam_account_name == "cid")
    small.directory.apply([Delete("cid")])
    honest = LdapSession.dirsync

    def dirsync(self: LdapSession, *asked: Any) -> DirSyncResult:
        answer = honest(self, *asked)
        unseen = Entry("", {"objectguid": [uuid.UUID(cid).bytes_le]})
        return DirSyncResult([*answer.entries, unseen], answer.cookie)

    monkeypatch.setattr(LdapSession, "dirsync", dirsync)
    assert ("remove", "cid", "success", None, None) in rows(small.run())
    assert "cid" not in members(small, "Voice")


def test_a_full_answer_while_the_view_is_taken_is_exact(small: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes between the reading of the groups and the full answer are neither lost nor half included."""
    small.run()
    honest = LdapSession.dirsync
    changed = []

    def dirsync(self: LdapSession, context: str, ldap_filter: str, attributes: Any, cookie: bytes) -> Any:
        if cookie:
            if not changed:
                small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "eve")])
                changed.append(True)
            cookie = b""
        return honest(self, context, ldap_filter, attributes, cookie)

    monkeypatch.setattr(LdapSession, "dirsync", dirsync)
    small.run(mode="full")
    monkeypatch.setattr(LdapSession, "dirsync", honest)
    small.run()
    assert members(small, "Voice") == {"ann", "cid", "eve", "mia"}
