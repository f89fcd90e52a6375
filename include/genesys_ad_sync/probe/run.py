"""The whole probe: the read-only checks, then the walk through a test OU.

The OU is emptied whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from genesys_ad_sync import names
from genesys_ad_sync.directory.reader import DirectoryReader
from genesys_ad_sync.directory.recording import RecordingConnection
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError, DirectoryNotFound, SettingsError
from genesys_ad_sync.model import Scope
from genesys_ad_sync.probe.findings import Finding, Verdict
from genesys_ad_sync.probe.probe_ou import ProbeOu, ProbeOuRefused
from genesys_ad_sync.probe.reading import about_reading
from genesys_ad_sync.probe.server import about_server
from genesys_ad_sync.probe.walk import Walk

Say = Callable[[str], None]


@dataclass
class ProbeResult:
    """The result of a probe.

    ``left``: what could not be removed from the test OU, in words; "" if nothing. ``broke``: why the walk ended.
    """

    findings: list[Finding] = field(default_factory=list)
    left: str = ""
    broke: str = ""

    @property
    def differs(self) -> bool:
        return any(finding.verdict is Verdict.DIFFERS for finding in self.findings)


def check(session: LdapSession, base: str, now: datetime, say: Say) -> ProbeResult:
    """Compare answers with assumptions; read only. Raises DirectoryNotFound for a base that is not visible."""
    say(f"reading below {base}")
    begin = _steps(session)
    begin("checks")
    root = session.root_dse()
    try:
        session.search(base, "(objectClass=*)", ["1.1"], "BASE")
    except DirectoryNotFound as error:
        raise DirectoryNotFound(
            f"--base does not exist, or the account may not see it: {base}. Correct it, or let the account read there."
        ) from error
    reader = DirectoryReader(session, _scope(root.naming_context, base))
    return ProbeResult([*about_server(session, root, now), *about_reading(reader)])


def walk(session: LdapSession, open_writer: Callable[[], LdapSession], dn: str, say: Say) -> ProbeResult:
    """Change objects in the empty test OU ``dn``, and compare what polls answer.

    ``open_writer``: opens a session whose account may write there. Raises ProbeOuRefused if nothing may be changed.
    """
    root = session.root_dse()
    with open_writer() as writer:
        ou = ProbeOu(writer, dn)
        _require_usable(ou, root.naming_context, {root.domain_controller, writer.root_dse().domain_controller})
        result = ProbeResult()
        reader = DirectoryReader(session, _scope(root.naming_context, dn))
        try:
            for finding in Walk(reader, ou, _steps(session), say).run():
                result.findings.append(finding)
        except DirectoryError as error:
            result.broke = str(error)
        finally:
            result.left = _clean_up(ou, open_writer, say)
            if result.left:
                say(result.left)
    say(f"{ou.tombstones} deleted objects stay in CN=Deleted Objects until their tombstone lifetime is over")
    return result


def _require_usable(ou: ProbeOu, naming_context: str, controllers: set[str]) -> None:
    if len(controllers) > 1:
        raise ProbeOuRefused(
            f"The connections reach two domain controllers ({' and '.join(sorted(controllers))}), so changes would be "
            f"seen late. Name the same one in `host` of both."
        )
    try:
        name, domain = names.normal_dn(ou.dn), names.normal_dn(naming_context)
    except ValueError as error:
        raise SettingsError(f"--write-test-ou is not a distinguished name: {ou.dn}.") from error
    if name == domain or not names.is_below(name, domain):
        raise ProbeOuRefused(f"The test OU must lie below {naming_context}: {ou.dn}.")
    ou.require_empty()


def _clean_up(ou: ProbeOu, open_writer: Callable[[], LdapSession], say: Say) -> str:
    """Empty the test OU again; return what is left, in words.

    If the old connection is gone, a new one is used.
    """
    say("cleaning up")
    try:
        try:
            left = ou.clean_up(say=say)
        except DirectoryError:
            with open_writer() as writer:
                left = ou.clean_up(writer, say)
    except (DirectoryError, SettingsError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        return f"The test OU could not be cleaned up ({why}). Delete what begins with {ou.prefix} in {ou.dn} by hand."
    if not left:
        return ""
    return f"{len(left)} objects could not be deleted. Delete them by hand: {'; '.join(left)}."


def _scope(naming_context: str, base: str) -> Scope:
    return Scope(
        naming_context=naming_context,
        group_base=base,
        group_filter="(objectClass=group)",
        nested_groups=True,
        disabled_users="remove",
        group_attributes=(),
        user_attributes=("mail",),
        expired_users="remove",
    )


def _steps(session: LdapSession) -> Callable[[str], None]:
    """Return what begins a new file of the recording, if there is one."""
    connection = session.connection
    if not isinstance(connection, RecordingConnection):
        return lambda _: None
    return connection.begin
