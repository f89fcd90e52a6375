"""What only writes show, tried on a group that was made for it.

Nobody but the two test users is ever added or removed, and both are members again at the end. `scratch_refusals`
decides before the first write whether the group may be used.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from genesys_ad_sync.doctor.lines import Check, Line, NotReached, NotTried, not_proven, note, ok, problem, run_checks
from genesys_ad_sync.doctor.remedies import remedy_of
from genesys_ad_sync.genesys.client import GenesysClient, path_segment
from genesys_ad_sync.genesys.errors import GenesysError, NotFound, VersionConflict
from genesys_ad_sync.genesys.gateway import GenesysGateway
from genesys_ad_sync.genesys.writers import MemberChange, patch_request
from genesys_ad_sync.model import Action, GenesysUser, UserKey

POLL = 0.5  # seconds between two looks at the members


class Sent(NamedTuple):
    """The answer to a write. ``error`` None: it was accepted."""

    status: int | None
    error: GenesysError | None

    @property
    def words(self) -> str:
        return f"accepted with {self.status}" if self.error is None else f"refused ({self.error})"


@dataclass
class Lab:
    """The scratch group and its two test users.

    ``within``: seconds to wait for a write to be seen.
    ``one`` is active, and comes and goes. ``other`` stays, and may be inactive.
    ``one`` is active, and is the one who comes and goes; ``other`` stays, and may be inactive.
    """

    client: GenesysClient
    group_id: str
    one: GenesysUser
    other: GenesysUser
    within: float
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    writable: bool = False
    lags: list[float] = field(default_factory=list)
    steps: dict[str, int | None] = field(default_factory=dict)  # what was sent -> how the version grew

    @property
    def both(self) -> tuple[str, str]:
        return self.one.id, self.other.id

    @property
    def group_path(self) -> str:
        return f"/api/v2/groups/{path_segment(self.group_id)}"

    def patch(self, add: Collection[str] = (), remove: Collection[str] = ()) -> Sent:
        """Write as the product does."""
        changes = [MemberChange(Action.ADD, user_id) for user_id in add]
        changes += [MemberChange(Action.REMOVE, user_id) for user_id in remove]
        return self.patch_with(patch_request(changes))

    def patch_with(self, body: dict[str, Any]) -> Sent:
        """Send a SCIM PATCH, once."""
        return self._send("PATCH", f"/api/v2/scim/v2/groups/{path_segment(self.group_id)}", json=body)

    def post(self, user_id: str, version: int) -> Sent:
        """Add a member by the groups API."""
        return self._send("POST", f"{self.group_path}/members", json={"memberIds": [user_id], "version": version})

    def delete(self, user_id: str) -> Sent:
        """Remove a member by the groups API."""
        return self._send("DELETE", f"{self.group_path}/members", params={"ids": user_id})

    def version(self) -> int:
        """Return the group's version. Raises NotReached if it is not shown."""
        group = GenesysGateway(self.client).group(self.group_id)
        if group is None or group.version is None:
            raise NotReached("The group's version is not shown.")
        return group.version

    def members(self) -> frozenset[str]:
        """Return the individual members, as of now."""
        return GenesysGateway(self.client).individuals(self.group_id)

    def wait(self, condition: Callable[[frozenset[str]], bool]) -> frozenset[str]:
        """Return the members once the condition holds, or when the time is over."""
        began = self.clock()
        while True:
            members = self.members()
            waited = self.clock() - began
            if condition(members):
                self.lags.append(waited)
                return members
            if waited >= self.within:
                return members
            self.sleep(POLL)

    def start_with(self, *members: str) -> None:
        """Make exactly these of the two test users members.

        Raises NotReached if that does not come about.
        """
        if not self.writable:
            raise NotTried("Not tried: the group cannot be written, see the lines above.")
        present = self.members()  # a write that changes nothing may be refused
        leaving = [user_id for user_id in self.both if user_id in present and user_id not in members]
        joining = [user_id for user_id in members if user_id not in present]
        if joining or leaving:
            self.patch(add=joining, remove=leaving)
        if (self.one.id in self.wait(lambda seen: (self.one.id in seen) == (self.one.id in members))) != (
            self.one.id in members
        ):
            raise NotReached("Not tried: the members before it could not be made.")

    def _send(self, method: str, path: str, **arguments: Any) -> Sent:
        try:
            return Sent(self.client.call(method, path, idempotent=False, **arguments).status, None)
        except GenesysError as error:
            return Sent(error.status, error)


