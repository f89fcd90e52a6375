"""Attributes whose changes DirSync reports.

They come from a list of usual ones, else from AD's own schema.
"""

from __future__ import annotations

from collections.abc import Collection

from ldap3.utils.conv import escape_filter_chars

from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryNotFound, DirectoryRefused

_NOT_REPLICATED, _CONSTRUCTED = 0x1, 0x4  # bits of systemFlags (MS-ADTS 2.2.10)
_USUAL = frozenset(
    {
        *("objectclass", "objectcategory", "objectguid", "objectsid", "cn", "name", "samaccountname", "samaccounttype"),
        *("grouptype", "description", "displayname", "info", "mail", "mailnickname", "admindescription"),
        *(f"extensionattribute{number}" for number in range(1, 16)),
    }
)


def untrackable_attributes(session: LdapSession, names: Collection[str]) -> frozenset[str]:
    """Return those of the lower-case ``names`` whose changes DirSync may not report.

    An attribute can be tracked only if the schema says that it is stored, replicated and no link. A name that the
    schema does not have (``anr``, an object identifier) cannot, and neither can any if the schema cannot be read.
    """
    asked = frozenset(names) - _USUAL
    if not asked:
        return frozenset()
    terms = "".join(f"(lDAPDisplayName={escape_filter_chars(name)})" for name in sorted(asked))
    try:
        root = session.search("", "(objectClass=*)", ["schemaNamingContext"], "BASE")
        schema = root[0].text("schemaNamingContext") if root else None
        if schema is None:
            return asked
        ldap_filter = f"(&(objectClass=attributeSchema)(|{terms}))"
        found = session.search(schema, ldap_filter, ["lDAPDisplayName", "systemFlags", "linkID"], "LEVEL")
    except (DirectoryNotFound, DirectoryRefused):
        return asked
    stored = {
        (entry.text("lDAPDisplayName") or "").lower()
        for entry in found
        if not (entry.number("systemFlags") or 0) & (_NOT_REPLICATED | _CONSTRUCTED) and entry.number("linkID") is None
    }
    return asked - stored
