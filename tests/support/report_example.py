"""A report as a contact centre might get it: every status, and names as awkward as AD lets people choose."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

from genesys_ad_sync.model import Action, GroupResult, Mode, Reason, Row, Status, Window
from genesys_ad_sync.report import ReportHeader, build_report

NOON = datetime(2026, 3, 2, 12, 0, 5, tzinfo=timezone.utc)

PEOPLE = [
    ("Jürgen Müller-Lüdenscheidt", "juergen.mueller@example.com"),
    ("Doe\\, Jane (Tier 2)", "Jane.DOE@EXAMPLE.COM"),
    ("<script>alert(1)</script>", "script@example.com"),
    ('O\'Brien \\"Bob\\" & Sons', "bob.obrien@example.com"),
    ("山田 太郎", "taro.yamada@example.jp"),
    ("{{ 7 * 7 }}", "braces@example.com"),
    ("Renée de l\u2019Étoile", None),
    ("evil \u202egnp.exe", "rtl@example.com"),
    ("محمد علي", "m.ali@example.com"),
    ("Averyveryverylongnamewithoutanyspacewhichhastobebrokensomewhere Smith", "a.smith@example.com"),
]
GROUPS = [
    ("Tier 2 Support", ["GC-Tier 2", "GC-Tier 2 (Nacht)"]),
    ("Billing & Claims <EU>", ['CN with "quotes" & umlauts äöü']),
    ("Vertrieb \u2013 Österreich", ["GC-Vertrieb AT"]),
    ("Retention", ["GC-Retention"]),
    ("Untouched", ["GC-Untouched"]),
]
# (status, reason, http code, error): how rows of this company come out
OUTCOMES: list[tuple[Status, Reason | None, int | None, str | None]] = [
    *[(Status.SUCCESS, None, 200, None)] * 24,
    *[(Status.UNCHANGED, Reason.ALREADY_SO, None, None)] * 6,
    (Status.UNCHANGED, Reason.STILL_GRANTED, None, None),
    (Status.FAILED, Reason.REFUSED, 400, "bad.request: the member <b>is not valid</b> in this organisation"),
    (Status.FAILED, Reason.UNVERIFIED, 202, "could not be read back: 503 Service Unavailable"),
    (Status.FAILED, Reason.NOT_IN_EFFECT, 200, None),
    *[(Status.ORPHANED, Reason.NO_GENESYS_USER, None, None)] * 4,
    (Status.ORPHANED, Reason.INACTIVE, None, None),
    (Status.ORPHANED, Reason.NO_MATCHING_ATTRIBUTE, None, None),
    *[(Status.HELD, Reason.OVER_LIMIT, None, None)] * 5,
    (Status.HELD, Reason.UNPROVEN, None, None),
    (Status.HELD, Reason.NOT_OWNED, None, None),
    (Status.HELD, Reason.AMBIGUOUS, None, None),
    *[(Status.SKIPPED, Reason.UNMAPPED, None, None)] * 5,
    (Status.SKIPPED, Reason.EXCLUDED, None, None),
    *[(Status.SUPERSEDED, Reason.NEWER_VIEW, None, None)] * 3,
    *[(Status.PLANNED, None, None, None)] * 4,
]


def guid(*of: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, of))))


def row(number: int, status: Status, reason: Reason | None = None, **more: Any) -> Row:
    """Return a row: the number decides its person, group and status; ``more`` overrides."""
    name, mail = PEOPLE[number % len(PEOPLE)]
    group, fed_by = GROUPS[number % (len(GROUPS) - 1)]
    mapped = reason is not Reason.UNMAPPED
    may_be_removal = status is not Status.ORPHANED and reason is not Reason.AMBIGUOUS
    values: dict[str, Any] = {
        "action": Action.REMOVE if status is Status.HELD or (number % 3 == 0 and may_be_removal) else Action.ADD,
        "status": status,
        "reason": reason,
        "genesys_group_id": guid("genesys", group) if mapped else None,
        "genesys_group": {"id": guid("genesys", group), "name": group} if mapped else None,
        "group_guids": (guid("group", fed_by[0]),),
        "directory_groups": (directory_group(fed_by[0] if mapped else "Not for Genesys"),),
        "user_guid": guid("user", number),
        "directory_user": {
            "guid": guid("user", number),
            "dn": f"CN={name} {number},OU=Team {number % 4},OU=Contact Center,DC=example,DC=com",
            "mail": mail,
        },
        "genesys_user_id": None if status is Status.ORPHANED else guid("genesys user", number),
        "observed_after": NOON - timedelta(minutes=15),
        "observed_at": NOON - timedelta(seconds=5),
        "changed_at": NOON - timedelta(minutes=number % 14, seconds=number) if number % 2 else None,
    }
    if not mapped:
        values["group_guids"] = (guid("group", "Not for Genesys"),)
    return Row(**{**values, **more})


def directory_group(name: str) -> dict[str, str | None]:
    return {"guid": guid("group", name), "dn": f"CN={name},OU=Contact Center,DC=example,DC=com", "name": name}


def rows() -> list[Row]:
    made = [
        row(number, status, reason, http_code=code, error=error, correlation_id=guid("call", number) if code else None)
        for number, (status, reason, code, error) in enumerate(OUTCOMES)
    ]
    whole_group = row(100, Status.SKIPPED, Reason.UNMAPPED, user_guid=None, directory_user=None, genesys_user_id=None)
    by_another_run = row(
        101, Status.SUCCESS, http_code=200, settled_by="genesys_ad_group_sync/scheduled__2026-03-02T11:45:00+00:00"
    )
    return [*made, whole_group, by_another_run]


def groups() -> list[GroupResult]:
    return [
        GroupResult(
            genesys_group_id=guid("genesys", name),
            genesys_group_name=name,
            group_guids=tuple(guid("group", fed) for fed in fed_by),
            complete=number != 2,
            before=None if number == 3 else 40 + 1711 * number,
            after=None if number == 3 else 40 + 1711 * number + (0 if name == "Untouched" else 7),
            added=0 if name == "Untouched" else 9 - number,
            removed=0 if name == "Untouched" or number == 2 else 2,
            manual_members=None if number == 3 else number * 3,
        )
        for number, (name, fed_by) in enumerate(GROUPS)
    ]


def example(**changes: Any) -> dict[str, Any]:
    """`build_report` with everything above; ``changes`` override its arguments and the header's fields."""
    names = [name for _, fed_by in GROUPS for name in fed_by]
    header: dict[str, Any] = {
        "dag_id": "genesys_ad_group_sync",
        "run_id": "manual__2026-03-02T12:00:00+00:00",
        "run_type": "manual",
        "attempt": 1,
        "mode": Mode.CHANGES,
        "dry_run": False,
        "timestamp": NOON,
        "window": Window(NOON - timedelta(minutes=15), NOON),
    }
    header.update({key: changes.pop(key) for key in list(changes) if key in header})
    arguments: dict[str, Any] = {
        "rows": rows(),
        "groups": groups(),
        "directory_groups": {guid("group", name): directory_group(name) for name in names},
        "requests": {
            "total": 41,
            "retried": 2,
            "throttled": 1,
            "by_endpoint": {"PATCH /api/v2/scim/v2/groups/{id}": 6, "GET /api/v2/groups/{id}/individuals": 35},
        },
        "approval": {"by": "ops <lead>", "at": NOON - timedelta(minutes=2), "decision": "approved"},
        "notes": ["Active Directory was read completely again because the cursor was rejected."],
    }
    return build_report(ReportHeader(**header), **{**arguments, **changes})
