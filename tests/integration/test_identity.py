"""Who is who changes after the first run: mistyped mails, new Genesys users, re-hires, second accounts.

Active Directory is a real Samba; Genesys is the sandbox.
"""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from genesys_ad_sync.errors import ParamError
from genesys_ad_sync.stages.approve_removals import apply_answer
from genesys_ad_sync.stages.map_groups import map_groups
from genesys_ad_sync.stages.plan import plan
from genesys_ad_sync.stages.poll import poll
from genesys_ad_sync.stages.resolve_users import resolve_users
from sandbox.directory_objects import (
    AddMember,
    AddUser,
    Delete,
    Disable,
    RemoveMember,
    SetAttributes,
    User,
)
from tests.support.pipeline import Pipeline, definition_for
from tests.support.small_company import definition_keys, genesys_id, members, small  # noqa: F401 (fixture)
from tests.support.sync_examples import NOON

Told = tuple[str, str | None, str, str | None]


def add_genesys_user(pipeline: Pipeline, name: str, mail: str, **more: Any) -> str:
    """Create a user in Genesys; return its id."""
    seed = pipeline.genesys.snapshot()
    user = {"id": genesys_id(name), "name": name, "email": mail, "username": f"{name}@genesys.example.com",
            "state": "active", "external_ids": [], **more}  # fmt: skip
    seed["users"].append(user)
    pipeline.genesys.load_seed(seed)
    return str(user["id"])


def told(report: dict[str, Any], group: str) -> set[Told]:
    """Return (action, guid of the AD user, status, reason) of a Genesys group's rows."""
    return {
        (row["action"], (row["directory_user"] or {}).get("guid"), row["status"], row["reason"])
        for row in report["details"]
        if (row["genesys_group"] or {}).get("name") == group
    }


def row_of(report: dict[str, Any], action: str, reason: str, group: str | None = None) -> dict[str, Any]:
    [row] = [
        row
        for row in report["details"]
        if (row["action"], row["reason"]) == (action, reason) and group in {None, row["genesys_group"]["name"]}
    ]
    return dict(row)


def in_group(pipeline: Pipeline, group: str, user_id: str) -> bool:
    return user_id in pipeline.genesys.individuals(genesys_id(group))


def redefine(pipeline: Pipeline, **more: Any) -> None:
    pipeline.definition = definition_for(pipeline.folder, **{**definition_keys(), **more})


# -- a link that was wrong from the beginning ---------------------------------------------------------


def with_a_mistyped_mail(pipeline: Pipeline) -> str:
    """Make a first run while ann's mail is that of quinn, then correct it; return quinn's Genesys user."""
    quinn = add_genesys_user(pipeline, "quinn", "quinn@example.com")
    pipeline.directory.apply([SetAttributes("ann", {"mail": "quinn@example.com"})])
    pipeline.run()
    assert in_group(pipeline, "Voice", quinn)
    pipeline.directory.apply([SetAttributes("ann", {"mail": "ann@example.com"})])
    return quinn


@pytest.mark.parametrize("full", [False, True], ids=["in the next run", "after a full run"])
def test_a_link_that_a_corrected_mail_contradicts_gives_nobody_access(small: Pipeline, full: bool) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    if full:
        small.run(mode="full")
        link = small.journal.of(small.definition.name).links.all()[ann]
        assert (link.genesys_user_id, link.others) == (quinn, (genesys_id("ann"),))
    small.directory.apply([AddMember("chat", "ann")])
    report = small.run()
    assert not in_group(small, "Chat", quinn)
    assert not in_group(small, "Chat", genesys_id("ann"))
    row = row_of(report, "add", "link_contradicted", "Chat")
    assert (row["status"], row["user_id"]) == ("held", quinn)
    assert row["rivals"] == [{"guid": None, "genesys_user_id": genesys_id("ann")}]
    assert f"relink: {ann}={genesys_id('ann')}" in row["remedy"]
    # what was granted by the wrong link stays until a person has settled it
    small.directory.apply([RemoveMember("voice", "ann")])
    assert row_of(small.run(), "remove", "link_contradicted")["user_id"] == quinn
    assert in_group(small, "Voice", quinn)


def test_a_mail_that_changed_in_ad_only_contradicts_nothing_while_nobody_else_has_it(small: Pipeline) -> None:
    small.run()
    small.directory.apply([SetAttributes("ann", {"mail": "married@example.com"}), AddMember("chat", "ann")])
    for mode in ("auto", "full"):
        report = small.run(mode=mode)
        assert report["held"] == 0
    assert "ann" in members(small, "Chat")
    link = small.journal.of(small.definition.name).links.all()[small.directory.guid_of("ann")]
    assert link.contradicted_since is not None


