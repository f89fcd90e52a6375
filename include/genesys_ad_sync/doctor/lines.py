"""Lines of a check, and the way in which a part's checks are run.

A check that fails never stops the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from genesys_ad_sync.doctor.catalogue import CATALOGUE
from genesys_ad_sync.doctor.remedies import remedy_of
from genesys_ad_sync.errors import GroupSyncError

log = logging.getLogger(__name__)

_Subject = TypeVar("_Subject")


class Outcome(str, Enum):
    """How a check ended."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_PROVEN = "not proven"  # nothing speaks against it, and nothing shows it
    NOTE = "note"  # true, and worth to be known

    def __str__(self) -> str:
        """Return the value, in each version of Python."""
        return self.value


@dataclass(frozen=True)
class Line:
    """One line of the table.

    - ``check``: a key of `CATALOGUE`.
    - ``text``: what was found. It goes to logs, so it holds no name of a person.
    - ``about``: the host, DN or the like, where a check has several lines.
    - ``details``: names of groups and the like, for the page and the terminal only.
    """

    check: str
    outcome: Outcome
    text: str
    remedy: str | None = None
    about: str | None = None
    details: tuple[str, ...] = ()

    @property
    def what_to_do(self) -> str | None:
        """Return the remedy: the line's own, else the catalogue's where something is wrong or open."""
        if self.remedy is None and self.outcome in (Outcome.PROBLEM, Outcome.NOT_PROVEN):
            return CATALOGUE[self.check].remedy
        return self.remedy


Check = tuple[str, Callable[[_Subject], Iterable[Line]]]
"""The key of the line that says that the check itself failed, and the check."""


class NotReached(Exception):
    """What the check needs was not reached."""


class NotTried(NotReached):
    """What the check needs was not reached, and another line says why.

    The remedy of that line is this one's, too. The catalogue's remedy would send the reader the wrong way.
    """


AFTER_ANOTHER = "Solve the problem that another line names. Then check again."
"""The remedy of a line that was not tried."""


def run_checks(checks: Sequence[Check[_Subject]], subject: _Subject) -> list[Line]:
    """Run the checks in their order.

    The lines of a check before its failure are kept.
    """
    lines: list[Line] = []
    for key, check in checks:
        try:
            for line in check(subject):
                lines.append(line)  # noqa: PERF402  those before an exception must stay
        except NotReached as why:
            remedy = AFTER_ANOTHER if isinstance(why, NotTried) else None
            lines.append(Line(key, Outcome.NOT_PROVEN, str(why), remedy))
        except GroupSyncError as error:
            lines.append(Line(key, Outcome.PROBLEM, str(error), remedy_of(error)))
        except Exception as error:
            # The text of an unknown exception may name people.
            log.warning("the check %s itself failed: %s", key, type(error).__name__)
            log.debug("the check %s itself failed", key, exc_info=True)
            lines.append(
                Line(
                    key,
                    Outcome.PROBLEM,
                    f"This check itself failed ({type(error).__name__}), so it proves nothing.",
                    "Report this as a defect of genesys-ad-sync, with the log of the level DEBUG.",
                )
            )
    return lines


def ok(check: str, text: str, *, about: str | None = None, details: Iterable[str] = ()) -> Line:
    """Return a line that finds nothing wrong."""
    return Line(check, Outcome.OK, text, about=about, details=tuple(details))


def problem(
    check: str, text: str, remedy: str | None = None, *, about: str | None = None, details: Iterable[str] = ()
) -> Line:
    """Return a line that something is wrong."""
    return Line(check, Outcome.PROBLEM, text, remedy, about, tuple(details))


def not_proven(
    check: str, text: str, remedy: str | None = None, *, about: str | None = None, details: Iterable[str] = ()
) -> Line:
    """Return a line that a thing is open."""
    return Line(check, Outcome.NOT_PROVEN, text, remedy, about, tuple(details))


def note(
    check: str, text: str, remedy: str | None = None, *, about: str | None = None, details: Iterable[str] = ()
) -> Line:
    """Return a line that is worth to be known."""
    return Line(check, Outcome.NOTE, text, remedy, about, tuple(details))
