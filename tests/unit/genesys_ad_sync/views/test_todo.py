"""What waits, by cause, and how to settle it."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

import pytest

from genesys_ad_sync.journal import Journal, listings
from genesys_ad_sync.model import GroupPair, Link, Refusal, RefusalKind, Rival, RunKey
from genesys_ad_sync.views.claims import CLAIM_ENDED
from genesys_ad_sync.views.todo import causes, contradicted_links, items, left_behind, refusals
from tests.support.journal import DEFINITION, T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import Action, Reason, Status, change, grant, map_groups, poll, run_with


def seen(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)


@pytest.fixture
def waiting(journal: Journal) -> Journal:
    poll(journal, {"support": "ada bob cyd", "sales": "dan"})
    map_groups(journal, "support", "sales")
    run_with(journal, "r1", change("support", "ada"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER)
    run_with(journal, "r2", change("support", "bob"), Status.ORPHANED, reason=Reason.NO_GENESYS_USER, at=T0 + seen(5))
    rival = (Rival(guid="zed"), Rival(genesys_user_id="U-zed"))
    ambiguous = {"reason": Reason.AMBIGUOUS, "rivals": rival, "at": T0 + seen(90)}
    run_with(journal, "r3", change("support", "cyd"), Status.HELD, **ambiguous)
    about = {"run": "dag/r0", "by": "lee"}
    run_with(journal, "r4", change("sales", "dan", Action.REMOVE), Status.HELD, reason=Reason.REJECTED, about=about)
    run_with(journal, "r5", change("sales", "dan"), Status.SUCCESS)
    return journal


def test_new_causes_come_first_then_the_most_urgent(waiting: Journal) -> None:
    found = causes(waiting, DEFINITION, new_since=T0 + seen(60))
    assert [(cause.status, cause.reason, cause.count, cause.new) for cause in found] == [
        ("held", "ambiguous", 1, 1),
        ("held", "rejected", 1, 0),
        ("orphaned", "no_genesys_user", 2, 0),
    ]
    assert found[2].since == T0 + seen(1)
    assert causes(waiting, "other", new_since=T0) == []


def test_a_change_that_no_run_has_tried_waits_too(journal: Journal) -> None:
    poll(journal, {"support": "ada"})
    journal.of(DEFINITION).changes.add_compared([change("support", "ada")])
    [cause] = causes(journal, DEFINITION, new_since=T0)
    assert (cause.status, cause.reason, cause.words) == ("new", None, "No live run has acted on it yet.")
    [item] = items(journal, DEFINITION, "new", None, limit=10)
    assert (item.guid, item.remedy, item.params, item.genesys_group_id) == ("ada", None, None, None)


def test_each_change_says_who_where_and_what_to_do(waiting: Journal) -> None:
    [cyd] = items(waiting, DEFINITION, "held", "ambiguous", limit=10)
    assert cyd.person
    assert (cyd.person.mail, cyd.genesys_group_name, cyd.source.name) == ("cyd@example.com", "Support", "GC-support")
    assert cyd.params == {"relink": ["cyd=U-zed"]}
    assert cyd.remedy
    assert "relink: cyd=U-zed" in cyd.remedy
    [dan] = items(waiting, DEFINITION, "held", "rejected", limit=10)
    assert dan.params == {"release_run": "dag/r0"}
    assert (dan.action, dan.last_run) == ("remove", "dag/r4")


def test_the_changes_of_a_cause_come_in_pieces(waiting: Journal) -> None:
    [first] = items(waiting, DEFINITION, "orphaned", "no_genesys_user", limit=1)
    [second] = items(waiting, DEFINITION, "orphaned", "no_genesys_user", after=first.id, limit=1)
    assert (first.guid, second.guid) == ("ada", "bob")
    assert items(waiting, DEFINITION, "orphaned", "no_genesys_user", after=second.id, limit=1) == []


def test_contradicted_links_come_with_the_user_that_the_rules_find(journal: Journal) -> None:
    poll(journal, {"support": "ada bob"})
    journal.of(DEFINITION).links.save(
        [
            Link("ada", "U-ada", "mail=email", T0, contradicted_since=T0 + seen(2), others=("U-new",)),
            Link("bob", "U-bob", "mail=email", T0, contradicted_since=T0 + seen(1), others=("U-x", "U-y")),
            Link("cyd", "U-cyd", "mail=email", T0),
        ]
    )
    bob, ada = contradicted_links(journal, DEFINITION)
    assert (bob.guid, bob.params) == ("bob", None)
    assert (ada.mail, ada.params) == ("ada@example.com", {"relink": ["ada=U-new"]})


def test_refusals_of_groups_and_of_the_client_are_listed(journal: Journal) -> None:
    met = [
        Refusal(RefusalKind.GROUP, Reason.REFUSED_GROUP, "G-support", action=Action.ADD, http_code=400, words="no"),
        Refusal(RefusalKind.PERSON, Reason.REFUSED, "G-support", person="ada", action=Action.ADD),
        Refusal(RefusalKind.CLIENT, Reason.REFUSED_CLIENT, http_code=403),
    ]
    journal.of(DEFINITION).refusals.record(met, RunKey("dag", "r1"), T0)
    assert [one.kind for one in refusals(journal, DEFINITION)] == [RefusalKind.CLIENT, RefusalKind.GROUP]


def test_what_a_changed_mapping_left_behind_is_listed(journal: Journal) -> None:
    poll(journal, {"support": "ada bob", "sales": "dan"})
    map_groups(journal, "support", "sales")
    grant(journal, "support", "ada", "bob")
    grant(journal, "sales", "dan")
    assert left_behind(journal, DEFINITION) == []
    journal.of(DEFINITION).pairs.replace([GroupPair("sales", "G-sales", "Sales", 0)], T0 + seen(9))
    [pair] = left_behind(journal, DEFINITION)
    assert (pair.genesys_group_name, pair.grants, pair.until) == ("Support", 2, T0 + seen(9))


def test_left_behind_memberships_are_counted_up_to_a_number(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    poll(journal, {"support": "ada bob cyd", "sales": "dan", "voice": "eve"})
    map_groups(journal, "support", "sales", "voice")
    grant(journal, "support", "ada", "bob", "cyd")
    grant(journal, "sales", "dan")
    journal.of(DEFINITION).pairs.replace([GroupPair("voice", "G-voice", "Voice", 0)], T0 + seen(9))
    monkeypatch.setattr(listings, "MOST_COUNTED", 1)
    assert [(pair.genesys_group_name, pair.grants) for pair in left_behind(journal, DEFINITION)] == [
        ("Sales", 1),
        ("Support", 2),  # more than one
    ]


def test_a_change_is_held_by_the_definition_that_feeds_the_group_now(journal: Journal) -> None:
    poll(journal, {"support": "ada"})
    map_groups(journal, "support")
    about = {"definition": "former"}
    run_with(
        journal, "r1", change("support", "ada"), Status.HELD, reason=Reason.CLAIMED_BY, error="as it was", about=about
    )

    def shown(**more: object) -> tuple[str | None, str | None]:
        [item] = items(journal, DEFINITION, "held", "claimed_by", limit=10, **more)  # type: ignore[arg-type]
        return item.error, item.remedy

    assert shown() == (None, CLAIM_ENDED)
    journal.of("sales").claims.take("https://api", ["G-support"], T0)
    error, remedy = shown()
    assert error == "the sync definition 'sales' already feeds this Genesys group"
    assert remedy
    assert "this one or the definition sales" in remedy
    assert shown(named=["sales"]) == (error, remedy)
    error, remedy = shown(named=[DEFINITION])
    assert error == "another sync definition already feeds this Genesys group"
    assert remedy
    assert "this one or the other definition" in remedy
    journal.of("sales").claims.release("https://api", ["G-support"])
    journal.of(DEFINITION).claims.take("https://api", ["G-support"], T0)
    assert shown() == (None, CLAIM_ENDED)
