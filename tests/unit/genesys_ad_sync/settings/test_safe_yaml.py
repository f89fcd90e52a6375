"""A definition is data: YAML makes no objects, and no templates but the named groups of a rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import fill, parse_definition

GOOD = """
directory: {group_base: "OU=Contact Center,DC=example,DC=com"}
groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]
"""


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {ran}']",
        "!!python/object/new:subprocess.Popen [['touch', '{ran}']]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!binary aGk=",
    ],
)
def test_yaml_makes_no_objects(value: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    with pytest.raises(SettingsError):
        parse_definition(GOOD + "protect: " + value.replace("{ran}", str(ran)))
    assert not ran.exists()


def test_references_that_multiply_are_not_followed_for_ever() -> None:
    """Each line doubles the one before: as text it would need gigabytes."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(SettingsError, match="is not a known key"):
        parse_definition(GOOD + "\n".join(lines))


def test_sections_that_are_merged_do_not_multiply() -> None:
    """Each line merges the one before nine times: 43 million keys for the last one here."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9)]
    with pytest.raises(SettingsError, match="line 8: the keys that are merged here by << are more than 1000"):
        parse_definition(GOOD + "\n".join(lines))


@pytest.mark.parametrize("template", ["{team.__class__}", "{team[0]}", "{team!r}", "{team:>99999999}", "{0}", "{}"])
def test_a_template_reaches_no_attribute(template: str) -> None:
    with pytest.raises(SettingsError, match="genesys_name"):
        parse_definition(GOOD.replace('"{team}"', f'"{template}"'))


def test_a_name_in_a_template_is_not_a_template_itself() -> None:
    assert fill("{team}", {"team": "{team.__class__} {{ 7 * 7 }} %s"}) == "{team.__class__} {{ 7 * 7 }} %s"


@pytest.mark.parametrize("character", ["\\0", "\\e", "\\r", "\\x9b", "\\ud800", "\\x7f"])
def test_no_value_holds_a_control_character(character: str) -> None:
    """They could forge lines of logs, and half of a surrogate pair ends each run that stores the definition."""
    with pytest.raises(SettingsError, match=r"line 4: a value holds the control character U\+"):
        parse_definition(GOOD + f'protect: ["GC{character}x"]')


def test_a_text_of_several_lines_is_still_one() -> None:
    assert parse_definition(GOOD + "protect:\n  - |\n    GC-*\t\n").protect == ("GC-*\t\n",)


@pytest.mark.parametrize(
    "text", ['report: {path: "file:///x\\n/y"}', 'notify: [{notifier: http, endpoint: "/x\\nHost: y"}]']
)
def test_no_place_has_a_line_break(text: str) -> None:
    with pytest.raises(SettingsError, match=r"line break|not a path"):
        parse_definition(GOOD + text)
