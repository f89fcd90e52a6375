"""Which pairs of an AD group and a Genesys group need a person before they grant anything."""

from __future__ import annotations

import pytest

from genesys_ad_sync.model import GroupPair, Objection, PairState, Reason, RunKey
from genesys_ad_sync.planning.new_pairs import key_of, need_nobody, with_states
from genesys_ad_sync.settings import SyncDefinition
from tests.support.planning_examples import added, removed
from tests.support.sync_examples import NOON, change, definition, told

GUID, SID, ID = "0b9451bf-ceba-51a5-bb56-ea949263f69c", "S-1-5-21-1-2-3-4", "7ac784f8-09e8-50f9-b4c7-11a0d0f82d16"
PAIR = GroupPair("g1", "G", "Sales", 0)


def by(rule: dict[str, str], **limits: str) -> SyncDefinition:
    return definition(groups=[rule], limits=limits)


def needs_nobody(
    policy: SyncDefinition, *, fed_before: tuple[str, ...] = (), first_run: bool = False, listed: bool | None = None
) -> bool:
    """Return whether nobody is asked about PAIR. ``listed``: by dry reports; None: there were none."""
    known = set() if listed is None else {key_of(PAIR) if listed else ("g2", "H")}
    before = {"g1": fed_before} if fed_before else {}
    return key_of(PAIR) in need_nobody([PAIR], policy, fed_before=before, first_run=first_run, listed=known)


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "(?P<same>.+)", "genesys_name": "{same}"},
        {"attribute": "info", "genesys_id": "{value}"},
        {"dn": "CN=Sales,DC=example,DC=com", "genesys_id": ID},
        {"dn": "CN=Sales,DC=example,DC=com", "genesys_name": "Sales"},
    ],
)
def test_a_pair_that_others_can_make_asks_after_the_first_run(rule: dict[str, str]) -> None:
    assert not needs_nobody(by(rule))
    assert not needs_nobody(by(rule), listed=True)  # a dry report of later is no confirmation
    assert needs_nobody(by(rule, new_pairs="allow"))


@pytest.mark.parametrize("source", [{"guid": GUID}, {"sid": SID}])
def test_a_rule_that_names_both_groups_for_good_asks_nobody(source: dict[str, str]) -> None:
    assert needs_nobody(by({**source, "genesys_id": ID}))
    assert needs_nobody(by({**source, "genesys_name": "Sales"}))
    assert needs_nobody(by({**source, "genesys_name": "Sales"}), fed_before=("G",))


def test_a_name_that_now_finds_another_genesys_group_asks() -> None:
    assert not needs_nobody(by({"guid": GUID, "genesys_name": "Sales"}), fed_before=("another",))
    assert needs_nobody(by({"guid": GUID, "genesys_id": ID}), fed_before=("another",))


@pytest.mark.parametrize(("listed", "nobody"), [(None, True), (True, True), (False, False)])
def test_the_first_run_takes_what_dry_reports_listed(listed: bool | None, nobody: bool) -> None:
    rule = {"name": "(?P<same>.+)", "genesys_name": "{same}"}
    assert needs_nobody(by(rule), first_run=True, listed=listed) is nobody


def test_a_dry_run_knows_what_a_person_has_decided_and_stores_nothing() -> None:
    for state, confirmed, seen in (
        (PairState.REJECTED, {key_of(PAIR)}, PairState.REJECTED),
        (PairState.CONFIRMED, set(), PairState.CONFIRMED),
        (PairState.NEW, {key_of(PAIR)}, PairState.CONFIRMED),
        (PairState.NEW, set(), PairState.NEW),
    ):
        [pair] = with_states([PAIR], {key_of(PAIR): state}, confirmed)
        assert pair.state is seen


# -- changes of such a pair ---------------------------------------------------------------------------

UNCONFIRMED = frozenset({"g1"})


def test_an_add_that_only_an_unconfirmed_pair_wants_waits_for_a_person() -> None:
    made = added(unconfirmed=UNCONFIRMED)
    assert told(made) == [("add", "ann", "held", "new_pair")]
    assert made.needs_approval == {made.rows[0].key}
    member = added(unconfirmed=UNCONFIRMED, members=frozenset({"x-ann"}))
    assert told(member) == [("add", "ann", "held", "new_pair")]  # the pair would take the membership over
    assert member.new_grants == ()


def test_an_unconfirmed_pair_takes_no_membership_over_that_another_one_grants() -> None:
    both = {"sources": ("g1", "g2"), "wanted": {"ann": ("g1", "g2")}, "unconfirmed": UNCONFIRMED}
    assert told(added(**both)) == [("add", "ann", "planned", None)]
    assert added(**both).rows[0].group_guids == ("g2",)
    assert told(added(**both, members=frozenset({"x-ann"}))) == [("add", "ann", "held", "new_pair")]


def test_an_unconfirmed_pair_protects_the_members_that_it_wants() -> None:
    made = removed(sources=("g1", "g2"), wanted={"ann": ("g2",)}, unconfirmed=frozenset({"g2"}))
    assert told(made) == [("remove", "ann", "held", "new_pair")]
    assert made.needs_approval == frozenset()  # it waits for the answer about the additions


def test_who_left_an_unconfirmed_pair_was_never_granted_anything() -> None:
    made = removed(grants=(), unconfirmed=UNCONFIRMED)
    assert told(made) == [("remove", "ann", "skipped", "not_owned")]


def test_what_only_a_rejected_pair_wants_is_held_and_names_the_person() -> None:
    said = Objection(Reason.REJECTED, RunKey("dag", "asked"), NOON, last_change=0, by="olivia")
    rejected = {"sources": (), "former_sources": UNCONFIRMED, "refusals": {"g1": said}}
    made = added(**rejected, wanted={}, refused={"ann": ("g1",)})
    assert told(made) == [("add", "ann", "held", "rejected")]
    assert made.rows[0].about["by"] == "olivia"
    assert told(added(**rejected, wanted={})) == [("add", "ann", "superseded", "newer_view")]
    left = removed(**{**rejected, "sources": ("g2",)}, grants=(), changes=(change("remove", "ann"),))
    assert told(left) == [("remove", "ann", "skipped", "not_owned")]
