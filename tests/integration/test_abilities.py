"""What the first report says of the domain controller, and that later ones say it only if it changed."""

from __future__ import annotations

from tests.support.pipeline import Pipeline
from tests.support.small_company import small
from tests.support.temporary_links import TemporaryLinks

__all__ = ["small"]


def told(report: dict[str, object]) -> list[str]:
    notes = report["notes"]
    assert isinstance(notes, list)
    return [note for note in notes if note.startswith("domain controller ")]


def test_the_first_report_names_what_the_domain_controller_can_do_and_later_ones_what_changed(small: Pipeline) -> None:
    links = TemporaryLinks(supported=False)
    small.directory_hook = links.session
    (note,) = told(small.run())
    for part in ("dc1.example.com: Samba", "lists changes (DirSync): yes", "ends of temporary memberships: no"):
        assert part in note
    assert told(small.run()) == []
    assert told(small.run(mode="full")) == []
    links.supported = True
    (note,) = told(small.run())
    assert "ends of temporary memberships: yes" in note
    assert told(small.run(dry_run=True)) == []
