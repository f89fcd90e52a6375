"""Why a person is in a group or not: what the journal can say about it."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

import pytest

from genesys_ad_sync.journal import Journal, RunKey
from genesys_ad_sync.model import Decision, FormerLink, Link, Objection
from genesys_ad_sync.views.person import explain_genesys_user, explain_person
from genesys_ad_sync.views.person_answer import Membership, PersonAnswer
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import (
    Action,
    Reason,
    Status,
    change,
    definition,
    grant,
    key_of,
    looked_at,
    map_groups,
    poll,
    run_with,
)

NOW = T0 + timedelta(hours=1)


def explained(journal: Journal, guid: str) -> PersonAnswer:
    [answer] = explain_person(journal, guid, {"default": definition()}, now=NOW)
    return answer


def membership(journal: Journal, guid: str) -> Membership:
    [one] = explained(journal, guid).memberships
    return one


def test_a_nested_member_is_explained_by_the_groups_in_between(journal: Journal) -> None:
    poll(journal, {"service": "north", "north": "hamburg", "hamburg": "ann"})
    map_groups(journal, "service")
    grant(journal, "service", "ann")
    one = membership(journal, "ann")
    assert (one.genesys_group_name, one.wanted, one.verdict) == ("Service", True, "Member: AD wants it and owns it.")
    [source] = one.sources
    assert [group.name for group in source.path] == ["GC-service", "GC-north", "GC-hamburg"]
    assert source.rule == "rule 1: name: GC-(?P<team>.+) → genesys_name: {team}"


def test_a_ring_of_groups_ends_and_a_group_out_of_scope_wants_nobody(journal: Journal) -> None:
    poll(journal, {"top": "a", "a": "b ann", "b": "a"})
    map_groups(journal, "top", "a")
    grant(journal, "top", "ann")
    found = {one.genesys_group_name: one for one in explained(journal, "ann").memberships}
    assert [group.guid for group in found["Top"].sources[0].path] == ["top", "a"]
    assert (found["Top"].wanted, found["A"].wanted, found["A"].sources[0].path) == (True, False, ())


def test_a_grant_says_since_when_and_by_which_run(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    map_groups(journal, "voice")
    run_with(journal, "morning", change("voice", "ann"), Status.SUCCESS, http_code=200, correlation_id="c-1")
    grant(journal, "voice", "ann")
    one = membership(journal, "ann")
    assert one.granted
    assert (one.granted.since, one.granted.run, one.granted.through.name) == (T0, "dag/morning", "GC-voice")
    assert one.last_change
    assert (one.last_change.status, one.last_change.correlation_id, one.last_change.run) == (
        "success",
        "c-1",
        "dag/morning",
    )
    assert one.waits is None


def test_an_orphan_says_what_holds_it_since_when_and_what_to_do(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    map_groups(journal, "voice")
    run_with(journal, "morning", change("voice", "ann"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    answer = explained(journal, "ann")
    assert answer.link is None
    [one] = answer.memberships
    assert one.verdict == "AD wants it; it is not in effect yet. A change waits: orphaned, no_genesys_user."
    assert one.waits
    assert one.waits.words == "No Genesys Cloud user matches this person."
    assert one.waits.remedy
    assert one.waits.remedy.startswith("Create a user for the AD account")
    assert one.waits.since == T0 + timedelta(minutes=1)  # when the run listed it


@pytest.mark.parametrize("newer_runs", [0, 150])
def test_the_remedy_is_found_in_the_run_that_listed_the_change_last(journal: Journal, newer_runs: int) -> None:
    from tests.support.journal import begin

    poll(journal, {"voice": ""})
    poll(journal, {"voice": "", "other": "ann"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann")
    about = {"limit": "limits.removals is 50"}
    run_with(journal, "old", change("voice", "ann", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT, about=about)
    for number in range(newer_runs):
        begin(journal, f"newer-{number}")
    one = membership(journal, "ann")
    assert one.verdict == (
        "AD owns the membership and no longer wants it: to be removed. A change waits: held, over_limit."
    )
    assert one.waits
    assert (
        one.waits.remedy
        == "Exceeded: limits.removals is 50. A later run asks again: answer in its task approve_removals."
    )


def test_an_open_question_says_which_run_asks_and_until_when(journal: Journal) -> None:
    poll(journal, {"voice": "", "other": "ann"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann")
    _, stored = run_with(journal, "asking", change("voice", "ann", Action.REMOVE), Status.HELD, reason=Reason.PROTECTED)
    until = NOW + timedelta(hours=7)
    key = key_of("voice", "ann", Action.REMOVE)
    journal.of("default").questions.open(
        RunKey("dag", "asking"), {key: [stored.id or 0]}, last_change=1, at=T0, until=until
    )
    one = membership(journal, "ann")
    assert one.approval
    assert (one.approval.run, one.approval.until, one.approval.decision) == ("dag/asking", until, None)
    assert one.waits
    assert one.waits.remedy == "Answer in the task approve_removals of run asking, which asks about it."


def test_what_a_person_approved_says_who_and_when(journal: Journal) -> None:
    poll(journal, {"voice": "", "other": "ann"})
    map_groups(journal, "voice")
    _, stored = run_with(journal, "asked", change("voice", "ann", Action.REMOVE), Status.SUCCESS, correlation_id="c-7")
    key, run = key_of("voice", "ann", Action.REMOVE), RunKey("dag", "asked")
    questions = journal.of("default").questions
    questions.open(run, {key: [stored.id or 0]}, last_change=1, at=T0, until=NOW)
    questions.close(run, {key: Decision.APPROVED}, by="olivia", at=T0 + timedelta(minutes=5))
    one = membership(journal, "ann")
    assert one.verdict == "Removed."
    assert one.approval
    assert (one.approval.decision, one.approval.by, one.approval.at) == (
        "approved",
        "olivia",
        T0 + timedelta(minutes=5),
    )
    assert one.last_change
    assert one.last_change.correlation_id == "c-7"


def test_an_undone_membership_names_the_undo(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    map_groups(journal, "voice")
    run_with(journal, "undo", change("voice", "ann"), Status.HELD, reason=Reason.UNDONE)
    pin = Objection(Reason.UNDONE, RunKey("dag", "undo"), T0, 1, by="olivia")
    journal.of("default").pins.add({("G-voice", "ann"): pin}, undoes=RunKey("dag", "bad"))
    one = membership(journal, "ann")
    assert one.pinned
    assert (one.pinned.run, one.pinned.by) == ("dag/undo", "olivia")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"disabled": True}, "it is disabled"),
        ({"expired": True, "expires_at": T0}, "it has expired"),
        ({"name": "Robot 1"}, "the sync definition excludes it (exclude: users), so it is never acted on"),
    ],
)
def test_an_account_that_does_not_count_says_why(journal: Journal, values: dict[str, object], why: str) -> None:
    poll(journal, {"voice": "ann"}, ann=values)
    map_groups(journal, "voice")
    answer = explained(journal, "ann")
    assert answer.account
    assert (answer.account.counts, answer.account.why_not) == (False, why)
    assert answer.memberships[0].wanted is False
    assert f"The account does not count: {why}." in answer.memberships[0].verdict


def test_a_former_rule_and_a_sleeping_grant_are_told_apart_from_a_member(journal: Journal) -> None:
    poll(journal, {"voice": "ann", "chat": "ann"})
    map_groups(journal, "voice", "chat")
    grant(journal, "voice", "ann")
    grant(journal, "chat", "ann")
    journal.of("default").grants.sleep(journal.of("default").grants.of_groups(["G-chat"]), T0)
    map_groups(journal, "chat")
    found = {one.genesys_group_name: one for one in explained(journal, "ann").memberships}
    assert found["Voice"].sources[0].mapped is False
    assert found["Voice"].verdict == "AD owns the membership and no longer wants it: to be removed."
    assert found["Chat"].granted
    assert found["Chat"].granted.asleep_since == T0
    assert found["Chat"].verdict == "AD wants it; it is not in effect yet."


def test_a_member_by_hand_is_seen_as_such(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    map_groups(journal, "voice")
    journal.of("default").links.save([Link("ann", "U-ann", "mail=email", T0)])
    looked_at(journal, "voice", **{"U-ann": "Ann"})
    one = membership(journal, "ann")
    assert one.by_hand is True
    assert one.verdict == "AD wants it; the person was added in Genesys Cloud by hand."


def test_somebody_whom_ad_does_not_know_is_explained_by_the_last_look_in_full(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    map_groups(journal, "voice")
    looked_at(journal, "voice", **{"U-mia": "Mia"})
    [answer] = explain_genesys_user(journal, "U-mia")
    assert (answer.account, [one.genesys_group_name for one in answer.memberships]) == (None, ["Voice"])
    assert explain_genesys_user(journal, "U-nobody") == []


def test_links_and_who_the_person_was_before(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    mine = journal.of("default").links
    mine.replace([Link("ann", "U-ann", "mail=email", T0, contradicted_since=T0, others=("U-new",))])
    mine.add_former([FormerLink("ann", "U-old", False, T0, "dag/relink", "olivia")])
    mine.add_former([FormerLink("bob", "U-bob", False, T0)])
    answer = explained(journal, "ann")
    assert answer.link
    assert (answer.link.contradicted_since, answer.link.others) == (T0, ("U-new",))
    assert [(former.genesys_user_id, former.by) for former in answer.former_links] == [("U-old", "olivia")]


def test_groups_with_which_the_person_has_to_do_nothing_are_counted(journal: Journal) -> None:
    poll(journal, {"voice": "ann", "chat": "bob", "mail": ""})
    map_groups(journal, "voice", "chat", "mail")
    answer = explained(journal, "ann")
    assert ([one.genesys_group_name for one in answer.memberships], answer.other_groups) == (["Voice"], 2)


def test_each_definition_answers_for_itself(journal: Journal) -> None:
    poll(journal, {"voice": "ann"})
    poll(journal, {"sales": "ann"}, name="sales")
    map_groups(journal, "voice")
    map_groups(journal, "sales", name="sales")
    answers = explain_person(journal, "ann", {}, now=NOW)
    assert [(one.definition, one.memberships[0].sources[0].rule) for one in answers] == [
        ("default", "rule 1"),
        ("sales", "rule 1"),
    ]
    assert explain_person(journal, "nobody", {}, now=NOW) == []
