"""The first week of a new user, as docs/first-week.md tells it: Samba, the sandbox and a PostgreSQL.

Each report is read: what it says must be so.
"""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.journal.copying import copy_journal
from genesys_ad_sync.journal.opening import open_database
from genesys_ad_sync.report import validate
from genesys_ad_sync.report.wording import headline
from sandbox.directory_objects import AddMember, RemoveMember, SetAttributes
from tests.support.pipeline import Pipeline, definition_for
from tests.support.postgresql import postgresql_server, postgresql_url  # noqa: F401 (fixtures)
from tests.support.small_company import definition_keys, genesys_id, small  # noqa: F401 (fixture)


def test_the_first_week(small: Pipeline, postgresql_url: str) -> None:
    week = Week(small)
    week.three_dry_runs_during_which_cid_leaves()
    week.the_first_live_run()
    week.move_the_journal_to(postgresql_url)
    week.leftover_members_are_listed_and_removed_once()
    week.an_ambiguous_pair_is_settled()
    week.a_wrong_link_is_found_and_settled()
    week.nothing_is_left_but_the_orphan()


class Week:
    """What happens on which day.

    - Voice: AD wants ann, bob, cid and fay. fay has no Genesys user. Genesys has ann, bob, cid, mia and nils by hand.
    - Chat: AD wants dan and eve. Two users of Genesys have dan's mail, and eve's mail is mistyped as gus's.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        seed = pipeline.genesys.snapshot()
        for name, mail in (("gus", "gus@example.com"), ("nils", "nils@example.com"), ("old", "dan@example.com")):
            seed["users"].append(
                {"id": genesys_id(name), "name": name, "email": mail, "username": mail, "state": "active",
                 "external_ids": []}
            )  # fmt: skip
        seed["users"] = [user for user in seed["users"] if user["id"] != genesys_id("fay")]
        by_name = {group["name"]: group for group in seed["groups"]}
        by_name["Voice"]["individuals"] = [genesys_id(name) for name in ("ann", "bob", "cid", "mia", "nils")]
        pipeline.genesys.load_seed(seed)
        pipeline.directory.apply(
            [
                AddMember("voice", "fay"),
                SetAttributes("eve", {"mail": "gus@example.com"}),
            ]
        )
        self.define(dry_run=True)

    def define(self, **more: Any) -> None:
        self.pipeline.definition = definition_for(self.pipeline.folder, **{**definition_keys(), **more})

    def run(self, **asked: Any) -> dict[str, Any]:
        report = self.pipeline.run(**asked)
        validate(report)
        return report

    def ask(self, **asked: Any) -> tuple[str, list[str]]:
        """Make a run that asks; return its id and the options of the form."""
        run_id, planned = self.pipeline.plan(**asked)
        self.pipeline.patch(run_id, planned)
        form = self.pipeline.asked(run_id)
        assert form is not None
        return run_id, list(form.options)

    def guid(self, name: str) -> str:
        return self.pipeline.directory.guid_of(name)

    def inside(self, group: str) -> set[str]:
        names = {genesys_id(name): name for name in ("ann", "bob", "cid", "dan", "eve", "gus", "mia", "nils")}
        return {names[id_] for id_ in self.pipeline.genesys.individuals(genesys_id(group))}

    def rows(self, report: dict[str, Any], person: str) -> set[tuple[str, str, str, str | None]]:
        return {
            (row["genesys_group"]["name"], row["action"], row["status"], row["reason"])
            for row in report["details"]
            if (row["directory_user"] or {}).get("guid") == self.guid(person)
        }

    # -- Monday to Wednesday ---------------------------------------------------------------------------

    def three_dry_runs_during_which_cid_leaves(self) -> None:
        before = self.inside("Voice"), self.inside("Chat")
        first = self.run()
        assert headline(first).sentence.startswith("Dry run: nothing was written.")
        assert self.rows(first, "fay") == {("Voice", "add", "orphaned", "no_genesys_user")}
        assert self.rows(first, "eve") == {("Chat", "add", "planned", None)}
        assert self.rows(first, "dan") == {("Chat", "add", "held", "ambiguous")}
        self.run()
        self.pipeline.directory.apply([RemoveMember("voice", "cid")])
        third = self.run()
        assert self.rows(third, "cid") == {("Voice", "remove", "planned", None)}
        assert (self.inside("Voice"), self.inside("Chat")) == before

    # -- Thursday --------------------------------------------------------------------------------------

    def the_first_live_run(self) -> None:
        self.define()
        report = self.run()
        assert self.rows(report, "cid") == {("Voice", "remove", "success", None)}
        assert self.rows(report, "eve") == {("Chat", "add", "success", None)}
        assert "cid" not in self.inside("Voice")
        assert "gus" in self.inside("Chat")  # by the mistyped mail
        assert report["orphans"] == 1

    def move_the_journal_to(self, url: str) -> None:
        source_url = f"sqlite:///{self.pipeline.folder / 'journal.db'}"
        source = open_database(source_url, moved_too=True)
        try:
            copied = copy_journal(source, url, at=datetime.now(timezone.utc))
        finally:
            source.engine.dispose()
        assert sum(copied.rows.values()) > 0
        self.pipeline.journal.close()
        self.pipeline.journal = Journal.open(url)
        report = self.run()
        assert report["successes"] == report["failures"] == 0
        assert not any("journal" in note for note in report["notes"]), report["notes"]

    # -- Friday ----------------------------------------------------------------------------------------

    def leftover_members_are_listed_and_removed_once(self) -> None:
        report = self.run(mode="full")
        voice = next(group for group in report["groups"] if group["genesys_group"]["name"] == "Voice")
        assert voice["manual_member_ids"] == sorted(map(genesys_id, ("mia", "nils")))
        assert "matches Active Directory" not in headline(report).sentence
        run_id, options = self.ask(mirror_once=True)
        [only_nils] = [option for option in options if "nils@example.com" in option]
        self.pipeline.answer(run_id, only_nils)
        self.pipeline.report(run_id, mirror_once=True)
        assert {"mia"} <= self.inside("Voice")
        assert "nils" not in self.inside("Voice")
        run_id, options = self.ask(mirror_once=True)
        self.pipeline.answer(run_id, next(option for option in options if option.startswith("Voice")))
        self.pipeline.report(run_id, mirror_once=True)
        assert "mia" not in self.inside("Voice")

    def an_ambiguous_pair_is_settled(self) -> None:
        report = self.run()
        [row] = [
            row
            for row in report["details"]
            if row["reason"] == "ambiguous" and row["directory_user"]["guid"] == self.guid("dan")
        ]
        assert genesys_id("old") in {rival["genesys_user_id"] for rival in row["rivals"]}
        assert "relink" in row["remedy"]
        run_id, options = self.ask(relink=[f"{self.guid('dan')}={genesys_id('dan')}"])
        self.pipeline.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
        self.pipeline.report(run_id)
        assert "dan" in self.inside("Chat")

    def a_wrong_link_is_found_and_settled(self) -> None:
        self.pipeline.directory.apply([SetAttributes("eve", {"mail": "eve@example.com"})])
        self.run(mode="full")
        links = self.pipeline.journal.of(self.pipeline.definition.name).links.all()
        assert links[self.guid("eve")].others == (genesys_id("eve"),)
        run_id, options = self.ask(relink=[f"{self.guid('eve')}={genesys_id('eve')}"])
        self.pipeline.answer(run_id, *(option for option in options if option.startswith(("Voice", "Chat"))))
        self.pipeline.report(run_id)
        assert "eve" in self.inside("Chat")
        assert "gus" not in self.inside("Chat")

    def nothing_is_left_but_the_orphan(self) -> None:
        report = self.run(mode="full")
        assert [(row["status"], row["directory_user"]["guid"]) for row in report["details"]] == [
            ("orphaned", self.guid("fay"))
        ]
        assert self.inside("Voice") == {"ann", "bob"}
        assert self.inside("Chat") == {"dan", "eve"}
        self.pipeline.journal.close()
