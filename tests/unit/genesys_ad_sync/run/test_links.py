"""What a run stores about links, while other runs may move them."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.matching import Lookup, MatchState, answered, finish, next_lookup, start, values_digest
from genesys_ad_sync.model import FormerLink, GenesysUser, Link, MatchStatus, Mode, RunKey
from genesys_ad_sync.planning import Move
from genesys_ad_sync.run.links import due_for_external_ids, moves_of_links, save_links
from tests.support.journal import DEFINITION, T0, advance, journal, journal_url, view  # noqa: F401 (fixtures)
from tests.support.sync_examples import definition, directory_user, genesys_user, matched

POLICY = definition(users=[{"directory": "mail", "genesys": "email"}])
BY_NUMBER = definition(users=[{"directory": "employeeNumber", "genesys": "external_id", "authority": "HR"}])
ANN = directory_user("ann")
KEY = RunKey("dag", "run")


def task_of(journal: Journal, policy: Any = POLICY, **more: Any) -> Any:
    fields = {"clock": lambda: T0, "key": KEY, "run": SimpleNamespace(mode=Mode.FULL), **more}
    return SimpleNamespace(journal=journal.of(DEFINITION), definition=policy, **fields)


def state_after(link: Link, *users: GenesysUser) -> MatchState:
    """Look at the linked user and at whoever has ann's mail."""
    state = start([ANN], POLICY.users, {"ann": link}, checked=[link.genesys_user_id])
    while lookup := next_lookup(state):
        state = answered(state, lookup, {v: [u for u in users if v in {u.id, u.email}] for v in lookup.values})
    return state


OLD, NEW = genesys_user("x", "ann@example.com", state="deleted"), genesys_user("y", "ann@example.com")


def test_a_link_moves_and_the_former_one_is_kept(journal: Journal) -> None:
    link = Link("ann", "x", "mail=email", T0)
    links = journal.of(DEFINITION).links
    links.save([link])
    state = state_after(link, OLD, NEW)
    save_links(task_of(journal), state, finish(state))
    assert links.all()["ann"].genesys_user_id == "y"
    assert links.former() == [FormerLink("ann", "x", True, T0, "dag/run")]
    assert moves_of_links(task_of(journal), {}) == {("ann", "x"): Move("y", deleted=True)}
    assert moves_of_links(task_of(journal), finish(state)) == {("ann", "x"): Move("y", deleted=True)}


@pytest.mark.parametrize("found", [(OLD, NEW), (genesys_user("x", "old@example.com"), NEW)], ids=["moved", "doubted"])
def test_what_another_run_has_moved_meanwhile_stays(journal: Journal, found: tuple[GenesysUser, ...]) -> None:
    link = Link("ann", "x", "mail=email", T0)
    state = state_after(link, *found)
    settled = Link("ann", "z", "relink", T0)
    journal.of(DEFINITION).links.save([settled])
    save_links(task_of(journal), state, finish(state))
    assert journal.of(DEFINITION).links.all() == {"ann": settled}
    assert journal.of(DEFINITION).links.former() == []


def test_a_contradiction_is_dated_from_when_it_was_first_seen_and_ends(journal: Journal) -> None:
    links = journal.of(DEFINITION).links
    links.save([Link("ann", "x", "mail=email", T0)])
    quinn = genesys_user("x", "quinn@example.com")
    for hours, others in ((1, ()), (2, ("y",))):
        state = state_after(links.all()["ann"], quinn, *([NEW] if others else []))
        save_links(task_of(journal, clock=lambda hours=hours: T0 + timedelta(hours=hours)), state, finish(state))
        stored = links.all()["ann"]
        assert (stored.genesys_user_id, stored.others) == ("x", others)
        assert stored.contradicted_since == T0 + timedelta(hours=1)
    state = state_after(links.all()["ann"], genesys_user("x", "ann@example.com"))
    save_links(task_of(journal), state, finish(state))
    assert links.all()["ann"] == Link("ann", "x", "mail=email", T0)


def test_links_by_external_id_are_due_in_turn_and_when_the_number_has_changed(journal: Journal) -> None:
    people = [directory_user(f"u{n}", attributes={"employeeNumber": f"{n}"}) for n in range(300)]
    links = {user.guid: Link(user.guid, f"x-{user.guid}", "n=external_id", T0) for user in people}
    checked = [link.genesys_user_id for link in links.values()]
    days = [
        due_for_external_ids(
            task_of(journal, BY_NUMBER, clock=lambda d=d: T0 + timedelta(days=d)), people, links, checked
        )
        for d in range(30)
    ]
    assert sorted(guid for due in days for guid in due) == sorted(links)
    assert max(map(len, days)) < 40
    changes = task_of(journal, BY_NUMBER, run=SimpleNamespace(mode=Mode.CHANGES))
    assert due_for_external_ids(changes, people, links, checked) == set()
    links["u7"] = Link("u7", "x-u7", "n=external_id", T0, values=values_digest(BY_NUMBER.users, people[8]))
    links["u8"] = Link("u8", "x-u8", "n=external_id", T0, values=values_digest(BY_NUMBER.users, people[8]))
    assert due_for_external_ids(changes, people, links, checked) == {"u7"}
    assert due_for_external_ids(changes, people, links, ()) == set()


def test_a_link_by_external_id_remembers_the_number_that_confirmed_it(journal: Journal) -> None:
    user = directory_user("u1", attributes={"employeeNumber": "7"})
    state = answered(start([user], BY_NUMBER.users, {}), Lookup(0, ("7",)), {"7": genesys_user("x1")})
    save_links(task_of(journal, BY_NUMBER), state, finish(state))
    assert journal.of(DEFINITION).links.all()["u1"].values == values_digest(BY_NUMBER.users, user)


@pytest.mark.parametrize("is_linked", [True, False])
def test_neither_an_inactive_user_nor_an_account_that_left_is_linked(journal: Journal, *, is_linked: bool) -> None:
    before = view({"g": "ann bob"})
    advance(journal, before)
    if not is_linked:
        advance(journal, view({"g": "bob"}), before=before)
    state = start([ANN], POLICY.users, {})
    inactive = replace(matched("bob", "z"), status=MatchStatus.INACTIVE)
    save_links(task_of(journal), state, {"ann": matched("ann", "y"), "bob": inactive})
    assert set(journal.of(DEFINITION).links.all()) == ({"ann"} if is_linked else set())
