"""What a domain controller has heard of the others, on bytes that Samba answered and on XML as Windows documents it."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import pytest

from genesys_ad_sync.directory import up_to_dateness
from genesys_ad_sync.directory.entries import Entry
from genesys_ad_sync.directory.vector_reader import VectorReader
from genesys_ad_sync.errors import DirectoryIncomplete
from tests.support.fake_directory_session import CURSOR, ROOT, FakeSession

DC1, DC2 = "c8e6aa88-5249-4837-933e-737b96acdb43", "05589d96-aca9-4c4f-ab22-61e29a447faa"
# of the second of two Samba domain controllers
COOKIE = bytes.fromhex(
    "4d5344530300000080316638aa80dd01000000000000000040000000950e0000000000000000000000000000950e000000000000"
    "969d5805a9ac4f4cab2261e29a447faa01000000000000000200000000000000"
    "969d5805a9ac4f4cab2261e29a447faa950e000000000000"
    "88aae6c849523748933e737b96acdb43770f000000000000"
)
VECTOR = {DC2: 3733, DC1: 3959}
# replUpToDateVector of the same one: its own entry is missing
STORED = bytes.fromhex(
    "0200000000000000010000000000000088aae6c849523748933e737b96acdb43770f00000000000000803ed5deb19d01"
)


def xml(invocation_id: str, usn: int) -> bytes:
    return (
        f"<DS_REPL_CURSOR>\n\t<uuidSourceDsaInvocationID>{invocation_id}</uuidSourceDsaInvocationID>\n"
        f"\t<usnAttributeFilter>{usn}</usnAttributeFilter>\n\t<ftimeLastSyncSuccess>2026-11-30T09:00:00Z"
        "</ftimeLastSyncSuccess>\n</DS_REPL_CURSOR>\n\0"
    ).encode()


def test_each_of_the_three_answers_is_read() -> None:
    assert up_to_dateness.of_cookie(COOKIE) == VECTOR
    assert up_to_dateness.of_attribute(STORED) == {DC1: 3959}
    assert up_to_dateness.of_cursors([xml(DC1.upper(), 3959), xml(DC2, 3733)]) == VECTOR


@pytest.mark.parametrize(
    "cookie",
    [
        None,
        b"",
        b"cookie",
        COOKIE[:-1],
        COOKIE[:80],
        b"MSDX" + COOKIE[4:],
        COOKIE[:4] + b"\4" + COOKIE[5:],
        COOKIE[:24] + struct.pack("<I", 63) + COOKIE[28:],  # a length that is not that of the vector
        COOKIE[:76] + struct.pack("<I", 3) + COOKIE[80:],  # more entries than there are
        COOKIE[:68] + struct.pack("<I", 7) + COOKIE[72:],  # another version
        COOKIE[:76] + struct.pack("<I", 0) + COOKIE[80:],
    ],
)
def test_bytes_that_are_not_exactly_so_are_no_vector(cookie: bytes | None) -> None:
    assert up_to_dateness.of_cookie(cookie) is None


def test_xml_that_is_not_exactly_so_is_no_vector() -> None:
    assert up_to_dateness.of_cursors([]) is None
    assert up_to_dateness.of_cursors([xml(DC1, 1), b"<DS_REPL_CURSOR/>"]) is None


def test_a_vector_covers_another_one_entry_by_entry() -> None:
    assert up_to_dateness.missing({"a": 5, "b": 1}, {"a": 5}) == {}
    assert up_to_dateness.missing({"a": 5}, {"a": 7, "b": 2}) == {"a": 2, "b": 2}
    assert up_to_dateness.merged({"a": 5, "b": 1}, {"a": 3, "c": 4}) == {"a": 5, "b": 1, "c": 4}


# -- asked -------------------------------------------------------------------------------------------


class Asked(FakeSession):
    """Answers the searches for the vector in turn."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(root=dataclasses.replace(ROOT, invocation_id=DC2))
        self.answers = list(answers)

    def search(self, *_: Any, **__: Any) -> list[Entry]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [Entry("DC=t", answer)]


def read(session: Asked, cookie: bytes | None) -> Any:
    reader = VectorReader(session, "DC=t")  # type: ignore[arg-type]
    reader.begin(cookie)
    return reader.complete(dataclasses.replace(CURSOR, cookie=cookie, invocation_id=DC2)).vector


def test_a_cookie_that_says_it_costs_no_request() -> None:
    assert read(Asked(), COOKIE) == VECTOR


CURSORS = {"msds-ncreplcursors": [xml(DC1, 3959)]}


@pytest.mark.parametrize("answer", [CURSORS, {"repluptodatevector": [STORED]}])
def test_else_it_is_asked_before_and_after_and_its_own_changes_are_added(answer: dict[str, list[bytes]]) -> None:
    assert read(Asked(answer, answer), b"opaque") == {DC1: 3959, DC2: 100}
    assert read(Asked(answer, answer), None) == {DC1: 3959, DC2: 100}


@pytest.mark.parametrize(
    "answers",
    [
        (CURSORS, {"msds-ncreplcursors": [xml(DC1, 3960)]}),  # heard of something while it was read
        ({}, {}),
        (DirectoryIncomplete("no"), CURSORS),
        (CURSORS, DirectoryIncomplete("no")),
    ],
)
def test_what_is_not_certain_is_not_known(answers: tuple[Any, ...]) -> None:
    assert read(Asked(*answers), b"opaque") is None
