"""What cannot be read is not empty: rights that are lost, servers that die, directories that are another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from genesys_ad_sync.directory import objects
from genesys_ad_sync.directory.session import LdapSession
from genesys_ad_sync.errors import DirectoryError, DirectoryNotFound
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
from sandbox import company
from sandbox.active_directory import SandboxDirectory
from sandbox.directory_objects import (
    CONTACT_CENTER,
    AddMember,
    Delete,
    RemoveMember,
)
from tests.integration.test_safety_approval import ids, rows
from tests.support.pipeline import Pipeline, set_connection
from tests.support.rights import RIGHTS_LOST, change_rights, lose_rights


def everybody(pipeline: Pipeline) -> dict[str, set[str]]:
    return {name: pipeline.individuals(name) for name in set(company.PAIRS.values())}


def nobody_is_lost(pipeline: Pipeline, before: dict[str, set[str]]) -> None:
    lost = {name: people - pipeline.individuals(name) for name, people in before.items()}
    assert {name: people for name, people in lost.items() if people} == {}


def runs(pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Make the runs of the next hours: changes, a full comparison, and both again."""
    for mode in ("auto", "full", "auto", "full"):
        run_id, planned = pipeline.plan(mode=mode)
        pipeline.patch(run_id, planned)
        yield pipeline.report(run_id)


@pytest.mark.parametrize("rights", RIGHTS_LOST)
def test_an_account_that_loses_rights_takes_nobody_away(pipeline: Pipeline, rights: str) -> None:
    pipeline.run()
    before = everybody(pipeline)
    lose_rights(pipeline.directory, rights)
    for _ in runs(pipeline):
        nobody_is_lost(pipeline, before)


def test_with_member_unreadable_even_a_removal_that_ad_told_of_is_held(pipeline: Pipeline) -> None:
    """Lena has left, which is known; but who else is in the group cannot be proven any more."""
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "lena.lang"), AddMember("support", "quirin.quast")])
    pipeline.run(dry_run=True)  # sees both
    lose_rights(pipeline.directory, "on member of one group")
    report = pipeline.run()
    listed = dict(rows(report, "Support"))
    assert listed.pop(("held", "unexplained_loss")) > 1  # everybody else
    assert listed == {("held", "unproven"): 1}
    assert rows(report, "Support", "add") == {("success", None): 1}
    assert any("shrink_percent" in note for note in report["notes"])


class Dies:
    """A session in which the domain controller is killed at the n-th request of a kind."""

    def __init__(self, session: LdapSession, directory: SandboxDirectory, method: str, at: int) -> None:
        self._directory, self._left = directory, at
        self._session = session
        original = getattr(session, method)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                directory.kill()
            return original(*args, **kwargs)

        setattr(session, method, counted)


@pytest.mark.parametrize(
    ("method", "at"),
    [("read_values", 1), ("_next_page", 1), ("_next_page", 2), ("_request", 3), ("_request", 6), ("_request", 9)],
)
def test_a_domain_controller_that_dies_while_it_is_read_takes_nobody_away(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, method: str, at: int
) -> None:
    monkeypatch.setattr(objects, "RANGE_SIZE", 100)  # less than the largest group
    pipeline.run()
    before = everybody(pipeline)

    @contextmanager
    def dying() -> Iterator[LdapSession]:
        with ActiveDirectoryHook("active_directory_default").get_conn() as session:
            Dies(session, pipeline.directory, method, at)
            yield session

    pipeline.directory_hook = dying
    with pytest.raises(DirectoryError):
        pipeline.plan(mode="full")
    nobody_is_lost(pipeline, before)
    pipeline.directory_hook = None
    pipeline.directory.restart()
    for _ in runs(pipeline):
        nobody_is_lost(pipeline, before)


def test_a_domain_controller_replaced_by_an_empty_one_takes_nobody_away(
    pipeline: Pipeline, empty_directory: SandboxDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run()
    before = everybody(pipeline)
    set_connection(monkeypatch, "active_directory_default", empty_directory.connection())
    for report in runs(pipeline):
        nobody_is_lost(pipeline, before)
        assert report["successes"] == 0


def test_a_renamed_group_base_stops_the_run_and_takes_nobody_away(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    connection = pipeline.directory.ldap()
    ok, result, _, _ = connection.modify_dn(CONTACT_CENTER, "OU=Contact Centre")
    assert ok, result
    connection.unbind()
    for mode in ("auto", "full"):
        with pytest.raises(DirectoryNotFound):
            pipeline.plan(mode=mode)
    nobody_is_lost(pipeline, before)


def test_a_filter_with_a_typo_takes_nobody_away(pipeline: Pipeline) -> None:
    pipeline.run()
    before = everybody(pipeline)
    directory = {"group_base": CONTACT_CENTER, "group_filter": "(description=contact-centre)"}
    pipeline.redefine(directory=directory)
    for _ in runs(pipeline):
        nobody_is_lost(pipeline, before)
    pipeline.redefine()
    for _ in runs(pipeline):
        nobody_is_lost(pipeline, before)
    assert pipeline.run(mode="full")["held"] <= 2  # the two twins


def test_a_canary_that_is_not_seen_holds_every_removal(pipeline: Pipeline) -> None:
    canary = pipeline.directory.dn_of("viktor.vogel")
    pipeline.redefine(directory={**company.sync_definition()["directory"], "canary": canary})
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "lena.lang"), AddMember("support", "quirin.quast")])
    change_rights(pipeline.directory, canary, "(D;;GA;;;{who})")
    report = pipeline.run()
    assert rows(report, "Support") == {("held", "unproven"): 1}
    assert rows(report, "Support", "add") == {("success", None): 1}
    assert any("canary" in note for note in report["notes"])


def test_a_canary_that_is_seen_holds_nothing(pipeline: Pipeline) -> None:
    canary = pipeline.directory.dn_of("viktor.vogel")
    pipeline.redefine(directory={**company.sync_definition()["directory"], "canary": canary})
    pipeline.run()
    pipeline.directory.apply([RemoveMember("support", "lena.lang")])
    assert rows(pipeline.run(), "Support") == {("success", None): 1}


def test_a_nested_parent_that_is_dissolved_takes_its_people_out_once_proven(pipeline: Pipeline) -> None:
    """Service Hamburg is deleted: its people leave Service and Service North, since AD says so of each of them."""
    pipeline.redefine(limits={"removals_percent": 100})
    pipeline.run()
    pipeline.directory.apply([Delete("service-hamburg")])
    report = pipeline.run()
    hamburg = ids("viktor.vogel", "wanda.wolf", "xaver.xylander", "yvonne.yilmaz")
    assert rows(report, "Service") == {("success", None): 4}
    assert not hamburg & pipeline.individuals("Service")
    assert ids("ralf.roth", "sara.schulz", "tarik.tuncer", "ulla.ulrich") <= pipeline.individuals("Service")


def test_a_group_emptied_just_before_a_whole_comparison_is_believed(pipeline: Pipeline) -> None:
    """DirSync explains it, so it is no sudden shrink."""
    pipeline.redefine(limits={"removals_percent": 100, "empty_group": "allow"})
    pipeline.run()
    pipeline.directory.apply([RemoveMember("billing", sam) for sam in ("lena.lang", "mario.maier", "petra.pohl")])
    assert rows(pipeline.run(mode="full"), "Billing (ERP)") == {("success", None): 3}
