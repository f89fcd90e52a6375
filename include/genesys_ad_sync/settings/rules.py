"""Rules for AD groups and Genesys groups, and for AD users and Genesys users.

They say which AD group feeds which Genesys group, and which Genesys user an AD user is.
"""

from __future__ import annotations

import difflib
import re
import string
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from genesys_ad_sync import patterns
from genesys_ad_sync.model import UserKey
from genesys_ad_sync.settings import values
from genesys_ad_sync.settings.values import FilledText, Section, Write, listed, wrong

Source = Literal["dn", "sid", "guid", "attribute", "name"]
TargetKey = Literal["genesys_id", "genesys_external_id", "genesys_name"]
GroupName = Literal["cn", "sAMAccountName"]
SOURCES: tuple[Source, ...] = ("dn", "sid", "guid", "attribute", "name")
TARGETS: tuple[TargetKey, ...] = ("genesys_id", "genesys_external_id", "genesys_name")


class GroupRule(Section):
    """One rule of `groups:`.

    Exactly one key finds AD groups, and exactly one names the Genesys group.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [{"oneOf": [{"required": [key]} for key in keys]} for keys in (SOURCES, TARGETS)],
        }
    )

    dn: Annotated[FilledText | None, Write("the DN of an AD group")] = Field(
        default=None, description="Matches the AD group with this DN."
    )
    sid: Annotated[FilledText | None, Write("the SID of an AD group, S-1-…")] = Field(
        default=None, description="Matches the AD group with this SID."
    )
    guid: Annotated[FilledText | None, Write("the objectGUID of an AD group")] = Field(
        default=None, description="Matches the AD group with this objectGUID."
    )
    attribute: Annotated[FilledText | None, Write("the LDAP name of an attribute of the AD group")] = Field(
        default=None, description="Matches every AD group that has a value in this attribute."
    )
    name: Annotated[FilledText | None, Write("a regular expression for the whole name of AD groups")] = Field(
        default=None,
        description="Matches every AD group of which a whole name matches, see `name_of`. Case does not matter.",
    )
    name_of: Annotated[tuple[GroupName, ...], Write("a list of cn and sAMAccountName", "[cn, sAMAccountName]")] = Field(
        default=("cn",),
        description="Only with `name`: which names of the AD group are tried, in order. The first one that is the name "
        "of a Genesys group decides. In some OUs, more people may change one of them than the other.",
        json_schema_extra={"minItems": 1},
    )
    genesys_id: Annotated[
        FilledText | None, Write('the id of a Genesys group, or a template in quotes such as "{value}"')
    ] = Field(default=None, description="The Genesys group with this id.")
    genesys_external_id: Annotated[FilledText | None, Write("the SCIM externalId of a Genesys group, in quotes")] = (
        Field(
            default=None,
            description="The Genesys group with this SCIM externalId. Only with `dn`, `sid` or `guid`.",
        )
    )
    genesys_name: Annotated[
        FilledText | None, Write('the name of a Genesys group, or a template in quotes such as "{team}"')
    ] = Field(
        default=None,
        description="The Genesys group with this name. Case does not matter. Not with `attribute`.",
    )

    @field_validator("dn")
    @classmethod
    def _check_dn(cls, value: str | None) -> str | None:
        return None if value is None else values.distinguished_name(value)

    @field_validator("sid")
    @classmethod
    def _check_sid(cls, value: str | None) -> str | None:
        return None if value is None else values.sid(value)

    @field_validator("guid")
    @classmethod
    def _check_guid(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise wrong("is not a GUID", "Write it as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.") from None

    @field_validator("attribute")
    @classmethod
    def _check_attribute(cls, value: str | None) -> str | None:
        return None if value is None else values.attribute_name(value)

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str | None) -> str | None:
        problem = None if value is None else patterns.problem_of(value)
        if problem is not None:
            raise wrong(
                problem,
                'Correct it, for example "GC-(?P<team>.+)"; to mean a special character itself, put \\ before it.',
            )
        return value

    @field_validator("genesys_id", "genesys_name")
    @classmethod
    def _check_template(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Allow the named groups of `name` in a template.

        Beside `attribute`, allow {value} and nothing else.
        """
        if value is None:
            return None
        known = info.data
        if known.get("attribute") is not None:
            if value != "{value}":
                raise wrong(
                    "must be {value} beside `attribute`", f'Write {info.field_name}: "{{value}}", with the quotes.'
                )
        elif known.get("name") is not None:
            _check_template_fields(value, tuple(re.compile(known["name"]).groupindex))
        elif any(known.get(key) is not None for key in ("dn", "sid", "guid")) and _names_in_braces(value):
            raise wrong("is a template, but `dn`, `sid` and `guid` fill none in", "Write the Genesys group itself.")
        return value

    @model_validator(mode="after")
    def _check_shape(self) -> GroupRule:
        sources = [key for key in SOURCES if getattr(self, key) is not None]
        targets = [key for key in TARGETS if getattr(self, key) is not None]
        if len(sources) != 1:
            raise wrong(f"finds AD groups by {listed(sources, 'nothing')}", f"Keep exactly one of {listed(SOURCES)}.")
        if len(targets) != 1:
            raise wrong(
                f"names the Genesys group by {listed(targets, 'nothing')}", f"Keep exactly one of {listed(TARGETS)}."
            )
        if not self.name_of or ("name_of" in self.model_fields_set and sources != ["name"]):
            raise wrong(
                "has `name_of` without a name" if self.name_of else "has an empty `name_of`",
                "Write name_of: [cn] or name_of: [cn, sAMAccountName], and only beside `name`.",
            )
        if sources == ["attribute"] and targets != ["genesys_id"]:
            raise wrong(
                f"has `attribute` with `{targets[0]}`",
                'The attribute carries the Genesys id: write genesys_id: "{value}".',
            )
        if sources == ["name"] and targets == ["genesys_external_id"]:
            raise wrong(
                "has `name` with `genesys_external_id`",
                "Name the AD group by dn, sid or guid, or the Genesys group by genesys_name or genesys_id.",
            )
        return self

    @property
    def source(self) -> Source:
        """Return the key that finds AD groups."""
        return next(key for key in SOURCES if getattr(self, key) is not None)

    @property
    def target(self) -> TargetKey:
        """Return the key that names the Genesys group."""
        return next(key for key in TARGETS if getattr(self, key) is not None)

    @property
    def template(self) -> str:
        """Return the value of `target`."""
        value = getattr(self, self.target)
        assert isinstance(value, str)  # noqa: S101  for mypy
        return value


