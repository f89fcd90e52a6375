"""What the journal forgets of accounts that left and hold nothing."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.model import Action, DirectoryView, DryEvidence, Grant, Link, Objection, Reason, RunKey, Status
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    cursor,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    recorded,
    row,
    view,
)

LATER = T0 + timedelta(days=400)


def leave(journal: Journal, before: str = "mia ann", after: str = "ann") -> None:
    """Let people leave the only group at T0."""
    had, has = view({"g": before}), view({"g": after})
    advance(journal, had)
    advance(journal, has, before=had, cursor=cursor(T0))


def forget(journal: Journal) -> set[str]:
    """Forget as a run a year later does; return who was forgotten."""
    leavers = journal.of(DEFINITION).leavers
    guids = {user.guid for user in leavers.nameable(LATER - timedelta(days=365))}
    leavers.forget_names(guids)
    return guids


def test_who_left_and_holds_nothing_keeps_no_name(journal: Journal, journal_url: str) -> None:
    leave(journal)
    assert forget(journal) == {"mia"}
    gone = journal.of(DEFINITION).views.users(["mia"])["mia"]
    assert (gone.dn, gone.name, gone.sam_account_name, gone.attributes) == ("", "", None, {})
    assert journal.of(DEFINITION).views.gone_users(["mia"]) == {"mia"}
    assert journal.of(DEFINITION).views.users(["ann"])["ann"].name == "ann"
    assert forget(journal) == set()  # once
    with journal._database.reading() as connection:
        for table in tables.metadata.sorted_tables:
            assert "mia@example.com" not in str(connection.execute(select(table)).all())


def test_who_left_lately_keeps_the_name(journal: Journal) -> None:
    leave(journal)
    assert journal.of(DEFINITION).leavers.nameable(T0) == []


def grant(journal: Journal) -> None:
    journal.of(DEFINITION).grants.add([Grant("G", "U", "mia", "g")], T0)


def dry(journal: Journal) -> None:
    seen = DryEvidence(Grant("G", "U", "mia", "g"), "0", "mail", "scope")
    journal.of(DEFINITION).dry_evidence.replace(["G"], [seen], T0)


def pin(journal: Journal) -> None:
    undone = Objection(Reason.UNDONE, RunKey("dag", "undo"), T0, last_change=0)
    journal.of(DEFINITION).pins.add({("G", "mia"): undone}, undoes=RunKey("dag", "r"))


def unsettled(journal: Journal) -> None:
    recorded(journal, change("g", "mia", Action.REMOVE))


def contradicted(journal: Journal) -> None:
    journal.of(DEFINITION).links.replace([Link("mia", "U", "mail=email", T0, contradicted_since=T0)])


@pytest.mark.parametrize("hold", [grant, dry, pin, unsettled, contradicted])
def test_who_holds_something_keeps_the_name(journal: Journal, hold: Callable[[Journal], None]) -> None:
    leave(journal)
    hold(journal)
    assert forget(journal) == set()


def test_who_comes_back_has_a_name_again(journal: Journal) -> None:
    leave(journal)
    forget(journal)
    advance(journal, view({"g": "mia ann"}), before=view({"g": "ann"}))
    assert journal.of(DEFINITION).views.users(["mia"])["mia"].name == "mia"


def test_that_an_account_was_deleted_stays_known(journal: Journal) -> None:
    advance(journal, view({"g": "mia"}))
    advance(journal, DirectoryView(), before=view({"g": "mia"}), deleted=["mia"])
    assert forget(journal) == {"mia"}
    assert journal.of(DEFINITION).views.deleted_users() == {"mia"}


def test_the_text_of_an_old_error_goes_once_its_change_is_settled(journal: Journal, tmp_path: Path) -> None:
    run = begin(journal)
    open_one, settled = recorded(journal, change("g", "u1"), change("g", "u2"))
    failed = [row(open_one, Status.FAILED, error="about mia"), row(settled, Status.UNCHANGED, error="about mia")]
    journal.rows.record_outcomes(run, failed, at=T0)
    journal.runs.forget(DEFINITION, T0 + timedelta(days=1))
    outcomes = journal.of(DEFINITION).changes.last_outcomes([open_one.id or 0, settled.id or 0])
    assert [outcomes[one.id or 0].error for one in (open_one, settled)] == ["about mia", None]
