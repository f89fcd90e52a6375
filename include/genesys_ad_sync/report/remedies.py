"""What an operator can do about a row: the text of `remedy` in the report, by reason.

Each text names the thing at hand: the run, the person, the rule, the value, the parameter, the key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from genesys_ad_sync.model import Reason, Row, Status
from genesys_ad_sync.report.wording import doubt_words

_ANSWER = "Answer in the task approve_removals of this run."
_REMOVE_BY_HAND = "Remove the member in Genesys Cloud if the membership is not wanted."


def remedy(row: Row) -> str | None:
    """Return what an operator can do about a row; None: there is nothing to do."""
    make = REMEDIES.get(row.reason) if row.reason else None
    return make(row) if make else None


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
    start = "Activate the user in Genesys Cloud."
    return f"{start} If another user is this person now: trigger the DAG with relink: {person}=Genesys user id."


def _over_limit(row: Row) -> str:
    limit = row.about.get("limit", "a limit")
    if row.about.get("on_excess") == "hold":
        return f"{_capital(limit)} is exceeded. Raise it in the definition, or set limits.on_excess: approve."
    return _ANSWER


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


def _against_ad(row: Row) -> str:
    if row.error:  # the account cannot be added at all
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
    return f"{words} {_ANSWER}" if words else _REMOVE_BY_HAND


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
    again = "What nobody approves ends with this run: trigger the DAG with mirror_once: true to be asked again."
    return f"{_mirror(row)} {again}"


def _empty_group(row: Row) -> str:
    if "member" not in row.about:
        return _over_limit(row)
    source = row.about.get("group")
    return f"AD group {source} has no members. {_mirror(row)}" if source else _mirror(row)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


REMEDIES: dict[Reason, Callable[[Row], str | None]] = {
    Reason.UNMAPPED: _says("Add a rule under groups: if the AD group should be mapped."),
    Reason.GENESYS_GROUP_MISSING: _says("Create the Genesys group, or correct the rule that names it."),
    Reason.NO_GENESYS_USER: lambda row: (
        "Create the user in Genesys Cloud, or correct the values under users: on one side."
        if row.status is Status.ORPHANED
        else None
    ),
    Reason.INACTIVE: _inactive,
    Reason.NO_MATCHING_ATTRIBUTE: _says("Fill in AD the attribute of a rule under users:, such as mail."),
    Reason.AMBIGUOUS: _ambiguous,
    Reason.UNPROVEN: _says("Read the notes: they name the AD group that could not be read completely, and why."),
    Reason.NOT_OWNED: _says(_REMOVE_BY_HAND),
    Reason.MAPPING_CHANGED: _mapping_changed,
    Reason.SCOPE_CHANGED: _says(_ANSWER),
    Reason.OTHER_DOMAIN_CONTROLLER: _other_domain_controller,
    Reason.OVER_LIMIT: _over_limit,
    Reason.OVER_ADDITIONS: _over_limit,
    Reason.EMPTY_GROUP: _empty_group,
    Reason.PROTECTED: _says(_ANSWER),
    Reason.GENESYS_UNREADABLE: _says("See the error. A later run reads again."),
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
    Reason.AGAINST_AD: _against_ad,
    Reason.IN_FLIGHT: _says("Nothing: a later run looks again."),
    Reason.REFUSED: _says("See the HTTP status and the error. Genesys support finds the request by correlation_id."),
    Reason.UNVERIFIED: _says("Nothing: a later run reads the group again."),
    Reason.NOT_IN_EFFECT: _says("A later run tries again. If it recurs, ask Genesys support."),
    Reason.NOT_ATTEMPTED: _says("See the log of the task that ended early. A later run takes it up."),
}
"""Reason -> its remedy. A reason that is not here needs none."""
