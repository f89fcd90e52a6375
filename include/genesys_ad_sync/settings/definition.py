"""The sync definition and its sections: the YAML keys and their consequences.

Everything is checked here, so that no other room ever asks whether a setting makes sense. Each key has a description,
from which the documentation and the JSON schema are made, and a `Write` mark for error messages.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator

from genesys_ad_sync import names
from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.model import Scope
from genesys_ad_sync.settings import values
from genesys_ad_sync.settings.notify import AirflowSettings, NotifySettings
from genesys_ad_sync.settings.rules import DEFAULT_USER_RULES, GroupRule, UserRule
from genesys_ad_sync.settings.sections import (
    DirectorySettings,
    ExcludeSettings,
    GenesysSettings,
    Limits,
    ReportSettings,
)
from genesys_ad_sync.settings.values import (
    FilledText,
    Flag,
    Patterns,
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


class SyncDefinition(Section):
    """A sync definition: what is read, how AD maps to Genesys, what is allowed."""

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
        Write("a list of at least one rule", 'groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]'),
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
        "were added in Genesys Cloud by hand, except owners of the group. `never`: only add.",
    )
    limits: Annotated[Limits, Write("a section with keys below it")] = Field(
        default=Limits(), description="How much may be removed or added without asking a person."
    )
    protect: Annotated[Patterns, Write("a list of shell patterns on Genesys group names, or of their ids")] = Field(
        default=(),
        description="Genesys groups in which additions and removals always need approval. Write names or ids. A "
        "group that "
        "had such a name once stays protected.",
    )
    approvers: Annotated[Patterns, Write("a list of Airflow user names")] = Field(
        default=(),
        description="Who may answer. Empty: everybody with the right to answer in Airflow, including the person who "
        "triggered the run.",
    )
    approvers_must_differ: Flag = Field(
        default=False,
        description="`true`: the person who triggered a run may not answer what it asks. Their answer does not count.",
    )
    verify: Flag = Field(
        default=True,
        description="`true`: a change counts as a success only after it was read back from Genesys Cloud.",
    )
    dry_run: Flag = Field(default=True, description="`true`: plan and report, but write nothing to Genesys Cloud.")
    formerly: Annotated[FilledText | None, Write("the former name of this file without its ending, or null")] = Field(
        default=None,
        description="The former name of this definition's file, without its ending. The first live run takes over what "
        "the former definition had, once the former file is gone.",
    )
    report: Annotated[ReportSettings, Write("a section with `path` and `keep_days`")] = Field(
        # Made when a file is loaded, since its path depends on the environment of that moment.
        default_factory=ReportSettings,
        description="Where reports are written.",
    )

    fail_on: Annotated[Literal["new", "any"], Write("new or any")] = Field(
        default="new",
        description="Which failed changes turn the run red. `new`: changes that fail for the first time or for "
        "another cause, and removals that have failed for 24 hours. `any`: all. The `_full` DAG is red "
        "for any.",
    )

    notify: Annotated[
        tuple[NotifySettings, ...], Write("a list of notifiers", "notify: [{notifier: smtp, to: [sync@example.com]}]")
    ] = Field(default=(), description="Who is notified of what. One message for each new trouble, not for each run.")
    airflow: Annotated[AirflowSettings, Write("a section with keys below it")] = Field(
        default=AirflowSettings(), description="Where the tasks run, and how Airflow lists the DAGs."
    )

    _name: str = PrivateAttr(default=DEFAULT_NAME)
    _folder: Path | None = PrivateAttr(default=None)

    _check_schedules = field_validator("schedule", "full_schedule")(values.cron)
    _check_time_zone = field_validator("timezone")(values.time_zone)
    _check_former = field_validator("formerly")(values.name_of_file)
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
    def file(self) -> Path | None:
        """Return the file from which it was loaded; None: it was made without one."""
        if self._folder is None:
            return None
        short = self._folder / f"{self._name}.yml"
        return short if short.exists() else self._folder / f"{self._name}.yaml"

    def is_dry(self, *, asked: bool | None) -> bool:
        """Return whether a run is dry: if its param or the definition says so.

        :param asked: the param `dry_run`; None: it says nothing.
        :raises ParamError: the param would make a run write although the definition is dry.
        """
        if self.dry_run and asked is False:
            raise ParamError(
                f"The sync definition {self._name} says dry_run: true, and the param dry_run: false does not overrule "
                "it. Nothing was done. Leave the param out for a dry run, or have dry_run: false set in the definition."
            )
        return self.dry_run or bool(asked)

    @property
    def silent_after(self) -> timedelta | None:
        """Return the time after which a DAG is silent.

        It is the shortest that `notify` has; None: `notify` has none.
        """
        times = [entry.silent_after for entry in self.notify if entry.silent_after is not None]
        return min(times, default=None)

    @property
    def digest(self) -> str:
        """Return a digest of all that decides what is done, to notice an edit."""
        rest = {"schedule", "full_schedule", "timezone", "report", "approvers", "fail_on", "notify", "airflow"}
        data = self.model_dump_json(exclude=rest)
        return hashlib.sha256(data.encode()).hexdigest()

    @property
    def dag_id(self) -> str:
        """Return the id of the DAG that acts on changes."""
        return dag_id_of(self._name)

    @property
    def full_dag_id(self) -> str:
        """Return the id of the DAG of the same tasks that compares everything in full."""
        return dag_id_of(self._name) + FULL_SUFFIX

    @property
    def former_dag_ids(self) -> tuple[str, ...]:
        """Return the ids of both DAGs under the former name."""
        return () if self.formerly is None else (dag_id_of(self.formerly), dag_id_of(self.formerly) + FULL_SUFFIX)

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
        """List the attributes that rules of `users:` need, and the attributes always read.

        They are in lower case and sorted.
        """
        return tuple(sorted({name.lower() for name in (*_ALWAYS_READ, *(rule.directory for rule in self.users))}))

    def scope(self, naming_context: str) -> Scope:
        """Describe the part of AD that is read.

        ``naming_context``: the domain's DN, from the server's rootDSE.
        """
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
    """Return the id of a definition's DAG.

    The DAG of its full comparison has ``_full`` behind it.
    """
    return DAG_ID if name == DEFAULT_NAME else f"{DAG_ID}__{name}"


def chosen_folder() -> Path | None:
    """Return the folder that GENESYS_AD_SYNC_CONFIG_DIR names, if it is set."""
    chosen = os.environ.get(CONFIG_FOLDER_VARIABLE)
    return Path(chosen) if chosen else None
