"""The sections of a sync definition, such as `directory:` and `limits:`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator

from genesys_ad_sync.model import MembershipPolicy, WriteStrategy
from genesys_ad_sync.settings import values
from genesys_ad_sync.settings.values import (
    Count,
    DistinguishedName,
    Duration,
    FilledText,
    Flag,
    Patterns,
    Percent,
    Section,
    Write,
)

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
    replication_time: Annotated[Duration, Write("an ISO 8601 duration", "PT3H")] = Field(
        default=timedelta(hours=3),
        description="How long a domain controller may lag behind another one. It counts where the domain controllers "
        "do not show which changes of each other they have received, and before a person is asked because one of "
        "them is lost. "
        "Between sites, Active Directory replicates every three hours unless you changed that.",
    )
    canary: Annotated[FilledText | None, Write("the DN of an object that the account must always see, or null")] = (
        Field(
            default=None,
            description="If the account cannot see this object, no member is removed because of what that run read.",
        )
    )

    @property
    def policy(self) -> MembershipPolicy:
        """Return which members of a group count."""
        return MembershipPolicy(
            nested=self.nested_groups, disabled_users=self.disabled_users, expired_users=self.expired_users
        )

    _check_replication_time = field_validator("replication_time")(values.longer_than_nothing)
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
    verify_within: Duration = Field(
        default=timedelta(seconds=30),
        description="How long Genesys Cloud may lag behind a write it accepted. A membership that is not in effect by "
        "then is `failed`. Groups that lag are read once more at the end of the task.",
    )

    _check_verify_within = field_validator("verify_within")(values.longer_than_nothing)


class ExcludeSettings(Section):
    """`exclude:` groups and people that are never acted on."""

    groups: Annotated[Patterns, Write("a list of shell patterns on AD group names")] = Field(
        default=(), description="Names of AD groups (cn or sAMAccountName) that feed nothing."
    )
    users: Annotated[Patterns, Write("a list of shell patterns on names, sAMAccountNames, mails and UPNs")] = Field(
        default=(), description="People whose memberships are neither added nor removed."
    )


class Limits(Section):
    """`limits:` how much may be removed or added without asking a person."""

    removals: Annotated[Count, Write("a whole number, 0 or more: removals of one Genesys group in a run")] = Field(
        default=50, description="Removals per Genesys group that may be pending."
    )
    removals_percent: Percent = Field(
        default=20,
        description="Removals of the last 24 hours that no person approved, and pending ones, as a percentage of the "
        "memberships of that Genesys group that AD owned before them.",
    )
    min_group_size: Count = Field(
        default=10,
        description="`removals_percent`, `additions_percent` and `shrink_percent` apply to groups with at least this "
        "many members.",
    )
    per_run: Count = Field(default=200, description="Removals that may be pending in all Genesys groups.")
    per_day: Count = Field(
        default=500, description="Removals of the last 24 hours that no person approved, and pending ones."
    )
    empty_group: Annotated[Literal["approve", "hold", "allow"], Write("approve, hold or allow")] = Field(
        default="approve",
        description="Removals after which AD owns nobody in a Genesys group in which it owned two or more in the last "
        "24 hours. `approve`: ask a person. `hold`: hold them and ask nobody, as with `on_excess: hold`. `allow`: "
        "remove them.",
    )
    additions: Annotated[Count, Write("a whole number, 0 or more: additions to one Genesys group in a run")] = Field(
        default=200, description="Additions per Genesys group that may be pending."
    )
    additions_percent: Annotated[Percent | None, Write("a whole number from 0 to 100, or null")] = Field(
        default=None,
        description="Additions of the last 24 hours that no person approved, and pending ones, as a percentage of the "
        "members that the Genesys group had before them. `null`: no such limit.",
    )
    additions_per_run: Count = Field(default=2000, description="Additions that may be pending in all Genesys groups.")
    new_pairs: Annotated[Literal["approve", "allow"], Write("approve or allow")] = Field(
        default="approve",
        description="An AD group that begins to feed a Genesys group after the first live run. `approve`: a person is "
        "asked once, about the pair and all its changes. `allow`: no approval is needed. A rule with `genesys_id` "
        "and `guid` "
        "or `sid` asks nobody.",
    )
    shrink_percent: Percent = Field(
        default=30,
        description="If an AD group, or all of AD, loses a larger share without an explanation from AD, nobody is "
        "removed because of it. 100: every loss is believed.",
    )
    on_excess: Annotated[Literal["approve", "hold", "fail"], Write("approve, hold or fail")] = Field(
        default="approve",
        description="`approve`: ask a person. `hold`: hold the changes and ask nobody. `fail`: stop the run before "
        "anything is written.",
    )
    answer_within: Duration = Field(
        default=timedelta(hours=8),
        description="How long a run waits for an answer. No answer means no.",
    )

    _check_answer = field_validator("answer_within")(values.longer_than_nothing)


class ReportSettings(Section):
    """`report:` where reports are written, and how long they are kept."""

    path: Annotated[FilledText, Write("a URL without a login", "file://${AIRFLOW_HOME}/reports")] = Field(
        default="file://${AIRFLOW_HOME}/reports",
        validate_default=True,
        description="Any URL that Airflow's ObjectStoragePath understands: `file://…`, `s3://…`, `gs://…`. "
        "`${AIRFLOW_HOME}` and variables that begin with `GENESYS_AD_SYNC_` are filled in. A login is refused: write "
        "the id of an Airflow connection before the `@`, as in `s3://my_connection@bucket/reports`.",
    )
    mode: Annotated[Literal["0600", "0640", "0644"], Write('"0600", "0640" or "0644", with the quotes')] = Field(
        default="0600",
        description="Rights of the files of reports on a local disk, in quotes. Their folders get `0700`, `0750` or "
        "`0755` to match. `0600`: the account that runs Airflow's tasks. `0640`: also its group. `0644`: everybody on "
        "that machine. An object store has rights of its own.",
    )
    keep_days: Annotated[
        int, Field(strict=True, ge=1, le=values.LONGEST_KEPT), Write("a whole number of days from 1 to 36500")
    ] = Field(
        default=365,
        description="Reports, what the journal knows of their runs, and the names of accounts that hold nothing any "
        "more are removed after this many days.",
    )

    _check_path = field_validator("path")(values.report_url)

    @property
    def file_mode(self) -> int:
        """Return `mode` as the number that the system takes."""
        return int(self.mode, 8)
