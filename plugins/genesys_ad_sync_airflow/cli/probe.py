"""`probe`: what a real domain controller answers, beside what the product assumes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genesys_ad_sync_airflow.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from genesys_ad_sync.directory.session import LdapSession
    from genesys_ad_sync.probe.run import ProbeResult

DONE, FAILED, DIFFERS = 0, 1, 2
_COLUMNS = ("check", "this domain controller", "the product assumes", "verdict")


@click.command()
@click.option(
    "--base", required=True, metavar="DN", help="The DN below which groups are read, as `directory.group_base`."
)
@click.option("--connection", default="active_directory_default", show_default=True, help="Airflow connection to read.")
@click.option("--record", type=click.Path(path_type=Path), help="Folder for a recording, without names of people.")
@click.option("--write-test-ou", metavar="DN", help="Also change objects, in this EMPTY organizational unit only.")
@click.option(
    "--yes-change", metavar="DN", help="The same DN again, to confirm: objects may be created and deleted there."
)
@click.option("--write-connection", metavar="ID", help="Airflow connection to write; default: the one that reads.")
@json_option
def probe(*, as_json: bool, **options: Any) -> int:
    """Compare what a domain controller answers with what the product assumes.

    Only reads, unless a test OU is named. There it creates users, groups and 1,501 contacts, changes them, and deletes
    all of them again, also after an error.

    \b
    Exit codes:
      0    everything is as assumed, or could not be found out
      1    error: not reachable, login refused, test OU refused, or something is left in it
      2    something differs from what the product assumes
      130  interrupted
    """
    _require_consent(options["write_test_ou"], options["yes_change"])
    with _recording_in(_record_folder(options["record"], writes=options["write_test_ou"] is not None)) as folder:
        result = _probe(**{name: value for name, value in options.items() if name not in ("record", "yes_change")})
    error = " ".join(filter(None, [result.broke, result.left])) or None
    _print(result, folder, error, as_json=as_json)
    if error is not None:
        click.echo(f"Error: {error}", err=True)
        return FAILED
    return DIFFERS if result.differs else DONE


def _probe(*, base: str, connection: str, write_test_ou: str | None, write_connection: str | None) -> ProbeResult:
    from genesys_ad_sync.probe import run

    with _open(connection) as session:
        result = run.check(session, base, datetime.now(timezone.utc), _say)
        if write_test_ou is not None:
            with _terminated_like_interrupted():
                changed = run.walk(session, lambda: _open_writer(write_connection or connection), write_test_ou, _say)
            result = run.ProbeResult([*result.findings, *changed.findings], changed.left, changed.broke)
    return result


def _open_writer(connection_id: str) -> LdapSession:
    """Open a session that is not recorded.

    Its actions are known, and no password may get into a recording.
    """
    from genesys_ad_sync.directory.recording import VARIABLE

    folder = os.environ.pop(VARIABLE, None)
    try:
        return _open(connection_id)
    finally:
        if folder is not None:
            os.environ[VARIABLE] = folder


def _require_consent(write_test_ou: str | None, yes_change: str | None) -> None:
    from genesys_ad_sync import names

    if write_test_ou is None and yes_change is None:
        return
    if write_test_ou is None or yes_change is None or names.dn_key(write_test_ou) != names.dn_key(yes_change):
        raise click.UsageError(
            "Objects are changed only if --write-test-ou and --yes-change name the same organizational unit. Nothing "
            "was changed."
        )


def _open(connection_id: str) -> LdapSession:
    """Open a session of an Airflow connection."""
    from genesys_ad_sync_airflow.cli.airflow_side import use_airflow

    use_airflow()
    from airflow.sdk.exceptions import AirflowNotFoundException

    from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook

    try:
        return ActiveDirectoryHook(connection_id).get_conn()
    except AirflowNotFoundException as error:
        raise click.ClickException(
            f"There is no Airflow connection {connection_id}. Create it, or name another one."
        ) from error


# -- the recording ------------------------------------------------------------------------------------


def _record_folder(named: Path | None, *, writes: bool) -> Path | None:
    from genesys_ad_sync.directory.recording import VARIABLE

    if named is None and VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    if named is None and writes:
        return Path(f"genesys-ad-sync-probe-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}")
    return named


@contextmanager
def _recording_in(folder: Path | None) -> Iterator[Path | None]:
    """Let every session of the block record. Raises RecordingError before anything is asked."""
    from genesys_ad_sync.directory.recording import VARIABLE, RecordingFolder

    if folder is None:
        yield None
        return
    RecordingFolder.open(folder)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(VARIABLE)
        if before is not None:
            os.environ[VARIABLE] = before


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does: the test OU is emptied first."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# -- what is printed ----------------------------------------------------------------------------------


def _say(text: str) -> None:
    click.echo(text, err=True)


def _print(result: ProbeResult, folder: Path | None, error: str | None, *, as_json: bool) -> None:
    recording = None if folder is None else str(folder.absolute())
    if as_json:
        findings = [finding.as_json() for finding in result.findings]
        print_json({"findings": findings, "recording": recording, **({"error": error} if error else {})})
        return
    rows = [(found.check, found.answer, found.assumed, found.verdict.value) for found in result.findings]
    print_table(_COLUMNS, rows, empty="Nothing was checked.")
    if recording is not None:
        click.echo(
            f"Recording: {recording}. All names in it are keyed hashes. The key is {recording}.key: never send it, and "
            f"delete it when nothing more is recorded."
        )
