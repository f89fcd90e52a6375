"""The checks of Airflow: definition, Fernet key, approvers and notifiers."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import BaseHook
from airflow.sdk.configuration import conf

from genesys_ad_sync.doctor.lines import Check, Line, not_proven, note, ok, problem, run_checks
from genesys_ad_sync.settings import NotifySettings, SyncDefinition
from genesys_ad_sync_airflow.notifiers import NOTIFIERS_FILE, notifiers_of
from genesys_ad_sync_airflow.notify import connection_of, why_missing
from genesys_ad_sync_airflow.token_store import airflow_cipher


def check_airflow(definition: SyncDefinition) -> list[Line]:
    """Try what a run needs of Airflow and of its definition."""
    return run_checks(CHECKS, definition)


def _definition(definition: SyncDefinition) -> Iterator[Line]:
    key, file = "airflow.definition", definition.file
    where = str(file) if file else definition.name
    if definition.dry_run:
        yield note(key, f"{where}: dry_run: true, so runs write nothing to Genesys Cloud.",
                   "Set `dry_run: false` when the dry reports show what you want.")  # fmt: skip
    else:
        yield ok(key, f"{where}: runs write to Genesys Cloud.")


def _fernet_key(_: SyncDefinition) -> Iterator[Line]:
    key = "airflow.fernet_key"
    if airflow_cipher() is not None:
        yield ok(key, "It is set.")
    elif (conf.get("core", "fernet_key", fallback="") or "").strip():
        yield problem(key, "`[core] fernet_key` is not a Fernet key.")
    else:
        yield note(
            key,
            "It is empty: each process fetches an access token of its own, and Airflow keeps passwords in clear text.",
            "Set `[core] fernet_key`, the same on all machines.",
        )


def _approvers(definition: SyncDefinition) -> Iterator[Line]:
    key, approvers = "airflow.approvers", definition.approvers
    if not approvers:
        but = "except" if definition.approvers_must_differ else "also"
        yield note(
            key,
            f"Not set: everybody with the right to answer in Airflow may answer, {but} the person who triggered the "
            "run.",
            "Name people in `approvers:`. `approvers_must_differ: true` leaves out the person who triggered the run.",
        )
        return
    known = _known_users()
    if known is None:
        yield not_proven(key, f"{len(approvers)} are named. Airflow's user names are not known here.")
        return
    unknown = sorted(set(approvers) - known)
    if unknown:
        yield problem(key, f"{len(unknown)} of {len(approvers)} are not users of this Airflow.", details=unknown)
    else:
        yield ok(key, f"{len(approvers)} are named, all of them users of this Airflow.")


def _known_users() -> frozenset[str] | None:
    """Return the names of Airflow's users, as far as a task can know them.

    It can with the simple auth manager.
    """
    if "SimpleAuthManager" not in (conf.get("core", "auth_manager", fallback="") or ""):
        return None
    users = conf.get("core", "simple_auth_manager_users", fallback="") or ""
    return frozenset(user.partition(":")[0].strip() for user in users.split(",") if user.strip())


def _notifiers(definition: SyncDefinition) -> Iterator[Line]:
    key, complaints = "airflow.notifiers", list[str]()
    found = notifiers_of(definition, lambda text, *values: complaints.append(text % values))
    for number, entry in enumerate(definition.notify):
        if trouble := why_missing(entry) or _why_no_connection(entry):
            complaints.append(f"notify[{number}]: {trouble}")
    if complaints:
        yield problem(key, complaints[0], details=complaints[1:])
    elif found or definition.notify:
        counts = [f"`notify:` has {len(definition.notify)}"] if definition.notify else []
        counts += [f"{NOTIFIERS_FILE} has {len(found)}"] if found else []
        yield ok(key, f"{', '.join(counts)}. None was sent.")
    else:
        yield note(
            key,
            f"There is no `notify:` and no {NOTIFIERS_FILE}: nobody is notified of anything.",
            "See “Notifications” in docs/operation.md, if somebody should be.",
        )


def _why_no_connection(entry: NotifySettings) -> str | None:
    """Return that the connection of a notifier cannot be had; None: it can."""
    name = connection_of(entry)
    try:
        BaseHook.get_connection(name)
    except Exception as error:  # noqa: BLE001  a secrets backend may raise anything
        return f"The Airflow connection {name} cannot be read ({type(error).__name__}). Create it, or correct its id."
    return None


CHECKS: tuple[Check[SyncDefinition], ...] = (
    ("airflow.definition", _definition),
    ("airflow.fernet_key", _fernet_key),
    ("airflow.approvers", _approvers),
    ("airflow.notifiers", _notifiers),
)
