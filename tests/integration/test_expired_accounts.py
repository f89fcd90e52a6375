"""Accounts that expire (`accountExpires`), on a real Samba, by its own clock."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import text

from sandbox.directory_objects import AddMember, AddUser, RemoveMember, SetAttributes, User
from tests.support.pipeline import Pipeline
from tests.support.small_company import definition_keys, members, rows, small

__all__ = ["small"]


def expires(at: datetime | None) -> SetAttributes:
    ticks = 0 if at is None else int((at - datetime(1601, 1, 1, tzinfo=timezone.utc)).total_seconds()) * 10_000_000
    return SetAttributes("cid", {"accountExpires": str(ticks)})


def redefine(pipeline: Pipeline, policy: str) -> None:
    keys = definition_keys()
    pipeline.redefine(**{**keys, "directory": {**keys["directory"], "expired_users": policy}})


def test_an_account_that_has_expired_gets_nothing(small: Pipeline) -> None:
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    small.run()
    assert members(small, "Voice") == {"ann", "bob", "mia"}


def test_a_membership_ends_when_the_account_expires_and_begins_when_it_is_extended(small: Pipeline) -> None:
    end = small.directory.clock() + timedelta(seconds=20)
    small.directory.apply([expires(end)])
    small.run()
    assert "cid" in members(small, "Voice")
    while small.directory.clock() <= end:
        small.directory.tick()
    assert rows(small.run()) == [("remove", "cid", "success", None, None)]
    assert "cid" not in members(small, "Voice")
    assert rows(small.run()) == []
    small.directory.apply([expires(None)])
    assert rows(small.run()) == [("add", "cid", "success", None, None)]


def test_accounts_that_an_upgrade_finds_expired_ask_a_person(small: Pipeline) -> None:
    redefine(small, "keep")  # as a version without the key
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    small.run()
    assert "cid" in members(small, "Voice")
    stored = small.journal.of("default").views.cursor()
    assert stored is not None
    assert stored.scope.startswith("DC="), "the form that older journals hold"
    with small.journal._database.writing() as connection:
        connection.execute(text("UPDATE journal_user SET expires_at = NULL, expired = false"))
    redefine(small, "remove")
    run_id, planned = small.plan()
    assert planned["batches"] == []
    asked = small.asked(run_id)
    assert asked is not None
    report = small.report(run_id)
    assert rows(report, "cid") == [("remove", "cid", "held", "scope_changed", None)]
    assert "cid" in members(small, "Voice")


def test_an_expired_account_contests_nobody_who_has_its_mail_now(small: Pipeline) -> None:
    """A person who was hired again: the old account has expired and kept its mail."""
    small.run()
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    assert rows(small.run()) == [("remove", "cid", "success", None, None)]
    small.directory.apply([AddUser(User("cid2", "Cid 2", mail="cid@example.com")), AddMember("voice", "cid2")])
    assert rows(small.run()) == [("add", "cid", "success", None, None)]
    assert "cid" in members(small, "Voice")


def test_an_account_that_expires_again_is_news_after_a_rejection(small: Pipeline) -> None:
    small.redefine(**{**definition_keys(), "protect": ["Voice"]})
    small.run_approved("first")
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    run_id, planned = small.plan()
    small.patch(run_id, planned)
    asked = small.asked(run_id)
    assert asked is not None
    small.answer(run_id, "None")
    small.report(run_id)
    assert rows(small.run()) == [("remove", "cid", "held", "rejected", None)]
    small.directory.apply([expires(None)])
    small.run()
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    assert rows(small.run(), "cid") == [("remove", "cid", "held", "protected", None)]


def test_what_a_person_kept_ends_when_the_account_expires(small: Pipeline) -> None:
    """A person keeps Cid, who has left the group. By that rejection, an expired account does not stay for ever."""
    small.redefine(**{**definition_keys(), "protect": ["Voice"]})
    small.run_approved("first")
    small.directory.apply([RemoveMember("voice", "cid"), AddMember("chat", "cid")])
    run_id, planned = small.plan()
    small.patch(run_id, planned)
    asked = small.asked(run_id)
    assert asked is not None
    small.answer(run_id, "None")
    small.report(run_id)
    assert rows(small.run(), "cid") == [("remove", "cid", "held", "rejected", None)]
    small.directory.apply([expires(small.directory.clock() - timedelta(days=1))])
    assert ("remove", "cid", "held", "protected", None) in rows(small.run(), "cid")
