"""The tree of commands, and how each of them ends.

A module of commands imports Airflow and the journal inside its functions: `--help` must not wait for them.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.text import one_line
from genesys_ad_sync_airflow.cli.check import check
from genesys_ad_sync_airflow.cli.claims import claims
from genesys_ad_sync_airflow.cli.explain import explain
from genesys_ad_sync_airflow.cli.journal import journal
from genesys_ad_sync_airflow.cli.links import links
from genesys_ad_sync_airflow.cli.output import write_whatever_the_terminal_takes
from genesys_ad_sync_airflow.cli.plan import plan
from genesys_ad_sync_airflow.cli.probe import probe
from genesys_ad_sync_airflow.cli.runs import report, runs
from genesys_ad_sync_airflow.cli.status import status
from genesys_ad_sync_airflow.cli.trigger import release, undo
from genesys_ad_sync_airflow.cli.validate import validate

DONE = 0
FAILED = 1
"""Also for a wrong option: 2 means "there are changes" (`plan`)."""
INTERRUPTED = 130


class CommandTree(click.Group):
    """A group whose commands all end alike.

    The end is an exit code, and an error in words or as JSON.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001  click's signature
        **extra: Any,
    ) -> Any:
        """Run a command; exit with its code, or return that without ``standalone_mode``."""
        given = list(sys.argv[1:] if args is None else args)
        write_whatever_the_terminal_takes()
        try:
            code = super().main(given, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001  a script that asked for JSON gets it whatever happens
            _say_error(error, given)
            code = FAILED
        code = code if isinstance(code, int) else DONE
        if standalone_mode:
            sys.exit(code)
        return code


@click.group(cls=CommandTree, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="genesys-ad-sync")
def main() -> None:
    """Keep Genesys Cloud group membership equal to Active Directory.

    Commands look, plan, undo, and move the journal.

    Connections are Airflow's: from the environment, a secrets backend or the metadata database. Run this where
    Airflow's tasks run, as the same account.

    \b
    Exit codes:
      0    done; nothing to say against it
      1    error, or `status` finds a DAG silent; the text says what is wrong and what to do
      2    there are changes (`plan`)
      130  interrupted
    """


def _say_error(error: Exception, args: Sequence[str]) -> None:
    """Print an error on stderr, and with `--json` as JSON on stdout."""
    text = _in_words(error)
    if isinstance(error, NoArgsIsHelpError):  # a group without a command: its help
        click.echo(text, err=True)
        return
    if text is None:
        traceback.print_exception(error)
        text = f"Unexpected: {type(error).__name__}. The lines on stderr show where. Report them: it is a defect."
    click.echo(f"Error: {text}", err=True)
    if "--json" in args:
        click.echo(json.dumps({"error": text}))


def _in_words(error: Exception) -> str | None:
    """Return the text of an error for people; None: it is a defect."""
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, GroupSyncError):
        return str(error)
    if isinstance(error, _connection_not_found()):
        return (
            f"An Airflow connection is missing: {one_line(str(error))}. Create it, or run this where Airflow's tasks "
            "have it."
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return None


def _connection_not_found() -> tuple[type[Exception], ...]:
    """Return Airflow's error for a connection that does not exist.

    Nothing where Airflow was not loaded.
    """
    module = sys.modules.get("airflow.sdk.exceptions")
    return () if module is None else (module.AirflowNotFoundException,)


for command in (check, validate, plan, status, explain, runs, report, undo, release, claims, links, journal, probe):
    main.add_command(command)
