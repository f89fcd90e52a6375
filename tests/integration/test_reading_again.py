"""What a poll reads again: hidden, shared, lagging or deleted objects.

They lose nobody a membership, and nobody's loss is overlooked. Each test tells one story that once ended
wrongly.
"""

from __future__ import annotations

from typing import Any

import ldap3
import pytest

from sandbox.directory_objects import (
    BASE_DN,
    CONTACT_CENTER,
    OTHER_GROUPS,
    AddGroup,
    AddMember,
    Delete,
    Disable,
    Group,
    RemoveMember,
    Rename,
)
from tests.support.pipeline import Pipeline, set_connection
from tests.support.rights import MEMBER, change_rights
from tests.support.small_company import connection_to, members, rows
from tests.support.small_company import small as small  # noqa: PLC0414  the fixture, used by its name

USER_ACCOUNT_CONTROL = "bf967a68-0de6-11d0-a285-00aa003049e2"  # schemaIDGUID of the attribute
USER_CLASS = "bf967aba-0de6-11d0-a285-00aa003049e2"


def test_a_renamed_group_whose_members_cannot_be_read_any_more_loses_nobody(small: Pipeline) -> None:
    """The right to read `member` went with a move or an edit of the group, which DirSync tells of."""
    small.run()
    before = members(small, "Voice")
    change_rights(small.directory, small.directory.dn_of("voice"), f"(OD;;RP;{MEMBER};;{{who}})")
    small.directory.apply([Rename("voice", "Voice (new)")])
    for mode in ("auto", "auto", "full", "auto"):
        report = small.run(mode=mode)
        assert {row[2:4] for row in rows(report)} <= {("held", "unexplained_loss")}
        assert members(small, "Voice") == before
        if mode == "full":
            assert any("lack more members" in note for note in report["notes"])


@pytest.mark.parametrize("account", ["reader", "limited"])
def test_who_is_found_gone_from_a_shared_nested_group_loses_every_membership(
    small: Pipeline, account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to see tombstones, only the proof of one of the groups above shows it."""
    set_connection(monkeypatch, "active_directory_default", connection_to(small.directory, account=account))
    small.directory.apply([AddMember("core", "fay"), AddMember("core", "ann"), AddMember("voice", "core")])
    small.run()
    assert members(small, "Voice") == {"ann", "bob", "cid", "eve", "fay", "mia"}
    assert members(small, "Chat") == {"ann", "dan", "eve", "fay"}
    small.directory.apply([Delete("eve"), RemoveMember("voice", "bob")])
    small.run()
    assert members(small, "Voice") == {"ann", "cid", "fay", "mia"}
    small.run()
    assert members(small, "Chat") == {"ann", "dan", "fay"}


def test_a_group_emptied_while_an_organizational_unit_is_renamed_is_believed(small: Pipeline) -> None:
    """The renamed OU asks for a whole view; what DirSync told of the group is true all the same."""
    small.run()
    connection = small.directory.ldap()
    small.directory.apply([RemoveMember("voice", name) for name in ("ann", "bob", "cid")])
    name, parent = OTHER_GROUPS.split(",", 1)
    assert connection.modify_dn(OTHER_GROUPS, f"{name} (renamed)", new_superior=parent)[0]
    report = small.run()
    assert any("renamed or moved" in note for note in report["notes"])
    assert [row[:4] for row in rows(report)] == [("remove", name, "success", None) for name in ("ann", "bob", "cid")]
    assert members(small, "Voice") == {"mia"}
    connection.unbind()


def test_a_disabled_account_whose_state_cannot_be_read_any_more_stays_disabled(small: Pipeline) -> None:
    small.directory.apply([Disable("bob"), Disable("fay")])
    small.run()
    assert members(small, "Voice") == {"ann", "cid", "mia"}
    change_rights(small.directory, BASE_DN, f"(OD;CIIO;RP;{USER_ACCOUNT_CONTROL};{USER_CLASS};{{who}})")
    for mode in ("auto", "full", "auto"):
        assert rows(small.run(mode=mode)) == []
    small.directory.apply([AddMember("voice", "fay")])
    report = small.run(mode="full")
    assert rows(report) == []
    assert members(small, "Voice") == {"ann", "cid", "mia"}
    assert any("userAccountControl" in note for note in report["notes"])


def test_a_deleted_group_that_a_forgotten_one_still_contains_is_gone(small: Pipeline) -> None:
    small.directory.apply(
        [
            AddGroup(Group("outer", "Outer", ("fay",), ou=OTHER_GROUPS)),
            AddMember("outer", "voice"),
            AddMember("chat", "outer"),
        ]
    )
    small.run()
    small.directory.apply([RemoveMember("chat", "outer")])
    small.run()
    small.directory.apply([Delete("voice")])
    report = small.run()
    assert {row[3] for row in rows(report)} == {"mapping_changed"}
    assert "voice" not in {
        group.sam_account_name for group in small.journal.of(small.definition.name).views.groups_in_scope()
    }
    assert members(small, "Voice") == {"ann", "bob", "cid", "mia"}


def test_contacts_and_computers_are_left_out_with_a_count(small: Pipeline) -> None:
    connection = small.directory.ldap()
    for name, kind in (("paging", "contact"), ("kiosk", "computer")):
        dn = f"CN={name},{CONTACT_CENTER}"
        assert connection.add(dn, [kind], {"sAMAccountName": f"{name}$"} if kind == "computer" else {})[0]
        assert connection.modify(small.directory.dn_of("voice"), {"member": [(ldap3.MODIFY_ADD, [dn])]})[0]
    connection.unbind()
    assert "members that are not users of this domain get no membership: 1 computer, 1 contact" in small.run()["notes"]