def test_a_genesys_user_that_was_replaced_by_a_new_one_is_no_orphan_for_ever(small: Pipeline) -> None:
    small.run()
    small.genesys.change_user(genesys_id("ann"), state="inactive", email="old.ann@example.com")
    new = add_genesys_user(small, "ann2", "ann@example.com")
    small.directory.apply([AddMember("chat", "ann")])
    row = row_of(small.run(), "add", "link_contradicted")
    assert (row["user_id"], row["rivals"]) == (genesys_id("ann"), [{"guid": None, "genesys_user_id": new}])


# -- a Genesys user that was deleted and made again ---------------------------------------------------


def replaced(pipeline: Pipeline, name: str) -> str:
    """Delete a user in Genesys and create it again with the same mail, back in Voice by hand."""
    pipeline.genesys.change_user(genesys_id(name), state="deleted")
    new = add_genesys_user(pipeline, f"{name}2", f"{name}@example.com")
    pipeline.genesys.change_members(genesys_id("Voice"), add=[new], remove=[genesys_id(name)])
    return new


@pytest.mark.parametrize("how", ["leaves the group", "is disabled", "is deleted"])
@pytest.mark.parametrize("full", [False, True], ids=["at once", "after a full run"])
def test_whoever_leaves_goes_although_the_genesys_user_is_a_new_one(small: Pipeline, how: str, full: bool) -> None:
    small.run()
    new = replaced(small, "ann")
    if full:
        small.run(mode="full")
    change = {
        "leaves the group": RemoveMember("voice", "ann"),
        "is disabled": Disable("ann"),
        "is deleted": Delete("ann"),
    }[how]
    small.directory.apply([change])
    dry = small.run(dry_run=True)
    assert ("remove", "planned") in {(row["action"], row["status"]) for row in dry["details"]}
    report = small.run()
    assert [(row["action"], row["status"], row["user_id"]) for row in report["details"]] == [("remove", "success", new)]
    assert not in_group(small, "Voice", new)
    # it is owned no longer: put back by hand, the user stays
    small.genesys.change_members(genesys_id("Voice"), add=[new])
    small.run(mode="full")
    assert in_group(small, "Voice", new)


def test_a_user_whom_genesys_merely_does_not_show_keeps_link_and_grants(small: Pipeline) -> None:
    small.run()
    seed = small.genesys.snapshot()
    ann = next(user for user in seed["users"] if user["id"] == genesys_id("ann"))
    hidden = {**seed, "users": [user for user in seed["users"] if user is not ann]}
    for group in hidden["groups"]:
        group["individuals"] = [user for user in group["individuals"] if user != ann["id"]]
    small.genesys.load_seed(hidden)
    small.directory.apply([AddMember("chat", "ann")])
    small.run(mode="full")
    journal = small.journal.of(small.definition.name)
    guid = small.directory.guid_of("ann")
    assert journal.links.all()[guid].genesys_user_id == ann["id"]
    assert {grant.genesys_user_id for grant in journal.grants.of_groups([genesys_id("Voice")])} >= {ann["id"]}


# -- two accounts of one person -----------------------------------------------------------------------


def second_account(pipeline: Pipeline, name: str, of: str) -> None:
    pipeline.directory.apply([AddUser(User(name, name.capitalize(), mail=f"{of}@example.com"))])


def test_an_excluded_second_account_holds_nobody_up(small: Pipeline) -> None:
    redefine(small, exclude={"groups": [], "users": ["adm-*"]})
    small.run()
    second_account(small, "adm-ann", of="ann")
    small.directory.apply([AddMember("voice", "adm-ann"), AddMember("chat", "adm-ann")])
    small.directory.apply([RemoveMember("voice", "ann"), AddMember("chat", "ann")])
    report = small.run()
    ann, adm = small.directory.guid_of("ann"), small.directory.guid_of("adm-ann")
    assert told(report, "Voice") == {("remove", ann, "success", None), ("add", adm, "skipped", "excluded")}
    assert ("add", ann, "success", None) in told(report, "Chat")
    assert "ann" in members(small, "Chat")
    assert "ann" not in members(small, "Voice")
    full = small.run(mode="full")
    assert full["held"] == 0
    assert {group["genesys_group"]["name"]: group["manual_members"] for group in full["groups"]}["Chat"] == 0


