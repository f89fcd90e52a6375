"""What tasks leave for later ones: typed here, and in the journal as it has always been stored."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from genesys_ad_sync.errors import JournalError
from genesys_ad_sync.journal import Journal, RunKey, RunRecord
from genesys_ad_sync.model import Decision, GroupPair, Match, MatchStatus, Reason, Rival, SkippedGroup
from genesys_ad_sync.run import facts as facts_module
from genesys_ad_sync.run.facts import Fact, Facts
from tests.support.journal import T0, begin, change, journal, journal_url  # noqa: F401 (fixtures)

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)

AT = datetime(2026, 3, 2, 12, 0, 1, 500, tzinfo=timezone.utc)
AT_TEXT = "2026-03-02T12:00:01.000500+00:00"

STORED: list[tuple[Fact[Any], Any, Any]] = [
    (facts_module.NOTES, ("one", "two"), ["one", "two"]),
    (facts_module.COMPLETE, {"g1": 3, "g2": 4}, {"g1": 3, "g2": 4}),
    (facts_module.JOURNAL_RESTORED, True, True),
    (facts_module.UNDO, RunKey("dag", "run"), {"dag_id": "dag", "run_id": "run"}),
    (facts_module.RELEASED, "a note", "a note"),
    (
        facts_module.MAPPING,
        facts_module.StoredMapping(
            pairs=(GroupPair("g1", "G", "Sales", 2, True),),
            skipped=(SkippedGroup("g2", Reason.UNMAPPED, "no rule"),),
            names={"G": "Sales"},
            retired=frozenset({"H", "A"}),
            versions={"G": 7},
        ),
        {
            "pairs": [["g1", "G", "Sales", 2, True]],
            "skipped": [["g2", "unmapped", "no rule"]],
            "names": {"G": "Sales"},
            "retired": ["A", "H"],
            "versions": {"G": 7},
        },
    ),
    (facts_module.RESOLVED_TO, 5, 5),
    (
        facts_module.MATCHES,
        (
            Match("u1", MatchStatus.MATCHED, "x1", "mail=email"),
            Match("u2", MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, candidates=("x2", "x3")),
        ),
        [
            ["u1", "matched", "x1", "mail=email", None, []],
            ["u2", "ambiguous", None, None, "ambiguous", ["x2", "x3"]],
        ],
    ),
    (
        facts_module.MATCHES,
        (
            Match("u1", MatchStatus.MATCHED, "x2", "mail=email", moved_from="x1"),
            Match("u2", MatchStatus.AMBIGUOUS, reason=Reason.AMBIGUOUS, rivals=(Rival("u3", None),)),
            Match("u4", MatchStatus.NOT_LOOKED_UP, matched_by="mail=email", reason=Reason.NOT_LOOKED_UP, value="."),
        ),
        [
            ["u1", "matched", "x2", "mail=email", None, [], [], None, "x1"],
            ["u2", "ambiguous", None, None, "ambiguous", [], [["u3", None]], None, None],
            ["u4", "not_looked_up", None, "mail=email", "not_looked_up", [], [], ".", None],
        ],
    ),
    (facts_module.RELINK_REQUESTS, ("u1=x1", "u2"), ["u1=x1", "u2"]),
    (facts_module.RELINK_REMARKS, {"u1": "stays"}, {"u1": "stays"}),
    (
        facts_module.RELINKS,
        (facts_module.Relink("u1", None, "x1", ("u2",), "none", "x1 (Ann)"),),
        [
            {
                "guid": "u1",
                "former": None,
                "new": "x1",
                "ended": ["u2"],
                "former_label": "none",
                "new_label": "x1 (Ann)",
            }
        ],
    ),
    (facts_module.LAST_CHANGE, 9, 9),
    (facts_module.READING, facts_module.PlanReading(AT, None), {"at": AT_TEXT, "fence": None}),
    (
        facts_module.PLAN,
        facts_module.StoredPlan("abc", None, AT),
        {"hash": "abc", "fail_reason": None, "at": AT_TEXT},
    ),
    (facts_module.WHOLE, frozenset({"B", "A"}), ["A", "B"]),
    (facts_module.COMPARED, frozenset(), []),
    (
        facts_module.QUESTION,
        facts_module.FrozenQuestion("abc", ["G:u:remove"], {"G": "Sales"}, {"G": ["too many"]}, []),
        {
            "hash": "abc",
            "rows": ["G:u:remove"],
            "options": {"G": "Sales"},
            "limits": {"G": ["too many"]},
            "limits_of_run": [],
            "singles": {},
        },
    ),
    (
        facts_module.APPROVAL,
        facts_module.StoredApproval("olivia", AT, "approved", {"G": Decision.APPROVED}),
        {"by": "olivia", "at": AT_TEXT, "decision": "approved", "groups": {"G": "approved"}, "rows": {}},
    ),
    (facts_module.failure_of("plan"), "why", "why"),
]


@pytest.fixture
def run(journal: Journal) -> RunRecord:
    return begin(journal)


def opened(journal: Journal, run: RunRecord) -> Facts:
    """As a task of its own has them."""
    return Facts(journal, lambda: run)


@pytest.mark.parametrize(("fact", "value", "stored"), STORED, ids=lambda value: getattr(value, "key", ""))
def test_a_fact_is_stored_as_an_older_version_would_read_it(
    journal: Journal, run: RunRecord, fact: Fact[Any], value: Any, stored: Any
) -> None:
    opened(journal, run)[fact] = value
    assert journal.facts.get(run, fact.key) == stored
    journal.facts.put(run, fact.key, stored)
    assert opened(journal, run)[fact] == value


@pytest.mark.parametrize(("fact", "key"), [(facts_module.QUESTION, "singles"), (facts_module.APPROVAL, "rows")])
def test_a_fact_that_an_older_version_stored_lacks_the_choices_of_single_rows(
    journal: Journal, run: RunRecord, fact: Fact[Any], key: str
) -> None:
    [(value, stored)] = [(value, stored) for known, value, stored in STORED if known is fact]
    journal.facts.put(run, fact.key, {name: part for name, part in stored.items() if name != key})
    assert opened(journal, run)[fact] == value


def test_changes_from_before_the_journal_come_back_as_they_were(journal: Journal, run: RunRecord) -> None:
    known = [change("g1", "u1", changed_at=T0, origin="metadata", path=("g1",))]
    opened(journal, run)[facts_module.HISTORY] = known
    assert opened(journal, run)[facts_module.HISTORY] == known


def test_without_a_stored_value_there_is_the_default(journal: Journal, run: RunRecord) -> None:
    facts = opened(journal, run)
    assert facts[facts_module.NOTES] == ()
    assert facts[facts_module.MAPPING] is None
    facts[facts_module.RELEASED] = None
    assert opened(journal, run)[facts_module.RELEASED] is None


def test_a_task_that_needs_an_earlier_one_says_which_value_is_missing(journal: Journal, run: RunRecord) -> None:
    with pytest.raises(JournalError, match=r"left no 'mapping'.*Clear it with everything downstream"):
        opened(journal, run).required(facts_module.MAPPING)


def test_an_override_is_for_one_task_only(journal: Journal, run: RunRecord) -> None:
    facts = opened(journal, run)
    facts[facts_module.COMPLETE] = {"g1": 3}
    facts.override(facts_module.COMPLETE, {"g2": 4})
    assert facts[facts_module.COMPLETE] == {"g2": 4}
    assert opened(journal, run)[facts_module.COMPLETE] == {"g1": 3}


def test_a_proof_of_an_older_version_is_of_an_unknown_poll(journal: Journal, run: RunRecord) -> None:
    journal.facts.put(run, "complete", ["g1", "g2"])
    assert opened(journal, run)[facts_module.COMPLETE] == {"g1": 0, "g2": 0}


def test_what_another_task_wrote_meanwhile_is_seen_when_it_is_read_again(journal: Journal, run: RunRecord) -> None:
    facts, others = opened(journal, run), opened(journal, run)
    assert facts[facts_module.NOTES] == ()
    others[facts_module.NOTES] = ("a note",)
    assert facts[facts_module.NOTES] == ()
    assert facts.read_again(facts_module.NOTES) == ("a note",)
    assert facts[facts_module.NOTES] == ("a note",)
