"""Replacements for the values of each attribute.

An attribute that is not named here is hashed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone

from genesys_ad_sync.directory.recording.pseudonyms import Pseudonyms

Clock = Callable[[], datetime]

# What a server says about itself, and what says of which kind an object is. Nothing of it is about a person.
_KEPT = frozenset(
    {
        *("currenttime", "highestcommittedusn", "supportedcontrol", "supportedcapabilities", "supportedldapversion"),
        *("supportedldappolicies", "supportedextension", "supportedsaslmechanisms", "issynchronized"),
        *("isglobalcatalogready", "domainfunctionality", "forestfunctionality", "domaincontrollerfunctionality"),
        *(
            "vendorname",
            "vendorversion",
            "tombstonelifetime",
            "ldapadminlimits",
            "operatingsystem",
            "operatingsystemversion",
        ),
        *("instancetype", "isdeleted", "isrecycled", "grouptype", "samaccounttype", "systemflags", "searchflags"),
        *("ldapdisplayname", "linkid", "attributeid", "attributesyntax", "issinglevalued", "entryttl"),
    }
)
_CLASSES = frozenset(
    {
        *("top", "person", "organizationalperson", "inetorgperson", "user", "group", "contact", "computer"),
        *("organizationalunit", "container", "builtindomain", "domain", "domaindns", "foreignsecurityprincipal"),
        *("msds-managedserviceaccount", "msds-groupmanagedserviceaccount", "applicationsettings", "ntdsdsa", "server"),
        *("attributeschema", "classschema", "dmd", "configuration", "lostandfound", "crossref", "crossrefcontainer"),
        *("leaf", "connectionpoint", "ntdsservice", "querypolicy", "msds-optionalfeature", "securityprincipal"),
        *(
            "posixaccount",
            "posixgroup",
            "mailrecipient",
            "publicfolder",
            "msexchdynamicdistributionlist",
            "dynamicobject",
        ),
    }
)
_OBJECT_NAMES = frozenset(
    {
        *("member", "memberof", "distinguishedname", "lastknownparent", "manager", "objectcategory", "dsservicename"),
        *("servername", "serverreference", "subschemasubentry", "namingcontexts", "msds-enabledfeature", "managedby"),
        *("defaultnamingcontext", "rootdomainnamingcontext", "configurationnamingcontext", "schemanamingcontext"),
    }
)
_GUIDS = frozenset(
    {"objectguid", "invocationid", "parentguid", "ms-ds-consistencyguid", "msexchmailboxguid", "msexcharchiveguid"}
)
_SIDS = frozenset({"objectsid", "sidhistory"})
_DNS_NAMES = frozenset({"dnshostname"})
_RIDS = frozenset({"primarygroupid", "primarygrouptoken"})
_METADATA = frozenset({"msds-replvaluemetadata", "msds-replattributemetadata", "msds-ncreplcursors"})
_GUID_LENGTH = 16

_ACCOUNT_BITS = 0x0002 | 0x0200 | 0x0800 | 0x1000 | 0x2000  # disabled, and the kinds of accounts
_NEVER = (0, 0x7FFFFFFFFFFFFFFF)
_WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
_EXPIRED = datetime(2000, 1, 1, tzinfo=timezone.utc)
_NOT_EXPIRED = datetime(2900, 1, 1, tzinfo=timezone.utc)

_DOCUMENT = re.compile(r"(\s*<(\w+)>\s*)(.*?)(\s*</\2>\s*\0?\s*)", re.DOTALL)
_LEAF = re.compile(r"<(\w+)>(.*?)</\1>", re.DOTALL)
_METADATA_KEPT = re.compile(r"pszAttributeName|dwVersion|(?:ftime|usn)\w+")
_ATTRIBUTE_NUMBER_OR_TIME = re.compile(r"[A-Za-z0-9:.-]*")
_METADATA_GUIDS = frozenset({"uuidLastOriginatingDsaInvocationID", "uuidSourceDsaInvocationID"})
_METADATA_DNS = frozenset({"pszObjectDn", "pszLastOriginatingDsaDN", "pszSourceDsaDN"})


class Values:
    """Replaces attribute values. ``clock``: now, for the ends of accounts."""

    def __init__(self, pseudonyms: Pseudonyms, clock: Clock) -> None:
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._by_bytes: Mapping[str, Callable[[bytes], bytes]] = {
            **dict.fromkeys(_SIDS, pseudonyms.sid_bytes),
            **dict.fromkeys(_GUIDS, self._guid),
            "repluptodatevector": pseudonyms.vector,
        }
        self._by_text: Mapping[str, Callable[[str], str]] = {
            **dict.fromkeys(_OBJECT_NAMES, pseudonyms.dn),
            **dict.fromkeys(_DNS_NAMES, pseudonyms.dns_name),
            **dict.fromkeys(_RIDS, lambda text: str(pseudonyms.rid(int(text)))),
            **dict.fromkeys(_METADATA, self._metadata),
            "objectclass": lambda text: text if text.lower() in _CLASSES else pseudonyms.name(text),
            "useraccountcontrol": lambda text: str(int(text) & _ACCOUNT_BITS),
            "accountexpires": lambda text: str(self._expiry(int(text))),
        }

    def replaced(self, attribute: str, values: Iterable[bytes]) -> list[bytes]:
        """Return the replacements for the values of an attribute.

        The attribute may have options such as a range.
        """
        name = attribute.partition(";")[0].lower()
        return [self._replaced(name, bytes(value)) for value in values]

    def _replaced(self, name: str, value: bytes) -> bytes:
        if name in _KEPT or not value:
            return value
        try:
            if name in self._by_bytes:
                return self._by_bytes[name](value)
            if name in self._by_text:
                return self._by_text[name](value.decode("utf-8")).encode()
            return self._text(value.decode("utf-8")).encode()
        except ValueError:  # not of the form that the attribute should have
            return self._pseudonyms.opaque(value)

    def _guid(self, value: bytes) -> bytes:
        return self._pseudonyms.guid_bytes(value) if len(value) == _GUID_LENGTH else self._pseudonyms.opaque(value)

    def _text(self, text: str) -> str:
        return self._pseudonyms.dn(text) if text.startswith("<GUID=") else self._pseudonyms.text(text)

    def _expiry(self, ticks: int) -> int:
        """Keep of the end of an account only whether it is over."""
        if ticks in _NEVER:
            return ticks
        now = (self._clock() - _WINDOWS_EPOCH) // timedelta(microseconds=1) * 10
        instead = _EXPIRED if ticks <= now else _NOT_EXPIRED
        return (instead - _WINDOWS_EPOCH) // timedelta(microseconds=1) * 10

    def _metadata(self, text: str) -> str:
        """Replace names and identifiers in XML of Active Directory, which is not quite XML."""
        document = _DOCUMENT.fullmatch(text)
        if document is None:
            return self._pseudonyms.name(text)
        leaves = "\n\t".join(f"<{tag}>{self._leaf(tag, value)}</{tag}>" for tag, value in _LEAF.findall(document[3]))
        return f"<{document[2]}>\n\t{leaves}\n</{document[2]}>\n" + ("\0" if "\0" in document[4] else "")

    def _leaf(self, tag: str, value: str) -> str:
        text = value.strip()
        try:
            if _METADATA_KEPT.fullmatch(tag) and _ATTRIBUTE_NUMBER_OR_TIME.fullmatch(text):
                return text
            if tag in _METADATA_GUIDS:
                return self._pseudonyms.guid(text)
            return self._pseudonyms.dn(text) if tag in _METADATA_DNS else self._pseudonyms.name(text)
        except ValueError:
            return self._pseudonyms.name(text)
