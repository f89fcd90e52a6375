"""Changes in an empty organizational unit, and nowhere else.

Everything that is made there has a name that begins with ``prefix``, which is random. Only that is changed, and all of
it is deleted at the end.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ldap3
from ldap3.core.results import RESULT_INSUFFICIENT_ACCESS_RIGHTS, RESULT_SIZE_LIMIT_EXCEEDED, RESULT_SUCCESS

from genesys_ad_sync import names
from genesys_ad_sync.directory import answers
from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.ldap_library import LIBRARY_ERRORS
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError, DirectoryIncomplete
from genesys_ad_sync.model import Guid
from genesys_ad_sync.probe.raw_search import raw_search

_ENABLED, _DISABLED = 0x200, 0x202  # NORMAL_ACCOUNT, and ACCOUNTDISABLE with it
_GLOBAL_SECURITY_GROUP = -2147483646
_NEVER_AT_ANY_HOUR = bytes(21)  # logonHours
_DELETE_AT_ONCE = 500


class ProbeOuRefused(DirectoryError):
    """The organizational unit may not be used. Nothing was changed."""


class ChangeRefused(DirectoryError):
    """The domain controller refuses a change."""


class ProbeOu:
    """The organizational unit ``dn``, over a session whose account may write there."""

    def __init__(self, session: LdapSession, dn: str) -> None:
        self._session = session
        self.dn = dn
        self.prefix = f"probe-{secrets.token_hex(3)}-"
        self.tombstones = 0

    def require_empty(self) -> None:
        """Check that nothing is in it, as this account sees it. Raises ProbeOuRefused."""
        answer = raw_search(self._session, self.dn, "(objectClass=*)", ["objectClass"])
        if not answer.succeeded or len(answer.entries) != 1:
            raise ProbeOuRefused(
                f"The test OU does not exist, or the account that writes may not see it ({answer.refusal}): {self.dn}."
            )
        classes = {value.lower() for value in answer.entries[0][1].get("objectclass") or ()}
        if b"organizationalunit" not in classes:
            raise ProbeOuRefused(f"{self.dn} is not an organizational unit. Make an empty one for this test.")
        inside = raw_search(self._session, self.dn, "(objectClass=*)", ["1.1"], "SUBTREE", size_limit=2)
        if len(inside.entries) != 1 or inside.references:  # the OU itself is one
            raise ProbeOuRefused(f"The test OU is not empty, so nothing was changed in it: {self.dn}.")

    # -- changes --------------------------------------------------------------------------------------

    def create_user(self, name: str) -> Guid:
        """Create an enabled account that nobody can use.

        Its password is random and its hours are none.
        """
        letters = string.ascii_letters + string.digits
        password = f"aA1!{''.join(secrets.choice(letters) for _ in range(40))}"
        return self._create(
            name,
            "user",
            {
                "sAMAccountName": f"{self.prefix}{name}",
                "mail": f"{self.prefix}{name}@probe.invalid",
                "unicodePwd": f'"{password}"'.encode("utf-16-le"),
                "userAccountControl": str(_ENABLED),
                "logonHours": _NEVER_AT_ANY_HOUR,
            },
        )

    def create_group(self, name: str) -> Guid:
        """Create a global security group."""
        wanted = {"sAMAccountName": f"{self.prefix}{name}", "groupType": str(_GLOBAL_SECURITY_GROUP)}
        return self._create(name, "group", wanted)

    def create_contact(self, name: str) -> str:
        """Create a contact, and return its DN.

        A contact is a member that costs no licence and has no password.
        """
        dn = self.dn_of(name)
        self._require(f"create the contact {name}", self._write("add", dn, ["contact"], {}))
        return dn

    def dn_of(self, name: str) -> str:
        """Return the DN of what was created by that name."""
        return f"CN={self.prefix}{name},{self.dn}"

    def add_members(self, group: Guid, members: Sequence[str]) -> None:
        """Add members, as DNs, in one request."""
        self._modify(f"add {len(members)} members", group, {"member": [(ldap3.MODIFY_ADD, list(members))]})

    def remove_member(self, group: Guid, member: Guid) -> None:
        self._modify("remove a member", group, {"member": [(ldap3.MODIFY_DELETE, [f"<GUID={member}>"])]})

    def disable(self, user: Guid) -> None:
        change = {"userAccountControl": [(ldap3.MODIFY_REPLACE, [str(_DISABLED)])]}
        self._modify("disable an account", user, change)

    def rename(self, name: str, new_name: str) -> None:
        """Rename an object within the test OU."""
        written = self._write("modify_dn", self.dn_of(name), f"CN={self.prefix}{new_name}")
        self._require(f"rename {name}", written)

    def delete(self, name: str) -> None:
        self._require(f"delete {name}", self._write("delete", self.dn_of(name)))
        self.tombstones += 1

    def restore(self, guid: Guid, name: str) -> None:
        """Restore a deleted object to its place."""
        found = raw_search(self._session, f"<GUID={guid}>", "(objectClass=*)", ["1.1"], controls=[ctl.show_deleted()])
        if len(found.entries) != 1:
            raise ChangeRefused("The account that writes does not see the deleted object, so it cannot restore it.")
        change = {
            "isDeleted": [(ldap3.MODIFY_DELETE, [])],
            "distinguishedName": [(ldap3.MODIFY_REPLACE, [self.dn_of(name)])],
        }
        tombstone = ctl.plain_dn(found.entries[0][0])
        written = self._write("modify", tombstone, change, controls=[ctl.show_deleted()])
        self._require("restore a deleted account", written)
        self.tombstones -= 1

    def _create(self, name: str, object_class: str, attributes: Mapping[str, Any]) -> Guid:
        dn = self.dn_of(name)
        self._require(f"create the {object_class} {name}", self._write("add", dn, [object_class], attributes))
        made = raw_search(self._session, dn, "(objectClass=*)", ["objectGUID"])
        guids = made.entries[0][1].get("objectguid") if made.entries else None
        if not guids:
            raise ChangeRefused(f"The account that writes may not read the objectGUID of what it has created in {dn}.")
        return ctl.guid_of_bytes(guids[0])

    def _modify(self, what: str, guid: Guid, change: Mapping[str, Any]) -> None:
        self._require(what, self._write("modify", f"<GUID={guid}>", change))

    def _write(self, how: str, *arguments: Any, **options: Any) -> Mapping[str, Any]:
        try:
            _, result, _, _ = getattr(self._session.connection, how)(*arguments, **options)
        except LIBRARY_ERRORS as error:
            raise DirectoryIncomplete(
                f"The connection to {self._session.host} broke during a change ({type(error).__name__})."
            ) from error
        found: Mapping[str, Any] = result
        return found

    def _require(self, what: str, result: Mapping[str, Any]) -> None:
        if result["result"] == RESULT_SUCCESS:
            return
        missing = result["result"] == RESULT_INSUFFICIENT_ACCESS_RIGHTS
        remedy = f" The account that writes lacks the right to do it in {self.dn}." if missing else ""
        raise ChangeRefused(f"The domain controller refuses to {what} ({answers.error_text(result)}).{remedy}")

    # -- afterwards -----------------------------------------------------------------------------------

    def clean_up(self, session: LdapSession | None = None, say: Callable[[str], None] = lambda _: None) -> list[str]:
        """Delete everything with the prefix, and return the DNs of what is left.

        ``session``: another one to use. Raises DirectoryError if what is left cannot be known.
        """
        if session is not None:
            self._session = session
        refused: set[str] = set()
        while True:
            found = [dn for dn in self._own() if names.dn_key(dn) not in refused]
            if not found:
                return sorted(self._own())
            for dn in found:
                if self._write("delete", dn)["result"] == RESULT_SUCCESS:
                    self.tombstones += 1
                else:
                    refused.add(names.dn_key(dn))
            say(f"{self.tombstones} objects deleted")

    def _own(self) -> list[str]:
        """Return DNs of what has the prefix, as many as one answer holds."""
        ldap_filter = f"(cn={self.prefix}*)"
        answer = raw_search(self._session, self.dn, ldap_filter, ["1.1"], "LEVEL", size_limit=_DELETE_AT_ONCE)
        if answer.result["result"] not in (RESULT_SUCCESS, RESULT_SIZE_LIMIT_EXCEEDED):
            raise DirectoryIncomplete(f"The content of {self.dn} cannot be listed ({answer.refusal}).")
        return [ctl.plain_dn(dn) for dn, _ in answer.entries]
