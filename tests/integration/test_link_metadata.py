"""Times and the time before the journal, from a live Samba's own records served as Active Directory would serve them.

Samba keeps the records and does not show them over LDAP; `SandboxDirectory.link_metadata` makes the XML of them. The
shape of that XML is from documentation, not from a Windows domain controller (reference/active-directory.md 3d).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from genesys_ad_sync.errors import WindowError
from genesys_ad_sync_airflow.active_directory.hook import ActiveDirectoryHook
from sandbox.directory_objects import AddMember, Disable, Enable, RemoveMember
from tests.support.pipeline import Pipeline
from tests.support.small_company import genesys_id, members, rows, small

__all__ = ["small"]


@pytest.fixture
def with_times(small: Pipeline) -> Pipeline:
    """Return the small company on a domain controller that shows times of memberships."""

    def spoil(values: list[bytes]) -> list[bytes]:
        return [value.replace(*small.spoilt) for value in values] if hasattr(small, "spoilt") else values

    @contextmanager
    def session() -> Iterator[Any]:
        with ActiveDirectoryHook().get_conn() as opened:
            # values come in one range, and the group's own rights are not looked at
            opened.read_ranges = lambda guid, _: iter([spoil(small.directory.link_metadata(guid))])  # type: ignore[method-assign, assignment]
            yield opened

    small.directory_hook = session
    return small


def now() -> datetime:
    return datetime.now(timezone.utc)


def moment(report: dict[str, Any], action: str) -> datetime:
    (row,) = [row for row in report["details"] if row["action"] == action]
    return datetime.fromisoformat(row["changed_at"].replace("Z", "+00:00"))


def test_changes_carry_the_time_at_which_they_were_made(with_times: Pipeline) -> None:
    with_times.run()
    start = with_times.directory.clock()
    with_times.directory.apply([AddMember("voice", "fay")])
    middle = with_times.directory.tick()
    with_times.directory.apply([RemoveMember("core", "eve")])  # nested two deep
    end = with_times.directory.tick()
    report = with_times.run()
    assert start <= moment(report, "add") < middle
    assert middle <= moment(report, "remove") < end


def test_changes_that_have_no_time_are_counted(with_times: Pipeline) -> None:
    with_times.run()
    with_times.directory.tick()
    fay = [AddMember("voice", "fay"), RemoveMember("voice", "fay"), AddMember("voice", "fay")]
    with_times.directory.apply(fay)
    report = with_times.run()
    assert rows(report) == [("add", "fay", "success", None, None)]
    assert any(note.startswith("there were 2 more changes") for note in report["notes"])


def test_somebody_who_was_enabled_has_no_time_of_an_old_membership(with_times: Pipeline) -> None:
    with_times.directory.apply([Disable("ann")])
    with_times.run()
    with_times.directory.apply([Enable("ann"), AddMember("chat", "fay")])
    report = with_times.run()
    times = {row["directory_user"]["mail"]: row["changed_at"] for row in report["details"]}
    assert times["ann@example.com"] is None
    assert times["fay@example.com"] is not None


def test_samba_itself_tells_no_times(small: Pipeline) -> None:
    small.run()
    small.directory.apply([AddMember("voice", "fay")])
    (row,) = small.run()["details"]
    assert row["changed_at"] is None
    assert row["observed_after"] < row["observed_at"]


def test_a_window_takes_a_change_by_its_time_and_not_by_when_it_was_seen(with_times: Pipeline) -> None:
    with_times.run()
    start = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "fay")])
    middle = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "dan")])
    end = with_times.directory.tick()
    later = with_times.run(run_type="backfill", window=(middle, end))
    assert rows(later) == [("add", "dan", "success", None, None)]
    earlier = with_times.run(run_type="backfill", window=(start, middle))
    assert rows(earlier) == [("add", "fay", "success", None, None)]


def test_a_window_before_the_journal_is_rebuilt(with_times: Pipeline) -> None:
    start = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "fay"), RemoveMember("voice", "bob"), RemoveMember("chat", "core")])
    end = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "dan")])
    with_times.directory.tick()
    report = with_times.run(run_type="backfill", window=(start, end))
    assert ("add", "fay", "success", None, None) in rows(report)
    assert not rows(report, "dan")
    assert [row for row in rows(report) if row[0] == "remove"], "bob and eve left in that window"
    assert any("rebuilt" in note for note in report["notes"])
    assert members(with_times, "Voice") == {"fay", "mia"}
    # Again: nothing is doubled, and a live run makes the rest.
    again = with_times.run(run_type="backfill", window=(start, end))
    assert {row[4] for row in rows(again)} == {report["run_id"]}
    with_times.run()
    assert members(with_times, "Voice") == {"ann", "cid", "fay", "dan", "mia"}


def test_a_dry_run_over_a_window_before_the_journal_leaves_nothing_to_do(with_times: Pipeline) -> None:
    start = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "fay")])
    with_times.directory.tick()
    with_times.run()
    with_times.genesys.change_members(genesys_id("Voice"), remove=[genesys_id("fay")])
    window = {"run_type": "backfill", "window": (start, beginning_of_journal(with_times))}
    for _ in range(2):
        dry = with_times.run(**window, dry_run=True)
        assert rows(dry, "fay") == [("add", "fay", "planned", None, None)]
        assert with_times.journal.of("default").changes.unsettled() == []
    assert rows(with_times.run()) == []
    assert rows(with_times.run("live", **window), "fay") == [("add", "fay", "success", None, None)]
    (listed,) = rows(with_times.run(**window, dry_run=True), "fay")
    assert listed[2] == "success"
    assert listed[4] is not None


def test_a_window_before_the_journal_is_rebuilt_for_the_chosen_groups_only(with_times: Pipeline) -> None:
    start = with_times.directory.tick()
    with_times.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "fay"), AddMember("chat", "ann")])
    with_times.directory.tick()
    with_times.run(dry_run=True)
    window = {"run_type": "backfill", "window": (start, beginning_of_journal(with_times))}
    report = with_times.run(**window, groups=["Voice"])
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]
    assert with_times.journal.of("default").changes.unsettled() == []


def test_a_window_before_the_journal_fails_where_times_have_another_form_and_names_the_remedy(
    with_times: Pipeline,
) -> None:
    start = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "fay")])
    with_times.directory.tick()
    with_times.run()
    with_times.spoilt = (b"Z</ftimeLastOriginatingChange>", b".000Z</ftimeLastOriginatingChange>")  # type: ignore[attr-defined]
    with pytest.raises(WindowError, match=r"0 of \d+ records.*mode `full`"):
        with_times.run(run_type="backfill", window=(start, beginning_of_journal(with_times)))
    with_times.directory.apply([AddMember("voice", "dan")])
    report = with_times.run()
    assert rows(report) == [("add", "dan", "success", None, None)]
    assert any("0 of" in note and "records" in note for note in report["notes"])


def test_an_undo_asks_nothing_of_the_time_before_the_journal(with_times: Pipeline) -> None:
    start = with_times.directory.tick()
    with_times.directory.apply([AddMember("voice", "fay")])
    with_times.directory.tick()
    with_times.run("first")
    with_times.run("undo", undo_run="first", window=(start, beginning_of_journal(with_times)))
    # what the undo holds stays open, and nothing was rebuilt from before the journal
    unsettled = with_times.journal.of("default").changes.unsettled()
    assert {change.origin for change in unsettled} == {"comparison"}


def beginning_of_journal(pipeline: Pipeline) -> datetime:
    stored = pipeline.journal.of("default").views.cursor()
    assert stored is not None
    return stored.began_at


def test_a_window_before_the_journal_fails_where_no_times_are_kept_and_names_the_remedy(small: Pipeline) -> None:
    small.run()
    past = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(WindowError, match="mode `full`"):
        small.run("too-early", run_type="backfill", window=(past, past + timedelta(days=1)))
    report = small.report("too-early", run_type="backfill", window=(past, past + timedelta(days=1)))
    assert any("mode `full`" in note for note in report["notes"])
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}


def test_a_window_that_began_before_the_journal_takes_the_rest_and_says_so(small: Pipeline) -> None:
    small.run()
    small.directory.apply([AddMember("voice", "fay")])
    report = small.run(run_type="backfill", window=(datetime(2026, 1, 1, tzinfo=timezone.utc), now()))
    assert rows(report, "fay") == [("add", "fay", "success", None, None)]
    assert {row[4] for row in rows(report) if row[1] != "fay"} == {"run-1"}  # the first run's; since when is not known
    assert any("the journal began" in note for note in report["notes"])