def test_under_mirror_an_excluded_second_account_is_no_stranger(small: Pipeline) -> None:
    redefine(small, exclude={"groups": [], "users": ["adm-*"]})
    second_account(small, "adm-mia", of="mia")
    small.directory.apply([AddMember("chat", "adm-mia")])
    small.run()
    redefine(small, removals="mirror", exclude={"groups": [], "users": ["adm-*"]})
    small.genesys.change_members(genesys_id("Chat"), add=[genesys_id("mia")])
    report = small.run(mode="full")
    assert "mia" in members(small, "Chat")
    assert not {row for row in told(report, "Chat") if row[0] == "remove"}


@pytest.mark.parametrize("how", ["disabled", "expired", "deleted"])
def test_the_old_account_of_a_rehire_holds_nobody_up(small: Pipeline, how: str) -> None:
    small.run()
    old = small.directory.guid_of("ann")
    expired = SetAttributes("ann", {"accountExpires": "1"})
    small.directory.apply([{"disabled": Disable("ann"), "expired": expired, "deleted": Delete("ann")}[how]])
    second_account(small, "ann-new", of="ann")
    new = small.directory.guid_of("ann-new")
    small.directory.apply([AddMember("voice", "ann-new"), AddMember("chat", "ann-new")])
    report = small.run()
    assert ("remove", old, "unchanged", "still_granted") in told(report, "Voice")
    assert ("add", new, "success", None) in told(report, "Chat")
    assert "ann" in members(small, "Voice") & members(small, "Chat")
    small.directory.apply([RemoveMember("voice", "ann-new")])
    assert told(small.run(), "Voice") == {("remove", new, "success", None)}
    assert "ann" not in members(small, "Voice")


def test_an_existing_link_wins_over_a_newcomer_with_the_same_mail(small: Pipeline) -> None:
    small.run()
    second_account(small, "ann-new", of="ann")
    ann, new = small.directory.guid_of("ann"), small.directory.guid_of("ann-new")
    small.directory.apply([AddMember("chat", "ann-new"), AddMember("chat", "ann"), RemoveMember("voice", "ann")])
    report = small.run()
    assert told(report, "Chat") == {("add", ann, "success", None), ("add", new, "held", "ambiguous")}
    assert told(report, "Voice") == {("remove", ann, "success", None)}
    row = row_of(report, "add", "ambiguous")
    assert row["rivals"] == [{"guid": ann, "genesys_user_id": genesys_id("ann")}]
    assert ann in row["remedy"]
    # who leaves stays while the newcomer, who may be the same member, is wanted there
    small.directory.apply([RemoveMember("chat", "ann")])
    held = row_of(small.run(), "remove", "ambiguous")
    assert held["rivals"] == [{"guid": new, "genesys_user_id": genesys_id("ann")}]
    assert "ann" in members(small, "Chat")


def test_two_accounts_that_have_both_left_veto_nobody(small: Pipeline) -> None:
    small.run()
    second_account(small, "ann-new", of="ann")
    small.directory.apply([AddMember("voice", "ann-new")])
    small.run()
    small.directory.apply([RemoveMember("voice", "ann"), RemoveMember("voice", "ann-new")])
    report = small.run()
    assert "ann" not in members(small, "Voice")
    assert report["held"] == 0
    voice = next(group for group in report["groups"] if group["genesys_group"]["name"] == "Voice")
    assert voice["removed"] == 1


# -- whom Genesys refuses to look up ------------------------------------------------------------------


def test_a_mail_that_the_search_refuses_holds_that_person_where_users_cannot_be_listed(small: Pipeline) -> None:
    seed = small.genesys.snapshot()
    seed["users"] += [
        {"id": genesys_id(f"gone{n}"), "name": f"gone{n}", "email": f"gone{n}@example.com", "state": "inactive"}
        for n in range(10_001)
    ]
    small.genesys.load_seed(seed)
    small.run()
    small.directory.apply([SetAttributes("fay", {"mail": "f%ay@example.com"}), AddMember("voice", "fay")])
    small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "dan")])
    small.genesys.set_options(search_refuses=["%"])
    report = small.run()
    fay = small.directory.guid_of("fay")
    assert members(small, "Voice") == {"ann", "cid", "dan", "mia"}
    assert ("add", fay, "held", "not_looked_up") in told(report, "Voice")
    assert "f%ay@example.com" in row_of(report, "add", "not_looked_up")["remedy"]


# -- a person settles it ------------------------------------------------------------------------------


