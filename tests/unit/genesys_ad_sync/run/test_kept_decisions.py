"""What later tasks and runs know of decisions: those on pairs, on single rows, and what ends them."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import Action, Decision, Evidence, GroupPair, PairState, RowKey
from genesys_ad_sync.run.facts import MAPPING, StoredApproval, StoredMapping
from tests.support.journal import DEFINITION, T0, advance, change, journal, journal_url, view  # noqa: F401 (fixtures)


@pytest.mark.parametrize("state", PairState)
def test_a_stored_mapping_keeps_what_a_person_decided_on_a_pair(state: PairState) -> None:
    """A pair is equal to itself in another state, so equality of mappings shows nothing."""
    stored = MAPPING.adapter.dump_python(StoredMapping((GroupPair("g1", "G", "Sales", 0, state=state),)), mode="json")
    read = MAPPING.adapter.validate_python(stored)
    assert read is not None
    assert [pair.state for pair in read.pairs] == [state]


def test_a_row_that_was_chosen_alone_has_its_own_decision() -> None:
    alone, other = (str(RowKey("G", person, Action.REMOVE)) for person in ("ann", "bob"))
    approval = StoredApproval("olivia", T0, "in part", {"G": Decision.REJECTED}, {alone: Decision.APPROVED})
    assert (approval.of(alone), approval.of(other)) == (Decision.APPROVED, Decision.REJECTED)


@pytest.mark.parametrize(("evidence", "counts"), [(Evidence.TOLD, True), (Evidence.SEEN, False)])
def test_only_what_ad_reported_ends_a_decision(journal: Journal, evidence: Evidence, *, counts: bool) -> None:
    advance(journal, view({"g": "u1"}), changes=[change("g", "u1", evidence=evidence)])
    newest = journal.of(DEFINITION).changes.newest_told_ids({("g", "u1")})
    assert bool(newest.get(("g", "u1"))) is counts
