"""What a domain controller says about itself, and which controls it knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from genesys_ad_sync.directory import ldap_controls as ctl
from genesys_ad_sync.directory.entries import Entry, RootDse
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError
from genesys_ad_sync.probe.findings import Finding, compared, fact, or_why_not

_NEEDED_CONTROLS = {
    "DirSync": ctl.DIRSYNC,
    "paged results": ctl.PAGED_RESULTS,
    "extended DN": "1.2.840.113556.1.4.529",
    "show deleted": "1.2.840.113556.1.4.417",
}
_OPTIONAL_CONTROLS = {"show recycled": "1.2.840.113556.1.4.2064", "link TTL": "1.2.840.113556.1.4.2309"}
_LEVELS = {
    "0": "2000",
    "1": "2003 interim",
    "2": "2003",
    "3": "2008",
    "4": "2008 R2",
    "5": "2012",
    "6": "2012 R2",
    "7": "2016",
    "10": "2025",
}
_RECYCLE_BIN = "CN=Recycle Bin Feature,CN=Optional Features,CN=Directory Service,CN=Windows NT,CN=Services"
_LIMITS = "CN=Default Query Policy,CN=Query-Policies,CN=Directory Service,CN=Windows NT,CN=Services"
_CLOCKS_MAY_DIFFER = timedelta(minutes=5)


def about_server(session: LdapSession, root: RootDse, now: datetime) -> Iterator[Finding]:
    """Yield the findings about the root DSE and the configuration of the forest.

    ``now``: the time here.
    """
    wanted = ["domainFunctionality", "forestFunctionality", "domainControllerFunctionality", "serverName"]
    about = _only(session.search("", "(objectClass=*)", [*wanted, "configurationNamingContext"], "BASE"))
    configuration = about.text("configurationNamingContext") or ""
    yield fact("account", session.who_am_i() or "not said")
    yield or_why_not("domain controller", "", lambda: _server(session, root, about))
    levels = ", ".join(f"{name[: -len('Functionality')]} {_level(about, name)}" for name in wanted[:3])
    yield fact("functional level", levels)
    apart = abs(root.current_time - now)
    yield compared(
        "clock", f"{int(apart.total_seconds())} s from the clock here", "at most 5 minutes",
        same=apart <= _CLOCKS_MAY_DIFFER,
    )  # fmt: skip
    yield _controls(root)
    yield fact(
        "optional controls",
        ", ".join(f"{name}: {'yes' if oid in root.supported_controls else 'no'}"
                  for name, oid in _OPTIONAL_CONTROLS.items()),
    )  # fmt: skip
    yield fact("tombstone lifetime", f"{session.tombstone_lifetime().days} days", "60 days where it is not set")
    yield or_why_not("recycle bin", "", lambda: _recycle_bin(session, configuration))
    yield or_why_not("query limits", "", lambda: _query_limits(session, configuration))


def _only(entries: list[Entry]) -> Entry:
    if len(entries) != 1:
        raise DirectoryError("The root DSE cannot be read.")
    return entries[0]


def _level(about: Entry, name: str) -> str:
    number = about.text(name) or "not said"
    return f"{number} ({_LEVELS[number]})" if number in _LEVELS else number


def _server(session: LdapSession, root: RootDse, about: Entry) -> Finding:
    server = session.search(about.text("serverName") or "", "(objectClass=*)", ["serverReference"], "BASE")
    computer = server[0].text("serverReference") if server else None
    found = (
        session.search(computer, "(objectClass=*)", ["operatingSystem", "operatingSystemVersion"], "BASE")
        if computer
        else []
    )
    system = [found[0].text(name) or "" for name in ("operatingSystem", "operatingSystemVersion")] if found else []
    return fact("domain controller", f"{root.domain_controller}, {' '.join(system).strip() or 'system not shown'}")


def _controls(root: RootDse) -> Finding:
    missing = [name for name, oid in _NEEDED_CONTROLS.items() if oid not in root.supported_controls]
    answer = f"without {', '.join(missing)}" if missing else "all of them"
    return compared("controls", answer, ", ".join(_NEEDED_CONTROLS), same=not missing)


def _recycle_bin(session: LdapSession, configuration: str) -> Finding:
    found = session.search(f"{_RECYCLE_BIN},{configuration}", "(objectClass=*)", ["msDS-EnabledFeatureBL"], "BASE")
    enabled = bool(found and found[0].attributes.get("msds-enabledfeaturebl"))
    return fact("recycle bin", "enabled" if enabled else "not enabled, or not shown")


def _query_limits(session: LdapSession, configuration: str) -> Finding:
    found = session.search(f"{_LIMITS},{configuration}", "(objectClass=*)", ["lDAPAdminLimits"], "BASE")
    limits = {value.decode() for entry in found for value in entry.attributes.get("ldapadminlimits", ())}
    shown = sorted(limit for limit in limits if limit.partition("=")[0] in ("MaxPageSize", "MaxValRange"))
    return fact("query limits", ", ".join(shown) or "not shown", "MaxPageSize 1000, MaxValRange 1500 or more")
