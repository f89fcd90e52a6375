"""One line of the probe's table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from genesys_ad_sync.errors import DirectoryError


class Verdict(str, Enum):
    """How an answer relates to what the product assumes.

    ``UNKNOWN``: it could not be found out here.
    """

    AS_ASSUMED = "as assumed"
    DIFFERS = "DIFFERS"
    UNKNOWN = "not known"
    FACT = "-"


@dataclass(frozen=True)
class Finding:
    """What was checked, what the domain controller answers, and what the product assumes."""

    check: str
    answer: str
    assumed: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return {**asdict(self), "verdict": self.verdict.value}


def compared(check: str, answer: str, assumed: str, *, same: bool | None) -> Finding:
    """Return a finding. ``same`` None: it could not be found out."""
    verdict = Verdict.UNKNOWN if same is None else Verdict.AS_ASSUMED if same else Verdict.DIFFERS
    return Finding(check, answer, assumed, verdict)


def fact(check: str, answer: str, note: str = "") -> Finding:
    """Return a finding about which the product assumes nothing."""
    return Finding(check, answer, note, Verdict.FACT)


def or_why_not(check: str, assumed: str, ask: Callable[[], Finding]) -> Finding:
    """Return what ``ask`` finds; if the directory refuses, that it is not known, and why."""
    try:
        return ask()
    except DirectoryError as error:
        return Finding(check, str(error), assumed, Verdict.UNKNOWN)
