"""Which Genesys groups a definition claims."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.claims import AllClaims, Claims
from genesys_ad_sync.model import GroupPair, RunKey
from genesys_ad_sync.run.claims import claimed_by_others
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)

PAIR = GroupPair("g1", "G", "Voice", 0)


def claimed(journal: Journal, name: str, group_ids: Sequence[str] = ()) -> dict[str, str]:
    """Let a definition claim what it feeds; return what others feed."""
    run: Any = SimpleNamespace(dry_run=False, started_at=T0)
    task: Any = SimpleNamespace(
        journal=journal.of(name),
        definition=SimpleNamespace(name=name),
        run=run,
        organisation="org",
        clock=lambda: T0,
        all_definitions=None,
    )
    return claimed_by_others(task, run, group_ids)


def test_a_pair_claims_its_group_once_a_person_has_confirmed_it(journal: Journal) -> None:
    """Whoever names an AD group must not take a Genesys group from the definition that is to feed it."""
    new, rejected = journal.of("new").pairs, journal.of("rejected").pairs
    for pairs in (new, rejected):
        pairs.replace([PAIR], T0, confirmed=())
    rejected.reject([("g1", "G")], run=RunKey("dag", "run"), by="olivia", at=T0)
    journal.of("a").pairs.replace([PAIR], T0)
    assert claimed(journal, "new") == claimed(journal, "rejected") == {}
    assert claimed(journal, "a") == {}
    assert claimed(journal, "new") == claimed(journal, "rejected") == {"G": "a"}
    new.confirm([("g1", "G")], T0)
    assert claimed(journal, "new") == {"G": "a"}


def test_a_claim_lasts_while_a_pair_waits_for_its_answer_and_ends_with_no(journal: Journal) -> None:
    """Another AD group is to feed the Genesys group from now on."""
    pairs, claims = journal.of("b").pairs, journal.of("b").claims
    pairs.replace([PAIR], T0)
    claimed(journal, "b")
    pairs.replace([GroupPair("g2", "G", "Voice", 0)], T0, confirmed=())
    claimed(journal, "b")
    assert claims.holders("org", ["G"]) == {"G": "b"}
    pairs.reject([("g2", "G")], run=RunKey("dag", "run"), by="olivia", at=T0)
    claimed(journal, "b")
    assert claims.holders("org", ["G"]) == {}


def test_where_claims_are_as_mapped_nothing_is_to_be_taken_or_released(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each state of a pair, with each claim on its group and on a group that is not mapped."""
    seen = set()
    cases = product(("confirmed", "new", "rejected", "former"), (None, "mine", "other"), (None, "org", "org2"))
    for number, (state, holder, left_in) in enumerate(cases):
        name, group = f"d{number}", f"G{number}"
        pairs = journal.of(name).pairs
        pairs.replace([GroupPair("g", group, "Voice", 0)], T0, confirmed=() if state != "confirmed" else None)
        if state == "rejected":
            pairs.reject([("g", group)], run=RunKey("dag", "run"), by="olivia", at=T0)
        if state == "former":
            pairs.replace([], T0)
        if holder:
            journal.of(name if holder == "mine" else "other").claims.take("org", [group], T0)
        if left_in:
            journal.of(name).claims.take(left_in, [f"left {number}"], T0)
        as_mapped = journal.of(name).claims.are_as_mapped("org")
        with monkeypatch.context() as patch:
            patch.setattr(Claims, "are_as_mapped", lambda *_: False)
            before = all_claims(journal)
            others = claimed(journal, name)
        assert as_mapped == (not others and all_claims(journal) == before), (state, holder, left_in)
        seen.add(as_mapped)
    assert seen == {True, False}


def all_claims(journal: Journal) -> list[tuple[str, str, str]]:
    claims = AllClaims(journal.database).list()
    return sorted((one.organisation, one.genesys_group_id, one.definition) for one in claims)


def test_a_lane_whose_groups_are_all_claimed_looks_at_no_other(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.of("a").pairs.replace([PAIR, GroupPair("g2", "H", "Sales", 0)], T0)
    claimed(journal, "a", ["G", "H"])
    assert journal.of("a").claims.holders("org", ["G", "H"]) == {"G": "a", "H": "a"}
    journal.of("a").claims.release("org", ["H"])
    with monkeypatch.context() as patch:
        patch.setattr(Claims, "are_as_mapped", never)
        assert claimed(journal, "a", ["G"]) == {}
    journal.of("b").pairs.replace([GroupPair("g3", "H", "Sales", 0)], T0)
    claimed(journal, "b")
    assert claimed(journal, "a", ["G", "H"]) == {"H": "b"}


def never(*_: object) -> bool:
    raise AssertionError("nothing else is to be looked at")
