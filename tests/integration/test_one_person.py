"""A value that a person can edit never moves somebody else: whose it is, and who was there by hand before."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.directory_objects import AddMember, AddUser, Disable, RemoveMember, SetAttributes, User
from tests.support.pipeline import Pipeline
from tests.support.small_company import MANUAL, NAMES, definition_keys, genesys_id, genesys_seed, members, rows, small

__all__ = ["small"]

CHIEF = User("cleo", "Cleo Chief", mail="cleo@example.com")


@pytest.fixture
def company(small: Pipeline) -> Pipeline:
    """Return the small company with cleo, who is in no AD group and has a Genesys user. It had its first live run."""
    seed = genesys_seed()
    mail = "cleo@example.com"
    user = {"id": genesys_id("cleo"), "name": "cleo", "email": mail, "username": mail, "state": "active"}
    seed["users"].append({**user, "external_ids": []})
    small.genesys.load_seed(seed)
    small.directory.apply([AddUser(CHIEF)])
    small.run("first")
    return small


def redefine(pipeline: Pipeline, **more: Any) -> None:
    pipeline.redefine(**{**definition_keys(), **more})


def is_in_voice(pipeline: Pipeline, name: str) -> bool:
    return genesys_id(name) in pipeline.genesys.individuals(genesys_id("Voice"))


# -- a value that somebody else carries, too ----------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "full"])
@pytest.mark.parametrize("mail", ["cleo@example.com", "CLEO@Example.com"])
def test_a_mail_that_another_account_of_the_domain_carries_links_nobody(
    company: Pipeline, mode: str, mail: str
) -> None:
    company.directory.apply([SetAttributes("fay", {"mail": mail}), AddMember("voice", "fay")])
    for dry_run in (True, False):
        report = company.run(mode=mode, dry_run=dry_run)
        [row] = report["details"]
        assert (row["action"], row["status"], row["reason"]) == ("add", "held", "ambiguous")
        [rival] = row["rivals"]
        assert rival["genesys_user_id"] == genesys_id("cleo")
        assert rival["guid"] not in (None, row["directory_user"]["guid"])
        assert rival["guid"] in row["remedy"]
    assert not is_in_voice(company, "cleo")
    company.directory.apply([SetAttributes("fay", {"mail": "fay@example.com"})])
    assert rows(company.run(mode=mode), "fay") == [("add", "fay", "success", None, None)]


def test_nor_does_it_when_the_link_was_made_by_another_rule_of_that_value(company: Pipeline) -> None:
    """Cleo has the value in another case, among several; her account is in no group."""
    redefine(company, users=[{"directory": "proxyAddresses", "genesys": "email"}])
    company.directory.apply(
        [
            SetAttributes("cleo", {"proxyAddresses": "smtp:cleo@example.com"}),
            SetAttributes("fay", {"proxyAddresses": "SMTP:cleo@example.com"}),
            AddMember("voice", "fay"),
        ]
    )
    assert {row[2:4] for row in rows(company.run()) if row[0] == "add"} == {("held", "ambiguous")}
    assert not is_in_voice(company, "cleo")


def test_a_disabled_or_excluded_account_with_that_value_contests_nothing(company: Pipeline) -> None:
    company.directory.apply([Disable("cleo"), SetAttributes("fay", {"mail": "cleo@example.com"})])
    company.directory.apply([AddMember("voice", "fay")])
    assert [row["status"] for row in company.run()["details"]] == ["success"]
    company.directory.apply([AddUser(User("ella", "Ella", mail="eve@example.com"))])
    redefine(company, exclude={"users": ["ella"]})
    company.directory.apply([AddMember("voice", "eve")])
    assert rows(company.run(), "eve") == [("add", "eve", "success", None, None)]


def test_values_with_special_characters_are_asked_for_as_they_are(company: Pipeline) -> None:
    odd = r"o*(d)\d@example.com"
    company.genesys.change_user(genesys_id("fay"), email=odd)
    company.directory.apply([SetAttributes("fay", {"mail": odd}), AddMember("voice", "fay")])
    assert rows(company.run(), "fay") == [("add", "fay", "success", None, None)]


def test_a_link_that_exists_is_not_asked_about_again(company: Pipeline) -> None:
    """The newcomer is held; the person who was first stays."""
    company.directory.apply([SetAttributes("cleo", {"mail": "ann@example.com"}), AddMember("chat", "ann")])
    assert rows(company.run(), "ann") == [("add", "ann", "success", None, None)]


# -- a membership that was there by hand --------------------------------------------------------------


@pytest.fixture
def forged(company: Pipeline) -> Pipeline:
    """Fay has written mia's mail into her account, and joined Voice, where mia is a member by hand."""
    company.directory.apply([SetAttributes("fay", {"mail": f"{MANUAL}@example.com"}), AddMember("voice", "fay")])
    assert rows(company.run()) == [("add", MANUAL, "unchanged", "already_so", None)]
    return company


