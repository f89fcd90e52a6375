"""Who is in a Genesys group through what, what waits, and what the limits have counted."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

from datetime import timedelta

from genesys_ad_sync.journal import Journal
from genesys_ad_sync.views.group import GroupAnswer, explain_group
from genesys_ad_sync.views.search import find_groups
from tests.support.journal import T0, journal, journal_url  # noqa: F401 (fixtures)
from tests.support.view_examples import (
    Action,
    Reason,
    Status,
    change,
    definition,
    grant,
    looked_at,
    map_groups,
    poll,
    run_with,
)

NOW = T0 + timedelta(hours=1)


def explained(journal: Journal, which: str) -> GroupAnswer:
    [hit] = find_groups(journal, which)
    return explain_group(journal, hit, {"default": definition()}, now=NOW)


def origins(answer: GroupAnswer) -> dict[str | None, str]:
    return {member.guid or member.genesys_user_id: member.origin for member in answer.members}


def test_members_are_told_apart_by_their_origin(journal: Journal) -> None:
    poll(journal, {"voice": "ann bob inner", "inner": "cid", "other": "dan eve"})
    map_groups(journal, "voice")
    grant(journal, "voice", "ann", "cid", "dan", "eve")
    mine = journal.of("default").grants
    mine.sleep([one for one in mine.of_groups(["G-voice"]) if one.user_guid == "eve"], T0)
    looked_at(journal, "voice", **{"U-mia": "Mia", "U-ann": "Ann"})  # ann was granted since
    answer = explained(journal, "voice")
    assert origins(answer) == {
        "ann": "ad", "cid": "ad", "bob": "to add", "dan": "to remove", "U-mia": "by hand", "eve": "not certain",
    }  # fmt: skip
    assert answer.by_origin == {"ad": 2, "to add": 1, "to remove": 1, "by hand": 1, "not certain": 1}
    paths = {member.guid: [group.name for group in member.path] for member in answer.members if member.guid}
    assert (paths["cid"], paths["dan"]) == (["GC-voice", "GC-inner"], [])
    assert next(member.name for member in answer.members if member.origin == "by hand") == "Mia"


def test_what_feeds_the_group_with_rule_and_last_complete_reading(journal: Journal) -> None:
    poll(journal, {"voice": "ann", "night": ""})
    map_groups(journal, "voice")
    run, _ = run_with(journal, "morning", change("voice", "ann"), Status.SUCCESS)
    journal.of("default").pairs.set_baselines([("voice", "G-voice")], "dag", "morning", T0)
    [source] = explained(journal, "voice").sources
    assert (source.group.name, source.members, source.mapped) == ("GC-voice", 1, True)
    assert source.read_completely_at == run.started_at
    assert (source.compared_first_at, source.compared_first_by) == (T0, "dag/morning")
    map_groups(journal)
    answer = explained(journal, "voice")
    assert [(one.mapped, one.until, one.members) for one in answer.sources] == [(False, T0, None)]


def test_what_waits_and_what_the_limits_have_counted(journal: Journal) -> None:
    poll(journal, {"voice": "ann", "other": "bob cid"})
    map_groups(journal, "voice")
    grant(journal, "voice", "bob", "cid")
    run_with(journal, "r1", change("voice", "bob", Action.REMOVE), Status.SUCCESS)
    run_with(journal, "r2", change("voice", "cid", Action.REMOVE), Status.HELD, reason=Reason.OVER_LIMIT)
    run_with(journal, "r3", change("voice", "ann"), Status.ORPHANED, reason=Reason.INACTIVE)
    answer = explained(journal, "voice")
    assert [(wait.status, wait.reason, wait.count) for wait in answer.waits] == [
        ("held", "over_limit", 1),
        ("orphaned", "inactive", 1),
    ]
    assert [(use.used, use.limit) for use in answer.limits] == [(1, 50), (1, 500), (0, 200)]


def test_a_group_that_another_definition_feeds_and_one_that_is_protected(journal: Journal) -> None:
    poll(journal, {"sales": "ann"})
    map_groups(journal, "sales")
    journal.of("other").claims.take("https://api", ["G-sales"], T0)
    answer = explained(journal, "sales")
    assert (answer.claimed_by, answer.claimed_since, answer.protected) == ("other", T0, True)


def test_a_limit_counts_the_group_apart_from_groups_whose_id_begins_alike(journal: Journal) -> None:
    poll(journal, {"voice": "ann bob cid", "voice2": "ann bob"})
    map_groups(journal, "voice", "voice2")
    for number, (group, person, action) in enumerate(
        [
            ("voice", "ann", Action.REMOVE),
            ("voice2", "ann", Action.REMOVE),
            ("voice2", "bob", Action.REMOVE),
            ("voice", "cid", Action.ADD),
        ]
    ):
        run_with(journal, f"r{number}", change(group, person, action), Status.SUCCESS)
    assert [use.used for use in explained(journal, "G-voice").limits] == [1, 3, 1]
