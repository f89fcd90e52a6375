"""The report in words for people that do not know the code.

It has the report's closed lists, and the report in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from genesys_ad_sync.model import Reason, Row, Status

STATUS_WORDS: dict[Status, str] = {
    Status.SUCCESS: "Changed in Genesys Cloud.",
    Status.FAILED: "Tried, but not confirmed to be in effect. A later run tries again.",
    Status.HELD: "Not allowed for now; the reason says why. A later run decides again.",
    Status.ORPHANED: "Cannot be added: Genesys Cloud has no active user for this person. A later run tries again.",
    Status.PLANNED: "Would be written (dry run), or is not written yet.",
    Status.SKIPPED: "Left out on purpose, as the sync definition says.",
    Status.SUPERSEDED: "Out of date: Active Directory has changed again since.",
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
    Reason.PATTERN_TOO_SLOW: "A rule's expression takes too long for the name of the AD group.",
    Reason.NO_GENESYS_USER: "No Genesys Cloud user matches this person.",
    Reason.INACTIVE: "The Genesys Cloud user is not active.",
    Reason.NO_MATCHING_ATTRIBUTE: "The AD account lacks the value to match it by, such as a mail address.",
    Reason.AMBIGUOUS: "Several accounts are or may be the same person, so none is chosen.",
    Reason.UNPROVEN: "An AD group behind it has not been read completely since, so nobody is removed.",
    Reason.UNEXPLAINED_LOSS: "The AD group lacks too many members, this one among them, and AD reported no removal.",
    Reason.NOT_OWNED: "AD never granted this membership; it was added in Genesys Cloud by hand.",
    Reason.MAPPING_CHANGED: "It was granted under an earlier mapping, or through an AD group that was out of view.",
    Reason.SCOPE_CHANGED: "The sync definition looks at another part of AD than before.",
    Reason.OTHER_DOMAIN_CONTROLLER: "Only a different domain controller than before shows it, and that one may lag "
    "behind.",
    Reason.OVER_LIMIT: "More removals than the limits allow.",
    Reason.PROTECTED: "The Genesys group is protected; each change needs approval.",
    Reason.GENESYS_UNREADABLE: "The members of the Genesys group, or the person's Genesys user, could not be read.",
    Reason.JOURNAL_RESTORED: "The journal is new or older than the reports, so changes need approval.",
    Reason.CLAIMED_BY: "Another sync definition feeds this Genesys group.",
    Reason.REJECTED: "A person rejected it.",
    Reason.UNDONE: "An undo run took it back; it stays undone until AD changes it or a person releases it.",
    Reason.NOT_LOOKED_UP: "Genesys Cloud refuses to look this person up by the value that AD has.",
    Reason.RELINK: "A person links the AD account to another Genesys Cloud user; all its groups must be approved.",
    Reason.LINK_CONTRADICTED: "The Genesys Cloud user that was found earlier no longer matches this AD account.",
    Reason.UNIDENTIFIED_MEMBERS: "A person wanted in the group is not identified, and may be this member.",
    Reason.FIRST_MIRROR: "The group is compared as a mirror for the first time; a person must confirm it.",
    Reason.MIRROR_ONCE: "This run was asked to remove members that AD does not own; a person must confirm it.",
    Reason.EMPTY_GROUP: "It would leave the group without a member that AD owns.",
    Reason.OVER_ADDITIONS: "More additions than the limits allow.",
    Reason.NEW_PAIR: "No person has confirmed yet that this AD group feeds this Genesys group.",
    Reason.WAS_MANUAL: "The membership was there by hand before AD granted it; a person must confirm the removal.",
    Reason.AGAINST_AD: "The undo would add a member that AD does not want in the group.",
    Reason.MEMBER_NOT_VISIBLE: "Genesys Cloud accepted it and shows the user nowhere, so it is settled.",
    Reason.IN_FLIGHT: "Another run was writing to the group at that moment; a later run decides again.",
    Reason.ALREADY_SO: "Genesys Cloud already agreed with Active Directory.",
    Reason.STILL_GRANTED: "Another AD group still grants this membership.",
    Reason.NEWER_VIEW: "AD has changed again since.",
    Reason.REFUSED: "Genesys Cloud refused it.",
    Reason.REFUSED_GROUP: "Genesys Cloud refuses each change of this group.",
    Reason.REFUSED_CLIENT: "Genesys Cloud refuses the writes of this OAuth client, so the run stopped writing.",
    Reason.UNVERIFIED: "Written, but could not be read back to make sure.",
    Reason.NOT_IN_EFFECT: "Accepted by Genesys Cloud, but not in effect when read back.",
    Reason.NOT_ATTEMPTED: "The task ended before it reached this change.",
}

MODE_WORDS = {
    "changes": "what changed in Active Directory",
    "full": "every mapped group compared in full",
}


def doubt_words(row: Row) -> str | None:
    """Return why Active Directory cannot confirm a held row, in words; None: nothing is known."""
    missing, behind, shown_by, since = (
        row.about.get(key) for key in ("domain_controller", "behind", "shown_by", "since")
    )
    if row.reason is Reason.MAPPING_CHANGED and "ask" in row.about:
        return "The AD group was out of view and came back without this member; AD reported no removal."
    if row.reason is not Reason.OTHER_DOMAIN_CONTROLLER or not behind:
        return None
    lag = f"{shown_by or 'The domain controller'} has not received {behind}"
    return f"{lag}, and {missing} has not been read since {since}." if "ask" in row.about else f"{lag} yet."


def needs_attention(detail: Mapping[str, Any]) -> bool:
    """Return whether a person may have to do something about a row of the report."""
    return any(detail["status"] == status.value for status in ATTENTION)


def is_new(report: Mapping[str, Any], detail: Mapping[str, Any]) -> bool:
    """Return whether a row that needs attention was listed by no run before this one.

    A row for which nobody recorded that, such as one of a report from before the key existed, counts as new.
    """
    return needs_attention(detail) and detail.get("first_seen_run") in (None, report["run_id"])


def reason_words(reason: str | None) -> str:
    """Return a sentence for a reason, also for one of a later version."""
    if not reason:
        return ""
    try:
        return REASON_WORDS[Reason(reason)]
    except (KeyError, ValueError):
        return reason.replace("_", " ").capitalize() + "."


@dataclass(frozen=True)
class Headline:
    """What a person should know who reads only one line."""

    level: Literal["good", "neutral", "attention", "bad"]
    sentence: str


def headline(report: Mapping[str, Any]) -> Headline:
    """Sum a report up in one line, and say how much attention it needs."""
    sentences = _figures(report)
    if not sentences:
        return _nothing_to_count(report)
    if report["failures"]:
        return Headline("bad", " ".join(sentences))
    if report["held"] or report["orphans"]:
        return Headline("attention", " ".join(sentences))
    return Headline("neutral" if report["dry_run"] else "good", " ".join(sentences))


def open_words(report: Mapping[str, Any]) -> str | None:
    """Say what waits and has no row in the report; None: nothing does."""
    waiting = report.get("open")
    if not waiting:
        return None
    counts = [
        f"{waiting[key]['count']:,} {words}"
        for key, words in (("orphaned", "without a Genesys user"), ("held", "held"), ("failed", "failed"))
        if waiting[key]["count"]
    ]
    oldest = min((waiting[key]["oldest_first_seen_at"] or "~" for key in ("orphaned", "held", "failed")), default="~")
    since = "" if oldest == "~" else f", the oldest since {oldest}"
    where = f"; listed in run {waiting['listed_in']}" if waiting["listed_in"] else ""
    return f"{', '.join(counts)}{since}{where}. A run that a person triggers looks at all of them."


def _figures(report: Mapping[str, Any]) -> list[str]:
    done, failed, held, orphans, planned = (
        report[key] for key in ("successes", "failures", "held", "orphans", "planned")
    )
    sentences = []
    if report["dry_run"]:
        sentences.append(f"Dry run: nothing was written. {_changes(planned)} would be made.")
    elif done:
        sentences.append(f"{_changes(done)} {_were(done)} made in Genesys Cloud.")
    if failed:
        sentences.append(f"{_changes(failed)} failed{_of_them_new(report, Status.FAILED)}.")
    if held:
        sentences.append(f"{_changes(held)} {_are(held)} held back{_of_them_new(report, Status.HELD)}.")
    if orphans:
        who = "person has" if orphans == 1 else "additions have"
        sentences.append(f"{orphans:,} {who} no match in Genesys Cloud{_of_them_new(report, Status.ORPHANED)}.")
    if planned and not report["dry_run"]:
        sentences.append(f"{_changes(planned)} {_are(planned)} not written yet.")
    return sentences


def _of_them_new(report: Mapping[str, Any], status: Status) -> str:
    """Say how many rows of a status are new, unless all are."""
    listed = [detail for detail in report["details"] if detail["status"] == status.value]
    new = sum(is_new(report, detail) for detail in listed)
    if new == len(listed):
        return ""
    if len(listed) == 1:
        return ", as before"
    return f", {new:,} of them new" if new else ", none of them new"


def _nothing_to_count(report: Mapping[str, Any]) -> Headline:
    """Tell "nothing found" from "all is well".

    The run may have ended before it read anything.
    """
    if report["mode"] == "full" and report["groups"] and all(map(_was_read, report["groups"])):
        return _all_compared(report)
    nothing = "Nothing was changed." if report["total_changes"] else "This run lists no changes."
    return Headline("neutral", f"{nothing} Read the notes." if report["notes"] else nothing)


def _was_read(group: Mapping[str, Any]) -> bool:
    return group["complete"] and group["manual_members"] is not None


def _all_compared(report: Mapping[str, Any]) -> Headline:
    """Say that Genesys Cloud agrees with AD, only if it does.

    It does if there is no other member, and nothing is left out or uncertain.
    """
    others = sum(group["manual_members"] for group in report["groups"])
    if others:
        return Headline(
            "neutral",
            f"Nothing to change. Genesys Cloud has {others:,} member{'' if others == 1 else 's'} that Active "
            "Directory does not have in these groups; the policy of the definition keeps them.",
        )
    left = [detail for detail in report["details"] if not _agrees(detail)]
    if left:
        return Headline(
            "neutral", f"Nothing was changed. {_changes(len(left))} {_are(len(left))} left out or uncertain."
        )
    return Headline("good", "Nothing to change: Genesys Cloud matches Active Directory.")


def _agrees(detail: Mapping[str, Any]) -> bool:
    """Return True if a row that needs no attention leaves no difference.

    An AD group without a rule leaves none.
    """
    if detail["status"] == Status.UNCHANGED.value:
        return bool(detail["reason"] != Reason.MEMBER_NOT_VISIBLE.value)
    not_synchronised = {Reason.UNMAPPED.value, Reason.EXCLUDED.value}
    return (
        detail["status"] == Status.SKIPPED.value
        and detail["genesys_group"] is None
        and detail["reason"] in not_synchronised
    )


def _changes(count: int) -> str:
    return f"{count:,} change{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
