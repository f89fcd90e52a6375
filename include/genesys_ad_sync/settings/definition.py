"""The sync definition and its sections: the keys of the YAML file, and what follows from them.

Everything is checked here, so that no other room ever asks whether a setting makes sense. Each key has a description,
from which the documentation and the JSON schema are made, and a `Write` mark for error messages.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator

from genesys_ad_sync import names
from genesys_ad_sync.model import MembershipPolicy, Scope, WriteStrategy
from genesys_ad_sync.settings import values
from genesys_ad_sync.settings.rules import DEFAULT_USER_RULES, GroupRule, UserRule
from genesys_ad_sync.settings.values import (
    Count,
    DistinguishedName,
    Duration,
    FilledText,
    Flag,
    Patterns,
    Percent,
    Schedule,
    Section,
    Write,
)

CONFIG_FOLDER_VARIABLE = "GENESYS_AD_SYNC_CONFIG_DIR"
DAG_ID = "genesys_ad_group_sync"
DEFAULT_NAME = "default"
FULL_SUFFIX = "_full"
SPARE_ACTIVE_RUNS = 8
"""Runs that may be active beside those that wait for a person (design.md, Runs and windows)."""

_ALWAYS_READ = ("mail", "userPrincipalName")

Connection = Annotated[FilledText, Write("the id of an Airflow connection")]


class DirectorySettings(Section):
    """`directory:` what is read from Active Directory."""

    connection: Connection = Field(
        default="active_directory_default", description="Airflow connection of type `active_directory`."
    )
    group_base: Annotated[
        tuple[DistinguishedName, ...],
        Write("the DN below which the AD groups lie, or a list of DNs", "OU=Contact Center,DC=example,DC=com"),
    ] = Field(
        description="Only AD groups below this DN, or below one of these, are looked at. Members may be anywhere in "
        "the domain.",
        json_schema_extra=values.one_or_list_schema,
    )
    group_filter: Annotated[FilledText, Write("an LDAP filter for the AD groups")] = Field(
        default="(objectClass=group)", description="Only AD groups that match this LDAP filter are looked at."
    )
    nested_groups: Flag = Field(
        default=True, description="`true`: members of a group inside a group count as members of the outer group."
    )
    disabled_users: Annotated[Literal["remove", "keep"], Write("remove or keep")] = Field(
        default="remove",
        description="`remove`: a disabled AD account counts as not a member. `keep`: it counts as a member.",
    )
    expired_users: Annotated[Literal["remove", "keep"], Write("remove or keep")] = Field(
        default="remove",
        description="`remove`: an AD account whose `accountExpires` has passed, by AD's clock, counts as not a member. "
        "`keep`: it counts as a member.",
    )
    canary: Annotated[FilledText | None, Write("the DN of an object that the account must always see, or null")] = (
        Field(
            default=None,
            description="If the account cannot see this object, nothing that was read in that run removes anybody.",
        )
    )

    @property
    def policy(self) -> MembershipPolicy:
        """Return which members of a group count."""
        return MembershipPolicy(
            nested=self.nested_groups, disabled_users=self.disabled_users, expired_users=self.expired_users
        )

    _check_base = field_validator("group_base", mode="before")(values.one_or_list_of_names)
    _check_bases = field_validator("group_base")(values.at_least_one_base)
    _check_filter = field_validator("group_filter")(values.ldap_filter)

    @field_validator("canary")
    @classmethod
    def _check_canary(cls, value: str | None) -> str | None:
        return None if value is None else values.distinguished_name(value)


class GenesysSettings(Section):
    """`genesys:` how Genesys Cloud is written."""

    connection: Connection = Field(
        default="genesys_cloud_default", description="Airflow connection of type `genesys_cloud`."
    )
    write: Annotated[WriteStrategy, Write("scim_patch, group_members or user_patch")] = Field(
        default=WriteStrategy.SCIM_PATCH,
        description="How memberships are written. `scim_patch`: additions and removals of a group in one request. "
        "`group_members`: POST and DELETE of `/groups/{id}/members`. `user_patch`: one PATCH per person; always read "
        "back.",
    )
    workers: Annotated[int, Field(strict=True, ge=1, le=50), Write("a whole number from 1 to 50")] = Field(
        default=5,
        description="Parallel requests to Genesys Cloud of one task: of `plan`, and of each mapped `patch`.",
    )
    rate_reserve: Annotated[
        int, Field(strict=True, ge=0, le=90), Write("a percentage from 0 to 90, as a whole number")
    ] = Field(
        default=10,
        description="Percentage of the rate limit left to other integrations that use the same token.",
    )


class ExcludeSettings(Section):
    """`exclude:` groups and people that are never acted on."""

    groups: Annotated[Patterns, Write("a list of shell patterns on AD group names")] = Field(
        default=(), description="Names of AD groups (cn or sAMAccountName) that feed nothing."
    )
    users: Annotated[Patterns, Write("a list of shell patterns on names, sAMAccountNames, mails and UPNs")] = Field(
        default=(), description="People whose memberships are neither added nor removed."
    )


class Limits(Section):
    """`limits:` how much may be removed without asking a person."""

    removals: Annotated[Count, Write("a whole number, 0 or more: removals of one Genesys group in a run")] = Field(
        default=50, description="Removals per Genesys group and run."
    )
    removals_percent: Percent = Field(
        default=20,
        description="Removals as a percentage of the memberships of that Genesys group that AD owns.",
    )
    min_group_size: Count = Field(
        default=10,
        description="`removals_percent` and `shrink_percent` apply to groups with at least this many members.",
    )
    per_run: Count = Field(default=200, description="Removals of a whole run.")
    per_day: Count = Field(default=500, description="Removals of the last 24 hours plus those of this run.")
    shrink_percent: Percent = Field(
        default=30,
        description="An AD group, or all of AD, that loses a larger share without an explanation from AD proves "
        "nothing. 100 believes everything.",
    )
    on_excess: Annotated[Literal["approve", "hold", "fail"], Write("approve, hold or fail")] = Field(
        default="approve",
        description="`approve`: ask a person. `hold`: hold the removals and ask nobody. `fail`: stop the run before "
        "anything is written.",
    )
    answer_within: Duration = Field(
        default=timedelta(hours=8),
        description="How long a run waits for an answer. No answer means no.",
    )

    _check_answer = field_validator("answer_within")(values.longer_than_nothing)


class ReportSettings(Section):
    """`report:` where reports are written, and how long they are kept."""

    path: Annotated[
        FilledText, Write("a URL; environment variables are filled in", "file://${AIRFLOW_HOME}/reports")
    ] = Field(
        default="file://${AIRFLOW_HOME}/reports",
        validate_default=True,
        description="Any URL that Airflow's ObjectStoragePath understands: `file://…`, `s3://…`, `gs://…`. "
        "Environment variables are filled in.",
    )
    keep_days: Annotated[int, Field(strict=True, ge=1), Write("a whole number of days, 1 or more")] = Field(
        default=365,
        description="Reports, and what the journal knows of their runs, are removed after this many days.",
    )

    _check_path = field_validator("path")(values.expanded_url)


class SyncDefinition(Section):
    """A sync definition: what is read, how AD maps to Genesys Cloud, and what is allowed."""

    # `name`, the file's name without its ending, gives the ids of the two DAGs.

    schedule: Schedule = Field(
        default="*/15 * * * *",
        description="How often changes are looked for. Each run covers one data interval of this schedule.",
    )
    full_schedule: Annotated[FilledText, Write("a cron expression in quotes", "0 3 * * *")] = Field(
        default="0 3 * * *",
        description="When every mapped group is compared with Genesys Cloud in full, by the `_full` DAG.",
    )
    timezone: Annotated[FilledText, Write("a time zone of the IANA database")] = Field(
        default="UTC", description="Time zone of both schedules."
    )
    directory: Annotated[DirectorySettings, Write("a section with `group_base`", "directory: {group_base: …}")] = Field(
        description="What is read from Active Directory."
    )
    genesys: Annotated[GenesysSettings, Write("a section with keys below it")] = Field(
        default=GenesysSettings(), description="How Genesys Cloud is written."
    )
    groups: Annotated[
        tuple[GroupRule, ...],
        Write("a list of at least one rule", 'groups: [{name: "(?P<same>.+)", genesys_name: "{same}"}]'),
    ] = Field(
        description="Rules from AD group to Genesys group. The first rule that matches an AD group decides.",
        json_schema_extra={"minItems": 1},
    )
    users: Annotated[tuple[UserRule, ...], Write("a list of at least one rule")] = Field(
        default=DEFAULT_USER_RULES,
        description="Rules from AD user to Genesys user, tried in order. The first rule that finds anybody decides. "
        "If it finds two users, the person is ambiguous and held.",
        json_schema_extra={"minItems": 1},
    )
    exclude: Annotated[ExcludeSettings, Write("a section with `groups` and `users`")] = Field(
        default=ExcludeSettings(),
        description="Groups and people that are never acted on. They are listed as `skipped`.",
    )
    removals: Annotated[Literal["granted", "mirror", "never"], Write("granted, mirror or never")] = Field(
        default="granted",
        description="`granted`: remove only memberships that AD once granted. `mirror`: remove also members that "
        "were added in Genesys Cloud by hand. `never`: only add.",
    )
    limits: Annotated[Limits, Write("a section with keys below it")] = Field(
        default=Limits(), description="How much may be removed without asking a person."
    )
    protect: Annotated[Patterns, Write("a list of shell patterns on Genesys group names")] = Field(
        default=(), description="Genesys groups in which additions and removals always need a person."
    )
    approvers: Annotated[Patterns, Write("a list of Airflow user names")] = Field(
        default=(), description="Who may answer. Empty: everybody with the right to answer in Airflow."
    )
    verify: Flag = Field(
        default=True,
        description="`true`: a change counts as a success only after it was read back from Genesys Cloud.",
    )
    dry_run: Flag = Field(default=True, description="`true`: plan and report, but write nothing to Genesys Cloud.")
    report: Annotated[ReportSettings, Write("a section with `path` and `keep_days`")] = Field(
        # Made when a file is loaded, since its path depends on the environment of that moment.
        default_factory=ReportSettings,
        description="Where reports are written.",
    )

    _name: str = PrivateAttr(default=DEFAULT_NAME)
    _folder: Path | None = PrivateAttr(default=None)

    _check_schedules = field_validator("schedule", "full_schedule")(values.cron)
    _check_time_zone = field_validator("timezone")(values.time_zone)
    _check_rules = field_validator("groups", "users")(values.at_least_one)

    @classmethod
    def of(cls, data: Mapping[str, object], *, name: str, folder: Path | None) -> SyncDefinition:
        """Check the content of a file. Raises pydantic's ValidationError."""
        definition = cls.model_validate(data)
        definition._name = name  # noqa: SLF001  its own: pydantic takes no private attribute from a caller
        definition._folder = folder  # noqa: SLF001  as above
        return definition

    @property
    def name(self) -> str:
        """Return the file's name without its ending."""
        return self._name

    @property
    def folder(self) -> Path | None:
        """Return the folder of its file, where `notifiers.py` and the other definitions lie.

        For a definition that was made without a file: the folder that GENESYS_AD_SYNC_CONFIG_DIR names.
        """
        return self._folder or chosen_folder()

    @property
    def dag_id(self) -> str:
        """Return the id of the DAG that acts on changes."""
        return dag_id_of(self._name)

    @property
    def full_dag_id(self) -> str:
        """Return the id of the DAG of the same tasks that compares everything in full."""
        return dag_id_of(self._name) + FULL_SUFFIX

    @property
    def max_active_runs(self) -> int:
        """Count the active runs that the DAG of the changes may have.

        So many that runs which wait for an approval never stop its schedule.
        """
        return self._active_runs(self.schedule)

    @property
    def full_max_active_runs(self) -> int:
        """Count the active runs that the DAG of the full comparison may have."""
        return self._active_runs(self.full_schedule)

    def _active_runs(self, schedule: str) -> int:
        times = values.occurrences(schedule, count=50)
        shortest = min(later - earlier for earlier, later in itertools.pairwise(times))
        return math.ceil(self.limits.answer_within / shortest) + SPARE_ACTIVE_RUNS

    @property
    def group_attributes(self) -> tuple[str, ...]:
        """List the attributes that rules of `groups:` need: LDAP names in lower case, sorted."""
        return tuple(sorted({rule.attribute.lower() for rule in self.groups if rule.attribute}))

    @property
    def user_attributes(self) -> tuple[str, ...]:
        """List the attributes that rules of `users:` need and those always read: in lower case, sorted."""
        return tuple(sorted({name.lower() for name in (*_ALWAYS_READ, *(rule.directory for rule in self.users))}))

    def scope(self, naming_context: str) -> Scope:
        """Describe the part of AD that is read. ``naming_context``: the domain's DN, from the server's rootDSE."""
        bases = names.highest_dns(self.directory.group_base)
        return Scope(
            naming_context=naming_context,
            group_base=bases[0],
            group_filter=self.directory.group_filter,
            nested_groups=self.directory.nested_groups,
            disabled_users=self.directory.disabled_users,
            group_attributes=self.group_attributes,
            user_attributes=self.user_attributes,
            more_group_bases=bases[1:],
            expired_users=self.directory.expired_users,
        )


def dag_id_of(name: str) -> str:
    """Return the id of a definition's DAG; the DAG of its full comparison has ``_full`` behind it."""
    return DAG_ID if name == DEFAULT_NAME else f"{DAG_ID}__{name}"


def chosen_folder() -> Path | None:
    """Return the folder that GENESYS_AD_SYNC_CONFIG_DIR names, if it is set."""
    chosen = os.environ.get(CONFIG_FOLDER_VARIABLE)
    return Path(chosen) if chosen else None