def relinked(pipeline: Pipeline, *entries: str) -> tuple[str, list[str]]:
    """Run up to the question; return the run's id and the options of the form."""
    run_id, planned = pipeline.plan(relink=entries)
    pipeline.patch(run_id, planned)
    asked = pipeline.asked(run_id)
    assert asked is not None
    for user in {entry.partition("=")[2] for entry in entries} - {""}:
        assert user in asked.body
    return run_id, asked.options


def link_of(pipeline: Pipeline, name: str) -> str | None:
    link = pipeline.journal.of(pipeline.definition.name).links.all().get(pipeline.directory.guid_of(name))
    return link.genesys_user_id if link else None


@pytest.mark.follows_remedy("link_contradicted")
def test_a_wrong_link_that_a_person_settles_is_wrong_nowhere_any_more(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    small.directory.apply([AddMember("chat", "ann")])
    small.run(mode="full")
    run_id, options = relinked(small, f"{ann}={genesys_id('ann')}")
    assert quinn in small.asked(run_id).body  # type: ignore[union-attr]  # asked above
    assert in_group(small, "Voice", quinn)
    assert not in_group(small, "Chat", genesys_id("ann"))
    assert link_of(small, "ann") == quinn
    small.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    report = small.report(run_id)
    assert report["failures"] == report["held"] == 0
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}
    assert not in_group(small, "Voice", quinn)
    assert "ann" in members(small, "Chat")
    assert link_of(small, "ann") == genesys_id("ann")
    assert small.run(mode="full")["total_changes"] == 0
    # whoever is relinked leaves like anybody
    small.directory.apply([RemoveMember("voice", "ann")])
    small.run()
    assert members(small, "Voice") == {"bob", "cid", "mia"}


