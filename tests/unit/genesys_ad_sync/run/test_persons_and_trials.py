"""What a person must still be asked: moves of links, mirrors; and what a trial has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.model import Action, Decision, DryEvidence, Grant, GroupPair, Link, Reason, Row, Scope, Status
from genesys_ad_sync.planning import Target
from genesys_ad_sync.run import mirror, trial
from genesys_ad_sync.run.facts import Relink
from genesys_ad_sync.run.relink import decisions
from tests.support.journal import T0
from tests.support.sync_examples import definition, grant, target

YES, NO = Decision.APPROVED, Decision.REJECTED


class Facts:
    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, fact: Any) -> Any:
        return self._values.get(fact.key, fact.default)


# -- links that are to move ---------------------------------------------------------------------------


def relink(guid: str, former: str, new: str) -> Relink:
    return Relink(guid, former, new, (), former, new)


def row(guid: str, group: str) -> Row:
    return Row(Action.ADD, Status.HELD, group, guid, ("g",), reason=Reason.RELINK, about={"account": guid})


ROWS = [row("ann", "G"), row("ann", "H"), row("bob", "G"), row("cid", "G")]
ANN_G, ANN_H, BOB, CID = (one.key for one in ROWS)
LINKS = {"ann": "x", "bob": "y", "cid": "z"}


def decided(given: dict[str, Decision], links: Mapping[str, str] = LINKS) -> dict[str, Decision]:
    """Return the decisions where ann takes bob's Genesys user, and bob takes cid's."""
    moves = (relink("ann", "x", "y"), relink("bob", "y", "z"), relink("cid", "z", "w"))
    task: Any = SimpleNamespace(
        facts=Facts(relinks=moves),
        run=None,
        journal=SimpleNamespace(
            rows=SimpleNamespace(of_run=lambda _: ROWS),
            links=SimpleNamespace(all=lambda: {guid: Link(guid, to, "mail=email", T0) for guid, to in links.items()}),
        ),
    )
    return decisions(task, given)


ALL_YES = dict.fromkeys((ANN_G, ANN_H, BOB, CID), YES)


def test_links_move_if_all_their_groups_were_approved() -> None:
    assert decided(ALL_YES) == ALL_YES
    assert decided({**ALL_YES, ANN_H: NO}) == {**ALL_YES, ANN_G: NO, ANN_H: NO}
    unanswered = {key: decision for key, decision in ALL_YES.items() if key != ANN_H}
    assert decided(unanswered)[ANN_G] is NO


def test_a_link_moves_only_if_the_account_that_has_the_user_gives_it_up() -> None:
    assert decided({**ALL_YES, CID: NO}) == dict.fromkeys(ALL_YES, NO)
    assert decided({**ALL_YES, BOB: NO}) == {ANN_G: NO, ANN_H: NO, BOB: NO, CID: YES}


@pytest.mark.parametrize("links", [{**LINKS, "cid": "other"}, {**LINKS, "dan": "w"}])
def test_a_link_stays_if_another_one_was_shown_to_the_approver(links: dict[str, str]) -> None:
    assert decided(ALL_YES, links)[CID] is NO


# -- mirrors ------------------------------------------------------------------------------------------

PAIR = GroupPair("g1", "G", "Sales", 0)


@pytest.mark.parametrize(
    ("confirmed", "empty_at", "newest_add", "first", "empty"),
    [
        (True, 5, 5, False, False),
        (False, 5, 5, True, False),
        (None, None, 0, True, True),  # the journal does not know the pair
        (True, None, 0, False, True),
        (True, 5, 6, False, True),  # it has had members since
    ],
)
def test_a_mirror_asks_the_first_time_and_about_each_emptied_group(
    monkeypatch: pytest.MonkeyPatch,
    confirmed: bool | None,
    empty_at: int | None,
    newest_add: int,
    first: bool,
    empty: bool,
) -> None:
    stored = (
        []
        if confirmed is None
        else [
            SimpleNamespace(group_guid="g1", genesys_group_id="G", confirmed=confirmed, empty_confirmed_change=empty_at)
        ]
    )
    monkeypatch.setattr(mirror, "pairs_of", lambda *_: [PAIR])
    task: Any = SimpleNamespace(
        facts=Facts(),
        definition=definition(removals="mirror"),
        journal=SimpleNamespace(
            pairs=SimpleNamespace(mirrors=lambda _: stored),
            changes=SimpleNamespace(newest_adds=lambda guids: dict.fromkeys(guids, newest_add)),
        ),
    )
    found = mirror.read_mirror(task, [target()])
    assert (bool(found.unconfirmed), bool(found.empty_sources)) == (first, empty)
    assert not mirror.read_mirror(task, [target(wanted={"ann": ("g1",)})]).empty_sources


def test_an_answer_confirms_a_mirror_that_was_compared() -> None:
    confirmed: list[set[str]] = []
    stored = SimpleNamespace(confirm_mirror=lambda groups, _: confirmed.append(set(groups)))
    rows = [replace(row("ann", id_), reason=Reason.FIRST_MIRROR) for id_ in "GHIJ"]
    given = dict(zip((one.key for one in rows), (YES, NO, YES, Decision.UNANSWERED), strict=True))
    task: Any = SimpleNamespace(
        facts=Facts(compared=frozenset("GHJ")), clock=lambda: T0, journal=SimpleNamespace(pairs=stored)
    )
    mirror.confirm(task, given, rows)
    assert confirmed == [{"G", "H"}]


# -- trials -------------------------------------------------------------------------------------------

SCOPE = Scope("DC=example", "OU=x", "(x=*)", True, "remove", (), ()).fingerprint
SEEN = DryEvidence(replace(grant("ann"), by_dry_run=True), "rule", "mail=email", SCOPE)


def evidence(monkeypatch: pytest.MonkeyPatch, one: DryEvidence, pair: GroupPair = PAIR, **changed: Any) -> list[Grant]:
    monkeypatch.setattr(trial, "newest_pairs", lambda _: [pair])
    journal = SimpleNamespace(
        views=SimpleNamespace(cursor=lambda: SimpleNamespace(scope=SCOPE)),
        dry_evidence=SimpleNamespace(of_groups=lambda _: [one]),
    )
    policy = definition(users=[{"directory": "mail", "genesys": "email"}])
    task: Any = SimpleNamespace(definition=policy, journal=journal)
    whole: Target = target(**{"full": True, **changed})
    return [found.grant for of in trial.read_trial(task, [whole]).evidence.values() for found in of]


def test_what_a_trial_saw_counts_for_the_same_pair_scope_and_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    assert evidence(monkeypatch, SEEN) == [SEEN.grant]
    assert evidence(monkeypatch, SEEN, full=False) == []
    assert evidence(monkeypatch, SEEN, replace(PAIR, has_baseline=True)) == []
    assert evidence(monkeypatch, SEEN, replace(PAIR, group_guid="g2")) == []
    other = Scope("DC=example", "OU=y", "(x=*)", True, "remove", (), ()).fingerprint
    assert evidence(monkeypatch, replace(SEEN, scope=other)) == []
    assert evidence(monkeypatch, replace(SEEN, matched_by="userPrincipalName=email")) == []
