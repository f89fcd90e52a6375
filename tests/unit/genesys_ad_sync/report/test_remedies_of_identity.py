"""Who is who: each remedy names the accounts, the Genesys users and the parameter."""

from __future__ import annotations

from typing import Any

from genesys_ad_sync.model import Action, Reason, Rival, Row, Status
from genesys_ad_sync.report.remedies import remedy


def text(reason: Reason, *rivals: Rival, **more: Any) -> str:
    fields: dict[str, Any] = {"status": Status.HELD, "genesys_user_id": None, **more}
    return (
        remedy(
            Row(
                Action.ADD,
                genesys_group_id="G",
                user_guid="ann",
                group_guids=("g1",),
                reason=reason,
                rivals=rivals,
                **fields,
            )
        )
        or ""
    )


def test_an_ambiguous_row_names_its_rivals_and_three_ways_out() -> None:
    made = text(Reason.AMBIGUOUS, Rival("bob", "x"))
    assert "AD account bob" in made
    assert "exclude: users" in made
    assert "relink: ann=x." in made
    several = text(Reason.AMBIGUOUS, Rival(None, "x"), Rival(None, "y"))
    assert "x, y" in several
    assert "exclude" not in several


def test_an_account_that_was_made_anew_is_settled_by_a_relink_alone() -> None:
    """The old account cannot be edited, and a pattern under exclude: would exclude the new one of the same name."""
    made = text(Reason.AMBIGUOUS, Rival("old", "x"), about={"gone": "old"})
    assert made == (
        "Claimed by AD account old too. No AD group lists it any more. If it still exists, make the values under "
        "users: unique. If it was deleted, which cannot be known without the right to see deleted objects, settle it: "
        "trigger the DAG with relink: ann=x."
    )
    assert "exclude: users" in text(Reason.AMBIGUOUS, Rival("old", "x"), Rival("bob", "x"), about={"gone": "old"})


def test_a_contradicted_link_names_both_users_and_both_answers() -> None:
    made = text(Reason.LINK_CONTRADICTED, Rival(None, "y"), genesys_user_id="x")
    assert made == (
        "Linked to Genesys user x. The rules now find y. To change it: trigger the DAG with relink: ann=y. "
        "To keep x: relink: ann=x."
    )
    assert "y (of AD account bob)" in text(Reason.LINK_CONTRADICTED, Rival("bob", "y"), genesys_user_id="x")


def test_a_refused_value_is_named_with_its_rule() -> None:
    about = {"rule": "employeeNumber=external_id", "value": "."}
    made = text(Reason.NOT_LOOKED_UP, about=about)
    assert "'.'" in made
    assert "employeeNumber=external_id" in made


def test_an_inactive_user_may_have_been_replaced() -> None:
    assert "relink: ann=" in text(Reason.INACTIVE, status=Status.ORPHANED)
