"""The answers of `explain` as text.

They name people, so they go to the terminal and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from genesys_ad_sync.text import one_line
from genesys_ad_sync_airflow.cli.output import moment, print_table

if TYPE_CHECKING:
    from genesys_ad_sync.views.group import FeedingGroup, GroupAnswer
    from genesys_ad_sync.views.named import Approval, AsOf, NamedGroup
    from genesys_ad_sync.views.person_answer import LastChange, Membership, PersonAnswer, Source


def print_person(answer: PersonAnswer) -> None:
    """Print what one sync definition knows of a person."""
    _say(f"Sync definition {answer.definition}, {_as_of(answer.as_of)}")
    for line in (*_account_lines(answer), *_link_lines(answer)):
        _say(f"  {line}")
    for membership in answer.memberships:
        _say()
        for line in _membership_lines(membership):
            _say(line)
    _say()
    if not answer.memberships and not answer.other_groups:
        _say("No group is mapped. Only a live run keeps its mapping. `genesys-ad-sync plan` shows what it would do.")
    elif not answer.memberships:
        _say("No mapped group wants, has or had this person.")
    elif answer.other_groups:
        _say(f"{answer.other_groups:,} other mapped groups: not wanted by AD, never changed, not owned.")


def print_group(answer: GroupAnswer) -> None:
    """Print what one sync definition knows of a Genesys group."""
    _say(f"{answer.genesys_group_name} ({answer.genesys_group_id})")
    _say(f"  Sync definition {answer.definition}, {_as_of(answer.as_of)}")
    if answer.claimed_by and answer.claimed_by != answer.definition:
        _say(f"  FED BY ANOTHER DEFINITION: {answer.claimed_by} since {moment(answer.claimed_since)}.")
    if answer.protected:
        _say("  Protected: each change needs a person (protect).")
    _say("  Fed by:")
    for source in answer.sources:
        _say(f"    {_source_words(source)}")
    print_table(
        ("limit (last 24 h, without approved changes)", "used", "of"),
        [(use.key, f"{use.used:,}", "?" if use.limit is None else f"{use.limit:,}") for use in answer.limits],
        empty="",
    )
    print_table(
        ("waits", "reason", "changes", "oldest since"),
        [(wait.status or "new", wait.reason, f"{wait.count:,}", moment(wait.since)) for wait in answer.waits],
        empty="  Nothing waits.",
    )
    counts = ", ".join(f"{count:,} {_ORIGIN_WORDS[origin]}" for origin, count in answer.by_origin.items() if count)
    _say(f"Members: {counts or 'none'}")
    print_table(
        ("person", "mail", "Genesys user", "origin", "through"),
        [
            (one.name, one.mail, one.genesys_user_id, _ORIGIN_WORDS[one.origin], _path(one.path) if one.path else None)
            for one in answer.members
        ],
        empty="",
    )
    if left_out := sum(answer.by_origin.values()) - len(answer.members):
        _say(f"… and {left_out:,} more: --members N, or --json")


_ORIGIN_WORDS = {
    "ad": "by AD",
    "to add": "wanted by AD, not in effect yet",
    "to remove": "owned by AD, no longer wanted",
    "by hand": "by hand in Genesys Cloud",
    "not certain": "removed, not visible in Genesys Cloud",
}


def _say(text: str = "") -> None:
    """Print a line. One without an indentation is a heading: bold on a terminal."""
    indentation = " " * (len(text) - len(text.lstrip(" ")))
    click.secho(indentation + one_line(text.lstrip(" ")), bold=True if text and not indentation else None)


def _as_of(as_of: AsOf) -> str:
    if as_of.directory is None and as_of.genesys is None:
        return "before its first run"
    directory = f"AD as of {moment(as_of.directory)}, " if as_of.directory else ""
    if as_of.genesys is None:
        return f"{directory}Genesys Cloud as far as runs have written: no run in mode full has listed the members yet"
    return f"{directory}Genesys Cloud as of {moment(as_of.genesys)} and what runs have written since"


def _account_lines(answer: PersonAnswer) -> Iterator[str]:
    account = answer.account
    if account is None:
        yield f"Not known to AD. Genesys user {answer.genesys_user_id}."
        return
    yield f"{account.name} <{account.mail or 'no mail address'}>, objectGUID {account.guid}"
    yield account.dn
    if account.why_not:
        yield f"The account counts in no group: {account.why_not}."
    if account.deleted_at is None and account.gone_since:
        yield f"In no AD group of this definition since {moment(account.gone_since)}."
    if account.expires_at:
        yield f"The account expires at {moment(account.expires_at)}."


def _link_lines(answer: PersonAnswer) -> Iterator[str]:
    link = answer.link
    if link is None and answer.account is not None:
        yield "Not linked to a Genesys user."
    if link is not None:
        yield f"Genesys user {link.genesys_user_id}, found by {link.matched_by} on {moment(link.since)}."
        if link.contradicted_since:
            others = ", ".join(link.others) or "nobody else"
            yield f"CONTRADICTED since {moment(link.contradicted_since)}: the rules of users: find {others} now."
    for former in answer.former_links:
        by = f", approved by {former.by}" if former.by else ", deleted in Genesys Cloud" if former.deleted else ""
        yield f"Was Genesys user {former.genesys_user_id} until {moment(former.at)}{by}."


def _membership_lines(one: Membership) -> Iterator[str]:
    yield f"{one.genesys_group_name} ({one.genesys_group_id})"
    yield f"  {one.verdict}"
    for source in one.sources:
        yield f"  {_path_words(source)}"
    if one.granted:
        run = f" by run {one.granted.run}" if one.granted.run else ""
        through = one.granted.through.name or one.granted.through.guid
        trial = " (seen by dry runs only)" if one.granted.only_seen_by_dry_runs else ""
        yield f"  Granted on {moment(one.granted.since)}{run}, through {through}{trial}."
    if one.last_change:
        yield from _change_lines(one.last_change)
    if one.approval:
        yield f"  {_approval_words(one.approval)}"
    if one.pinned:
        by = f" by {one.pinned.by}" if one.pinned.by else ""
        yield f"  Undone on {moment(one.pinned.at)}{by}, run {one.pinned.run}."
    if one.fed_by:
        yield f"  The sync definition {one.fed_by} feeds this Genesys group."
    if one.waits:
        yield f"  Waits since {moment(one.waits.since)}: {one.waits.words}"
        if one.waits.remedy:
            yield f"  What to do: {one.waits.remedy}"


def _path_words(source: Source) -> str:
    name = source.group.name or source.group.guid
    if not source.mapped:
        return f"AD group {name}: not mapped to it any more ({source.rule} did)."
    if not source.path:
        return f"AD group {name}: not a member. {source.rule}"
    through = f" through {_path(source.path)}" if len(source.path) > 1 else ""
    return f"AD group {name}: member{through}. {source.rule}"


def _path(groups: Sequence[NamedGroup]) -> str:
    return " → ".join(group.name or group.guid for group in groups)


_FOUND_WORDS = {
    "told": "reported by AD",
    "seen": "shown by a reading of AD",
    "doubted": "shown by a domain controller that may lag behind",
    "poll": "found in AD",
    "comparison": "found by a comparison with Genesys Cloud",
    "metadata": "found in AD's metadata",
}
"""How a change was found, by its evidence or its origin."""


def _change_lines(change: LastChange) -> Iterator[str]:
    when = f"at {moment(change.changed_at)}" if change.changed_at else f"seen at {moment(change.observed_at)}"
    found = _FOUND_WORDS.get(change.evidence or "") or _FOUND_WORDS.get(change.origin, change.origin)
    yield f"  Last change: {change.action}, {when}, {found}, AD group {change.group.name or change.group.guid}."
    if change.status is None:
        yield "  No live run has acted on it yet."
        return
    reason = f", {change.reason}" if change.reason else ""
    http = f", HTTP {change.http_code}" if change.http_code else ""
    correlation = f", correlation id {change.correlation_id}" if change.correlation_id else ""
    yield f"  Outcome: {change.status}{reason}{http}{correlation}, {moment(change.at)}, run {change.run}."
    if change.error:
        yield f"  Genesys Cloud said: {change.error}" if change.http_code else f"  {change.error}"


def _approval_words(approval: Approval) -> str:
    asked = f"Run {approval.run} asked a person on {moment(approval.asked_at)}"
    if approval.decision is None:
        return f"{asked}; it can be answered until {moment(approval.until)}."
    by = f" by {approval.by}" if approval.by else ""
    return f"{asked}: {approval.decision}{by} on {moment(approval.at)}."


def _source_words(source: FeedingGroup) -> str:
    name = source.group.name or source.group.guid
    if not source.mapped:
        return f"formerly {name}, until {moment(source.until)} ({source.rule})"
    size = "not in the view"
    if source.members is not None:
        size = f"{source.members:,} {'person counts as a member' if source.members == 1 else 'people count as members'}"
    read = (
        f"last read completely {moment(source.read_completely_at)}"
        if source.read_completely_at
        else "never read completely"
    )
    baseline = (
        f"first compared {moment(source.compared_first_at)} by {source.compared_first_by}"
        if source.compared_first_at
        else "not compared by a live run yet"
    )
    return f"{name}: {size}; {read}; mapped since {moment(source.since)} by {source.rule}; {baseline}"
