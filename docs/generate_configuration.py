"""Write the tables of docs/configuration.md from the models of the sync definition.

    python docs/generate_configuration.py            rewrite the tables (`make docs`)
    python docs/generate_configuration.py --check    exit 1 if the file is stale

The tables are between two marker comments; everything outside them is written by hand. Keys, allowed values and
defaults come from the pydantic models. What a key means comes from `MEANINGS`, because the descriptions in the models
say only which value to write.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from genesys_ad_sync.settings import SyncDefinition

PAGE = Path(__file__).with_name("configuration.md")
BEGIN = "<!-- begin: tables written by docs/generate_configuration.py -->"
END = "<!-- end: tables -->"

SECTIONS: Mapping[str, str] = {
    "": "Top level",
    "directory": "`directory`: what is read from Active Directory",
    "genesys": "`genesys`: how Genesys Cloud is written",
    "groups[]": "`groups`: which AD group feeds which Genesys group",
    "users[]": "`users`: which Genesys user an AD user is",
    "exclude": "`exclude`: what is never acted on",
    "limits": "`limits`: how much may be removed without a person",
    "report": "`report`: where reports are written",
}
"""Headings, in the order of the page. A section that is missing here is an error."""

MEANINGS: Mapping[str, str] = {
    "schedule": "How often changes are looked for. Each run covers one data interval of this schedule.",
    "full_schedule": "When every mapped group is compared with Genesys Cloud in full, by the `_full` DAG.",
    "timezone": "Time zone of both schedules.",
    "directory": "What is read from Active Directory.",
    "directory.connection": "Airflow connection of type `active_directory`.",
    "directory.group_base": "Only AD groups below this DN are looked at. Members may be anywhere in the domain.",
    "directory.group_filter": "Only AD groups that match this LDAP filter are looked at.",
    "directory.nested_groups": "`true`: members of a group inside a group count as members of the outer group.",
    "directory.disabled_users": "`remove`: a disabled AD account counts as not a member. `keep`: it counts as a "
    "member.",
    "directory.canary": "If the account cannot see this object, nothing that was read in that run removes anybody.",
    "genesys": "How Genesys Cloud is written.",
    "genesys.connection": "Airflow connection of type `genesys_cloud`.",
    "genesys.write": "How memberships are written. `scim_patch`: additions and removals of a group in one request. "
    "`group_members`: POST and DELETE of `/groups/{id}/members`. `user_patch`: one PATCH per person; always read back.",
    "genesys.workers": "Parallel requests to Genesys Cloud of one task: of `plan`, and of each mapped `patch`.",
    "genesys.rate_reserve": "Percentage of the rate limit left to other integrations that use the same token.",
    "groups": "Rules from AD group to Genesys group. The first rule that matches an AD group decides.",
    "groups[].dn": "Matches the AD group with this DN.",
    "groups[].sid": "Matches the AD group with this SID.",
    "groups[].guid": "Matches the AD group with this objectGUID.",
    "groups[].attribute": "Matches every AD group that has a value in this attribute.",
    "groups[].name": "Matches every AD group whose whole cn, or else sAMAccountName, matches. Case does not matter.",
    "groups[].genesys_id": "The Genesys group with this id.",
    "groups[].genesys_external_id": "The Genesys group with this SCIM externalId. Only with `dn`, `sid` or `guid`.",
    "groups[].genesys_name": "The Genesys group with this name. Case does not matter. Not with `attribute`.",
    "users": "Rules from AD user to Genesys user, tried in order. The first rule that finds anybody decides. "
    "If it finds two users, the person is ambiguous and held.",
    "users[].directory": "Attribute of the AD user whose value is looked up.",
    "users[].genesys": "What the value is compared with in Genesys Cloud.",
    "users[].authority": "Authority of the external id. Required with `genesys: external_id`, and only allowed there.",
    "exclude": "Groups and people that are never acted on. They are listed as `skipped`.",
    "exclude.groups": "Names of AD groups (cn or sAMAccountName) that feed nothing.",
    "exclude.users": "People whose memberships are neither added nor removed.",
    "removals": "`granted`: remove only memberships that AD once granted. `mirror`: remove also members that "
    "were added in Genesys Cloud by hand. `never`: only add.",
    "limits": "How much may be removed without asking a person.",
    "limits.removals": "Removals per Genesys group and run.",
    "limits.removals_percent": "Removals as a percentage of the memberships of that Genesys group that AD owns.",
    "limits.min_group_size": "`removals_percent` and `shrink_percent` apply to groups with at least this many members.",
    "limits.per_run": "Removals of a whole run.",
    "limits.per_day": "Removals of the last 24 hours plus those of this run.",
    "limits.shrink_percent": "An AD group, or all of AD, that loses a larger share without an explanation from AD "
    "proves nothing. 100 believes everything.",
    "limits.on_excess": "`approve`: ask a person. `hold`: hold the removals and ask nobody. `fail`: stop the run "
    "before anything is written.",
    "limits.answer_within": "How long a run waits for an answer. No answer means no.",
    "protect": "Genesys groups in which additions and removals always need a person.",
    "approvers": "Who may answer: Airflow user names, or ids if the auth manager uses others. Empty: everybody with "
    "the right to answer in Airflow.",
    "verify": "`true`: a change counts as a success only after it was read back from Genesys Cloud.",
    "dry_run": "`true`: plan and report, but write nothing to Genesys Cloud.",
    "report": "Where reports are written.",
    "report.path": "Any URL that Airflow's ObjectStoragePath understands: `file://…`, `s3://…`, `gs://…`. Environment "
    "variables are filled in.",
    "report.keep_days": "Reports, and what the journal knows of their runs, are removed after this many days.",
}
"""What each key is for, by its path. A list's rules have `[]` in their path."""


