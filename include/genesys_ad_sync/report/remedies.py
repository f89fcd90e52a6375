"""The remedies for the rows of a report, by reason.

A remedy is what an operator can do: the text of `remedy` in the report. Each text names the thing at hand: the run, the
person, the rule, the value, the parameter, the key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from genesys_ad_sync.model import Action, Reason, Row, Status
from genesys_ad_sync.report.wording import doubt_words

_ANSWER = "Answer in the task approve_removals of this run."
"""Written by the remedies of all rows that an approver may release; `remedy` replaces it where it is not so."""


class Answer(Enum):
    """When a question of the reported run can be answered."""

    NOW = "Answer in the task approve_removals of this run."
    LATER = "A later run asks again: answer in its task approve_removals."
    DRY_RUN = "A live run asks a person; a dry run asks nobody."


def remedy(row: Row, answer: Answer = Answer.NOW) -> str | None:
    """Return what an operator can do about a row; None: there is nothing to do."""
    make = REMEDIES.get(row.reason) if row.reason else None
    text = make(row) if make else None
    return text.replace(_ANSWER, _where_to_answer(row, answer)) if text else None


def _where_to_answer(row: Row, answer: Answer) -> str:
    asker, param = row.about.get("asked_by"), _param_of_run(row)
    again = f"No later run asks again: trigger the DAG with {param}." if param else ""
    if asker and answer is not Answer.DRY_RUN:
        there = f"Answer in the task approve_removals of run {asker}, which asks about it."
        return f"{there} {again}" if again and answer is Answer.LATER else there
    if param and answer is Answer.DRY_RUN:
        return f"A live run with {param} asks a person; a dry run asks nobody."
    return again if again and answer is Answer.LATER else answer.value


def _param_of_run(row: Row) -> str | None:
    """Return the parameter without which no run asks about the row; None: each run does."""
    if row.undoes_run:
        return f"undo_run: {row.undoes_run}"
    if row.reason is Reason.RELINK:
        account, user = row.about.get("account"), row.about.get("new_user", "none").partition(" ")[0]
        return f"relink: {account}={user}" if account and user != "none" else "the same relink"
    return "mirror_once: true" if row.reason is Reason.MIRROR_ONCE else None


def _says(text: str) -> Callable[[Row], str | None]:
    """Return a remedy that is the same for each row."""
    return lambda _: text


def _ambiguous(row: Row) -> str:
    if row.status is Status.SKIPPED:
        return "Rename one of the Genesys groups of that name, or name the group by genesys_id in the rule."
    accounts = list(dict.fromkeys(rival.guid for rival in row.rivals if rival.guid))
    users = list(dict.fromkeys(rival.genesys_user_id for rival in row.rivals if rival.genesys_user_id))
    start = f"Claimed by AD account {', '.join(accounts)} too. " if accounts else ""
    if not accounts and len(users) > 1:
        start = f"Several Genesys users fit: {', '.join(users)}. "
    if accounts and ", ".join(accounts) == row.about.get("gone"):  # it may have the same name, so nobody is excluded
        return (
            f"{start}No AD group lists it any more. If it still exists, make the values under users: unique. If it was "
            "deleted, which cannot be known without the right to see deleted objects, settle it: "
            f"{_relink(row, users[:1])}"
        )
    exclude = ", name the other account under exclude: users" if accounts else ""
    return f"{start}Make the values under users: unique{exclude}, or settle it: {_relink(row, users[:1])}"


def _link_contradicted(row: Row) -> str:
    users = list(dict.fromkeys(rival.genesys_user_id for rival in row.rivals if rival.genesys_user_id))
    linked = {rival.genesys_user_id: rival.guid for rival in row.rivals if rival.guid}
    others = ", ".join(f"{user} (of AD account {linked[user]})" if user in linked else user for user in users)
    found = f" The rules now find {others}." if others else ""
    own = row.genesys_user_id
    keep = f" To keep {own}: relink: {row.user_guid}={own}." if row.user_guid and own else ""
    return f"Linked to Genesys user {own or 'unknown'}.{found} To change it: {_relink(row, users[:1])}{keep}"


def _relink(row: Row, users: Sequence[str]) -> str:
    """Return the param that settles who the person of a row is."""
    person = row.user_guid or "objectGUID"
    return f"trigger the DAG with relink: {person}={users[0] if users else 'Genesys user id'}."


def _inactive(row: Row) -> str:
    """Name the way out for a person who has a new Genesys user."""
    person = row.user_guid or "objectGUID"
    start = f"Activate the user {row.genesys_user_id} in Genesys Cloud."
    return f"{start} If another user is this person now: trigger the DAG with relink: {person}=Genesys user id."


def _pattern_too_slow(row: Row) -> str:
    rule = (row.error or "").partition(":")[0] or "the rule of groups:"
    return f"Write the expression of {rule} without a repetition inside a repetition, or rename the AD group."


def _over_limit(row: Row) -> str:
    limit = row.about.get("limit")
    exceeded = f"Exceeded: {limit}. " if limit else ""
    way_out = {
        "hold": "Nobody is asked. Raise the limit in the definition, or set limits.on_excess: approve.",
        "fail": "The run stopped. Raise the limit in the definition, or set limits.on_excess: approve.",
    }
    return exceeded + way_out.get(row.about.get("on_excess", ""), _ANSWER)


def _emptied(row: Row) -> str:
    if row.about.get("on_excess") != "hold":
        return _over_limit(row)
    ask = "set limits.empty_group: approve and limits.on_excess: approve"
    return (
        f"Exceeded: {row.about.get('limit', 'limits.empty_group')}. Set limits.empty_group: allow; to be asked, {ask}."
    )


def _rejected(row: Row) -> str:
    by, at, run = (row.about.get(key) for key in ("by", "at", "run"))
    # a row of an undo is about that undo only: there is nothing to release
    again = f"trigger the DAG with undo_run: {row.undoes_run}." if row.undoes_run else _release(run)
    return f"Rejected{f' by {by}' if by else ''}{f' at {at}' if at else ''}. To be asked again: {again}"


def _undone(row: Row) -> str:
    by, at, run = (row.about.get(key) for key in ("by", "at", "run"))
    return f"Undone{f' by {by}' if by else ''}{f' at {at}' if at else ''}. To let AD decide again: {_release(run)}"


def _release(run: str | None) -> str:
    return f"trigger the DAG with release_run: {run}." if run else "trigger the DAG with release_run and that run's id."


def _new_pair(row: Row) -> str:
    source, before = row.about.get("group"), row.about.get("former_group")
    pair = f"AD group {source} would feed {_group(row)}" if source else f"A new AD group would feed {_group(row)}"
    start = f"{pair}{f', and fed {before!r} before' if before else ''}. "
    if row.action is Action.REMOVE:
        return f"{start}The removal waits until a person has answered about the additions of that AD group."
    return start + _ANSWER


def _was_manual(row: Row) -> str:
    return f"The member is Genesys user {row.genesys_user_id}, for {_who(row)}. {_ANSWER}"


def _against_ad(row: Row) -> str:
    if "account" in row.about:  # it cannot be added at all
        return "Enable or restore the account in AD and undo the run again, or add the member in Genesys Cloud by hand."
    return _ANSWER


def _claimed_by(row: Row) -> str:
    name = row.about.get("definition")
    other = f"the definition {name}" if name else "the other definition"
    text = f"Remove the rule of this Genesys group from one of the two definitions: this one or {other}."
    if row.genesys_group_id:
        text += f' To let this one feed it at once: trigger its DAG with release_claim: ["{row.genesys_group_id}"].'
    return text


def _other_domain_controller(row: Row) -> str:
    words = doubt_words(row)
    known = f"{words} " if words else ""
    if "ask" in row.about:
        return f"{known}{_ANSWER}"
    missing = row.about.get("domain_controller")
    by = f"{missing} answers again, or " if missing else ""
    return f"{known}Wait until {by}replication is complete. directory.replication_time says how long that may take."


def _mapping_changed(row: Row) -> str:
    words = doubt_words(row)
    return f"{words} {_ANSWER}" if words else _by_hand(row)


def _not_looked_up(row: Row) -> str:
    value, rule = row.about.get("value"), row.about.get("rule")
    return f"Correct the value{f' {value!r}' if value else ''} in AD{f' (rule {rule})' if rule else ''}."


def _unidentified_members(row: Row) -> str:
    member = row.about.get("member", f"Genesys user {row.genesys_user_id}")
    people = row.about.get("unidentified", "an AD account")
    return (
        f"Not identified in Genesys Cloud: {people}. The member is {member}. Correct the values under users: on one "
        "side, or name the account in exclude: users. If a question is open, answer it in the task approve_removals."
    )


def _mirror(row: Row) -> str:
    member = row.about.get("member", f"Genesys user {row.genesys_user_id}")
    return f"The member is {member}. {_ANSWER}"


def _mirror_once(row: Row) -> str:
    return f"{_mirror(row)} What is not approved ends with the run; mirror_once: true asks again."


def _empty_group(row: Row) -> str:
    if "member" not in row.about:
        return _emptied(row)
    source = row.about.get("group")
    return f"AD group {source} has no members. {_mirror(row)}" if source else _mirror(row)


def _unmapped(row: Row) -> str:
    return f"Add a rule under groups: for {_sources(row)} if it should be mapped."


def _excluded(row: Row) -> str:
    what = f"{_sources(row)} or {_who(row)}" if row.directory_user or row.user_guid else _sources(row)
    return f"Take {what} out of exclude: in the definition if it should be acted on."


def _removals_never(row: Row) -> str:
    return f"Remove {_member(row)} by hand, or set removals: granted in the definition."


def _group_missing(row: Row) -> str:
    rule = f" ({row.error})" if row.error else ""
    return f"Create or activate the Genesys group, or correct the rule of {_sources(row)}{rule}."


def _no_genesys_user(row: Row) -> str | None:
    if row.status is not Status.ORPHANED:
        return None
    return f"Create a user for {_who(row)} in Genesys Cloud, or correct the values under users: on one side."


def _no_attribute(row: Row) -> str:
    return f"Fill in AD the attribute of a rule under users:, such as mail, of {_who(row)}."


def _unproven(row: Row) -> str:
    return f"Read the notes: they say which group behind {_sources(row)} could not be read completely, and why."


def _unexplained_loss(row: Row) -> str:
    return (
        f"If {_sources(row)} has lost this member: set limits.shrink_percent: 100 in the definition for one run. If "
        "not, let the account read `member` of it again."
    )


def _by_hand(row: Row) -> str:
    return f"Remove {_member(row)} in Genesys Cloud if the membership is not wanted."


def _unreadable(row: Row) -> str:
    return f"See the error. A later run reads {_group(row)} again."


def _in_flight(row: Row) -> str:
    return f"Nothing: a later run looks at {_group(row)} again."


def _refused(row: Row) -> str:
    quoted = f" quote {row.correlation_id} to Genesys support" if row.correlation_id else " ask Genesys support"
    status = f"HTTP {row.http_code} and the error" if row.http_code else "the error"
    again = _next_try(row) if row.retry_after else f"A later run tries {_group(row)} again."
    return f"See {status}. {again} If it recurs,{quoted}."


def _refused_group(row: Row) -> str:
    quoted = f" If that is not the cause, quote {row.correlation_id} to Genesys support." if row.correlation_id else ""
    return (
        f"See the error, and let the OAuth client's role edit {_group(row)}: its division, a private group, or "
        f"members chosen by rules may be the cause. {_next_try(row)}{quoted}"
    )


def _refused_client(_: Row) -> str:
    return (
        "Read the notes: they say what Genesys refuses. Correct the role or the allowed IP addresses of the OAuth "
        "client. Each later run asks with one request first, and does everything once it is accepted."
    )


def _next_try(row: Row) -> str:
    """Say when it is tried again, and how to have it tried at once."""
    if row.retry_after is None:
        return "A later run tries again."
    return f"Tried again after {row.retry_after:%Y-%m-%d %H:%M} UTC. To try at once: trigger the DAG."


def _unverified(row: Row) -> str:
    return f"Nothing: a later run reads {_group(row)} again."


def _not_in_effect(row: Row) -> str:
    return f"A later run tries {_group(row)} again. If it recurs, ask Genesys support."


def _not_attempted(row: Row) -> str:
    if row.retry_after is not None:
        return f"{_capital(_group(row))} failed in the last runs. {_next_try(row)}"
    return "See the log of the task that ended early. A later run takes it up."


def _group(row: Row) -> str:
    return f"the Genesys group {row.group_name!r}" if row.group_name else "the Genesys group"


def _sources(row: Row) -> str:
    names = [group.get("name") or group.get("guid") or "" for group in row.directory_groups] or list(row.group_guids)
    return f"AD group {', '.join(map(repr, names))}" if names else "the AD group"


def _who(row: Row) -> str:
    user = row.directory_user or {}
    return f"the AD account {user.get('dn') or user.get('mail') or row.user_guid or 'that is not known'}"


def _member(row: Row) -> str:
    return f"the user {row.genesys_user_id or row.user_guid} from {_group(row)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


REMEDIES: dict[Reason, Callable[[Row], str | None]] = {
    Reason.UNMAPPED: _unmapped,
    Reason.EXCLUDED: _excluded,
    Reason.REMOVALS_NEVER: _removals_never,
    Reason.GENESYS_GROUP_MISSING: _group_missing,
    Reason.PATTERN_TOO_SLOW: _pattern_too_slow,
    Reason.NO_GENESYS_USER: _no_genesys_user,
    Reason.INACTIVE: _inactive,
    Reason.NO_MATCHING_ATTRIBUTE: _no_attribute,
    Reason.AMBIGUOUS: _ambiguous,
    Reason.UNPROVEN: _unproven,
    Reason.UNEXPLAINED_LOSS: _unexplained_loss,
    Reason.NOT_OWNED: _by_hand,
    Reason.MAPPING_CHANGED: _mapping_changed,
    Reason.SCOPE_CHANGED: _says(_ANSWER),
    Reason.OTHER_DOMAIN_CONTROLLER: _other_domain_controller,
    Reason.OVER_LIMIT: _over_limit,
    Reason.OVER_ADDITIONS: _over_limit,
    Reason.EMPTY_GROUP: _empty_group,
    Reason.PROTECTED: _says(_ANSWER),
    Reason.GENESYS_UNREADABLE: _unreadable,
    Reason.JOURNAL_RESTORED: _says(_ANSWER),
    Reason.CLAIMED_BY: _claimed_by,
    Reason.REJECTED: _rejected,
    Reason.UNDONE: _undone,
    Reason.NOT_LOOKED_UP: _not_looked_up,
    Reason.LINK_CONTRADICTED: _link_contradicted,
    Reason.RELINK: _says(_ANSWER),
    Reason.UNIDENTIFIED_MEMBERS: _unidentified_members,
    Reason.FIRST_MIRROR: _mirror,
    Reason.MIRROR_ONCE: _mirror_once,
    Reason.NEW_PAIR: _new_pair,
    Reason.WAS_MANUAL: _was_manual,
    Reason.AGAINST_AD: _against_ad,
    Reason.IN_FLIGHT: _in_flight,
    Reason.REFUSED: _refused,
    Reason.REFUSED_GROUP: _refused_group,
    Reason.REFUSED_CLIENT: _refused_client,
    Reason.UNVERIFIED: _unverified,
    Reason.NOT_IN_EFFECT: _not_in_effect,
    Reason.NOT_ATTEMPTED: _not_attempted,
}
"""Reason -> its remedy. A reason that is not here needs none."""
