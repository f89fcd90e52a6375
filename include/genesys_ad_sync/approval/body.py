"""The question to a person, and what the answer means. Pure: knows neither Airflow's form nor the journal.

Names come from directories in which others may write: everything that stands in the question is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from genesys_ad_sync.model import Action, Change, DirectoryGroup, DirectoryUser, Guid, Reason, Row
from genesys_ad_sync.report.words import reason_words, visible

ALL = "All groups"
NONE = "None"
UNDECIDED = "Undecided"
"""Chosen when the form opens, and when nobody answers in time; beside another choice it means nothing."""

PEOPLE_SHOWN = 20
GROUPS_SHOWN = 20
SHORT_HASH = 12


@dataclass(frozen=True)
class AskedGroup:
    """The rows of one Genesys group that wait for an answer. ``option``: what the form calls it."""

    id: str
    name: str
    option: str
    rows: tuple[Row, ...]

    @property
    def additions(self) -> int:
        return sum(row.action is Action.ADD for row in self.rows)

    @property
    def removals(self) -> int:
        return len(self.rows) - self.additions


@dataclass(frozen=True)
class Question:
    """A frozen part of a plan. ``hash``: of what it says (`planning.content_hash`)."""

    groups: tuple[AskedGroup, ...]
    hash: str

    @property
    def options(self) -> list[str]:
        """What the form offers. With one group "all of it" and "this one" are the same: no need to say it twice."""
        own = [group.option for group in self.groups]
        return [*([ALL] if len(own) > 1 else []), *own, NONE, UNDECIDED]

    @property
    def additions(self) -> int:
        return sum(group.additions for group in self.groups)

    @property
    def removals(self) -> int:
        return sum(group.removals for group in self.groups)

    @property
    def subject(self) -> str:
        where = f"{len(self.groups)} Genesys groups" if len(self.groups) > 1 else f'"{_label(self.groups[0].name)}"'
        return f"Approve {_amounts(self.additions, self.removals)} in {where}?"


def question(rows: Sequence[Row], plan_hash: str) -> Question:
    """What is asked about these rows, by Genesys group, the largest first."""
    by_group: dict[str, list[Row]] = {}
    for row in rows:
        assert row.genesys_group_id is not None
        by_group.setdefault(row.genesys_group_id, []).append(row)
    labels: dict[str, str] = {}
    for group_id, its_rows in by_group.items():
        labels[group_id] = _option(its_rows)
    groups = []
    for group_id, its_rows in by_group.items():
        option = labels[group_id]
        if list(labels.values()).count(option) > 1:
            option = f"{option} ({group_id})"
        groups.append(AskedGroup(group_id, its_rows[0].group_name, option, tuple(its_rows)))
    groups.sort(key=lambda group: (-len(group.rows), group.name.casefold(), group.id))
    return Question(tuple(groups), plan_hash)


def chosen_groups(options: Mapping[str, str], chosen: Collection[str]) -> frozenset[str]:
    """The Genesys groups that an answer approves. ``options``: Genesys group id -> its option. An option that was not
    offered, and "None" beside anything else, approve nothing."""
    picked = set(chosen) - {UNDECIDED}
    if not picked <= {ALL, *options.values()}:  # "None" is none of these
        return frozenset()
    if ALL in picked:
        return frozenset(options)
    return frozenset(group_id for group_id, option in options.items() if option in picked)


def is_decided(chosen: Collection[str]) -> bool:
    """False: the person sent the form as it opened."""
    return bool(set(chosen) - {UNDECIDED})


# -- what a person reads ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Background:
    """What else a person should know, by row key or Genesys group id.

    ``limits``: the limits that a Genesys group exceeds; ``limits_of_run``: those that the whole run does.
    ``members``: how many members the Genesys groups have now. ``changes``: what AD said, oldest first.
    """

    users: Mapping[Guid, DirectoryUser] = field(default_factory=dict)
    groups: Mapping[Guid, DirectoryGroup] = field(default_factory=dict)
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)
    limits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limits_of_run: Sequence[str] = ()
    members: Mapping[str, int | None] = field(default_factory=dict)
    gone: frozenset[Guid] = frozenset()  # people who are no longer in AD


def body(
    asked: Question,
    background: Background,
    *,
    run_id: str,
    answer_within: timedelta,
    report: str | None,
    undoes: str | None = None,
) -> str:
    """The question as Markdown, for somebody who does not know this program."""
    lines = [
        f"**{_amounts(asked.additions, asked.removals).capitalize()} in Genesys Cloud "
        f"{'waits' if asked.additions + asked.removals == 1 else 'wait'} for you.** "
        "A member who is removed from a Genesys group loses the calls and the rights that come with it.",
        "",
        "Nothing of what is listed here is done unless you approve it. Everything else that this run had to do goes on "
        "without you.",
        "",
    ]
    if undoes:
        lines += [f"This is the undoing of run {_code(undoes)}.", ""]
    if background.limits_of_run:
        lines += ["Limits that the whole run exceeds:", ""]
        lines += [f"- {escape(text)}" for text in background.limits_of_run]
        lines.append("")
    for group in asked.groups[:GROUPS_SHOWN]:
        lines += _group(group, background)
    left = asked.groups[GROUPS_SHOWN:]
    if left:
        lines += [f"### … and {len(left)} more groups", ""]
        lines += [f"- {escape(group.option)}" for group in left] + [""]
    lines += _how_to_answer(asked, answer_within)
    lines += ["", f"Plan {_code(asked.hash[:SHORT_HASH])} of run {_code(run_id)}."]
    if report:
        lines.append(f"Everybody and everything of this run is in the report: {_code(report)}")
    return "\n".join(lines)


def _group(group: AskedGroup, background: Background) -> list[str]:
    members = background.members.get(group.id)
    of = f" (it has {members:,} {'member' if members == 1 else 'members'} now)" if members is not None else ""
    lines = [f"### {escape(group.name)}: {_amounts(group.additions, group.removals)}{of}", ""]
    why = [*(escape(text) for text in background.limits.get(group.id, ()))]
    reasons = {row.reason for row in group.rows if row.reason}
    why += [reason_words(reason.value) for reason in sorted(reasons) if reason is not Reason.OVER_LIMIT or not why]
    lines += ["You are asked because: " + "; ".join(text.rstrip(".") for text in why) + ".", ""]
    if any(row.action is Action.REMOVE and not row.undoes for row in group.rows):
        lines += [
            "Every AD group that feeds it was read completely in this run; nobody who would be removed is in one.",
            "",
        ]
    lines += ["| | Person | Mail | AD group | When (UTC) | Why |", "|---|---|---|---|---|---|"]
    for row in group.rows[:PEOPLE_SHOWN]:
        lines.append("| " + " | ".join(_person(row, background)) + " |")
    more = len(group.rows) - PEOPLE_SHOWN
    if more > 0:
        lines += ["", f"… and {more:,} more, in the report."]
    return [*lines, ""]


def _person(row: Row, background: Background) -> list[str]:
    changes = background.changes.get(row.key, ())
    user = background.users.get(row.user_guid or "")
    mail = user.mail if user else (row.directory_user or {}).get("mail")
    name = user.name if user else None
    through = [_path(row, guid, changes, background) for guid in row.group_guids]
    return [
        "**add**" if row.action is Action.ADD else "remove",
        escape(name) if name else f"Genesys user {_code(row.genesys_user_id or 'unknown')}",
        _code(mail) if mail else "-",
        "; ".join(through) or "-",
        _when(row),
        _why(row, changes, user, background),
    ]


def _path(row: Row, group_guid: Guid, changes: Sequence[Change], background: Background) -> str:
    """The AD group, and how the person was in it where that was through nesting."""
    path = next((change.path for change in reversed(changes) if change.group_guid == group_guid), ())
    names = []
    for guid in path or (group_guid,):
        group = background.groups.get(guid)
        names.append(escape(group.name if group else guid))
    return " → ".join(names)


def _when(row: Row) -> str:
    if row.changed_at:
        return _time(row.changed_at)
    if row.observed_at and row.observed_after:
        after, at = _time(row.observed_after), _time(row.observed_at)
        return at if after == at else f"{after} to {at[11:] if after[:10] == at[:10] else at}"
    return f"before {_time(row.observed_at)}" if row.observed_at else "-"


def _why(row: Row, changes: Sequence[Change], user: DirectoryUser | None, background: Background) -> str:
    """The evidence in a few words."""
    if row.undoes:
        return "undoes what that run did"
    if row.action is Action.ADD:
        return "is a member in AD"
    if row.user_guid is None:
        return "AD does not know this member"
    if row.user_guid in background.gone:
        return "the account is gone from AD"
    if user and user.disabled:
        return "the account is disabled"
    if changes and all(change.origin == "comparison" for change in changes):
        return "is no member in AD, found by comparing"
    if any(len(change.path) > 1 for change in changes):
        return "left the AD group, or a group in between did"
    return "left the AD group"


def _how_to_answer(asked: Question, answer_within: timedelta) -> list[str]:
    hours = answer_within.total_seconds() / 3600
    within = f"{hours:g} hours" if hours >= 1 else f"{answer_within.total_seconds() / 60:g} minutes"
    if len(asked.groups) > 1:
        approve = f"choose **{ALL}**, or the groups that you approve. What you do not choose is rejected."
    else:
        approve = "choose the group."
    return [
        "### How to answer",
        "",
        f"- To approve, {approve}",
        f"- To reject everything, choose **{NONE}** and no group. Nobody is asked about a rejected change again, until "
        "Active Directory changes that membership anew or somebody releases this run (parameter `release_run`).",
        f"- **{UNDECIDED}**, or no answer within {within}: nothing is done, and a later run asks again. It may stay in "
        "the list beside what you choose.",
        "- Before anything is written, each change is checked against Active Directory and Genesys Cloud once more: "
        "less than what is listed here may be done, never more.",
    ]


# -- text ---------------------------------------------------------------------------------------------

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@/$^=\"'])")
_LINKED_BY_ITSELF = re.compile(r"://|www\.|@|mailto:|xmpp:", re.IGNORECASE)


def escape(text: str) -> str:
    """The text as Markdown that shows exactly it: nothing of it becomes a link, markup or a new line."""
    text = visible(text)
    if _LINKED_BY_ITSELF.search(text):  # viewers make links even of escaped text
        return _code(text)
    return _MARKDOWN.sub(r"\\\1", text)


def _code(text: str) -> str:
    """As code, in which only its own fence and, inside a table, the bar mean anything."""
    text = visible(text).replace("|", "¦")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _amounts(additions: int, removals: int) -> str:
    parts = []
    if removals:
        parts.append(f"{removals:,} {'removal' if removals == 1 else 'removals'}")
    if additions:
        parts.append(f"{additions:,} {'addition' if additions == 1 else 'additions'}")
    return " and ".join(parts)


def _option(rows: Sequence[Row]) -> str:
    additions = sum(row.action is Action.ADD for row in rows)
    return f"{_label(rows[0].group_name)}: {_amounts(additions, len(rows) - additions)}"


def _label(name: str) -> str:
    name = visible(name)
    return name if len(name) <= 80 else f"{name[:79]}…"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
