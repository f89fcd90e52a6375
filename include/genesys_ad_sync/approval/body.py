"""The question as the Markdown that an approver reads.

Names come from directories in which others may write: every text of the question is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from genesys_ad_sync.approval.question import ALL, NONE, SHORT_HASH, AskedGroup, Question, amounts
from genesys_ad_sync.model import UNDECIDED, Action, Change, DirectoryGroup, DirectoryUser, Guid, Reason, Row
from genesys_ad_sync.report.wording import doubt_words, reason_words
from genesys_ad_sync.text import escape_markdown, markdown_code, visible

PEOPLE_SHOWN = 20
GROUPS_SHOWN = 20
_LIMITS = (Reason.OVER_LIMIT, Reason.OVER_ADDITIONS, Reason.EMPTY_GROUP)


@dataclass(frozen=True)
class Background:
    """What else an approver should know.

    ``changes``: row key -> what AD said, oldest first.
    ``limits``: Genesys group id -> the limits that it exceeds. ``limits_of_run``: the limits that the run exceeds.
    ``members``: Genesys group id -> present members; None: could not be read.
    ``gone``: AD users that no longer exist.
    ``genesys_users``: Genesys user id -> the user in words, of those that are known.
    """

    users: Mapping[Guid, DirectoryUser] = field(default_factory=dict)
    groups: Mapping[Guid, DirectoryGroup] = field(default_factory=dict)
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    limits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limits_of_run: Sequence[str] = ()
    members: Mapping[str, int | None] = field(default_factory=dict)
    gone: frozenset[Guid] = frozenset()
    genesys_users: Mapping[str, str] = field(default_factory=dict)


def body(
    asked: Question,
    background: Background,
    *,
    run_id: str,
    answer_within: timedelta,
    report: str | None,
    undoes_run: str | None = None,
) -> str:
    """Return the question as Markdown, for a reader who does not know this program.

    ``report``: where the run's report will be. ``undoes_run``: the run that this one takes back.
    """
    lines = [*_introduction(asked, undoes_run), *_limits_of_run(background)]
    for group in asked.groups[:GROUPS_SHOWN]:
        lines += _group(group, background)
    left = asked.groups[GROUPS_SHOWN:]
    if left:
        lines += [f"### … and {len(left)} more groups", ""]
        lines += [f"- {escape_markdown(group.option)}" for group in left] + [""]
    lines += _how_to_answer(asked, answer_within)
    lines += ["", f"Plan {markdown_code(asked.hash[:SHORT_HASH])} of run {markdown_code(run_id)}."]
    if report:
        lines.append(f"The complete list is in this run's report: {markdown_code(report)}")
    return "\n".join(lines)


def _introduction(asked: Question, undoes_run: str | None) -> list[str]:
    waits = "waits" if asked.additions + asked.removals == 1 else "wait"
    gets = "A member who is added to a Genesys group gets the calls and the rights that come with it."
    loses = "A member who is removed from a Genesys group loses the calls and the rights that come with it."
    lines = [
        f"**{amounts(asked.additions, asked.removals).capitalize()} in Genesys Cloud {waits} for you.** "
        f"{loses if asked.removals else gets}",
        "",
        "Nothing listed here is done unless you approve it. The rest of this run goes on without your answer.",
        "",
    ]
    if undoes_run:
        lines += [f"This run undoes run {markdown_code(undoes_run)}.", ""]
    return lines


def _limits_of_run(background: Background) -> list[str]:
    if not background.limits_of_run:
        return []
    limits = [f"- {escape_markdown(text)}" for text in background.limits_of_run]
    return ["Limits that the whole run exceeds:", "", *limits, ""]


# -- one Genesys group --------------------------------------------------------------------------------


def _group(group: AskedGroup, background: Background) -> list[str]:
    members = background.members.get(group.genesys_group_id)
    of = f" (it has {members:,} {'member' if members == 1 else 'members'} now)" if members is not None else ""
    name = visible(group.name) if group.source is None else f"{visible(group.name)} ← {visible(group.source)}"
    lines = [f"### {escape_markdown(name)}: {amounts(group.additions, group.removals)}{of}", ""]
    lines += _new_pair(group)
    lines += ["You are asked because: " + "; ".join(text.rstrip(".") for text in _reasons(group, background)) + ".", ""]
    removals = [row for row in group.rows if row.action is Action.REMOVE and not row.undoes_run]
    if any(row.reason is not Reason.RELINK for row in removals):
        known = not any(row.about.get("unidentified") for row in group.rows)
        none = " None of the members to remove is in one of them." if known else ""
        lines += [f"Every AD group that feeds it was read completely in this run.{none}", ""]
    unidentified = next((text for row in group.rows if (text := row.about.get("unidentified"))), None)
    if unidentified:
        lines += [f"Wanted in this group, but not identified in Genesys Cloud: {escape_markdown(unidentified)}.", ""]
    lines += ["| | Person | Mail | AD group | When (UTC) | Why |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_cells(row, background)) + " |" for row in group.rows[:PEOPLE_SHOWN]]
    more = len(group.rows) - PEOPLE_SHOWN
    if more > 0:
        lines += ["", f"… and {more:,} more, in the report."]
    return [*lines, ""]


def _new_pair(group: AskedGroup) -> list[str]:
    """Say which AD group would feed the Genesys group, and by which rule."""
    if group.source is None:
        return []
    about = group.rows[0].about
    rule = about.get("rule")
    lines = [
        f"The AD group {escape_markdown(visible(about.get('group', group.source)))} would feed the Genesys group "
        f"{escape_markdown(visible(group.name))} from now on"
        + (f", by the rule {markdown_code(rule)}" if rule else "")
        + ". Approve it only if you know who may change that AD group.",
    ]
    if former := about.get("former_group"):
        lines.append(f"It fed the Genesys group {escape_markdown(visible(former))} before.")
    return [" ".join(lines), ""]


def _reasons(group: AskedGroup, background: Background) -> list[str]:
    """Return the exceeded limits and the reasons of the rows.

    "Over limit" appears only if no limit is named.
    """
    of_group = background.limits.get(group.id, ())
    said = "; ".join((*of_group, *background.limits_of_run))
    of_rows = [text for row in group.rows if row.reason in _LIMITS and (text := row.about.get("limit"))]
    # a row has its limits in fewer words, as in "limits.removals is 50 and limits.per_run is 200"
    new = [text for text in of_rows if not all(part in said for part in text.split(" and "))]
    limits = [escape_markdown(text) for text in dict.fromkeys((*of_group, *new))]
    doubts = sorted({escape_markdown(words) for row in group.rows if (words := doubt_words(row))})
    reasons = sorted({row.reason for row in group.rows if row.reason})
    return [
        *limits,
        *(reason_words(reason.value) for reason in reasons if reason not in _LIMITS or not limits),
        *doubts,
    ]


def _cells(row: Row, background: Background) -> list[str]:
    changes = background.changes.get(row.key, ())
    user = background.users.get(row.user_guid or "")
    mail = user.mail if user else (row.directory_user or {}).get("mail")
    name = user.name if user else None
    through = [_path(guid, changes, background) for guid in row.group_guids]
    return [
        "**add**" if row.action is Action.ADD else "remove",
        _person(row, name, background.genesys_users.get(row.genesys_user_id or "")),
        markdown_code(mail) if mail else "-",
        "; ".join(through) or "-",
        _when(row),
        _why(row, changes, user, background),
    ]


def _person(row: Row, name: str | None, genesys_user: str | None) -> str:
    """Name the AD user, and the Genesys user that gains or loses the membership.

    They need not be the same person: an account may be linked by a value that its owner can edit.
    """
    shown = row.about.get("member") or genesys_user
    if name and shown:
        return f"{escape_markdown(visible(name))}, in Genesys {escape_markdown(visible(shown))}"
    if name or shown:
        return escape_markdown(visible(name or shown or ""))
    return f"Genesys user {markdown_code(row.genesys_user_id or 'unknown')}"


def _path(group_guid: Guid, changes: Sequence[Change], background: Background) -> str:
    """Return the AD group, and the nested groups between it and the user."""
    path = next((change.path for change in reversed(changes) if change.group_guid == group_guid), ())
    names = []
    for guid in path or (group_guid,):
        group = background.groups.get(guid)
        names.append(escape_markdown(group.name if group else guid))
    return " → ".join(names)


def _when(row: Row) -> str:
    if row.changed_at:
        return _time(row.changed_at)
    if row.observed_at and row.observed_after:
        after, at = _time(row.observed_after), _time(row.observed_at)
        return at if after == at else f"{after} to {at[11:] if after[:10] == at[:10] else at}"
    return f"before {_time(row.observed_at)}" if row.observed_at else "-"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _why(row: Row, changes: Sequence[Change], user: DirectoryUser | None, background: Background) -> str:
    """Return the evidence in a few words."""
    if row.undoes_run:
        return "undoes what that run did"
    if row.reason is Reason.RELINK:
        return _why_relinked(row)
    if row.action is Action.ADD:
        return "is a member in AD"
    if row.reason is Reason.WAS_MANUAL:
        return f"was a member before AD granted it; {_why_removed(row, changes, user, background)}"
    return _why_removed(row, changes, user, background)


def _why_removed(row: Row, changes: Sequence[Change], user: DirectoryUser | None, background: Background) -> str:
    if row.user_guid is None:
        return "AD does not know this member"
    if row.user_guid in background.gone:
        return "the account is gone from AD"
    return _account_state(user) or _why_left(changes)


def _account_state(user: DirectoryUser | None) -> str | None:
    if user and user.disabled:
        return "the account is disabled"
    return "the account has expired" if user and user.expired else None


def _why_relinked(row: Row) -> str:
    """Return both Genesys users of a link that is to move."""
    former, new = (escape_markdown(row.about.get(key, "none")) for key in ("former_user", "new_user"))
    account = markdown_code(row.about.get("account", "unknown"))
    return f"the link of AD account {account} moves from Genesys user {former} to {new}"


def _why_left(changes: Sequence[Change]) -> str:
    if changes and all(change.origin == "comparison" for change in changes):
        return "is not a member in AD, found by comparing"
    if any(len(change.path) > 1 for change in changes):
        return "left the AD group, directly or through a nested group"
    return "left the AD group"


# -- how to answer ------------------------------------------------------------------------------------


def _how_to_answer(asked: Question, answer_within: timedelta) -> list[str]:
    hours = answer_within.total_seconds() / 3600
    within = f"{hours:g} hours" if hours >= 1 else f"{answer_within.total_seconds() / 60:g} minutes"
    if asked.singles:
        approve = "choose groups, or members one by one. Anything you do not choose is rejected."
    elif len(asked.groups) > 1:
        approve = f"choose **{ALL}**, or the groups that you approve. Anything you do not choose is rejected."
    else:
        approve = "choose the group."
    return [
        "### How to answer",
        "",
        f"- To approve, {approve}",
        f"- To reject everything, choose **{NONE}** and no group. A rejected change is not asked about again, until "
        "Active Directory changes that membership again or this run is released (parameter `release_run`). A rejected "
        "new AD group stays rejected until then.",
        f"- **{UNDECIDED}**, or no answer within {within}: nothing is done, and a later run asks again. You may "
        f"leave it selected beside your choices.",
        "- Before anything is written, each change is checked against Active Directory and Genesys Cloud once more: "
        "fewer changes than listed here may be made, never more.",
    ]