def try_all(lab: Lab) -> list[Line]:
    """Try everything, and make both test users members again."""
    try:
        lines = run_checks(EXPERIMENTS, lab)
    finally:
        restored = run_checks((("scratch.restored", _restore),), lab)
    return [*lines, *restored]


def _add(lab: Lab) -> Iterator[Line]:
    key = "scratch.add"
    if lab.one.id in lab.members():
        lab.patch(remove=[lab.one.id])
        lab.wait(lambda seen: lab.one.id not in seen)
    sent = lab.patch(add=[lab.one.id])
    if sent.error is not None:
        yield problem(key, f"It is {sent.words}.", remedy_of(sent.error))
        return
    lab.writable = True
    if lab.one.id in lab.wait(lambda seen: lab.one.id in seen):
        yield ok(key, f"It is {sent.words}, and seen.")
    else:
        yield problem(key, f"It is {sent.words}, but not seen within {lab.within:g} s.")


def _remove(lab: Lab) -> Iterator[Line]:
    lab.start_with(*lab.both)
    key, before, sent = "scratch.remove", lab.members(), lab.patch(remove=[lab.one.id])
    if sent.error is not None:
        yield problem(key, f"It is {sent.words}.", remedy_of(sent.error))
        return
    after = lab.wait(lambda seen: lab.one.id not in seen)
    if lab.one.id in after:
        yield problem(key, f"It is {sent.words}, but not seen within {lab.within:g} s.")
    elif lab.other.id in before - after:
        yield problem(key, f"It is {sent.words}, and removed the other member, too.", "Use `write: group_members`.")
    else:
        yield ok(key, f"It is {sent.words}, and removes that member alone.")


def _again(lab: Lab) -> Iterator[Line]:
    key = "scratch.again"
    lab.start_with(*lab.both)
    added = lab.patch(add=[lab.one.id])
    lab.start_with(lab.other.id)
    removed = lab.patch(remove=[lab.one.id])
    harmless = added.error is None and removed.error is None
    text = f"Adding a member again is {added.words}. Removing a non-member is {removed.words}."
    yield ok(key, text) if harmless else note(key, text)


def _version(lab: Lab) -> Iterator[Line]:
    key, steps = "scratch.version", []
    lab.start_with(*lab.both)
    for what, add, remove in (
        ("one removal", (), (lab.one.id,)),
        ("one addition", (lab.one.id,), ()),
        ("the same addition again", (lab.one.id,), ()),
        ("two removals", (), lab.both),
        ("two additions", lab.both, ()),
    ):
        before = lab.version()
        if lab.patch(add=add, remove=remove).error is None:
            lab.wait(lambda seen, add=add: (lab.one.id in seen) == (lab.one.id in add))  # type: ignore[misc]
            steps.append(f"{what}: +{lab.version() - before}")
    yield ok(key, f"{', '.join(steps)}.") if steps else not_proven(key, "Every write was refused.")


def _bare_remove(lab: Lab) -> Iterator[Line]:
    key = "scratch.bare_remove"
    lab.start_with(*lab.both)
    if lab.other.id not in lab.members():
        raise NotReached("Not tried: the other test user is not listed, so its loss could not be seen.")
    body = patch_request([])
    body["Operations"] = [{"op": "remove", "path": "members", "value": [{"value": lab.one.id}]}]
    sent = lab.patch_with(body)
    after = lab.wait(lambda seen: lab.one.id not in seen) if sent.error is None else lab.members()
    if sent.error is not None:
        yield ok(key, f"It is {sent.words}.")
    elif lab.other.id not in after:
        yield note(key, f"It is {sent.words}, and empties the group whatever its value says.")
    elif lab.one.id in after:
        yield note(key, f"It is {sent.words}, and changes nothing.")
    else:
        yield ok(key, f"It is {sent.words}, and removes only the member in its value.")


def _unknown_member(lab: Lab) -> Iterator[Line]:
    key = "scratch.unknown_member"
    lab.start_with(lab.other.id)
    sent = lab.patch(add=[lab.one.id, str(uuid.uuid4())])
    if sent.error is not None:
        came = "The other member of the request was added." if lab.one.id in lab.members() else "No member was added."
        yield ok(key, f"The whole request is {sent.words}. {came}")
        return
    came = "was added" if lab.one.id in lab.wait(lambda seen: lab.one.id in seen) else "was not added"
    yield note(key, f"It is {sent.words}; the other member of the request {came}. Only the read-back shows the loss.")