class UserRule(Section):
    """One rule of `users:`.

    An attribute of the AD user equals an attribute of the Genesys user.
    """

    directory: Annotated[FilledText, Write("the LDAP name of an attribute of the AD user", "mail")] = Field(
        description="Attribute of the AD user whose value is looked up. Of an attribute with several values all are "
        "looked up; of `proxyAddresses` the mail addresses, the primary one before the others."
    )
    genesys: Annotated[UserKey, Write("email, username or external_id", "email")] = Field(
        description="What the value is compared with in Genesys Cloud."
    )
    authority: Annotated[FilledText | None, Write("the authority of the Genesys external id", "HR")] = Field(
        default=None,
        description="Authority of the external id. Required with `genesys: external_id`, and only allowed there.",
    )

    _check_directory = field_validator("directory")(values.attribute_name)

    @model_validator(mode="after")
    def _check_authority(self) -> UserRule:
        if self.genesys.needs_authority and self.authority is None:
            raise wrong(
                "has no `authority`", "An external id belongs to an authority in Genesys Cloud: add authority: HR."
            )
        if not self.genesys.needs_authority and self.authority is not None:
            raise wrong(f"has an `authority`, but {self.genesys.value} knows none", "Remove `authority`.")
        return self

    @property
    def label(self) -> str:
        """Return the text for `Match.matched_by`, for example ``mail=email``."""
        return f"{self.directory}={self.genesys.value}"


DEFAULT_USER_RULES = (
    UserRule(directory="mail", genesys=UserKey.EMAIL),
    UserRule(directory="userPrincipalName", genesys=UserKey.USERNAME),
)


# -- templates ----------------------------------------------------------------------------------------


def fill(template: str, named_groups: Mapping[str, str | None]) -> str:
    """Return the template with its names replaced.

    A group of the expression that took no part counts as empty.
    """
    return template.format_map({key: value or "" for key, value in named_groups.items()})


def _check_template_fields(template: str, available: Sequence[str]) -> None:
    """Refuse anything that `fill` could not replace by one of the ``available`` groups."""
    for field in _plain_names_in_braces(template):
        if field not in available:
            near = difflib.get_close_matches(field, available, n=1)
            if near:
                remedy = f"Did you mean {{{near[0]}}}?"
            elif available:
                remedy = f"Groups of the expression: {listed(available)}."
            else:
                remedy = f"Name it in the expression, as in (?P<{field}>.+)."
            raise wrong(f"uses {{{field}}}, but `name` has no group of that name", remedy)


def _plain_names_in_braces(template: str) -> list[str]:
    fields = []
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise wrong(
            f"is not a template ({error})", "Write a name in braces, as in {team}; double a brace that is meant itself."
        ) from None
    for _, field, spec, conversion in parts:
        if field is None:
            continue
        if not field.isidentifier() or spec or conversion:
            raise wrong(f"uses {{{field}}}, which is not a plain name", "Write a name in braces, as in {team}.")
        fields.append(field)
    return fields


def _names_in_braces(text: str) -> list[str]:
    """Return whatever is in braces; nothing if the text is not a template."""
    try:
        return [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
    except ValueError:
        return []