@pytest.mark.follows_remedy("was_manual")
@pytest.mark.parametrize("mode", ["auto", "full", "changes"])
def test_a_member_who_was_there_by_hand_is_removed_by_a_person_alone(forged: Pipeline, mode: str) -> None:
    forged.run(mode="full")
    forged.directory.apply([RemoveMember("voice", "fay")])
    _, planned = forged.plan("asks", mode=mode)
    forged.patch("asks", planned)
    assert rows(forged.report("asks", mode=mode)) == [("remove", MANUAL, "held", "was_manual", None)]
    assert MANUAL in members(forged, "Voice")
    asked = forged.asked("asks")
    assert asked is not None
    assert "Fay, in Genesys mia, mail `mia@example" in asked.body.replace("\\", "") or "mia@example.com" in asked.body
    assert "was a member before AD granted it" in asked.body
    page = (forged.folder / "reports" / "genesys_ad_group_sync" / "asks.html").read_text()
    assert "Genesys user <bdi>mia" in page
    forged.answer("asks", "Voice: 1 removal")
    assert MANUAL not in members(forged, "Voice")
    assert rows(forged.run(mode="full")) == []


def test_a_no_keeps_the_member(forged: Pipeline) -> None:
    forged.directory.apply([RemoveMember("voice", "fay")])
    forged.plan("asks")
    assert forged.asked("asks") is not None
    forged.answer("asks", "None")
    forged.report("asks")
    for mode in ("auto", "full"):
        assert rows(forged.run(mode=mode)) == [("remove", MANUAL, "held", "rejected", None)]
    assert MANUAL in members(forged, "Voice")


def test_who_is_added_by_hand_and_granted_later_is_asked_about_too(company: Pipeline) -> None:
    company.genesys.change_members(genesys_id("Voice"), add=[genesys_id("dan")])
    company.directory.apply([AddMember("voice", "dan")])
    company.run()
    company.directory.apply([RemoveMember("voice", "dan")])
    assert rows(company.run(), "dan") == [("remove", "dan", "held", "was_manual", None)]


def test_what_ad_has_granted_before_stays_its_own(company: Pipeline) -> None:
    """Ann was in Voice at the first comparison, and bob was put back by hand after AD had let him go."""
    company.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "bob")])
    assert {row[:3] for row in rows(company.run())} == {("remove", "ann", "success"), ("remove", "bob", "success")}
    company.directory.apply([AddMember("voice", "ann")])
    company.run()
    company.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("ann")])
    company.run(mode="full")
    company.directory.apply([RemoveMember("voice", "ann")])
    assert rows(company.run(), "ann") == [("remove", "ann", "success", None, None)]


def test_an_addition_that_came_by_another_run_is_not_by_hand(company: Pipeline) -> None:
    """The first run dies after it has sent the addition; the next one finds it in effect."""
    company.directory.apply([AddMember("voice", "eve")])
    _, planned = company.plan("dies")
    original = company.journal.rows.record_outcomes
    try:
        company.journal.rows.record_outcomes = _dies  # type: ignore[method-assign]
        with pytest.raises(RuntimeError):
            company.patch("dies", planned)
    finally:
        company.journal.rows.record_outcomes = original  # type: ignore[method-assign]
    company.clock_offset = company.task("dies", "x").lease_ttl * 2
    assert "eve" in members(company, "Voice")
    company.run("next")
    company.directory.apply([RemoveMember("voice", "eve")])
    assert rows(company.run(), "eve") == [("remove", "eve", "success", None, None)]


def _dies(*_: Any, **__: Any) -> None:
    raise RuntimeError("a test")


def test_under_mirror_nobody_is_asked_about_what_was_by_hand(company: Pipeline) -> None:
    company.genesys.change_members(genesys_id("Voice"), add=[genesys_id("dan")])
    company.directory.apply([AddMember("voice", "dan")])
    company.run()
    redefine(company, removals="mirror")
    company.run_approved("mirror", mode="full")
    company.directory.apply([RemoveMember("voice", "dan")])
    assert rows(company.run(), "dan") == [("remove", "dan", "success", None, None)]
    assert set(NAMES) > members(company, "Voice")
