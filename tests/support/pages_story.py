"""A small contact centre with a history that its own runs wrote: for questions that the pages answer.

Active Directory is only told of (benchmarks/synthetic.py); Genesys is the sandbox. On a Tuesday two people left
Support, which is more than the limit allows: the run asked, and lee approved it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import yaml

from benchmarks.synthetic import SyntheticRuns
from genesys_ad_sync.model import DirectoryView, Mode
from genesys_ad_sync.settings import parse_definition
from genesys_ad_sync.stages.approve_removals import ApprovalAnswer, apply_answer, build_form
from genesys_ad_sync.stages.patch import patch
from genesys_ad_sync.stages.plan import plan
from sandbox.company import genesys_id
from sandbox.genesys_cloud import SandboxGenesys, SandboxOptions
from tests.support.journal import group, user

NAME = "voice"
DAG = f"genesys_ad_group_sync__{NAME}"
LEAVER, APPROVER, BY_HAND = "Hanna Holt", "lee", "Mia Manual"
UNLICENSED = ("Olga Ott", "Pia Petri")
SUPPORT, SALES = "Support", "Sales"
_BASE = "OU=voice,DC=example,DC=com"
_MEMBERS = {
    SUPPORT: (LEAVER, "Ivan Imhof", "Jola Janda", "Kim Kern", "Lars Lind"),
    SALES: (LEAVER, "Mona Maas", "Nils Nagel", *UNLICENSED),
}
_LEFT = (LEAVER, "Ivan Imhof")


def person_guid(name: str) -> str:
    """Return the objectGUID of a person or an AD group."""
    return genesys_id("account", name)


def user_id(name: str) -> str:
    """Return the id of a Genesys user."""
    return genesys_id("user", name)


def group_id(name: str) -> str:
    """Return the id of a Genesys group."""
    return genesys_id("group", name)


def definition_text(report_path: str) -> str:
    """Return the sync definition in YAML."""
    keys = {
        "directory": {"group_base": _BASE},
        "groups": [{"name": "GC-(?P<team>.+)", "genesys_name": "{team}"}],
        "users": [{"directory": "mail", "genesys": "email"}],
        "limits": {"removals": 1, "removals_percent": 100, "new_pairs": "allow"},
        "report": {"path": report_path},
        "dry_run": False,
    }
    return yaml.safe_dump(keys, sort_keys=False)


def last_tuesday(now: datetime) -> datetime:
    """Return ten o'clock UTC of the last Tuesday before today."""
    back = (now.weekday() - 1) % 7 or 7
    return now.replace(hour=10, minute=0, second=0, microsecond=0) - timedelta(days=back)


def live_through(folder: Path, now: datetime) -> None:
    """Make the runs of ten days until now. They write ``folder / "journal.db"`` and ``folder / "reports"``."""
    tuesday = last_tuesday(now)
    with (
        SandboxGenesys.start(_seed(), SandboxOptions(rate_allowed=None)) as genesys,
        SyntheticRuns(folder, genesys.connection()) as runs,
    ):
        runs.definition = parse_definition(definition_text((folder / "reports").as_uri()), NAME)
        runs.scope = runs.definition.scope("DC=example,DC=com").fingerprint
        everybody = _view(_MEMBERS)
        runs.tell_view(everybody)
        _at(runs, tuesday - timedelta(days=3))
        runs.run()
        without = {**_MEMBERS, SUPPORT: tuple(name for name in _MEMBERS[SUPPORT] if name not in _LEFT)}
        runs.tell_view(_view(without))
        _at(runs, tuesday)
        _run_that_asks(runs, tuesday + timedelta(minutes=20))
        _at(runs, now - timedelta(hours=5))
        runs.run(Mode.FULL)


def _run_that_asks(runs: SyntheticRuns, answered_at: datetime) -> None:
    run_id = runs.begin()
    planned = plan(runs.task(run_id, "plan"))
    assert planned["batches"] == []
    form = build_form(runs.task(run_id, "approve_removals"))
    assert form is not None
    _at(runs, answered_at)
    answer = ApprovalAnswer([form.options[0]], APPROVER, answered_at)
    for batch in apply_answer(runs.task(run_id, "approve_removals"), answer)["batches"]:
        patch(runs.task(run_id, f"patch_approved[{batch['lane']}]"), batch["lane"])
    runs.finish(run_id)


def _at(runs: SyntheticRuns, moment: datetime) -> None:
    """Let the next stages believe that it is that time."""
    runs.clock_offset = moment - datetime.now(timezone.utc)


def _mail(name: str) -> str:
    return f"{name.lower().replace(' ', '.')}@example.com"


def _seed() -> dict[str, list[dict[str, object]]]:
    known = {name for of in _MEMBERS.values() for name in of} - set(UNLICENSED) | {BY_HAND}
    by_hand = [user_id(BY_HAND)]
    return {
        "users": [{"id": user_id(name), "name": name, "email": _mail(name)} for name in sorted(known)],
        "groups": [{"id": group_id(name), "name": name, "individuals": by_hand} for name in _MEMBERS],
    }


def _view(members: Mapping[str, tuple[str, ...]]) -> DirectoryView:
    """Return what AD has. Who has left a group is in view as long as another group has the account."""
    return DirectoryView(
        {
            person_guid(f"GC-{name}"): group(
                person_guid(f"GC-{name}"), name=f"GC-{name}", sam_account_name=f"GC-{name}", dn=f"CN=GC-{name},{_BASE}"
            )
            for name in members
        },
        {
            person_guid(name): user(
                person_guid(name),
                name=name,
                sam_account_name=name.lower().replace(" ", "."),
                dn=f"CN={name},OU=people,DC=example,DC=com",
                attributes={"mail": _mail(name)},
            )
            for of in members.values()
            for name in of
        },
        {person_guid(f"GC-{name}"): {person_guid(one) for one in of} for name, of in members.items()},
    )
