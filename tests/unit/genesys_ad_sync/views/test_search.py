"""Who and what is meant by a text."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import re
import unicodedata

import pytest

from genesys_ad_sync.journal import Journal, searches
from genesys_ad_sync.journal.lookup_answers import FoundUser
from genesys_ad_sync.journal.searches import BECOME
from genesys_ad_sync.model import FormerLink, Link
from genesys_ad_sync.names import normal_name
from genesys_ad_sync.views.search import find_groups, find_people
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import looked_at, map_groups, poll

PEOPLE = {
    "g-ann": {"name": "Ann Müller", "attributes": {"mail": "Ann.Mueller@Example.com", "employeenumber": "E-7"}},
    "g-bob": {"name": "Bob Straße", "sam_account_name": "bstrasse"},
    "g-cid": {"name": unicodedata.normalize("NFD", "Cid Núñez")},
    "g-dan": {"name": "100%_dan"},
    "g-dot": {"name": "100 odan"},
    "g-eve": {"name": "Ann Mülleritz"},
    "g-fay": {"name": "Fay  von\u00a0Groß", "attributes": {"title": 'Head "of" \\ Größe'}},
    "g-gil": {"name": "Gil \u212aay", "sam_account_name": None},
}


@pytest.fixture
def people(journal: Journal) -> Journal:
    poll(journal, {"voice": " ".join(PEOPLE)}, **PEOPLE)
    map_groups(journal, "voice")
    return journal


@pytest.mark.parametrize(
    ("who", "found"),
    [
        ("g-ann", ["g-ann"]),
        ("{G-ANN}", ["g-ann"]),
        ("ann.mueller@example.COM", ["g-ann"]),
        ("e-7", ["g-ann"]),
        ("ANN MÜLLER", ["g-ann"]),  # equal comes before "Ann Mülleritz"
        ("  ann   müller ", ["g-ann"]),
        ("Müll", ["g-ann", "g-eve"]),
        ("bob strasse", ["g-bob"]),
        ("STRASSE", ["g-bob"]),
        ("BStrasse", ["g-bob"]),
        ("núñez", ["g-cid"]),
        ("ñ", ["g-cid"]),
        ("100%", ["g-dan"]),
        ("%_dan", ["g-dan"]),
        ("_", ["g-dan"]),
        ("groß", ["g-fay"]),
        ("GROSS", ["g-fay"]),  # no login says it in ASCII
        ("fay von gross", ["g-fay"]),  # two spaces, and one that is not ASCII
        ('"OF" \\', ["g-fay"]),  # JSON writes both with a backslash
        ("größe", ["g-fay"]),
        ("kay", ["g-gil"]),  # the Kelvin sign
        ("employeenumber", []),  # the name of a value is none
        ("title", []),
        ("xß", []),
        ("nobody at all", []),
        ("a\x00", []),
        ("nobody", []),
        ("", []),
        ("  ", []),
    ],
)
def test_people_are_found(people: Journal, who: str, found: list[str]) -> None:
    assert [hit.guid for hit in find_people(people, who)] == found


def test_a_genesys_user_is_the_account_that_is_or_was_linked_to_it(people: Journal) -> None:
    links = people.of("default").links
    links.save([Link("g-ann", "U-1", "mail=email", T0)])
    links.add_former([FormerLink("g-bob", "U-1", True, T0)])
    assert [hit.guid for hit in find_people(people, "U-1")] == ["g-ann", "g-bob"]


def test_a_member_by_hand_is_found_by_id_and_by_name(people: Journal) -> None:
    looked_at(people, "voice", **{"U-mia": "Mia Manual"})
    for who in ("U-mia", "mia"):
        assert [(hit.guid, hit.genesys_user_id, hit.name) for hit in find_people(people, who)] == [
            (None, "U-mia", "Mia Manual")
        ]


def test_a_person_of_two_definitions_is_one(people: Journal) -> None:
    poll(people, {"sales": "g-ann"}, name="sales", **{"g-ann": PEOPLE["g-ann"]})
    [hit] = find_people(people, "e-7")
    assert hit.definitions == ("default", "sales")


@pytest.mark.parametrize("which", ["G-voice", "voice", "VOICE", "gc-voice", "cn=VOICE, dc=example", "oic"])
def test_groups_are_found(people: Journal, which: str) -> None:
    assert [hit.genesys_group_id for hit in find_groups(people, which)] == ["G-voice"]


def test_several_groups_are_listed_and_none_is_none(people: Journal) -> None:
    poll(people, {"voice": "", "voicemail": ""})
    map_groups(people, "voice", "voicemail")
    assert [hit.genesys_group_id for hit in find_groups(people, "voice")] == ["G-voice"]
    assert [hit.genesys_group_id for hit in find_groups(people, "voi")] == ["G-voice", "G-voicemail"]
    assert find_groups(people, "nothing") == find_groups(people, " ") == []


def test_a_nested_group_means_what_contains_it(people: Journal) -> None:
    poll(people, {"voice": "north", "north": "hamburg", "hamburg": ""})
    for which in ("GC-hamburg", "hamburg", "north"):
        assert [hit.genesys_group_id for hit in find_groups(people, which)] == ["G-voice"]


def test_few_accounts_are_compared_in_python(people: Journal) -> None:
    """The database leaves out what cannot have the text, also where it has a space or an umlaut."""

    def compared(text: str) -> set[str]:
        seen: list[FoundUser] = []
        people.searches.users(text, ["default"], lambda user: bool(seen.append(user)))
        return {user.guid for user in seen} - {"g-bob", "g-fay", "g-gil"}  # their characters may stand for ASCII

    assert compared("ann m") == {"g-ann", "g-eve"}
    assert compared("mülleritz") == {"g-eve"}
    for text in ("nobody at all", "müllermann", "mail"):
        assert compared(text) == set()


def test_of_more_than_are_looked_at_the_one_of_that_name_comes_first(journal: Journal) -> None:
    names = {f"g-{number:02}": {"name": f"Ann {number}"} for number in range(20)} | {"g-zz": {"name": "ann"}}
    poll(journal, {"voice": " ".join(names)}, **names)
    assert [hit.guid for hit in find_people(journal, "ANN", limit=5)] == ["g-zz"]
    assert len(find_people(journal, "ann ", limit=5)) == 1
    assert len(find_people(journal, "nn", limit=5)) == 5


def test_no_other_character_becomes_one_of_ascii() -> None:
    """What is not in `BECOME` cannot stand for a letter or a space of the text."""
    become: dict[str, set[str]] = {}
    for code in (*range(0x20), *range(0x80, 0xD800), *range(0xE000, 0x20000)):
        form = normal_name(f"ä{chr(code)}ä").casefold()[1:-1]
        for letter in set(re.findall("[ -~]", form)) - {chr(code)}:
            become.setdefault(letter, set()).add(chr(code))
    known = {letter: f"[{characters}]" for letter, characters in BECOME.items()}
    assert become.keys() <= known.keys()
    for letter, characters in become.items():
        assert all(re.match(known[letter], character) for character in characters), letter


def test_a_letter_comes_from_one_that_is_looked_for() -> None:
    """A name whose form to compare has a letter has one of `_sources`, or the search would pass over it."""
    looked_for = {chr(code): f"[{searches._sources(chr(code))}]" for code in range(0x80, 0x260)}
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x20000)):
        for raw in (chr(code), unicodedata.normalize("NFD", chr(code))):
            form = normal_name(f"q{raw}q").casefold()[1:-1]
            for letter in set(form) & looked_for.keys():
                assert re.search(looked_for[letter], raw), (letter, raw)
