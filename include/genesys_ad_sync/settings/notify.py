"""The sections `notify:` and `airflow:` of a sync definition.

`notify:` says which people are notified of which occasions, and `airflow:` where tasks run.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from genesys_ad_sync.model.notices import Occasion
from genesys_ad_sync.settings import values
from genesys_ad_sync.settings.values import Duration, FilledText, Section, Write

_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")
_KEYS = {
    "smtp": ({"to"}, {"sender"}),
    "http": (set[str](), {"endpoint"}),
    "slack": ({"channel"}, set[str]()),
    "slack_webhook": (set[str](), set[str]()),
}
"""Notifier -> the keys that it needs, and the other keys that it takes."""


class NotifySettings(Section):
    """An entry of `notify:`: one notifier of Airflow, and what it sends."""

    notifier: Annotated[
        Literal["smtp", "http", "slack", "slack_webhook"], Write("smtp, http, slack or slack_webhook")
    ] = Field(
        description="The notifier of Airflow that sends the messages. `smtp`: mail. `http`: a POST with a JSON object. "
        "`slack`: Slack's API. `slack_webhook`: an incoming webhook of Slack. The Slack ones need "
        "`apache-airflow-providers-slack`."
    )
    connection: Annotated[FilledText | None, Write("the id of an Airflow connection, or null")] = Field(
        default=None, description="Airflow connection. `null`: the notifier's own default, such as `smtp_default`."
    )
    to: Annotated[tuple[FilledText, ...], Write("a list of mail addresses", "to: [sync@example.com]")] = Field(
        default=(), description="Only `smtp`, where it is required: who gets the mails."
    )
    sender: Annotated[FilledText | None, Write("a mail address, or null")] = Field(
        default=None, description="Only `smtp`: the sender's address. `null`: `from_email` of the connection."
    )
    endpoint: Annotated[FilledText | None, Write("a path below the host of the connection, or null")] = Field(
        default=None, description="Only `http`: the path below the host of the connection."
    )
    channel: Annotated[FilledText | None, Write('a channel of Slack in quotes, as in "#sync"')] = Field(
        default=None, description="Only `slack`, where it is required: the channel."
    )
    on: Annotated[tuple[Occasion, ...], Write("a list of question, failed, held, stopped, silent and recovered")] = (
        Field(
            default=tuple(Occasion),
            description="What is sent. `question`: a run asks for approval. `failed`: a task failed, or changes that "
            "had not failed before. `held`: changes that are held, and that no earlier run listed. `stopped`: limits "
            "stopped a run. `silent`: see `silent_after`. `recovered`: that is over.",
        )
    )
    silent_after: Annotated[Duration | None, Write("an ISO 8601 duration, or null", "PT2H")] = Field(
        default=None,
        description="A DAG is silent if a run was due this long ago and none was completed since. If Airflow has a "
        "triggerer, a run that waits for no answer and has not ended within the shortest `silent_after` "
        "counts as silent, too. "
        "`null`: three intervals of the DAG's schedule, two hours at least; runs that do not end are not watched.",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_on(cls, data: object) -> object:
        """Take the key `on`, which YAML 1.1 reads as `true` where it has no quotes."""
        if isinstance(data, dict) and True in data and "on" not in data:
            return {"on" if key is True else key: value for key, value in data.items()}
        return data

    @field_validator("to", "sender")
    @classmethod
    def _check_addresses(cls, value: tuple[str, ...] | str | None) -> tuple[str, ...] | str | None:
        for address in (value,) if isinstance(value, str) else value or ():
            if not _ADDRESS.fullmatch(address):
                raise values.wrong("is not a mail address", "Write it alone, for example sync@example.com.")
        return value

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("//") or re.search(r"://|[?@\s\x00-\x1f]", value)):
            raise values.wrong(
                "is not a path",
                "Write the path alone, for example /hooks/sync. Keep host, login and token in the Airflow connection.",
                hide=True,
            )
        return value

    @field_validator("on")
    @classmethod
    def _check_on(cls, value: tuple[Occasion, ...]) -> tuple[Occasion, ...]:
        if not value:
            raise values.wrong("is empty", "Write at least one of them, or leave the key out for all.")
        return value

    @field_validator("silent_after")
    @classmethod
    def _check_silent_after(cls, value: timedelta | None) -> timedelta | None:
        return None if value is None else values.longer_than_nothing(value)

    @model_validator(mode="after")
    def _check_keys(self) -> NotifySettings:
        needed, taken = _KEYS[self.notifier]
        given = {key for key in ("to", "sender", "endpoint", "channel") if getattr(self, key)}
        if missing := sorted(needed - given):
            raise values.wrong(
                f"has no `{missing[0]}`, which {self.notifier} needs",
                f"Write {Write.of(type(self).model_fields[missing[0]]).sentence}.",
            )
        if left_over := sorted(given - needed - taken):
            raise values.wrong(f"has `{left_over[0]}`, which {self.notifier} does not take", "Remove it.")
        return self

    @property
    def channel_key(self) -> str:
        """Return a key of its recipients, the same whatever `on` says."""
        data = self.model_dump_json(include={"notifier", "connection", "to", "endpoint", "channel"})
        return hashlib.sha256(data.encode()).hexdigest()[:16]


Name = Annotated[FilledText | None, Write("a name, or null")]


class AirflowSettings(Section):
    """`airflow:` where the tasks run, and how the DAGs are listed."""

    queue: Name = Field(default=None, description="Queue of the tasks. `null`: Airflow's default.")
    ad_queue: Name = Field(
        default=None,
        description="Queue of the tasks that talk to AD: `poll`, `resolve_users`, `plan` and `patch_approved`. "
        "`null`: as `queue`. Set it if only some workers reach the domain controllers.",
    )
    pool: Name = Field(
        default=None, description="Pool of the tasks. It must exist in Airflow. `null`: Airflow's default."
    )
    owner: Name = Field(default=None, description="Owner that Airflow shows. `null`: Airflow's default.")
    tags: Annotated[tuple[FilledText, ...], Write("a list of tags")] = Field(
        default=(), description="Further tags of both DAGs, beside `genesys` and `active-directory`."
    )
