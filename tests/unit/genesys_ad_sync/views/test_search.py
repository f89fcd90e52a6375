"""Who and what is meant by a text."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import unicodedata

import pytest

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import FormerLink, Link
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


def test_the_database_narrows_by_every_word_of_a_name(people: Journal) -> None:
    """Every second account has the same first word: none but the one that is meant is compared in Python."""
    known = people.lookups.definitions()
    assert {user.guid for user in people.lookups.users_with(["ann"], known)} >= {"g-ann", "g-eve"}
    assert [user.guid for user in people.lookups.users_with(["ann", "ritz"], known)] == ["g-eve"]
    assert len(people.lookups.users_with((), known)) == len(PEOPLE)