@pytest.mark.parametrize("chosen", [(), ("None",), ("Voice",)], ids=["no answer", "rejected", "one group only"])
def test_a_relink_that_is_not_approved_everywhere_changes_nothing(small: Pipeline, chosen: tuple[str, ...]) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    small.directory.apply([AddMember("chat", "ann")])
    small.run(mode="full")
    run_id, options = relinked(small, f"{ann}={genesys_id('ann')}")
    picked = [option for option in options if option.startswith(chosen)] if chosen else ["Undecided"]
    small.answer(run_id, *picked, by="olivia" if chosen else None)
    assert {row["reason"] for row in small.report(run_id)["details"]} == {"relink"}
    assert in_group(small, "Voice", quinn)
    assert members(small, "Chat") == {"dan", "eve"}
    assert link_of(small, "ann") == quinn
    assert row_of(small.run(), "add", "link_contradicted", "Chat")["user_id"] == quinn
    # it may be asked again, and approved
    again, options = relinked(small, f"{ann}={genesys_id('ann')}")
    small.answer(again, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert "ann" in members(small, "Voice") & members(small, "Chat")


@pytest.mark.follows_remedy("relink")
def test_a_link_can_be_kept_although_the_rules_contradict_it(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    small.directory.apply([AddMember("chat", "ann")])
    small.run(mode="full")
    run_id, options = relinked(small, f"{ann}={quinn}")
    small.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert in_group(small, "Voice", quinn)
    assert in_group(small, "Chat", quinn)
    for mode in ("full", "auto"):
        assert small.run(mode=mode)["held"] == 0
    small.directory.apply([SetAttributes("ann", {"mail": "fay@example.com"})])
    small.run(mode="full")
    assert small.journal.of(small.definition.name).links.all()[ann].others == (genesys_id("fay"),)


@pytest.mark.follows_remedy("ambiguous")
def test_an_ambiguous_pair_is_settled_and_the_other_account_stays_held(small: Pipeline) -> None:
    second_account(small, "ann-new", of="ann")
    small.directory.apply([AddMember("voice", "ann-new")])
    assert {row[3] for row in told(small.run(), "Voice") if row[2] == "held"} == {"ambiguous"}
    new = small.directory.guid_of("ann-new")
    run_id, options = relinked(small, f"{new}={genesys_id('ann')}")
    small.answer(run_id, next(option for option in options if option.startswith("Voice")))
    assert "ann" in members(small, "Voice")
    assert link_of(small, "ann-new") == genesys_id("ann")
    row = row_of(small.run(), "add", "ambiguous")
    assert row["directory_user"]["guid"] == small.directory.guid_of("ann")
    assert row["rivals"] == [{"guid": new, "genesys_user_id": genesys_id("ann")}]


def test_a_user_taken_from_another_account_ends_that_link_and_what_came_by_it(small: Pipeline) -> None:
    """bob's Genesys user is fay's in truth: bob was found by a mail that is fay's."""
    small.directory.apply([AddMember("chat", "fay"), SetAttributes("bob", {"mail": "fay@example.com"})])
    small.directory.apply([SetAttributes("fay", {"mail": "nobody@example.com"})])
    small.run()
    assert "fay" in members(small, "Voice")  # as bob
    bob, fay = small.directory.guid_of("bob"), small.directory.guid_of("fay")
    small.directory.apply([SetAttributes("bob", {"mail": "bob@example.com"})])
    small.directory.apply([SetAttributes("fay", {"mail": "fay@example.com"})])
    run_id, options = relinked(small, f"{fay}={genesys_id('fay')}")
    small.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
    assert "fay" in members(small, "Chat")
    assert "fay" not in members(small, "Voice")
    assert link_of(small, "fay") == genesys_id("fay")
    assert link_of(small, "bob") is None
    small.run(mode="full")
    assert "bob" in members(small, "Voice")
    assert (link_of(small, "bob"), bob) == (genesys_id("bob"), small.directory.guid_of("bob"))


def test_a_relink_without_a_user_asks_the_rules(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    run_id, options = relinked(small, ann)
    small.answer(run_id, next(option for option in options if option.startswith("Voice")))
    assert "ann" in members(small, "Voice")
    assert not in_group(small, "Voice", quinn)


def test_a_relink_for_which_the_rules_find_nobody_leaves_the_link_and_says_so(small: Pipeline) -> None:
    small.run()
    ann = small.directory.guid_of("ann")
    small.directory.apply([SetAttributes("ann", {"mail": "married@example.com"})])
    small.directory.apply([AddMember("chat", "ann")])
    small.genesys.change_user(genesys_id("ann"), state="inactive")
    report = small.run(relink=[ann])
    stays = "the rules find no active Genesys user"
    assert any(stays in note for note in report["notes"])
    [row] = report["details"]
    assert stays in row["error"]
    assert (row["status"], row["reason"]) == ("orphaned", "inactive")
    assert link_of(small, "ann") == genesys_id("ann")


def test_a_dry_run_shows_a_relink_and_moves_nothing(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    report = small.run(relink=[f"{ann}={genesys_id('ann')}"], dry_run=True)
    assert {(row["action"], row["reason"]) for row in report["details"]} == {("add", "relink"), ("remove", "relink")}
    assert link_of(small, "ann") == quinn


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("ann", "is not an AD objectGUID"),
        ("00000000-0000-0000-0000-000000000000", "the journal knows no AD account"),
        ("{ann}=nobody", "Genesys Cloud shows no user nobody"),
    ],
)
def test_a_relink_that_makes_no_sense_writes_nothing(small: Pipeline, entry: str, fault: str) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "bob")])
    with pytest.raises(ParamError, match=fault):
        small.plan(relink=[entry.replace("{ann}", small.directory.guid_of("ann"))])
    assert "bob" in members(small, "Voice")


@pytest.mark.parametrize("also", [{"undo_run": "run-1"}, {"groups": ["Voice"]}, {"window": (None, NOON)}])
def test_a_relink_is_a_run_of_its_own(small: Pipeline, also: dict[str, Any]) -> None:
    small.run()
    with pytest.raises(ParamError, match="cannot be combined"):
        small.plan(relink=[small.directory.guid_of("ann")], **also)


