"""Which pairs of an AD group and a Genesys group need a person before they grant anything."""

from __future__ import annotations

import pytest

from genesys_ad_sync.model import GroupPair
from genesys_ad_sync.planning.new_pairs import key_of, need_nobody
from genesys_ad_sync.settings import SyncDefinition
from tests.support.sync_examples import definition

GUID, SID, ID = "0b9451bf-ceba-51a5-bb56-ea949263f69c", "S-1-5-21-1-2-3-4", "7ac784f8-09e8-50f9-b4c7-11a0d0f82d16"
PAIR = GroupPair("g1", "G", "Sales", 0)


def by(rule: dict[str, str], **limits: str) -> SyncDefinition:
    return definition(groups=[rule], limits=limits)


def needs_nobody(
    policy: SyncDefinition, *, fed_before: tuple[str, ...] = (), first_run: bool = False, listed: bool | None = None
) -> bool:
    """Return whether nobody is asked about PAIR. ``listed``: by dry reports; None: there were none."""
    known = set() if listed is None else {key_of(PAIR) if listed else ("g2", "H")}
    before = {"g1": fed_before} if fed_before else {}
    return key_of(PAIR) in need_nobody([PAIR], policy, fed_before=before, first_run=first_run, listed=known)


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "(?P<same>.+)", "genesys_name": "{same}"},
        {"attribute": "info", "genesys_id": "{value}"},
        {"dn": "CN=Sales,DC=example,DC=com", "genesys_id": ID},
        {"dn": "CN=Sales,DC=example,DC=com", "genesys_name": "Sales"},
    ],
)
def test_a_pair_that_others_can_make_asks_after_the_first_run(rule: dict[str, str]) -> None:
    assert not needs_nobody(by(rule))
    assert not needs_nobody(by(rule), listed=True)  # a dry report of later is no confirmation
    assert needs_nobody(by(rule, new_pairs="allow"))


@pytest.mark.parametrize("source", [{"guid": GUID}, {"sid": SID}])
def test_a_rule_that_names_both_groups_for_good_asks_nobody(source: dict[str, str]) -> None:
    assert needs_nobody(by({**source, "genesys_id": ID}))
    assert needs_nobody(by({**source, "genesys_name": "Sales"}))
    assert needs_nobody(by({**source, "genesys_name": "Sales"}), fed_before=("G",))


def test_a_name_that_now_finds_another_genesys_group_asks() -> None:
    assert not needs_nobody(by({"guid": GUID, "genesys_name": "Sales"}), fed_before=("another",))
    assert needs_nobody(by({"guid": GUID, "genesys_id": ID}), fed_before=("another",))


@pytest.mark.parametrize(("listed", "nobody"), [(None, True), (True, True), (False, False)])
def test_the_first_run_takes_what_dry_reports_listed(listed: bool | None, nobody: bool) -> None:
    rule = {"name": "(?P<same>.+)", "genesys_name": "{same}"}
    assert needs_nobody(by(rule), first_run=True, listed=listed) is nobody
