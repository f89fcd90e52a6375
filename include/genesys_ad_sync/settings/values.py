"""Checks of single values: distinguished names, LDAP filters, schedules, durations, URLs.

Each check returns the value to use, or raises the error of `wrong`, which says what is wrong and what to write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from croniter import CroniterBadCronError, CroniterBadDateError, croniter  # type: ignore[import-untyped]  # no stubs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from genesys_ad_sync import names

_ATTRIBUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_CRON_FIELDS = 5
_SID = re.compile(r"S-1-\d+(-\d+)+", re.IGNORECASE)
_FILTER_ITEM = re.compile(
    r"""\([A-Za-z][A-Za-z0-9-]*                  # an attribute
        (?: [<>~]?= | :[0-9]+(?:\.[0-9]+)*:= )   # compared as RFC 4515 says, maybe by a matching rule
        [\w*.,=:@+-]+(?:[ ][\w*.,=:@+-]+)*\)     # with characters that need no escape""",
    re.VERBOSE | re.ASCII,
)
# RFC 4512, 2.5: a name or an object identifier, with options
_FILTER_NAME = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*")
_BAD_ESCAPE = re.compile(r"\\(?![0-9A-Fa-f]{2})")
_FILTER_LIST = re.compile(r"\((?:[&|]\0+|!\0)\)")
LONGEST_DURATION = timedelta(days=3660)
LONGEST_KEPT = 36500
"""Days. Reports that are older by far more would be from before the first year."""
PATH_VARIABLES = "GENESYS_AD_SYNC_"
"""How the names of the environment variables begin that may be part of a path."""
_PATH_VARIABLE = re.compile(r"\$(?:\{(\w*)\}?|(\w+))")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONNECTION_IN_URL = re.compile(r"[A-Za-z0-9_.-]+")


class Section(BaseModel):
    """Keys of the YAML file that belong together. Unknown keys are errors; values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Write:
    """Say which value to write for a key, in the words that follow "Write".

    A mark on a key's type, or on the key, which then wins. What the key means is its description.
    """

    value: str = "a section with keys"
    example: str = ""

    @classmethod
    def of(cls, field: FieldInfo) -> Write:
        """Return the mark of a key; what fits a whole section if it has none."""
        return next((mark for mark in reversed(field.metadata) if isinstance(mark, Write)), cls())

    @property
    def sentence(self) -> str:
        """Return value and example, as the end of a sentence."""
        return f"{self.value}, for example {self.example}" if self.example else self.value


def wrong(problem: str, remedy: str, *, hide: bool = False) -> PydanticCustomError:
    """Return an error of our own, to be raised by a check.

    :param hide: the value may hold a secret, so the message is without it.
    """
    # Both are passed as values, since pydantic fills in the braces of a message.
    return PydanticCustomError("sync_definition", "{problem}", {"problem": problem, "remedy": remedy, "hide": hide})


def listed(words: Iterable[str], none: str = "none") -> str:
    """Return the words in backticks, separated by commas, or ``none``."""
    return ", ".join(f"`{word}`" for word in words) or none


# -- checks -------------------------------------------------------------------------------------------


def not_blank(value: str) -> str:
    """Refuse a text without any visible character."""
    if not value.strip():
        raise wrong("is empty", "Write a value, or leave the key out.")
    return value


def at_least_one(rules: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse an empty list of rules."""
    if not rules:
        raise wrong("is empty", "Write at least one rule.")
    return rules


def distinguished_name(value: str) -> str:
    """Refuse a text that is not a DN (RFC 4514)."""
    try:
        names.normal_dn(value)
    except ValueError:
        raise wrong(
            "is not a distinguished name", "Write it as AD shows it, for example OU=Contact Center,DC=example,DC=com."
        ) from None
    return value


def one_or_list_of_names(value: object) -> object:
    """Make a list of a single DN.

    Messages about it then name the key and no position.
    """
    return (distinguished_name(not_blank(value)),) if isinstance(value, str) else value


def one_or_list_schema(schema: dict[str, Any]) -> None:
    """Let the JSON schema of a list allow a single value."""
    as_list = {key: schema.pop(key) for key in ("type", "items") if key in schema}
    schema["anyOf"] = [as_list.get("items", {"type": "string"}), {**as_list, "minItems": 1}]


