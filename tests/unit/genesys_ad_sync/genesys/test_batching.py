"""What a refused batch is cut into, and how a refusal of the whole group is told from one of its members."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from genesys_ad_sync.genesys.client import ApiResponse
from genesys_ad_sync.genesys.errors import BadRequest, VersionConflict
from genesys_ad_sync.genesys.writers.base import MemberChange
from genesys_ad_sync.genesys.writers.batching import BatchSender
from genesys_ad_sync.model import Action

DYNAMIC = "The membership of the group is dynamic."


def changes(number: int, action: Action = Action.ADD) -> list[MemberChange]:
    return [MemberChange(action, f"u{index}") for index in range(number)]


class Sender:
    """A `BatchSender` that notes the sizes of its requests, and what became of each change."""

    def __init__(self, refuse: Callable[[Sequence[MemberChange]], str | None], seed: int = 0) -> None:
        self.sizes: list[int] = []
        self.ok: set[str] = set()
        self.refused: set[str] = set()
        self._refuse = refuse
        self._batches = BatchSender(50, self._send, lambda: True, choose=random.Random(seed).choice)

    def _send(self, batch: Sequence[MemberChange]) -> ApiResponse:
        self.sizes.append(len(batch))
        if words := self._refuse(batch):
            raise BadRequest(words, status=400, code="bad.request")
        return ApiResponse(200, None, None)

    def send(self, all_of: Sequence[MemberChange]) -> Sender:
        for result in self._batches.send(all_of):
            seen = self.ok if result.ok else self.refused
            assert result.user_id not in self.ok | self.refused, "one result for each change"
            seen.add(result.user_id)
        return self


def test_a_group_that_refuses_everybody_costs_five_requests_however_many_batches_there_are() -> None:
    sender = Sender(lambda _: DYNAMIC).send(changes(130))
    assert sender.sizes == [50, 25, 25, 1, 1]
    assert len(sender.refused) == 130


def test_a_group_that_was_found_to_refuse_is_asked_once_for_the_other_action() -> None:
    sender = Sender(lambda _: DYNAMIC)
    sender.send(changes(50))
    sender.refused.clear()
    sender.send(changes(50, Action.REMOVE))
    assert sender.sizes == [50, 25, 25, 1, 1, 50]
    assert len(sender.refused) == 50


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("bad", [{"u0"}, {"u49"}, {"u0", "u25"}, {"u3", "u4", "u30"}, {"u0", "u1", "u48", "u49"}])
def test_bad_members_are_found_alone_also_where_all_are_refused_in_the_same_words(bad: set[str], seed: int) -> None:
    def refuse(batch: Sequence[MemberChange]) -> str | None:
        return "A user cannot be a member." if bad & {change.user_id for change in batch} else None

    sender = Sender(refuse, seed).send(changes(50))
    assert sender.refused == bad
    assert len(sender.ok) == 50 - len(bad)


def test_words_that_name_the_user_never_speak_of_the_group() -> None:
    sender = Sender(lambda batch: f"User {batch[0].user_id} is deleted.").send(changes(20))
    assert len(sender.refused) == 20
    assert sender.sizes.count(1) == 20


def test_a_group_of_which_a_change_was_accepted_is_not_refused() -> None:
    bad = {f"u{number}" for number in range(50, 100)}
    sender = Sender(lambda batch: "No." if bad & {change.user_id for change in batch} else None).send(changes(120))
    assert sender.refused == bad
    assert sender.sizes.count(1) == 50


def test_a_version_conflict_of_a_half_is_not_halved() -> None:
    sizes: list[int] = []

    def send(batch: Sequence[MemberChange]) -> ApiResponse:
        sizes.append(len(batch))
        if len(batch) == 10:
            raise BadRequest("No.", status=400)
        raise VersionConflict("It changed.", status=409)

    results = list(BatchSender(50, send, lambda: True).send(changes(10)))
    assert [result.ok for result in results] == [False] * 10
    assert sizes == [10, 5, 5]
