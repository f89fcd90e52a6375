"""The sync definition: the YAML file that says what is read, how AD maps to Genesys Cloud, and what is allowed.

Everything is checked here, so that no other room ever asks whether a setting makes sense. Knows neither Airflow nor
any server; it only reads files.
"""

from __future__ import annotations

import difflib
import itertools
import math
import os
import re
import string
import typing
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from croniter import CroniterBadCronError, CroniterBadDateError, croniter  # type: ignore[import-untyped]  # no stubs
from ldap3.core.exceptions import LDAPInvalidFilterError
from ldap3.operation.search import parse_filter
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from genesys_ad_sync import model, names
from genesys_ad_sync.errors import SettingsError

CONFIG_FOLDER_VARIABLE = "GENESYS_AD_SYNC_CONFIG_DIR"
CONFIG_FOLDER_NAME = "genesys-ad-sync"
"""Beside the DAG file. The hyphen keeps it from being imported in place of the product."""
DAG_ID = "genesys_ad_group_sync"
DEFAULT_NAME = "default"
FULL_SUFFIX = "_full"
SPARE_ACTIVE_RUNS = 8
"""Runs that may be active beside those that wait for a person (design.md, Runs and windows)."""

_MAX_DAG_ID = 250  # Airflow's
_DAG_ID_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]+")  # Airflow allows any \w; reports' file names do not
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SID = re.compile(r"S-1-\d+(-\d+)+", re.IGNORECASE)
_ALWAYS_READ = ("mail", "userPrincipalName")


def _wrong(problem: str, remedy: str) -> PydanticCustomError:
    """An error of our own. Braces are passed as values, since pydantic fills in templates."""
    return PydanticCustomError("sync_definition", "{problem}", {"problem": problem, "remedy": remedy})


# -- values that need more than a type ----------------------------------------------------------------


def _filled(value: str) -> str:
    if not value.strip():
        raise _wrong("is empty", "Write a value, or leave the key out.")
    return value


def _at_least_one(rules: tuple[Any, ...]) -> tuple[Any, ...]:
    if not rules:
        raise _wrong("is empty", "Write at least one rule.")
    return rules


def _dn(value: str) -> str:
    try:
        names.normal_dn(value)
    except ValueError:
        raise _wrong(
            "is not a distinguished name", "Write it as AD shows it, for example OU=Contact Center,DC=example,DC=com."
        ) from None
    return value


def _ldap_filter(value: str) -> str:
    try:
        # A schema is only asked whether it exists; the last argument says not to check names against it.
        parse_filter(value, None, True, None, None, False)
    except LDAPInvalidFilterError as error:
        raise _wrong(
            f"is not an LDAP filter ({error})",
            "Write one with balanced parentheses, for example (objectClass=group).",
        ) from None
    return value


def _attribute_name(value: str) -> str:
    if not _ATTRIBUTE_NAME.fullmatch(value):
        raise _wrong("is not the name of an AD attribute", "Write its LDAP name, for example mail or employeeNumber.")
    return value


def _cron(value: str) -> str:
    remedy = 'Write five fields in quotes, for example "*/15 * * * *" (every quarter of an hour), or "@daily".'
    fields = value.split()
    if not value.startswith("@"):
        if len(fields) != 5:
            raise _wrong(f"is not a cron expression: it has {len(fields)} fields, not 5", remedy)
        if any(re.match(r"[rh](?![a-z])", field, re.IGNORECASE) for field in fields):
            raise _wrong("is a cron expression with a random field, which changes each time it is read", remedy)
    try:
        _occurrences(value, count=1)
    except (CroniterBadCronError, CroniterBadDateError) as error:
        raise _wrong(f"is not a cron expression ({error})", remedy) from None
    return value


def _occurrences(cron: str, count: int) -> list[datetime]:
    """The first times of a schedule from a fixed day on (the answer must not depend on the clock)."""
    ticks = croniter(cron, datetime(2020, 1, 1))  # noqa: DTZ001  distances only, no zone wanted
    return [ticks.get_next(datetime) for _ in range(count)]


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder's name gives an OSError
        raise _wrong(
            "is not a known time zone", "Write a name of the IANA database, for example UTC or Europe/Berlin."
        ) from None
    return value


