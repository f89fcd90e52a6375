"""Lines of the form that a person could take for one another."""

from __future__ import annotations

import pytest

from genesys_ad_sync.approval import question
from genesys_ad_sync.model import Action, Reason
from genesys_ad_sync.text import skeleton, visible
from tests.support.approval_examples import row

LOOK_LIKE_SALES = [
    "Sa\u200bles",
    "Sales\u061c",
    "S\u0430les",
    "\u0405al\u0435\u0455",
    "SaIes",
    "Sa1es",
    "\uff33ales",
    "Sales\u3164",
]


@pytest.mark.parametrize("name", LOOK_LIKE_SALES)
def test_options_that_look_the_same_have_their_ids(name: str) -> None:
    made = question([row("a"), row("b", "H", name), row("c", "I", "Support")], "hash")
    options = {group.id: group.option for group in made.groups}
    assert options["G"] == "Sales: 1 removal (G)"
    assert options["H"].endswith(" (H)")
    assert options["I"] == "Support: 1 removal"


@pytest.mark.parametrize("name", LOOK_LIKE_SALES)
def test_they_have_them_also_where_the_numbers_differ(name: str) -> None:
    made = question([row("a"), row("b", "H", name), row("c", "H", name)], "hash")
    assert {group.option.rsplit(" ", 1)[1] for group in made.groups} == {"(G)", "(H)"}


@pytest.mark.parametrize(
    "character", ["\u200b", "\u061c", "\u00ad", "\u2060", "\ufeff", "\u3164", "\u2800", "\U000e0041"]
)
def test_a_character_without_a_shape_is_shown_by_its_number(character: str) -> None:
    assert visible(f"Sa{character}les") == f"Sa⟨U+{ord(character):04X}⟩les"
    assert f"⟨U+{ord(character):04X}⟩" in question([row("a", "G", f"Sa{character}les")], "hash").groups[0].option


def test_names_in_other_scripts_stay_as_they_are() -> None:
    for name in ("Продажи", "Vertrieb Süd", "営業", "Πωλήσεις"):
        assert question([row("a", "G", name)], "hash").groups[0].option == f"{name}: 1 removal"
    assert skeleton("Sales") != skeleton("Support")


def test_a_new_pair_is_a_line_of_its_own_beside_the_other_changes_of_its_group() -> None:
    new = {"action": Action.ADD, "reason": Reason.NEW_PAIR, "group_guids": ("g7",)}
    named = {"directory_groups": ({"guid": "g7", "dn": "CN=x", "name": "Lu\u200bnch"},)}
    made = question([row("a"), row("b", **new, **named), row("c", **new, **named)], "hash")
    assert [(group.id, group.option) for group in made.groups] == [
        ("G/g7", "Sales, new from AD group Lu⟨U+200B⟩nch: 2 additions"),
        ("G", "Sales: 1 removal"),
    ]
    assert made.subject == 'Approve 1 removal and 2 additions in "Sales"?'
