"""Send the messages of `notify:` by notifiers of Airflow.

The notifiers are named here and nowhere else.
No notifier can make a run fail. Nothing is rendered as a template: a run id may be anybody's text.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from airflow.sdk import get_current_context
from airflow.sdk.configuration import conf

from genesys_ad_sync.errors import GroupSyncError
from genesys_ad_sync.model import RunKey

if TYPE_CHECKING:
    from airflow.sdk import Context

    from genesys_ad_sync.model.notices import Trouble
    from genesys_ad_sync.notices import RunEnd
    from genesys_ad_sync.run.context import TaskContext
    from genesys_ad_sync.settings import NotifySettings, SyncDefinition

log = logging.getLogger(__name__)


class Notifier(NamedTuple):
    """A notifier of Airflow.

    ``module`` and ``name``: its class. ``argument``: takes the connection. ``connection``: the default of that.
    ``package``: has the class.
    """

    module: str
    name: str
    argument: str
    connection: str
    package: str


_PROVIDERS, _PACKAGE = "airflow.providers", "apache-airflow-providers"
NOTIFIERS = {
    "smtp": Notifier(
        f"{_PROVIDERS}.smtp.notifications.smtp", "SmtpNotifier", "smtp_conn_id", "smtp_default", f"{_PACKAGE}-smtp"
    ),
    "http": Notifier(
        f"{_PROVIDERS}.http.notifications", "HttpNotifier", "http_conn_id", "http_default", f"{_PACKAGE}-http"
    ),
    "slack": Notifier(
        f"{_PROVIDERS}.slack.notifications.slack",
        "SlackNotifier",
        "slack_conn_id",
        "slack_api_default",
        f"{_PACKAGE}-slack",
    ),
    "slack_webhook": Notifier(
        f"{_PROVIDERS}.slack.notifications.slack_webhook",
        "SlackWebhookNotifier",
        "slack_webhook_conn_id",
        "slack_default",
        f"{_PACKAGE}-slack",
    ),
}
"""The only classes that `notify:` can name. Short name -> class."""


class NotifierMissing(GroupSyncError):
    """The package of a notifier is not installed."""


def why_missing(entry: NotifySettings) -> str | None:
    """Return which package a notifier lacks; None: it is installed."""
    notifier = NOTIFIERS[entry.notifier]
    try:
        if importlib.util.find_spec(notifier.module) is not None:
            return None
    except ModuleNotFoundError:  # a package above it
        pass
    return (
        f"The notifier {entry.notifier} is not installed: install the package {notifier.package} where Airflow's tasks "
        "run, or take it out of `notify:`."
    )


def connection_of(entry: NotifySettings) -> str:
    """Return the id of the Airflow connection of a notifier."""
    return entry.connection or NOTIFIERS[entry.notifier].connection


def send(entry: NotifySettings, message: Mapping[str, Any]) -> None:
    """Send one message. Raises NotifierMissing, or whatever the notifier raises."""
    if missing := why_missing(entry):
        raise NotifierMissing(missing)
    notifier = NOTIFIERS[entry.notifier]
    made = getattr(importlib.import_module(notifier.module), notifier.name)(**_arguments(entry, message))
    made.notify({})


def _arguments(entry: NotifySettings, message: Mapping[str, Any]) -> dict[str, Any]:
    from genesys_ad_sync.notices.messages import html_text, plain_text, slack_text, subject_of

    given: dict[str, Any] = {NOTIFIERS[entry.notifier].argument: connection_of(entry)}
    if entry.notifier == "smtp":
        given |= {"to": list(entry.to), "subject": subject_of(message), "html_content": html_text(message)}
        return given if entry.sender is None else {**given, "from_email": entry.sender}
    if entry.notifier == "http":
        body = {**message, "subject": subject_of(message), "text": plain_text(message)}
        return {**given, "endpoint": entry.endpoint, "json": body}
    if entry.notifier == "slack":
        given["channel"] = entry.channel
    # `slack` and `slack_webhook` take the same; a new notifier needs a branch of its own
    return {**given, "text": slack_text(message), "unfurl_links": False, "unfurl_media": False}


# -- when something is sent ---------------------------------------------------------------------------


def notify_of_question(task: TaskContext, context: Context) -> None:
    """Send that the run asks a person. Never raises."""
    from genesys_ad_sync.notices import question_of

    try:
        asked = question_of(task)
        if asked is not None:
            _notify(task.definition, context, task.clock(), [asked])
    except Exception as error:  # noqa: BLE001  whatever it is, the question is asked
        _complain(error)


def notify_of_run(task: TaskContext, end: RunEnd) -> None:
    """Send the troubles that the run shows, and never raise.

    Find out, too, whether a DAG of the definition is silent, and send that.
    """
    from genesys_ad_sync.notices import troubles_of_run

    try:
        found = troubles_of_run(task, end)
        _notify(
            task.definition,
            get_current_context(),
            task.clock(),
            found.troubles,
            judged=found.judged,
            watched=task.definition,
            report=end.report,
        )
    except Exception as error:  # noqa: BLE001  whatever it is, `check` must judge the run
        _complain(error)


def notify_without_journal(definition: SyncDefinition) -> None:
    """Send that the journal cannot be opened, so that the run failed; never raise.

    Nothing is sent if the run before failed, too: without the journal, it is unknown what was sent.
    """
    from genesys_ad_sync.model.notices import Occasion, Trouble
    from genesys_ad_sync.notices import message_of

    context = get_current_context()
    try:
        before = context["ti"].get_previous_dagrun()
        if before is not None and str(getattr(before.state, "value", before.state)) == "failed":
            return
        trouble = Trouble(
            Occasion.FAILED, "journal", "the journal cannot be opened", ("The log of the task `poll` says why.",)
        )
        message = message_of(trouble, _sender(definition, context, datetime.now(timezone.utc)))
    except Exception as error:  # noqa: BLE001  as above
        _complain(error)
        return
    for entry in definition.notify:
        if Occasion.FAILED in entry.on:
            try:
                send(entry, message)
            except Exception as error:  # noqa: BLE001  as above
                _complain(error)


def _notify(
    definition: SyncDefinition,
    context: Context,
    at: datetime,
    troubles: Sequence[Trouble],
    *,
    judged: Sequence[str] = (),
    watched: SyncDefinition | None = None,
    report: str | None = None,
) -> None:
    from genesys_ad_sync.notices import notify
    from genesys_ad_sync_airflow.journal_connection import open_journal

    for entry in definition.notify:
        if missing := why_missing(entry):
            log.error(missing)
    sender = _sender(definition, context, at, report)
    errors = notify(
        open_journal(),
        definition,
        sender,
        send,
        troubles=troubles,
        judged=judged,
        watched=watched,
    )
    for error in errors:
        log.error("%s: a message could not be sent; the next run tries again", error)


def _sender(definition: SyncDefinition, context: Context, at: datetime, report: str | None = None) -> Any:
    from genesys_ad_sync.notices import Sender

    ti = context["ti"]
    return Sender(definition.name, RunKey(ti.dag_id, ti.run_id), at, run_page(ti.dag_id, ti.run_id), report)


def run_page(dag_id: str, run_id: str) -> str | None:
    """Return the address of a run in Airflow's UI, or None.

    None: `[api] base_url` is not set.
    """
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}" if base else None


def _complain(error: Exception) -> None:
    # Its text is left out: it may hold an address or a secret.
    log.error("nobody is notified: %s; the next run tries again", type(error).__name__)
