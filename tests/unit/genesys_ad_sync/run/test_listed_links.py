"""The list of links: of whom, since when, and what contradicts them."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.model import DirectoryView, Link
from genesys_ad_sync.run.listed_links import listed_links
from tests.support.journal import DEFINITION, T0, advance, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.sync_examples import directory_user


def test_links_are_listed_by_name_with_what_contradicts_them(journal: Journal) -> None:
    users = {guid: directory_user(guid, name=name) for guid, name in (("u1", "Zoe"), ("u2", "ann"))}
    advance(journal, DirectoryView(users=users))
    links = journal.of(DEFINITION).links
    links.save([Link("u2", "U2", "mail=email", T0), Link("u3", "U2", "mail=email", T0)])
    links.replace([Link("u1", "U1", "mail=email", T0, contradicted_since=T0, others=("U9",))])
    journal.of("another").links.save([Link("u1", "U7", "mail=email", T0)])
    other, *everybody = listed_links(journal)
    assert (other.definition, other.link.genesys_user_id) == ("another", "U7")
    assert [(one.link.user_guid, one.name, one.also) for one in everybody] == [
        ("u3", None, ("u2",)),
        ("u2", "ann", ("u3",)),
        ("u1", "Zoe", ()),
    ]
    [zoe] = listed_links(journal, contradicted=True)
    assert zoe.as_json() == {
        "definition": DEFINITION,
        "guid": "u1",
        "name": "Zoe",
        "mail": "u1@example.com",
        "genesys_user_id": "U1",
        "matched_by": "mail=email",
        "since": "2024-05-01T12:00:00+00:00",
        "contradicted_since": "2024-05-01T12:00:00+00:00",
        "others": ["U9"],
        "also_linked": [],
        "relink": "u1=U9",
    }
    assert everybody[0].relink is None
