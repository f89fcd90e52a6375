"""The params of a run: the form, and the request that comes of it.

A person fills the form in.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pendulum
from airflow.sdk import Param, get_current_context

from genesys_ad_sync.errors import ParamError, WindowError
from genesys_ad_sync.model import Mode, Window

if TYPE_CHECKING:
    from airflow.sdk import Context

    from genesys_ad_sync.model import RunRequest
    from genesys_ad_sync.settings import SyncDefinition

TIME_PATTERN = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
RELINK_PATTERN = r"^\s*\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?(\s*=\s*[^\s=/]+)?\s*$"
AIRFLOW_CONF_KEYS = ("openlineage", "airflow/task_span_detail_level")
"""Keys of a run's conf that are not params: TriggerDagRunOperator adds the first, Airflow's tracing reads the other."""


DRY_RUN = "dry run"
"""The choice of the form beside what the definition says. It means the same as true."""

CHECK = "check"
"""The mode that tries all that a run needs, and plans nothing."""

_BESIDE_CHECK = ("mode", "dry_run")
"""Params that mean no harm in mode `check`. Any other one asks for something that would not be done."""


def params(mode: str, *, dry: bool) -> dict[str, Param]:
    """Return the form of a manual run.

    All of it is optional. ``dry``: what the sync definition says.
    """
    # The format is for the form only: without an extra package, Airflow does not check it.
    time_format: dict[str, Any] = {"type": ["null", "string"], "format": "date-time", "pattern": TIME_PATTERN}
    return {
        "mode": Param(
            mode,
            enum=["auto", "changes", "full", CHECK],
            title="Mode",
            description="auto: what has changed in Active Directory; groups that were never compared are "
            "compared completely. full: compare every mapped group completely. check: try all that a run needs and"
            " write a table of what works; nothing is planned, and nothing written to Genesys Cloud.",
        ),
        "dry_run": _dry_run(dry=dry),
        "window_start": Param(
            None,
            **time_format,
            title="Window start",
            description="Take only changes from this time on (UTC if it has no zone). Not with mode full.",
        ),
        "window_end": Param(None, **time_format, title="Window end", description="Take only changes before this time."),
        "groups": Param(
            [],
            type="array",
            items={"type": "string"},
            title="AD groups",
            description="Shell patterns on AD group names, one per line, e.g. GC-Support*. Empty: all. A Genesys group"
            " that is compared completely is compared with all AD groups that feed it.",
        ),
        **_settling_params(),
    }


def _dry_run(*, dry: bool) -> Param:
    """Return the param `dry_run`, for which the form has two choices.

    The values that a program may send are below `definitions`.
    A form that can send `false` would show a choice that is none: the definition cannot be overruled. Airflow's form
    reads `enum`; the check of a value follows `$ref`, beside which draft 7 of JSON schema ignores all else.
    """
    says = "dry run: nothing is written" if dry else "writes to Genesys Cloud"
    schema: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/dry_run",
        "definitions": {"dry_run": {"enum": [None, True, False, DRY_RUN]}},
        "type": ["null", "string"],
        "enum": [None, DRY_RUN],
        "values_display": {"null": f"as the definition says ({says})", DRY_RUN: DRY_RUN},
    }
    return Param(
        None,
        title="Dry run",
        description="dry run: plan and report, write nothing to Genesys Cloud. A program may send true or null instead."
        " A definition that says dry_run: true cannot be overruled here.",
        **schema,
    )


def _settling_params() -> dict[str, Param]:
    """Return the params by which a person settles something: they change what the journal remembers."""
    return {
        "undo_run": Param(
            None,
            type=["null", "string"],
            title="Undo a run",
            description="The run id of an earlier run: undoes its changes in Genesys Cloud, except where a "
            "membership has changed again since. They stay undone until Active Directory changes those "
            "memberships or you release them. An"
            " addition against Active Directory asks for approval."
            " If both DAGs have a run of that id: DAG id/run id.",
        ),
        "release_run": Param(
            None,
            type=["null", "string"],
            title="Release a run",
            description="The run id of an earlier run: changes that were undone or rejected in it may be done again."
            " If both DAGs have a run of that id: DAG id/run id.",
        ),
        "release_claim": _release_claim(),
        "relink": _relink(),
        "mirror_once": _mirror_once(),
    }


def _release_claim() -> Param:
    return Param(
        [],
        type="array",
        items={"type": "string", "minLength": 1},
        title="Release claims",
        description="Genesys group ids, one per line. The sync definition that feeds such a group now stops feeding "
        "it, and this one may begin. `genesys-ad-sync claims` lists them.",
    )


def _relink() -> Param:
    return Param(
        [],
        type="array",
        items={"type": "string", "pattern": RELINK_PATTERN},
        title="Relink people",
        description="Which Genesys user an AD account is: objectGUID=Genesys user id, one per line. The objectGUID "
        "alone"
        " forgets the link and asks the rules again. A person must approve it. Not with a window, groups or undo_run.",
    )


def _mirror_once() -> Param:
    return Param(
        False,
        type="boolean",
        title="Mirror once",
        description="true: compare every mapped group completely, and ask a person about each member that Active "
        "Directory does not own. Removals that are not approved end with this run. Not with a window, "
        "mode changes,"
        " undo_run or removals: never.",
    )


def is_check(context: Context | None = None) -> bool:
    """Tell whether the run is of mode `check`."""
    return bool((context or get_current_context())["params"].get("mode") == CHECK)


def refuse_params_beside_check(context: Context) -> None:
    """Refuse unknown keys, and params that mode `check` would not obey. Raises ParamError."""
    _refuse_unknown_keys(context)
    given = [name for name, value in context["params"].items() if value and name not in _BESIDE_CHECK]
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        raise ParamError(f"mode check only looks, and {names} asks for more. Nothing was done: leave one of them out.")


def request_of_run(definition: SyncDefinition, context: Context | None = None) -> RunRequest:
    """Return what the run was asked for: run type, params, and a backfill's data interval.

    A run is bounded if it is a backfill or a window param is given; `mode: full` ignores a backfill's interval. Raises
    ParamError for a key of the run's conf that is not a param and for `dry_run: false` against a dry definition,
    WindowError for a window param that is not a time.
    """
    context = context or get_current_context()
    _refuse_unknown_keys(context)
    definition.is_dry(asked=_asked_dry(context))
    asked = _without_window(definition, context)
    dag_run, params = context["dag_run"], context["params"]
    start, end = _time(params.get("window_start"), "window_start"), _time(params.get("window_end"), "window_end")
    window: Window | None = None
    if start is not None or end is not None:
        window = Window(start, end)
    elif asked.run_type == "backfill" and asked.mode is not Mode.FULL:
        window = Window(_utc(dag_run.data_interval_start), _utc(dag_run.data_interval_end))
    return replace(asked, window=window)


def request_to_report(definition: SyncDefinition, context: Context | None = None) -> RunRequest:
    """Return the request for `report`, which must also describe a run that `poll` refused."""
    context = context or get_current_context()
    try:
        return request_of_run(definition, context)
    except (ParamError, WindowError) as error:
        return replace(_without_window(definition, context), refused=str(error))


def _refuse_unknown_keys(context: Context) -> None:
    """Refuse keys of the run's conf that are not params. Raises ParamError.

    Airflow checks the values of params and lets any other key pass: {"dryrun": true} would be a run that writes.
    """
    known = list(context["dag"].params)
    unknown = []
    for key in context["dag_run"].conf or {}:
        if key not in (*known, *AIRFLOW_CONF_KEYS):
            near = difflib.get_close_matches(key.lower(), known, n=1)
            unknown.append(f"`{key}` is not a param of this DAG." + (f" Did you mean `{near[0]}`?" if near else ""))
    if unknown:
        names = ", ".join(f"`{name}`" for name in known)
        raise ParamError(f"{' '.join(unknown)} Its params are {names}. Nothing was done: trigger a new run with them.")


def _without_window(definition: SyncDefinition, context: Context) -> RunRequest:
    from genesys_ad_sync.model import RunRequest

    dag_run, params = context["dag_run"], context["params"]
    return RunRequest(
        run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
        clear_number=dag_run.clear_number or 0,
        mode=Mode(params["mode"]),
        dry_run=definition.dry_run or bool(_asked_dry(context)),
        groups=tuple(params.get("groups") or ()),
        undo_run=params.get("undo_run") or None,
        release_run=params.get("release_run") or None,
        release_claim=tuple(params.get("release_claim") or ()),
        due_at=_utc(getattr(dag_run, "run_after", None)),
        relink=tuple(params.get("relink") or ()),
        requested_by=getattr(dag_run, "triggering_user_name", None),
        mirror_once=bool(params.get("mirror_once")),
    )


def _asked_dry(context: Context) -> bool | None:
    """Return what the run was asked for: dry, not dry, or nothing. Raises ParamError."""
    asked = context["params"].get("dry_run")
    if asked not in (None, True, False, DRY_RUN):
        raise ParamError(f"dry_run: {asked!r} is not one of true, false, null and {DRY_RUN!r}. Nothing was done.")
    return True if asked == DRY_RUN else asked


def _time(text: str | None, name: str) -> datetime | None:
    """Parse a time, UTC if it has no zone. Raises WindowError."""
    if not text:
        return None
    try:
        parsed = pendulum.parse(text, tz="UTC", exact=True)
    except ValueError as error:
        raise WindowError(f"{name}: {text!r} is not a time. Write it like 2026-11-24T07:15:00Z") from error
    if not isinstance(parsed, datetime):
        parsed = pendulum.parse(text, tz="UTC")
    if not isinstance(parsed, datetime):
        raise WindowError(f"{name}: {text!r} is not a time. Write it like 2026-11-24T07:15:00Z")
    try:
        return _utc(parsed)
    except (ValueError, OverflowError) as error:  # the first or the last day of the calendar, in another zone
        raise WindowError(f"{name}: {text!r} is outside of the calendar. Leave it out for no limit") from error


def _utc(moment: datetime | None) -> datetime | None:
    # plain datetime: pendulum's subclass would be pickled and compared as what it is
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc) if moment is not None else None
