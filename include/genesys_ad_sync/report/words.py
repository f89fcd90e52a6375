"""The closed lists of the report in words for people who do not know the code. Used by the page and the summary."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genesys_ad_sync.model import Reason, Status

STATUS_WORDS: dict[Status, str] = {
    Status.SUCCESS: "Changed in Genesys Cloud.",
    Status.FAILED: "Tried, and not in effect or not known to be. A later run tries again.",
    Status.HELD: "Not allowed for now; the reason says why. A later run looks again.",
    Status.ORPHANED: "Cannot be added: Genesys Cloud has no active user for this person. A later run looks again.",
    Status.PLANNED: "Would be written (dry run), or is not written yet.",
    Status.SKIPPED: "Left out on purpose, as the sync definition says.",
    Status.SUPERSEDED: "Out of date: Active Directory says something newer by now.",
    Status.UNCHANGED: "Nothing to do: Genesys Cloud is as it should be.",
}
"""What a status means. The order is the one in which a person wants to read them."""

ATTENTION: tuple[Status, ...] = (Status.FAILED, Status.HELD, Status.ORPHANED)
"""A person may have to do something about these. Lists of changes begin with them."""

READING_ORDER: tuple[Status, ...] = (*ATTENTION, *(status for status in STATUS_WORDS if status not in ATTENTION))

REASON_WORDS: dict[Reason, str] = {
    Reason.UNMAPPED: "No rule of the sync definition maps this AD group.",
    Reason.EXCLUDED: "The sync definition excludes this group or person.",
    Reason.REMOVALS_NEVER: "The sync definition never removes anybody.",
    Reason.GENESYS_GROUP_MISSING: "The rule names a Genesys group that does not exist.",
    Reason.NO_GENESYS_USER: "No Genesys Cloud user matches this person.",
    Reason.INACTIVE: "The Genesys Cloud user is not active.",
    Reason.NO_MATCHING_ATTRIBUTE: "The AD account lacks what it would be matched by, such as a mail address.",
    Reason.AMBIGUOUS: "Several accounts are, or may be, the same person; nobody is guessed.",
    Reason.UNPROVEN: "An AD group behind it could not be read completely, so nobody is removed.",
    Reason.NOT_OWNED: "AD never granted this membership; it was given in Genesys Cloud by hand.",
    Reason.MAPPING_CHANGED: "It was granted under another mapping of groups than today's.",
    Reason.SCOPE_CHANGED: "The sync definition looks at another part of AD than before.",
    Reason.OTHER_DOMAIN_CONTROLLER: "Only another domain controller than before shows it; it may lag behind.",
    Reason.OVER_LIMIT: "More removals than the limits allow; a person has to approve them.",
    Reason.PROTECTED: "The Genesys group is protected; a person has to approve each change.",
    Reason.GENESYS_UNREADABLE: "Genesys Cloud could not be asked who is in the group, or who this person is.",
    Reason.JOURNAL_RESTORED: "The journal is new or older than the reports, so removals need approval.",
    Reason.CLAIMED_BY: "Another sync definition feeds this Genesys group.",
    Reason.REJECTED: "A person rejected it.",
    Reason.UNDONE: "An undo run put it back; it stays so until a person releases it.",
    Reason.IN_FLIGHT: "Another run was writing to the group at that moment; a later run looks again.",
    Reason.ALREADY_SO: "Genesys Cloud was already so.",
    Reason.STILL_GRANTED: "Another AD group still grants this membership.",
    Reason.NEWER_VIEW: "AD says something newer by now.",
    Reason.REFUSED: "Genesys Cloud refused it.",
    Reason.UNVERIFIED: "Written, but could not be read back to make sure.",
    Reason.NOT_IN_EFFECT: "Accepted by Genesys Cloud, but not in effect when read back.",
    Reason.NOT_ATTEMPTED: "The task ended before it came to this.",
}

MODE_WORDS = {
    "changes": "what changed in Active Directory",
    "full": "every mapped group compared as a whole",
}


def reason_words(reason: str | None) -> str:
    """A sentence for a reason of a report, also of a report that knows more reasons than this version."""
    if not reason:
        return ""
    try:
        return REASON_WORDS[Reason(reason)]
    except (KeyError, ValueError):
        return reason.replace("_", " ").capitalize() + "."


@dataclass(frozen=True)
class Verdict:
    level: Literal["good", "neutral", "attention", "bad"]
    sentence: str


def verdict(report: Mapping[str, Any]) -> Verdict:
    """What a person should know who reads only one line."""
    done, failed, held, orphans = (report[key] for key in ("successes", "failures", "held", "orphans"))
    parts = []
    if report["dry_run"]:
        parts.append(f"Dry run: nothing was written. {_changes(report['planned'])} would be.")
    elif done:
        parts.append(f"{_changes(done)} {_were(done)} made in Genesys Cloud.")
    if failed:
        parts.append(f"{_changes(failed)} failed.")
    if held:
        parts.append(f"{_changes(held)} {_are(held)} held back.")
    if orphans:
        parts.append(f"{orphans} {'person has' if orphans == 1 else 'additions have'} no match in Genesys Cloud.")
    if report["planned"] and not report["dry_run"]:
        parts.append(f"{_changes(report['planned'])} {_are(report['planned'])} not written yet.")
    if not parts:
        # "Nothing found" is not "all is well": the run may have ended before it read anything.
        proven = report["mode"] == "full" and report["groups"] and all(group["complete"] for group in report["groups"])
        if proven:
            return Verdict("good", "Nothing to change: Genesys Cloud is as Active Directory says.")
        nothing = "Nothing was changed." if report["total_changes"] else "This run lists no change."
        return Verdict("neutral", f"{nothing} Read the notes." if report["notes"] else nothing)
    if failed:
        return Verdict("bad", " ".join(parts))
    if held or orphans:
        return Verdict("attention", " ".join(parts))
    return Verdict("neutral" if report["dry_run"] else "good", " ".join(parts))


def _changes(count: int) -> str:
    return f"{count:,} change{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def visible(text: object) -> str:
    """The text on one line, without characters that nobody sees and that could forge a line of a log or turn what
    stands around them: control characters, and the Unicode marks that switch the direction of writing."""
    return "".join(
        "\ufffd" if unicodedata.category(character) in ("Cc", "Cs") or character in _DIRECTION_MARKS else character
        for character in _LINE_BREAKS.sub(" ", str(text))
    )


_LINE_BREAKS = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