def _members_api(lab: Lab) -> Iterator[Line]:
    key = "scratch.members_api"
    lab.start_with(lab.other.id)
    added = lab.post(lab.one.id, lab.version())
    came = added.error is None and lab.one.id in lab.wait(lambda seen: lab.one.id in seen)
    removed = lab.delete(lab.one.id)
    went = removed.error is None and lab.one.id not in lab.wait(lambda seen: lab.one.id not in seen)
    text = f"POST is {added.words}. DELETE is {removed.words}."
    if came and went:
        yield ok(key, f"{text} Both are seen.")
    else:
        error = added.error or removed.error
        yield problem(
            key, text if error else f"{text} Not seen within {lab.within:g} s.", remedy_of(error) if error else None
        )


def _stale_version(lab: Lab) -> Iterator[Line]:
    key = "scratch.stale_version"
    lab.start_with(lab.other.id)
    version = lab.version()
    if version < 1:
        raise NotReached("Not tried: the version is too small.")
    sent = lab.post(lab.one.id, version - 1)
    if isinstance(sent.error, VersionConflict):
        yield ok(key, f"It is {sent.words}.")
    elif sent.error is not None:
        yield note(key, f"It is {sent.words}, in words that the product does not recognize as a conflict.")
    else:
        yield problem(key, f"It is {sent.words}.")


def _search_case(lab: Lab) -> Iterator[Line]:
    key, mail = "scratch.search_case", lab.one.email or ""
    if mail.upper() == mail:
        raise NotReached("Not tried: the mail of the active test user has no small letter.")
    query = [{"type": "EXACT", "fields": [UserKey.EMAIL.value], "value": mail.upper()}]
    body = {"pageSize": 25, "pageNumber": 1, "query": query}
    answer = lab.client.call("POST", "/api/v2/users/search", json=body, idempotent=True)
    results = answer.body.get("results") or [] if isinstance(answer.body, dict) else []
    if any(isinstance(user, dict) and user.get("id") == lab.one.id for user in results):
        yield ok(key, "A mail address in capitals is found: the search ignores case.")
    else:
        yield note(
            key,
            "A mail address in capitals is not found: the search is case-sensitive.",
            "Give people the same case in AD and in Genesys Cloud.",
        )


def _inactive(lab: Lab) -> Iterator[Line]:
    key = "scratch.inactive"
    if lab.other.state != "inactive":
        raise NotReached("Not tried: both test users are active.")
    lab.start_with(*lab.both)
    listed = lab.other.id in lab.wait(lambda seen: lab.other.id in seen)
    if listed:
        yield ok(key, "An inactive user can be added, and is listed among the members.")
        return
    yield note(key, "An inactive user is not listed among the members, whether added or not.")


def _lag(lab: Lab) -> Iterator[Line]:
    if not lab.lags:
        raise NotReached("No write was seen.")
    longest = max(lab.lags)
    text = f"Of {len(lab.lags)} writes that were seen, the slowest took {longest:.1f} s."
    if longest > lab.within / 2:
        yield note("scratch.lag", text, "Raise `genesys.verify_within` to twice that.")
    else:
        yield ok("scratch.lag", text)


def _restore(lab: Lab) -> Iterator[Line]:
    key = "scratch.restored"
    present = lab.members()
    absent = [user_id for user_id in lab.both if user_id not in present]
    sent = lab.patch(add=absent) if absent else Sent(None, None)
    for user_id in absent if sent.error is not None else ():
        try:
            lab.post(user_id, lab.version())
        except (NotFound, NotReached):
            break
    members = lab.wait(lambda seen: lab.one.id in seen)
    missing = [user for user in (lab.one, lab.other) if user.id not in members and user.state == "active"]
    if missing:
        yield problem(key, f"Not a member: {', '.join(user.id for user in missing)}.")
    else:
        yield ok(key, "The test users are members.")


EXPERIMENTS: tuple[Check[Lab], ...] = (
    ("scratch.add", _add),
    ("scratch.remove", _remove),
    ("scratch.again", _again),
    ("scratch.version", _version),
    ("scratch.bare_remove", _bare_remove),
    ("scratch.unknown_member", _unknown_member),
    ("scratch.members_api", _members_api),
    ("scratch.stale_version", _stale_version),
    ("scratch.search_case", _search_case),
    ("scratch.inactive", _inactive),
    ("scratch.lag", _lag),
)
