"""Pairs and their baselines, grants, links and claims in the journal."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select

from genesys_ad_sync.journal import Journal, Link, RunKey, tables
from genesys_ad_sync.model import DryEvidence, FormerLink, Grant, GroupPair, PairState
from tests.support.journal import (
    DEFINITION,
    T0,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    minutes,
)

A = GroupPair("a", "G1", "Sales", 0)
B = GroupPair("b", "G1", "Sales", 1)
C = GroupPair("c", "G2", "Support", 1)

# -- pairs --


def test_pairs_are_given_back_with_the_baselines_that_the_journal_knows(journal: Journal) -> None:
    assert journal.of(DEFINITION).pairs.replace([C, A], T0) == [C, A]
    journal.of(DEFINITION).pairs.set_baselines([("a", "G1"), ("never", "G9")], "dag", "r1", T0)
    based = replace(A, has_baseline=True)
    assert journal.of(DEFINITION).pairs.replace([C, A, B], T0) == [C, based, B]
    assert journal.of(DEFINITION).pairs.active() == [based, B, C]
    assert journal.of("other").pairs.active() == []


def test_what_the_caller_believes_of_baselines_does_not_count(journal: Journal) -> None:
    assert journal.of(DEFINITION).pairs.replace([replace(A, has_baseline=True)], T0) == [A]


def test_a_renamed_genesys_group_and_a_moved_rule_keep_the_baseline(journal: Journal) -> None:
    journal.of(DEFINITION).pairs.replace([A], T0)
    journal.of(DEFINITION).pairs.set_baselines([("a", "G1")], "dag", "r1", T0)
    renamed = GroupPair("a", "G1", "Sales EMEA", 4)
    assert journal.of(DEFINITION).pairs.replace([renamed], T0) == [replace(renamed, has_baseline=True)]


def test_a_pair_that_is_no_longer_mapped_is_inactive_and_comes_back_without_its_baseline(journal: Journal) -> None:
    journal.of(DEFINITION).pairs.replace([A, C], T0)
    journal.of(DEFINITION).pairs.set_baselines([("a", "G1"), ("c", "G2")], "dag", "r1", T0)
    journal.of(DEFINITION).pairs.replace([C], T0)
    assert journal.of(DEFINITION).pairs.active() == [replace(C, has_baseline=True)]
    assert journal.of(DEFINITION).pairs.former() == [replace(A, has_baseline=True)]

    assert journal.of(DEFINITION).pairs.replace([A, C], T0) == [A, replace(C, has_baseline=True)]
    assert journal.of(DEFINITION).pairs.former() == []


def test_another_genesys_group_for_the_same_ad_group_is_another_pair(journal: Journal) -> None:
    journal.of(DEFINITION).pairs.replace([A], T0)
    journal.of(DEFINITION).pairs.set_baselines([("a", "G1")], "dag", "r1", T0)
    recreated = replace(A, genesys_group_id="G1-new")
    assert journal.of(DEFINITION).pairs.replace([recreated], T0) == [recreated]
    assert journal.of(DEFINITION).pairs.former() == [replace(A, has_baseline=True)]


def test_an_inactive_pair_gets_no_baseline(journal: Journal) -> None:
    journal.of(DEFINITION).pairs.replace([A], T0)
    journal.of(DEFINITION).pairs.replace([], T0)
    journal.of(DEFINITION).pairs.set_baselines([("a", "G1")], "dag", "r1", T0)
    assert journal.of(DEFINITION).pairs.former() == [A]


# -- grants --


def test_grants_are_added_once_and_removed_one_by_one(journal: Journal) -> None:
    grants = [
        Grant("G1", "U1", "u1", "a"),
        Grant("G1", "U1", "u1", "b"),
        Grant("G1", "U2", "u2", "a"),
        Grant("G2", "U1", "u1", "c"),
    ]
    journal.of(DEFINITION).grants.add(grants, T0)
    journal.of(DEFINITION).grants.add([*grants[:2], grants[0]], T0 + minutes(1))
    assert set(journal.of(DEFINITION).grants.of_groups(["G1", "G2", "G3"])) == set(grants)
    assert len(journal.of(DEFINITION).grants.of_groups(["G1", "G2"])) == 4
    assert journal.of("other").grants.of_groups(["G1"]) == []

    journal.of(DEFINITION).grants.remove([grants[0], Grant("G1", "U2", "u2", "b")])
    assert set(journal.of(DEFINITION).grants.of_groups(["G1"])) == {grants[1], grants[2]}
    assert journal.of(DEFINITION).grants.of_groups(["G2"]) == [grants[3]]


def test_a_grant_sleeps_until_it_is_woken_or_granted_again(journal: Journal) -> None:
    grants = journal.of(DEFINITION).grants
    one, two = Grant("G1", "U1", "u1", "a"), Grant("G1", "U2", "u2", "a")
    grants.add([one, two], T0)
    grants.sleep([one, two], T0)
    assert grants.of_groups(["G1"]) == []
    assert set(grants.asleep_in(["G1", "G2"])) == {one, two}
    grants.wake([one])
    grants.add([two], T0 + minutes(1))
    assert grants.asleep_in(["G1"]) == []
    assert set(grants.of_groups(["G1"])) == {one, two}


def test_a_grant_of_a_dry_run_never_replaces_another_and_is_replaced(journal: Journal) -> None:
    grants = journal.of(DEFINITION).grants
    live, dry = Grant("G1", "U1", "u1", "a"), Grant("G1", "U1", "u1", "a", by_dry_run=True)
    grants.add([dry], T0)
    assert [grant.by_dry_run for grant in grants.of_groups(["G1"])] == [True]
    grants.add([live], T0)
    grants.add([dry], T0)
    assert [grant.by_dry_run for grant in grants.of_groups(["G1"])] == [False]


def test_evidence_of_dry_runs_is_replaced_by_group_and_dropped_with_pair_or_scope(journal: Journal) -> None:
    evidence = journal.of(DEFINITION).dry_evidence

    def seen(group: str, user: str, source: str = "a", scope: str = "s") -> DryEvidence:
        return DryEvidence(Grant(group, f"x-{user}", user, source, by_dry_run=True), "rule", "mail=email", scope)

    evidence.replace(["G1", "G2"], [seen("G1", "ann"), seen("G1", "bob", "b"), seen("G2", "ann")], T0)
    evidence.replace(["G1"], [seen("G1", "ann"), seen("G1", "cid", "b")], T0)
    assert set(evidence.of_groups(["G1"])) == {seen("G1", "ann"), seen("G1", "cid", "b")}
    assert journal.of("other").dry_evidence.of_groups(["G1", "G2"]) == []
    journal.of("other").dry_evidence.keep_only([], "another")
    evidence.keep_only([("a", "G1"), ("a", "G2")], "s")
    assert set(evidence.of_groups(["G1", "G2"])) == {seen("G1", "ann"), seen("G2", "ann")}
    evidence.keep_only([("a", "G1"), ("a", "G2")], "another")
    assert evidence.of_groups(["G1", "G2"]) == []


def test_what_a_person_confirmed_of_a_mirror_ends_with_the_pair(journal: Journal) -> None:
    pairs = journal.of(DEFINITION).pairs
    pairs.replace([A, B, C], T0)
    pairs.confirm_mirror(["G1"], T0)
    pairs.confirm_empty("G1", ["b"], 7)

    def state() -> dict[tuple[str, str], tuple[bool, int | None]]:
        found = pairs.mirrors(["G1", "G2"])
        return {(p.group_guid, p.genesys_group_id): (p.confirmed, p.empty_confirmed_change) for p in found}

    assert state() == {("a", "G1"): (True, None), ("b", "G1"): (True, 7), ("c", "G2"): (False, None)}
    pairs.replace([A, C], T0)
    pairs.replace([A, B, C], T0)
    assert state()["b", "G1"] == (False, None)


# -- links --


def test_a_link_keeps_how_and_since_when_it_was_found(journal: Journal) -> None:
    first = Link("u1", "U1", "mail=email", T0)
    journal.of(DEFINITION).links.save([first])
    journal.of(DEFINITION).links.save([Link("u1", "U1", "link", T0 + minutes(5))])
    assert journal.of(DEFINITION).links.all() == {"u1": first}

    other = Link("u1", "U9", "mail=email", T0 + minutes(9))
    journal.of(DEFINITION).links.save([other])
    assert journal.of(DEFINITION).links.all() == {"u1": other}
    assert journal.of("other").links.all() == {}


def test_a_genesys_user_whom_two_accounts_claim_is_seen_to_be_so(journal: Journal) -> None:
    one, two, three = (Link(f"u{n}", genesys, "mail=email", T0) for n, genesys in ((1, "U1"), (2, "U1"), (3, "U3")))
    journal.of(DEFINITION).links.save([one, two, three])
    assert journal.of(DEFINITION).links.all() == {"u1": one, "u2": two, "u3": three}
    journal.of(DEFINITION).links.remove(["u1", "u3"])
    assert journal.of(DEFINITION).links.all() == {"u2": two}


def test_a_link_that_moved_is_a_former_one_until_it_comes_back(journal: Journal) -> None:
    links = journal.of(DEFINITION).links
    links.save([Link("u1", "U1", "mail=email", T0), Link("u2", "U2", "mail=email", T0)])
    links.save([Link("u1", "U9", "mail=email", T0)])
    moved = FormerLink("u1", "U1", deleted=True, at=T0, run="dag/run", by=None)
    links.add_former([moved, FormerLink("u2", "U7", deleted=False, at=T0, run="dag/run", by="olivia")])
    assert sorted(links.former(), key=str) == [moved, FormerLink("u2", "U7", False, T0, "dag/run", "olivia")]
    assert journal.of("other").links.former() == []
    links.replace([Link("u1", "U1", "relink", T0)])
    assert [former.user_guid for former in links.former()] == ["u2"]


def test_what_a_comparison_showed_is_kept_with_the_link_until_it_moves(journal: Journal) -> None:
    links = journal.of(DEFINITION).links
    doubted = Link("u1", "U1", "mail=email", T0, values="abc", contradicted_since=T0, others=("U2",))
    links.save([Link("u1", "U1", "mail=email", T0), Link("u2", "U2", "mail=email", T0)])
    links.replace([doubted])
    links.save([Link("u1", "U1", "upn=username", T0 + minutes(5))])
    assert links.of(["u1", "u3"]) == {"u1": doubted}
    links.save([Link("u1", "U3", "mail=email", T0)])
    assert links.of(["u1"]) == {"u1": Link("u1", "U3", "mail=email", T0)}


def test_grants_are_found_by_account(journal: Journal) -> None:
    grants = [Grant("G1", "U1", "u1", "a"), Grant("G2", "U9", "u1", "b"), Grant("G1", "U2", "u2", "a")]
    journal.of(DEFINITION).grants.add(grants, T0)
    assert set(journal.of(DEFINITION).grants.of_users(["u1"])) == set(grants[:2])
    assert journal.of("other").grants.of_users(["u1"]) == []


# -- claims --


def test_a_genesys_group_is_fed_by_the_definition_that_claimed_it_first(journal: Journal) -> None:
    assert journal.of("one").claims.take("org", ["G1", "G2"], T0) == {}
    assert journal.of("one").claims.take("org", ["G1", "G2"], T0) == {}
    assert journal.of("two").claims.take("org", ["G2", "G3"], T0) == {"G2": "one"}
    assert journal.of("two").claims.take("another org", ["G2"], T0) == {}

    journal.of("one").claims.release_except("org", ["G1"])
    assert journal.of("two").claims.take("org", ["G1", "G2"], T0) == {"G1": "one"}
    assert journal.of("one").claims.take("org", ["G2"], T0) == {"G2": "two"}


def test_a_dry_run_is_told_but_claims_nothing(journal: Journal) -> None:
    journal.of("one").claims.take("org", ["G1"], T0)
    assert journal.of("two").claims.take("org", ["G1", "G2"], T0, dry_run=True) == {"G1": "one"}
    assert journal.of("one").claims.take("org", ["G2"], T0) == {}


def test_more_rows_than_a_statement_may_have_variables(journal: Journal) -> None:
    many = [f"{number}" for number in range(40_000)]
    grants = [Grant("G", number, number, "a") for number in many]
    journal.of(DEFINITION).grants.add(grants, T0)
    journal.of(DEFINITION).links.save([Link(number, number, "mail=email", T0) for number in many])
    assert len(journal.of(DEFINITION).grants.of_groups(["G", *many])) == 40_000
    assert len(journal.of(DEFINITION).links.all()) == 40_000


# -- what persons decided on pairs --


def _states(journal: Journal) -> dict[str, PairState]:
    pairs = journal.of(DEFINITION).pairs
    return {pair.genesys_group_id: pair.state for pair in (*pairs.former(), *pairs.active())}


def test_a_rejected_pair_is_not_confirmed_by_a_later_answer(journal: Journal) -> None:
    pairs = journal.of(DEFINITION).pairs
    pairs.replace([A], T0)
    pairs.reject([("a", "G1")], run=RunKey("dag", "r1"), by="olivia", at=T0)
    pairs.confirm([("a", "G1")], T0)
    assert _states(journal) == {"G1": PairState.REJECTED}
    pairs.release(RunKey("dag", "r1"))
    assert _states(journal) == {"G1": PairState.NEW}  # a person is asked again


def test_an_ad_group_has_one_confirmed_pair(journal: Journal) -> None:
    """Whoever renames it back gets what its group had only if a person says so."""
    pairs = journal.of(DEFINITION).pairs
    pairs.replace([A], T0, confirmed=[])
    pairs.confirm([("a", "G1")], T0)
    pairs.replace([replace(A, genesys_group_id="G9")], T0, confirmed=[])
    pairs.confirm([("a", "G9")], T0)
    pairs.replace([A], T0, confirmed=[])
    assert _states(journal) == {"G1": PairState.NEW, "G9": PairState.CONFIRMED}


def test_the_first_baseline_of_a_pair_counts(journal: Journal) -> None:
    pairs = journal.of(DEFINITION).pairs
    pairs.replace([A], T0)
    for run in ("r1", "r2"):
        pairs.set_baselines([("a", "G1")], "dag", run, T0)
    with journal.database.reading() as connection:
        assert connection.execute(select(tables.pair.c.baseline_run_id)).scalar_one() == "r1"


def test_a_sleeping_grant_is_in_no_plan(journal: Journal) -> None:
    grants, one = journal.of(DEFINITION).grants, Grant("G1", "x-ann", "ann", "a")
    grants.add([one, replace(one, genesys_user_id="x-bob", user_guid="bob")], T0)
    grants.sleep([one], T0)
    assert [grant.user_guid for grant in grants.by_group(["G1"])["G1"]] == ["bob"]