def tables() -> str:
    """Return the generated part of the page. Raises ValueError if a section or a meaning is missing or left over."""
    found = dict(sections(SyncDefinition))
    _compare("SECTIONS", set(SECTIONS), set(found))
    paths = {_join(section, key) for section, model in found.items() for key in model.model_fields}
    _compare("MEANINGS", set(MEANINGS), paths)
    return "\n\n".join(_table(section, found[section]) for section in SECTIONS)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield (path, model) of a model and of every model below it."""
    yield path, model
    for key, field in model.model_fields.items():
        inner, repeated = _model_in(field.annotation)
        if inner is not None:
            yield from sections(inner, _join(path, key) + ("[]" if repeated else ""))


def page_with(page: str, generated: str) -> str:
    """Return the page with new tables. Raises ValueError if a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: a marker is missing. Put the tables between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def _table(section: str, model: type[BaseModel]) -> str:
    lines = [f"## {SECTIONS[section]}", "", "| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else _shown(_default(field))
        meaning = MEANINGS[_join(section, key)]
        cells = (f"`{key}`", _cell(field.description or ""), default, _cell(meaning))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _default(field: FieldInfo) -> object:
    """Return the default as written, not as filled in: `${AIRFLOW_HOME}` stays."""
    if field.default is not PydanticUndefined:
        return field.default
    return field.get_default(call_default_factory=True, validated_data={})


def _shown(value: object) -> str:
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        return "; ".join(_rule(rule) for rule in value)
    return f"`{_as_yaml(value)}`"


def _rule(rule: BaseModel) -> str:
    pairs = ", ".join(f"{key}: {_as_yaml(value)}" for key, value in rule if value is not None)
    return f"`{{{pairs}}}`"


def _as_yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return _iso(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_as_yaml(item) for item in value) + "]"
    return str(value)


def _iso(value: timedelta) -> str:
    """Write a duration as a whole number of its largest unit: PT8H, PT90M, PT30S."""
    seconds = int(value.total_seconds())
    for unit, length in (("H", 3600), ("M", 60)):
        if seconds % length == 0:
            return f"PT{seconds // length}{unit}"
    return f"PT{seconds}S"


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the model that a field holds, and whether the field is a list of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    repeated = typing.get_origin(annotation) in (tuple, list)
    for part in typing.get_args(annotation):
        inner, _ = _model_in(part)
        if inner is not None:
            return inner, repeated
    return None, False


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _compare(table: str, written: set[str], real: set[str]) -> None:
    if missing := sorted(real - written):
        raise ValueError(f"docs/generate_configuration.py: {table} lacks {', '.join(missing)}. Add them.")
    if left_over := sorted(written - real):
        raise ValueError(f"docs/generate_configuration.py: {table} has unknown {', '.join(left_over)}. Remove them.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the page, or check it. Return the exit code."""
    parser = argparse.ArgumentParser(description="Write the tables of docs/configuration.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is stale")
    options = parser.parse_args(arguments)
    old = PAGE.read_text(encoding="utf-8")
    new = page_with(old, tables())
    if options.check:
        if new != old:
            print(f"{PAGE} is stale. Run `make docs` and commit the result.", file=sys.stderr)
        return int(new != old)
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
