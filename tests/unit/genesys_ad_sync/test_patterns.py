"""Expressions of rules: the same meaning as in Python, and an end to each match."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genesys_ad_sync import names, patterns
from genesys_ad_sync.mapping import map_groups, needed_external_ids
from genesys_ad_sync.model import Reason
from tests.support.sync_examples import definition, directory_group, genesys_group

SLOW = r"GC-(([a-z]|[a-c ])+)+[0-9]x"
SLOW_NAME = "GC-" + "a" * 64


def test_an_expression_that_never_ends_is_given_up() -> None:
    with pytest.raises(patterns.PatternTooSlow):
        patterns.full_match(SLOW, SLOW_NAME)


@pytest.mark.parametrize("expression", [r"GC-((?P<a>[A-Za-z ]+)+)-Prod", r"(x+x+)+y", r"(?:a?){40}a{40}b", r"(a+)+$!"])
@pytest.mark.parametrize("name", [SLOW_NAME, SLOW_NAME + "-Prod!", "x" * 64])
def test_hostile_expressions_and_names_end_one_way_or_the_other(expression: str, name: str) -> None:
    with contextlib.suppress(patterns.PatternTooSlow):
        assert patterns.full_match(expression, name) is None


def test_one_slow_name_concerns_its_group_alone() -> None:
    rules = [{"name": SLOW, "genesys_name": "Never"}, {"name": "(?P<same>.+)", "genesys_name": "{same}"}]
    groups = [directory_group(SLOW_NAME), directory_group("Sales")]
    sales, never = genesys_group("G", "Sales"), genesys_group("H", SLOW_NAME)
    mapping = map_groups(groups, [sales, never], definition(groups=rules), {})
    assert [pair.genesys_group_id for pair in mapping.pairs] == ["G"]
    # No later rule decides, though one would match.
    assert [(one.reason, one.detail[:9]) for one in mapping.skipped] == [(Reason.PATTERN_TOO_SLOW, "rule 1 of")]


def test_a_slow_name_stops_no_look_up_of_external_ids() -> None:
    billing = directory_group("Billing")
    rules = [{"name": SLOW, "genesys_name": "Never"}, {"dn": billing.dn, "genesys_external_id": "ERP"}]
    assert needed_external_ids([directory_group(SLOW_NAME), billing], definition(groups=rules)) == ("ERP",)


@pytest.mark.parametrize(
    "expression",
    ["GC-{e}", "(?:abc){e<=1}", "GC{}", "[[:alpha:]]+", "GC-{team}", "[[:^digit:]]", "a{,b}"],
)
def test_what_the_two_libraries_read_differently_is_refused(expression: str) -> None:
    assert patterns.problem_of(expression) is not None


@pytest.mark.parametrize("expression", ["((a{1000}){1000}){1000}", "(?:(?:x{2,999}){1,999}){1,999}"])
def test_repetitions_that_multiply_are_refused_before_they_are_written_out(expression: str) -> None:
    """`regex` would need gigabytes to compile them, and no limit of time holds there."""
    assert "1,000,000 times" in str(patterns.problem_of(expression))


@pytest.mark.parametrize(
    "expression", [r"GC-\d{4}-.{1,64}-.{1,64}", r"[a-z]{2}(?:-\w{1,20}){0,5}", "((a{100}){100}){100}"]
)
def test_usual_repetitions_are_accepted(expression: str) -> None:
    assert patterns.problem_of(expression) is None


@pytest.mark.parametrize("expression", [r"GC-\{x\}", "a{2}b{1,}c{,3}", "[{}]", r"GC-[^]{]+", r"\N{SPACE}+"])
def test_braces_with_one_meaning_are_accepted(expression: str) -> None:
    assert patterns.problem_of(expression) is None


_PIECES = st.sampled_from(
    [
        "GC-",
        ".",
        "\\w",
        "\\d",
        "\\s",
        "[A-Zß-ü]",
        "(?P<n>.)",
        "(?:a|b)",
        "x",
        "\u017f",
        "K",
        "é",
        "[^a]",
        "(?i:s)",
        "(?!x)",
    ]
)
_REPEATS = st.sampled_from(["", "?", "*", "+", "{2}", "{,3}", "*?"])


@given(
    st.lists(st.tuples(_PIECES, _REPEATS), min_size=1, max_size=5),
    st.text(alphabet="GC-abcxsS\u017fKk9 éßÜΣς", max_size=8),
)
def test_an_expression_means_what_it_means_in_python(parts: list[tuple[str, str]], name: str) -> None:
    expression = "".join(piece + repeat for piece, repeat in parts)
    if patterns.problem_of(expression) is None:
        expected = re.fullmatch(expression, name, re.IGNORECASE)
        assert patterns.full_match(expression, name) == (expected.groupdict() if expected else None)


def test_a_shell_pattern_ends_for_any_name() -> None:
    """`exclude`, `protect` and the param `groups` come from operators; Python's own translation does not backtrack."""
    assert not names.matches_any(["*a" * 40 + "b"], ["a" * 256])


def test_a_dotted_capital_i_matches_less_than_in_python() -> None:
    assert re.fullmatch("[A-Z]", "İ", re.IGNORECASE)
    assert patterns.full_match("[A-Z]", "İ") is None
