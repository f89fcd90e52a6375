"""The texts that the journal keeps of a scope and of a row, and the data that is read back from them."""

from __future__ import annotations

import pytest

from genesys_ad_sync.model import Action, Row, RowKey, Scope, Status


@pytest.mark.parametrize("group_filter", ["(objectClass=group)", "(|(cn=GC-*)(&(cn=a)(|(cn=b))))"])
def test_a_scope_comes_back_from_its_fingerprint(group_filter: str) -> None:
    scope = Scope("DC=t", "OU=a'b\\,c,DC=t", group_filter, True, "keep", ("info",), ("mail", "userprincipalname"))
    assert Scope.of_fingerprint(scope.fingerprint) == scope


def test_the_fingerprint_in_existing_journals_stays_the_same() -> None:
    scope = Scope("DC=t", "OU=a,DC=t", "(objectClass=group)", False, "remove", (), ("mail",))
    assert scope.fingerprint == "DC=t|OU=a,DC=t|(objectClass=group)|False|remove|()|('mail',)"


def test_a_row_key_comes_back_from_its_text() -> None:
    row = Row(Action.REMOVE, Status.PLANNED, "G1", "u1", ("a",))
    assert row.key == "G1:u1:remove"
    assert RowKey.parse(row.key) == row.row_key == RowKey("G1", "u1", Action.REMOVE)
    unmapped = Row(Action.ADD, Status.SKIPPED, None, None, ("a", "b"))
    assert RowKey.parse(unmapped.key) == RowKey("a,b", "", Action.ADD)