def test_an_answer_about_links_that_have_moved_since_moves_nothing(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    run_id, options = relinked(small, f"{ann}={genesys_id('ann')}")
    links = small.journal.of(small.definition.name).links
    links.replace([replace(links.all()[ann], genesys_user_id=genesys_id("fay"))])  # another run relinked ann
    small.answer(run_id, next(option for option in options if option.startswith("Voice")))
    assert link_of(small, "ann") == genesys_id("fay")
    assert in_group(small, "Voice", quinn)
    assert "ann" not in members(small, "Voice")


def test_a_change_that_comes_after_the_look_up_does_not_bring_the_old_link_back(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    run_id = "relinking"
    entry = f"{ann}={genesys_id('ann')}"
    poll(small.task(run_id, "poll"), small.request(relink=[entry]))
    map_groups(small.task(run_id, "map_groups"))
    resolve_users(small.task(run_id, "resolve_users"))
    small.directory.apply([AddMember("chat", "ann")])
    small.plan()  # another run, which polls the change
    planned = plan(small.task(run_id, "plan"))
    small.patch(run_id, planned)
    asked = small.asked(run_id)
    assert asked is not None
    small.answer(run_id, *(option for option in asked.options if option.startswith(("Voice", "Chat"))))
    assert not in_group(small, "Chat", quinn)
    assert not in_group(small, "Voice", quinn)
    assert "ann" in members(small, "Voice")


def test_the_former_user_stays_where_it_belongs_to_another_account(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    small.directory.apply([AddUser(User("quinn", "Quinn", mail="quinn@example.com")), AddMember("voice", "quinn")])
    small.run(mode="full")
    run_id, options = relinked(small, f"{small.directory.guid_of('ann')}={genesys_id('ann')}")
    small.answer(run_id, next(option for option in options if option.startswith("Voice")))
    assert in_group(small, "Voice", quinn)
    assert "ann" in members(small, "Voice")
    full = small.run(mode="full")
    assert full["held"] == 0
    assert link_of(small, "quinn") == quinn
    # each of them leaves alone
    small.directory.apply([RemoveMember("voice", "ann")])
    small.run()
    assert in_group(small, "Voice", quinn)
    small.directory.apply([RemoveMember("voice", "quinn")])
    small.run()
    assert not in_group(small, "Voice", quinn)
    assert members(small, "Voice") == {"bob", "cid", "mia"}


def test_a_removal_that_a_contradicted_link_holds_is_settled_by_a_relink(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    small.run(mode="full")
    small.directory.apply([RemoveMember("voice", "ann")])
    assert row_of(small.run(), "remove", "link_contradicted")["user_id"] == quinn
    run_id, options = relinked(small, f"{small.directory.guid_of('ann')}={genesys_id('ann')}")
    voice = next(option for option in options if option.startswith("Voice"))
    small.answer(run_id, voice)
    assert not in_group(small, "Voice", quinn)
    assert small.report(run_id)["held"] == 0
    assert small.run()["total_changes"] == 0


def test_an_answer_that_is_applied_twice_moves_a_link_once(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    ann = small.directory.guid_of("ann")
    run_id, options = relinked(small, f"{ann}={genesys_id('ann')}")
    voice = next(option for option in options if option.startswith("Voice"))
    small.answer(run_id, voice)
    batches = apply_answer(small.task(run_id, "approve_removals"), None)["batches"]  # a task that died is tried again
    for batch in batches:
        small.patch(run_id, {"batches": [batch]})
    former = small.journal.of(small.definition.name).links.former()
    assert [(link.user_guid, link.genesys_user_id, link.by) for link in former] == [(ann, quinn, "olivia")]
    assert "ann" in members(small, "Voice")
    assert not in_group(small, "Voice", quinn)


def test_a_former_user_that_could_not_be_removed_goes_with_the_next_comparison(small: Pipeline) -> None:
    quinn = with_a_mistyped_mail(small)
    run_id, options = relinked(small, f"{small.directory.guid_of('ann')}={genesys_id('ann')}")
    small.genesys.add_fault("status", method="PATCH", path="/scim/", status=400, times=None)
    small.answer(run_id, next(option for option in options if option.startswith("Voice")))
    small.report(run_id)
    assert in_group(small, "Voice", quinn)
    small.genesys.clear_faults()
    report = small.run()
    assert {(row["action"], row["status"], row["user_id"]) for row in report["details"]} == {
        ("add", "success", genesys_id("ann")),
        ("remove", "success", quinn),
    }


def test_a_link_that_moved_for_another_groups_sake_takes_all_its_grants_along(small: Pipeline) -> None:
    small.run()
    new = replaced(small, "ann")
    small.directory.apply([AddMember("chat", "ann")])
    small.run()  # moves the link, and does not look at Voice
    assert in_group(small, "Chat", new)
    small.directory.apply([RemoveMember("voice", "ann"), RemoveMember("chat", "ann")])
    small.run()
    assert not in_group(small, "Voice", new)
    assert not in_group(small, "Chat", new)


def test_the_link_of_an_account_that_the_run_does_not_concern_contests_a_newcomer(small: Pipeline) -> None:
    small.run()
    small.directory.apply([SetAttributes("ann", {"mail": "ann.new@example.com"})])
    small.run()
    small.directory.apply([SetAttributes("fay", {"mail": "ann@example.com"}), AddMember("chat", "fay")])
    report = small.run()
    assert [(row["status"], row["reason"]) for row in report["details"]] == [("held", "ambiguous")]
    assert "ann" not in members(small, "Chat")