def at_least_one_base(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list of DNs."""
    if not value:
        raise wrong("is empty", "Write at least one DN.")
    return value


def sid(value: str) -> str:
    """Refuse a text that is not a SID."""
    if not _SID.fullmatch(value):
        raise wrong("is not a SID", "Write it as AD shows it: S-1-5-21-…")
    return value


def ldap_filter(value: str) -> str:
    """Refuse a text that is not an LDAP filter (RFC 4515).

    One that ldap3 would not send is none either.
    """
    if _is_plain_filter(value):
        return value
    # Importing ldap3 takes longer than all the rest of a DAG file, and is only needed for unusual filters.
    from ldap3.core.exceptions import LDAPInvalidFilterError
    from ldap3.operation.search import parse_filter

    try:
        # A schema is only asked whether it exists; the last argument says not to check names against it.
        flaw = _flaw_of_filter(value, parse_filter(value, None, True, None, None, False))
    except LDAPInvalidFilterError as error:
        flaw = str(error)
    if flaw is not None:
        raise wrong(
            f"is not an LDAP filter ({flaw})",
            "Write one with balanced parentheses, for example (objectClass=group). In a value, write each of * ( ) \\ "
            "as a backslash and two hexadecimal digits: \\2a \\28 \\29 \\5c.",
        )
    return value


def _flaw_of_filter(text: str, root: Any) -> str | None:
    """Return what no domain controller understands, although ldap3 lets it pass.

    ``root``: the filter as ldap3 parsed it.
    """
    if _BAD_ESCAPE.search(text):
        return "a backslash without two hexadecimal digits"
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += node.elements
        if node.assertion is None:
            continue
        named = [node.assertion["attr"], node.assertion.get("matchingRule")]
        if any(name is not False and name is not None and not _FILTER_NAME.fullmatch(name) for name in named):
            return "a comparison without the LDAP name of an attribute"
    return None


def _is_plain_filter(value: str) -> bool:
    """Recognise usual filters; every text that passes is one that ldap3 accepts, too."""
    if "\0" in value:
        return False
    rest, shorter = value, _FILTER_ITEM.sub("\0", value)
    while shorter != rest:
        rest, shorter = shorter, _FILTER_LIST.sub("\0", shorter)
    return rest == "\0"


def attribute_name(value: str) -> str:
    """Refuse a text that cannot be the LDAP name of an attribute."""
    if not _ATTRIBUTE_NAME.fullmatch(value):
        raise wrong("is not the name of an AD attribute", "Write its LDAP name, for example mail or employeeNumber.")
    return value


def cron(value: str) -> str:
    """Refuse a text that is not a schedule with a next time.

    Only five fields or a name such as ``@daily`` are allowed.
    """
    remedy = 'Write five fields in quotes, for example "*/15 * * * *" (every quarter of an hour), or "@daily".'
    fields = value.split()
    if not value.startswith("@"):
        if len(fields) != _CRON_FIELDS:
            raise wrong(f"is not a cron expression: it has {len(fields)} fields, not {_CRON_FIELDS}", remedy)
        if any(re.match(r"[rh](?![a-z])", field, re.IGNORECASE) for field in fields):
            raise wrong("is a cron expression with a random field, which changes each time it is read", remedy)
    try:
        occurrences(value, count=1)
    except (CroniterBadCronError, CroniterBadDateError) as error:
        raise wrong(f"is not a cron expression ({error})", remedy) from None
    return value


def occurrences(schedule: str, count: int) -> list[datetime]:
    """Return the first times of a schedule from a fixed day on.

    The result must not depend on the clock.
    """
    ticks = croniter(schedule, datetime(2020, 1, 1))  # noqa: DTZ001  distances only, no zone wanted
    return [ticks.get_next(datetime) for _ in range(count)]


def has_tick(schedule: str, zone: str, after: datetime, until: datetime) -> bool:
    """Return True if the schedule has a time in ``(after, until]``."""
    first: datetime = croniter(schedule, after.astimezone(ZoneInfo(zone))).get_next(datetime)
    return first <= until


def time_zone(value: str) -> str:
    """Refuse a name that the IANA database does not have."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a folder's name raises an OSError
        raise wrong(
            "is not a known time zone", "Write a name of the IANA database, for example UTC or Europe/Berlin."
        ) from None
    return value


def name_of_file(value: str | None) -> str | None:
    """Refuse what cannot be the name of a definition's file, without its ending."""
    if value is not None and (not re.fullmatch(r"[A-Za-z0-9_.-]+", value) or value.endswith((".yaml", ".yml"))):
        raise wrong(
            "is not the name of a definition's file",
            "Write the former name without its folder and without .yaml, for example sales.",
        )
    return value


def iso_duration(value: object) -> object:
    """Refuse a duration that pydantic would accept although nobody could read it.

    An example is 8, which means eight seconds.
    """
    if not isinstance(value, (str, timedelta)) or (isinstance(value, str) and not value.startswith("P")):
        raise wrong("is not an ISO 8601 duration", "Write for example PT8H (eight hours), PT90M or P1D.")
    return value


def not_too_long(value: timedelta) -> timedelta:
    """Refuse a duration of more than ten years.

    A longer one leads out of the calendar when it is added to a time.
    """
    if abs(value) > LONGEST_DURATION:
        raise wrong("is longer than ten years", "Write for example P1D (one day).")
    return value


def longer_than_nothing(value: timedelta) -> timedelta:
    """Refuse a duration of zero or less."""
    if value <= timedelta(0):
        raise wrong("must be longer than zero", "Write for example PT8H (eight hours).")
    return value


def report_url(value: str) -> str:
    """Return the URL with its variables filled in. Refuse a secret in it.

    Only AIRFLOW_HOME and GENESYS_AD_SYNC_* are filled in, because the path is shown in logs, XComs and asset events.
    AIRFLOW_HOME has Airflow's default, so that the shipped definition works without it.
    """
    expanded = _PATH_VARIABLE.sub(_path_variable, value)
    if not re.match(r"[a-z][a-z0-9+.-]*://.", expanded, re.IGNORECASE):
        raise wrong(
            "is not a URL",
            "Write for example file:///var/lib/reports, or any other URL of Airflow's ObjectStoragePath.",
            hide="@" in expanded,
        )
    _refuse_secrets(expanded)
    if _CONTROL.search(expanded):
        raise wrong("has a line break or a tab in it", "Write the path on one line, without them.", hide=True)
    return expanded


def _path_variable(found: re.Match[str]) -> str:
    name = found[1] or found[2] or ""
    if name == "AIRFLOW_HOME":
        # As Airflow does it; where a container's user has no home folder, Path.expanduser would raise.
        return os.environ.get(name) or os.path.expanduser("~/airflow")  # noqa: PTH111  see above
    if not name.startswith(PATH_VARIABLES):
        raise wrong(
            f"uses the environment variable {name}",
            f"The path is shown in logs: only AIRFLOW_HOME and variables whose name begins with {PATH_VARIABLES} are "
            "filled in. Use such a variable, or write the path out.",
        )
    if name not in os.environ:
        raise wrong(
            f"uses the environment variable {name}, which is not set",
            "Set it where Airflow runs, or write the path out.",
        )
    return os.environ[name]


def _refuse_secrets(url: str) -> None:
    """Refuse a login, a query and a fragment.

    The text of the error is without the URL.
    """
    authority, _, path = url.partition("://")[2].partition("/")
    before, at, _ = authority.rpartition("@")
    is_login = bool(at) and not _CONNECTION_IN_URL.fullmatch(before)
    if is_login or ("@" in path and ":" in authority):  # a password may have a slash
        raise wrong(
            "contains a login",
            "Keep the login in an Airflow connection, and write the id of that connection before the @, as in "
            "s3://my_connection@bucket/reports.",
            hide=True,
        )
    if "?" in url or "#" in url:
        raise wrong(
            "has a query or a fragment", "Write the path alone. Keep a token in an Airflow connection.", hide=True
        )


# -- types of values ----------------------------------------------------------------------------------

FilledText = Annotated[StrictStr, BeforeValidator(lambda value: not_blank(value) if isinstance(value, str) else value)]
DistinguishedName = Annotated[FilledText, AfterValidator(distinguished_name), Write("a distinguished name")]
Flag = Annotated[StrictBool, Write("true or false")]
Count = Annotated[int, Field(strict=True, ge=0), Write("a whole number, 0 or more")]
Percent = Annotated[int, Field(strict=True, ge=0, le=100), Write("a whole number from 0 to 100, without the % sign")]
Schedule = Annotated[FilledText, Write("a cron expression in quotes", "*/15 * * * *")]
Duration = Annotated[
    timedelta, BeforeValidator(iso_duration), AfterValidator(not_too_long), Write("an ISO 8601 duration", "PT8H")
]
Patterns = tuple[FilledText, ...]
"""Shell patterns (``*``, ``?``, ``[…]``); case does not matter."""