def _iso_duration(value: object) -> object:
    """Refuses what pydantic would take for a duration although nobody could read it (8 = eight seconds)."""
    if not isinstance(value, (str, timedelta)) or (isinstance(value, str) and not value.startswith("P")):
        raise _wrong("is not an ISO 8601 duration", "Write for example PT8H (eight hours), PT90M or P1D.")
    return value


def _longer_than_nothing(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise _wrong("must be longer than nothing", "Write for example PT8H (eight hours).")
    return value


def _expanded_url(value: str) -> str:
    """``$NAME`` and ``${NAME}`` are replaced by environment variables; AIRFLOW_HOME has Airflow's default."""
    home = os.environ.get("AIRFLOW_HOME") or os.path.expanduser("~/airflow")
    expanded = re.sub(r"\$(\{AIRFLOW_HOME\}|AIRFLOW_HOME\b)", lambda _: home, value)
    expanded = os.path.expandvars(expanded)
    unknown = re.search(r"\$\{?(\w+)", expanded)
    if unknown:
        raise _wrong(
            f"uses the environment variable {unknown.group(1)}, which is not set",
            "Set it where Airflow runs, or write the path out.",
        )
    if not re.match(r"[a-z][a-z0-9+.-]*://.", expanded, re.IGNORECASE):
        raise _wrong(
            "is not a URL",
            "Write for example file:///var/lib/reports, or any other URL of Airflow's ObjectStoragePath.",
        )
    return expanded


Text = Annotated[StrictStr, Field(description="text, in quotes if in doubt")]
FilledText = Annotated[StrictStr, BeforeValidator(lambda v: _filled(v) if isinstance(v, str) else v)]
Patterns = tuple[FilledText, ...]
Count = Annotated[int, Field(strict=True, ge=0)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


# -- the parts ----------------------------------------------------------------------------------------


class DirectorySettings(_Part):
    """`directory:` what is read of Active Directory."""

    connection: FilledText = Field(default="active_directory_default", description="the id of an Airflow connection")
    group_base: FilledText = Field(
        description="the DN below which the AD groups lie", examples=["OU=Contact Center,DC=example,DC=com"]
    )
    group_filter: FilledText = Field(default="(objectClass=group)", description="an LDAP filter for the AD groups")
    nested_groups: StrictBool = Field(default=True, description="true or false")
    disabled_users: Literal["remove", "keep"] = Field(default="remove", description="remove or keep")
    canary: FilledText | None = Field(
        default=None, description="the DN of an object that the account must always see, or null"
    )

    _check_base = field_validator("group_base")(_dn)
    _check_filter = field_validator("group_filter")(_ldap_filter)

    @field_validator("canary")
    @classmethod
    def _check_canary(cls, value: str | None) -> str | None:
        return None if value is None else _dn(value)


class GenesysSettings(_Part):
    """`genesys:` how Genesys Cloud is written to."""

    connection: FilledText = Field(default="genesys_cloud_default", description="the id of an Airflow connection")
    write: Literal["scim_patch", "group_members", "user_patch"] = Field(
        default="scim_patch", description="scim_patch, group_members or user_patch"
    )
    workers: Annotated[int, Field(strict=True, ge=1, le=50)] = Field(
        default=5, description="a whole number from 1 to 50"
    )
    rate_reserve: Annotated[int, Field(strict=True, ge=0, le=90)] = Field(
        default=10, description="a percentage from 0 to 90, as a whole number"
    )


_Source = Literal["dn", "sid", "guid", "attribute", "name"]
_TargetKey = Literal["genesys_id", "genesys_external_id", "genesys_name"]
_SOURCES: tuple[_Source, ...] = ("dn", "sid", "guid", "attribute", "name")
_TARGETS: tuple[_TargetKey, ...] = ("genesys_id", "genesys_external_id", "genesys_name")


class GroupRule(_Part):
    """One line of `groups:`: exactly one key that finds AD groups, and one that names the Genesys group."""

    dn: FilledText | None = Field(default=None, description="the DN of an AD group")
    sid: FilledText | None = Field(default=None, description="the SID of an AD group, S-1-…")
    guid: FilledText | None = Field(default=None, description="the objectGUID of an AD group")
    attribute: FilledText | None = Field(default=None, description="the LDAP name of an attribute of the AD group")
    name: FilledText | None = Field(default=None, description="a regular expression for the whole name of AD groups")
    genesys_id: FilledText | None = Field(
        default=None, description='the id of a Genesys group, or a template in quotes such as "{value}"'
    )
    genesys_external_id: FilledText | None = Field(
        default=None, description="the SCIM externalId of a Genesys group, in quotes"
    )
    genesys_name: FilledText | None = Field(
        default=None, description='the name of a Genesys group, or a template in quotes such as "{team}"'
    )

    @field_validator("dn")
    @classmethod
    def _check_dn(cls, value: str | None) -> str | None:
        return None if value is None else _dn(value)

    @field_validator("sid")
    @classmethod
    def _check_sid(cls, value: str | None) -> str | None:
        if value is not None and not _SID.fullmatch(value):
            raise _wrong("is not a SID", "Write it as AD shows it: S-1-5-21-…")
        return value

    @field_validator("guid")
    @classmethod
    def _check_guid(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise _wrong("is not a GUID", "Write it as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.") from None

    @field_validator("attribute")
    @classmethod
    def _check_attribute(cls, value: str | None) -> str | None:
        return None if value is None else _attribute_name(value)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value, re.IGNORECASE)
            except re.error as error:
                raise _wrong(
                    f"is not a regular expression ({error})",
                    'Correct it, for example "GC-(?P<team>.+)"; to mean a special character itself, put \\ before it.',
                ) from None
        return value

    @field_validator("genesys_id", "genesys_name")
    @classmethod
    def _check_template(cls, value: str | None, info: ValidationInfo) -> str | None:
        """A template may use the named groups of `name`; beside `attribute` it is {value} and nothing else."""
        if value is None:
            return None
        known = info.data
        if known.get("attribute") is not None:
            if value != "{value}":
                raise _wrong(
                    "must be {value} beside `attribute`", f'Write {info.field_name}: "{{value}}", with the quotes.'
                )
        elif known.get("name") is not None:
            _check_template_fields(value, tuple(re.compile(known["name"]).groupindex))
        elif any(known.get(key) is not None for key in ("dn", "sid", "guid")) and _template_fields(value, strict=False):
            raise _wrong("is a template, but `dn`, `sid` and `guid` fill none in", "Write the Genesys group itself.")
        return value

    @model_validator(mode="after")
    def _check_shape(self) -> GroupRule:
        sources = [key for key in _SOURCES if getattr(self, key) is not None]
        targets = [key for key in _TARGETS if getattr(self, key) is not None]
        if len(sources) != 1:
            raise _wrong(
                f"finds AD groups by {_listed(sources, 'nothing')}", f"Keep exactly one of {_listed(_SOURCES)}."
            )
        if len(targets) != 1:
            raise _wrong(
                f"names the Genesys group by {_listed(targets, 'nothing')}", f"Keep exactly one of {_listed(_TARGETS)}."
            )
        if sources == ["attribute"] and targets != ["genesys_id"]:
            raise _wrong(
                f"has `attribute` with `{targets[0]}`",
                'The attribute carries the Genesys id: write genesys_id: "{value}".',
            )
        if sources == ["name"] and targets == ["genesys_external_id"]:
            raise _wrong(
                "has `name` with `genesys_external_id`",
                "Name the AD group by dn, sid or guid, or the Genesys group by genesys_name or genesys_id.",
            )
        return self

    @property
    def source(self) -> _Source:
        """The key by which AD groups are found."""
        return next(key for key in _SOURCES if getattr(self, key) is not None)

    @property
    def target(self) -> _TargetKey:
        """The key that names the Genesys group."""
        return next(key for key in _TARGETS if getattr(self, key) is not None)

    @property
    def template(self) -> str:
        """The value of `target`."""
        value = getattr(self, self.target)
        assert isinstance(value, str)
        return value


class UserRule(_Part):
    """One line of `users:`: which AD attribute is which attribute of the Genesys user."""

    directory: FilledText = Field(description="the LDAP name of an attribute of the AD user", examples=["mail"])
    genesys: Literal["email", "username", "external_id"] = Field(
        description="email, username or external_id", examples=["email"]
    )
    authority: FilledText | None = Field(
        default=None, description="the authority of the Genesys external id", examples=["HR"]
    )

    _check_directory = field_validator("directory")(_attribute_name)

    @model_validator(mode="after")
    def _check_authority(self) -> UserRule:
        if self.genesys == "external_id" and self.authority is None:
            raise _wrong(
                "has no `authority`", "An external id belongs to an authority in Genesys Cloud: add authority: HR."
            )
        if self.genesys != "external_id" and self.authority is not None:
            raise _wrong(f"has an `authority`, but {self.genesys} knows none", "Remove `authority`.")
        return self

    @property
    def label(self) -> str:
        """For `Match.matched_by`, for example ``mail=email``."""
        return f"{self.directory}={self.genesys}"


class ExcludeSettings(_Part):
    """`exclude:` shell patterns of what is never acted on."""

    groups: Patterns = Field(default=(), description="a list of shell patterns on AD group names")
    users: Patterns = Field(
        default=(), description="a list of shell patterns on names, sAMAccountNames, mails and UPNs"
    )


class Limits(_Part):
    """`limits:` how much may be removed without asking a person."""

    removals: Count = Field(default=50, description="a whole number, 0 or more: removals of one Genesys group in a run")
    removals_percent: Percent = Field(default=20, description="a whole number from 0 to 100, without the % sign")
    min_group_size: Count = Field(default=10, description="a whole number, 0 or more")
    per_run: Count = Field(default=200, description="a whole number, 0 or more")
    per_day: Count = Field(default=500, description="a whole number, 0 or more")
    shrink_percent: Percent = Field(default=30, description="a whole number from 0 to 100, without the % sign")
    on_excess: Literal["approve", "hold", "fail"] = Field(default="approve", description="approve, hold or fail")
    answer_within: Annotated[timedelta, BeforeValidator(_iso_duration)] = Field(
        default=timedelta(hours=8), description="an ISO 8601 duration", examples=["PT8H"]
    )

    _check_answer = field_validator("answer_within")(_longer_than_nothing)


class ReportSettings(_Part):
    """`report:` where reports are written and how long they are kept."""

    path: FilledText = Field(
        default="file://${AIRFLOW_HOME}/reports",
        validate_default=True,
        description="a URL; environment variables are filled in",
        examples=["file://${AIRFLOW_HOME}/reports"],
    )
    keep_days: Annotated[int, Field(strict=True, ge=1)] = Field(
        default=365, description="a whole number of days, 1 or more"
    )

    _check_path = field_validator("path")(_expanded_url)


_DEFAULT_USERS = (
    UserRule(directory="mail", genesys="email"),
    UserRule(directory="userPrincipalName", genesys="username"),
)


class SyncDefinition(_Part):
    """A whole file. `name` is the file's name without its ending; it gives the ids of the two DAGs."""

    schedule: FilledText = Field(
        default="*/15 * * * *", description="a cron expression in quotes", examples=["*/15 * * * *"]
    )
    full_schedule: FilledText = Field(
        default="0 3 * * *", description="a cron expression in quotes", examples=["0 3 * * *"]
    )
    timezone: FilledText = Field(default="UTC", description="a time zone of the IANA database")
    directory: DirectorySettings = Field(
        description="a section with `group_base`", examples=["directory: {group_base: …}"]
    )
    genesys: GenesysSettings = Field(default=GenesysSettings(), description="a section with keys below it")
    groups: tuple[GroupRule, ...] = Field(
        description="a list of at least one rule",
        examples=['groups: [{name: "(?P<same>.+)", genesys_name: "{same}"}]'],
    )
    users: tuple[UserRule, ...] = Field(default=_DEFAULT_USERS, description="a list of at least one rule")
    exclude: ExcludeSettings = Field(default=ExcludeSettings(), description="a section with `groups` and `users`")
    removals: Literal["granted", "mirror", "never"] = Field(default="granted", description="granted, mirror or never")
    limits: Limits = Field(default=Limits(), description="a section with keys below it")
    protect: Patterns = Field(default=(), description="a list of shell patterns on Genesys group names")
    approvers: Patterns = Field(default=(), description="a list of Airflow user names")
    verify: StrictBool = Field(default=True, description="true or false")
    dry_run: StrictBool = Field(default=True, description="true or false")
    report: ReportSettings = Field(
        default_factory=lambda: ReportSettings(), description="a section with `path` and `keep_days`"
    )

    _name: str = PrivateAttr(default=DEFAULT_NAME)
    _folder: Path | None = PrivateAttr(default=None)

    _check_schedules = field_validator("schedule", "full_schedule")(_cron)
    _check_time_zone = field_validator("timezone")(_time_zone)
    _check_rules = field_validator("groups", "users")(_at_least_one)

    @property
    def name(self) -> str:
        return self._name

    @property
    def folder(self) -> Path | None:
        """The folder of its file, where `notifiers.py` and the other definitions lie.

        Of a definition that was made without a file: what GENESYS_AD_SYNC_CONFIG_DIR names.
        """
        return self._folder or _chosen_folder()

    @property
    def dag_id(self) -> str:
        return dag_id_of(self._name)

    @property
    def full_dag_id(self) -> str:
        """The DAG of the same tasks that compares everything as a whole."""
        return dag_id_of(self._name) + FULL_SUFFIX

    @property
    def max_active_runs(self) -> int:
        """Of the DAG of the changes: so many that runs which wait for an approval never stop its schedule."""
        return self._active_runs(self.schedule)

    @property
    def full_max_active_runs(self) -> int:
        """Of the DAG of the whole comparison."""
        return self._active_runs(self.full_schedule)

    def _active_runs(self, schedule: str) -> int:
        times = _occurrences(schedule, count=50)
        shortest = min(later - earlier for earlier, later in itertools.pairwise(times))
        return math.ceil(self.limits.answer_within / shortest) + SPARE_ACTIVE_RUNS

    @property
    def group_attributes(self) -> tuple[str, ...]:
        """What rules of `groups:` ask for: LDAP names in lower case, sorted."""
        return tuple(sorted({rule.attribute.lower() for rule in self.groups if rule.attribute}))

    @property
    def user_attributes(self) -> tuple[str, ...]:
        """What rules of `users:` ask for, and what is always read: LDAP names in lower case, sorted."""
        return tuple(sorted({name.lower() for name in (*_ALWAYS_READ, *(rule.directory for rule in self.users))}))

    def scope(self, naming_context: str) -> model.Scope:
        """What this definition looks at. ``naming_context``: the DN of the domain, from the server's rootDSE."""
        return model.Scope(
            naming_context=naming_context,
            group_base=self.directory.group_base,
            group_filter=self.directory.group_filter,
            nested_groups=self.directory.nested_groups,
            disabled_users=self.directory.disabled_users,
            group_attributes=self.group_attributes,
            user_attributes=self.user_attributes,
        )


# -- templates ----------------------------------------------------------------------------------------


def _template_fields(template: str, strict: bool = True) -> list[str]:
    """The names in braces. ``strict``: anything that `fill` could not replace is an error."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        if not strict:
            return []
        raise _wrong(
            f"is not a template ({error})", "A name stands in braces, as in {team}; a brace itself is doubled."
        ) from None
    fields = []
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        if strict and (not field.isidentifier() or spec or conversion):
            raise _wrong(f"uses {{{field}}}, which is not a plain name", "Write a name in braces, as in {team}.")
        fields.append(field)
    return fields


def _check_template_fields(template: str, available: Sequence[str]) -> None:
    for field in _template_fields(template):
        if field not in available:
            near = difflib.get_close_matches(field, available, n=1)
            if near:
                remedy = f"Did you mean {{{near[0]}}}?"
            elif available:
                remedy = f"Groups of the expression: {_listed(available)}."
            else:
                remedy = f"Name it in the expression, as in (?P<{field}>.+)."
            raise _wrong(f"uses {{{field}}}, but `name` has no group of that name", remedy)


def fill(template: str, values: typing.Mapping[str, str | None]) -> str:
    """The template with its names replaced; a group of the expression that took no part counts as empty."""
    return template.format_map({key: value or "" for key, value in values.items()})


# -- files --------------------------------------------------------------------------------------------


def config_folder(beside: Path) -> Path:
    """Find the folder of the sync definitions; it need not exist.

    The first of: the folder that GENESYS_AD_SYNC_CONFIG_DIR names; ``genesys-ad-sync/`` in ``beside``, the folder of
    the DAG file; in a checkout of this project, ``include/config``. An ``include/`` of somebody else's project is
    none: the example there would become DAGs of theirs.
    """
    chosen = _chosen_folder()
    if chosen is not None:
        return chosen
    own, include = beside / CONFIG_FOLDER_NAME, beside.parent / "include"
    in_checkout = (include / "genesys_ad_sync" / "settings" / "__init__.py").is_file()
    return include / "config" if in_checkout and not own.is_dir() else own


def _chosen_folder() -> Path | None:
    chosen = os.environ.get(CONFIG_FOLDER_VARIABLE)
    return Path(chosen) if chosen else None


def find_definitions(folder: Path) -> list[Path]:
    """The YAML files of the folder, sorted; hidden ones are left out.

    Raises SettingsError if the folder cannot be listed, or holds none.
    """
    found: list[Path] = []
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix in {".yaml", ".yml"} and not path.name.startswith(".") and path.is_file()
        ]
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SettingsError(
            f"{folder}: sync definitions cannot be listed ({error.strerror}). "
            f"Make the folder readable, or set {CONFIG_FOLDER_VARIABLE} to another one."
        ) from None
    if not found:
        raise SettingsError(
            f"{folder}: no sync definition there. Put one into that folder, for example as {DEFAULT_NAME}.yaml, or set "
            f"{CONFIG_FOLDER_VARIABLE} to the folder of yours. Start from include/config/default.yaml in the "
            "repository of genesys-ad-sync."
        )
    return sorted(found)


def load_definition(path: Path) -> SyncDefinition:
    """The definition in a file. Raises SettingsError, whose text names the file, each wrong key and the remedy."""
    _check_file_name(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}). Make it a readable file in UTF-8.") from None
    definition = parse_definition(text, name=path.stem, source=str(path))
    definition._folder = path.parent
    return definition


def parse_definition(text: str, name: str = DEFAULT_NAME, source: str = "sync definition") -> SyncDefinition:
    """The definition in a text. ``source`` is what errors call the file. Raises SettingsError."""
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader that also refuses doubled keys
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = " ".join(part for part in (error.context, error.problem) if part)
        remedy = error.note or "Check the indentation and the quotes there."
        raise SettingsError(f"{source}{line}: {problem}. {remedy}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{source}: is not YAML ({error}). Save it as plain text in UTF-8.") from None
    except RecursionError:
        raise SettingsError(f"{source}: is nested too deeply. Look for brackets that are never closed.") from None
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is not a list of keys with values"
        raise SettingsError(f"{source}: {what}. Start from the shipped include/config/default.yaml.")
    try:
        definition = SyncDefinition.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise SettingsError("\n".join(f"{source}: {_explained(detail)}" for detail in details)) from None
    definition._name = name
    return definition


def dag_id_of(name: str) -> str:
    """The id of the DAG of a definition; that of its whole comparison has ``_full`` behind it."""
    return DAG_ID if name == DEFAULT_NAME else f"{DAG_ID}__{name}"


def dag_id_of_broken(path: Path) -> str:
    """The id of the DAG that tells about a file which cannot be loaded. Never raises, always fits Airflow."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)
    if safe != path.stem or safe.endswith(FULL_SUFFIX) or _twin(path):
        safe = f"{safe}{path.suffix}.refused"  # must not take the id of a good definition
    return dag_id_of(safe[:200])


def _check_file_name(path: Path) -> None:
    name = path.stem
    if not _DAG_ID_CHARACTERS.fullmatch(name):
        raise SettingsError(
            f"{path}: the file's name becomes part of a DAG id, and Airflow or the reports refuse some of its "
            "characters. Rename it; letters A-Z, digits, dash, dot and underscore are allowed."
        )
    if name.endswith(FULL_SUFFIX):
        raise SettingsError(
            f"{path}: a name that ends in {FULL_SUFFIX} is kept for the DAG of the whole comparison. Rename the file."
        )
    if len(dag_id_of(name) + FULL_SUFFIX) > _MAX_DAG_ID:
        raise SettingsError(f"{path}: the name is too long for a DAG id of {_MAX_DAG_ID} characters. Shorten it.")
    twin = _twin(path)
    if twin:
        raise SettingsError(f"{path}: {twin.name} would give the same DAG. Keep one of the two files.")


def _twin(path: Path) -> Path | None:
    other = path.with_suffix({".yaml": ".yml", ".yml": ".yaml"}.get(path.suffix, path.suffix))
    return other if other != path and other.exists() else None


class _StrictLoader(yaml.SafeLoader):
    """YAML lets a doubled key win silently. Here it is an error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # PyYAML's own where a text looks like a date or a number
            raise yaml.constructor.ConstructorError(
                problem=f"`{node.value[:40]}` looks like a date or a number and is none ({error})",
                problem_mark=node.start_mark,
                note="Put quotes around the value.",
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            line = key_node.start_mark.line + 1
            if key_node.value in seen:
                first = seen[key_node.value]
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key_node.value}` stands there a second time (first in line {first})",
                    problem_mark=key_node.start_mark,
                    note="Keep one of the two.",
                )
            seen[key_node.value] = line
        return super().construct_mapping(node, deep)


# -- errors that help ---------------------------------------------------------------------------------


def _explained(error: ErrorDetails) -> str:
    """One line: which key, what is wrong with it, what to do."""
    location = error["loc"]
    kind = error["type"]
    key = _key_path(location)
    field = _field_at(location)
    if kind == "extra_forbidden":
        known = list(_model_at(location[:-1]).model_fields)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        remedy = f"Did you mean `{near[0]}`?" if near else f"Known keys there: {_listed(known)}."
        return f"`{key}` is not a known key. {remedy}"
    example = f", for example {field.examples[0]}" if field.examples else ""
    if kind == "missing":
        return f"`{key}` is missing. Add it: {field.description}{example}."
    if kind == "sync_definition":
        return f"`{key}`{_shown(error['input'])} {error['ctx']['problem']}. {error['ctx']['remedy']}"
    problem = _PLAIN_WORDS.get(kind) or f"is wrong: {error['msg'][0].lower()}{error['msg'][1:]}"
    return f"`{key}`{_shown(error['input'])} {problem}. Write {field.description or 'a section with keys'}{example}."


_PLAIN_WORDS = {
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "model_type": "is not a section with keys below it",
    "string_type": "is not text",
    "tuple_type": "is not a list",
}
"""pydantic speaks of Python's types; whoever edits a YAML file should not need to know them."""


def _shown(value: object) -> str:
    if isinstance(value, (str, int, float)) and len(str(value)) <= 120:
        return f" ({value!r})"
    return ""


def _key_path(location: Iterable[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _model_at(location: Sequence[int | str]) -> type[BaseModel]:
    found: type[BaseModel] = SyncDefinition
    for part in location:
        if isinstance(part, str) and part in found.model_fields:
            found = _model_in(found.model_fields[part].annotation) or found
    return found


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part))), None)


def _field_at(location: Sequence[int | str]) -> Any:
    """The field's own information, or an empty one where the location is no field (a whole rule of a list)."""
    keys = [part for part in location if isinstance(part, str)]
    model_of_key = _model_at(keys[:-1])
    return model_of_key.model_fields.get(keys[-1] if keys else "") or SimpleNamespace(description=None, examples=None)


def _listed(words: Iterable[str], none: str = "none") -> str:
    return ", ".join(f"`{word}`" for word in words) or none
