"""What a run needs of Genesys Cloud's users: search, listing, external ids, and divisions."""

from __future__ import annotations

from collections.abc import Iterator

from genesys_ad_sync.doctor.genesys import GenesysSubject, divisions_in
from genesys_ad_sync.doctor.lines import Line, NotReached, not_proven, note, ok, problem
from genesys_ad_sync.doctor.remedies import PRIVATE_OR_DIVISION, remedy_of
from genesys_ad_sync.genesys.client import path_segment
from genesys_ad_sync.genesys.errors import GenesysError, NotFound
from genesys_ad_sync.genesys.gateway import INACTIVE_CAP, SEARCH_PAGE_SIZE
from genesys_ad_sync.genesys.paging import list_page, page_of
from genesys_ad_sync.model import WriteStrategy
from genesys_ad_sync.text import counted

USERS = "/api/v2/users"
_NOBODY = "genesys-ad-sync-check"  # an external id that no user has


def user_search(subject: GenesysSubject) -> Iterator[Line]:
    """Search for users, which needs directory:user:view."""
    client, path = subject.need_token(), f"{USERS}/search"
    query = [{"type": "EXACT", "fields": ["state"], "value": "active"}]
    body = {"pageSize": SEARCH_PAGE_SIZE, "pageNumber": 1, "query": query}
    page = page_of(client.call("POST", path, json=body, idempotent=True), "POST", path, "results")
    subject.divisions |= divisions_in(page.entities)
    if page.total:
        yield ok("genesys.user_search", f"{page.total:,} active users are found.")
    else:
        yield problem("genesys.user_search", "The search finds no active user at all.", PRIVATE_OR_DIVISION)


def users(subject: GenesysSubject) -> Iterator[Line]:
    """List users of both states, as far as their totals."""
    client, key = subject.need_token(), "genesys.users"
    totals: dict[str, int] = {}
    for state in ("active", "inactive"):
        page = list_page(client, USERS, 1, params={"state": state}, page_size=SEARCH_PAGE_SIZE)
        totals[state] = page.total
        subject.divisions |= divisions_in(page.entities)
    text = f"{totals['active']:,} active and {totals['inactive']:,} inactive users are seen."
    if totals["inactive"] > INACTIVE_CAP:
        yield note(
            key,
            f"{text} Genesys does not list more than {INACTIVE_CAP:,} inactive users, so people are searched for.",
        )
    elif totals["active"]:
        yield ok(key, text)
    else:
        yield problem(key, text, PRIVATE_OR_DIVISION)


def divisions(subject: GenesysSubject) -> Iterator[Line]:
    """Say which divisions the answers show. What is hidden cannot be counted."""
    subject.need_token()
    key, seen = "genesys.divisions", sorted(subject.divisions)
    if not seen:
        raise NotReached("The answers show no division.")
    text = f"The answers show {counted(len(seen), 'division')}. Others may be hidden from the client."
    yield not_proven(key, text, details=seen)


def external_ids(subject: GenesysSubject) -> Iterator[Line]:
    """Ask for a user by an unused external id, for each authority.

    The authorities are those of the rules.
    """
    client, key = subject.need_token(), "genesys.external_ids"
    authorities = sorted({rule.authority for rule in subject.definition.users if rule.authority})
    if not authorities:
        yield ok(key, "No rule of `users:` needs them.")
    for authority in authorities:
        try:
            client.call("GET", f"{USERS}/externalid/{path_segment(authority)}/{_NOBODY}")
        except NotFound:
            yield ok(key, "Users can be looked up.", about=authority)
        except GenesysError as error:
            yield problem(key, str(error), remedy_of(error), about=authority)
        else:
            yield note(key, "A user has the external id of the check.", about=authority)


def groups_of_users(subject: GenesysSubject) -> Iterator[Line]:
    """Look whether users show their groups, which `write: user_patch` needs."""
    client, key = subject.need_token(), "genesys.groups_of_users"
    if subject.definition.genesys.write is not WriteStrategy.USER_PATCH:
        yield ok(key, "Only `write: user_patch` needs them.")
        return
    page = list_page(client, USERS, 1, params={"state": "active", "expand": "groups"}, page_size=SEARCH_PAGE_SIZE)
    lacking = [entity for entity in page.entities if not isinstance(entity.get("groups"), list)]
    if not page.entities:
        raise NotReached("Not tried: no user is seen.")
    if lacking:
        yield problem(key, f"{len(lacking)} of {len(page.entities)} users do not show their groups.")
    else:
        yield ok(key, f"{len(page.entities)} users show their groups.")
