"""A person: why she is in a Genesys group, and why he is not."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from genesys_ad_sync.views.person import explain_genesys_user, explain_person
from genesys_ad_sync.views.search import find_people
from genesys_ad_sync_airflow.pages.page import Page, PageDep, not_found

router = APIRouter()


@router.get("/person")
def person(page: PageDep, guid: str = "", user: str = "") -> HTMLResponse:
    """Return what is known of a person.

    ``guid``: an AD account. ``user``: a Genesys user that AD does not know.
    """
    names = page.names("names")
    if not names:
        raise HTTPException(403, "Your Airflow account may not read the runs of a DAG, and so no names of people.")
    if not guid and not user:
        raise not_found("The address of the page names nobody. Search for the person.")
    answers = (
        explain_person(
            page.journal, guid.strip("{}").lower(), page.definitions, now=page.now, only=names, named=page.names()
        )
        if guid
        else explain_genesys_user(page.journal, user, only=names)
    )
    if not answers:
        raise not_found("No sync whose runs you may read knows this person.")
    account = next((answer.account for answer in answers if answer.account), None)
    title = account.name if account else _name_in_genesys(page, user, names)
    return page.render("person.html.j2", title=title, answers=answers, account=account, user_id=user, seen=page.names())


def _name_in_genesys(page: Page, user_id: str, names: list[str]) -> str:
    """Return the name of a member by hand, as the last full run saw it."""
    hits = find_people(page.journal, user_id, names, limit=1)
    return next((hit.name for hit in hits if hit.name), f"Genesys user {user_id}")
