"""A domain controller that refuses what it handed out, and one that sends everything. By a proxy before Samba.

Real: Samba, and all answers but the one in question. Documented: the refusal (Microsoft's page on DirSync and the
discussion of win32 documentation: protocolError, "0000203D … Error processing control"), since Samba refuses no cookie.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.directory_objects import AddMember, RemoveMember
from tests.support.ldap_proxy import Proxy, Request, proxy_before, result
from tests.support.pipeline import Pipeline, set_connection
from tests.support.small_company import members, rows, small

__all__ = ["small"]

DOCUMENTED = "0000203D: LdapErr: DSID-0C0908B4, comment: Error processing control, data 0, v4563"


@pytest.fixture
def proxy(small: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Return a proxy before the small company's domain controller; the pipeline connects through it."""
    with proxy_before(small.directory) as running:
        set_connection(monkeypatch, "active_directory_default", running.connection())
        yield running


class Refusal:
    """Refuse the cookie that the journal holds, and no other; count how often that happened."""

    def __init__(self, pipeline: Pipeline, code: int, message: str = DOCUMENTED) -> None:
        stored = pipeline.journal.of(pipeline.definition.name).views.cursor()
        assert stored is not None
        self._cookie, self._code, self._message = stored.cursor.cookie, code, message
        self.count = 0

    def __call__(self, request: Request) -> bytes | None:
        if request.dirsync_cookie is None or request.dirsync_cookie != self._cookie:
            return None
        self.count += 1
        return result(request, self._code, self._message)


@pytest.mark.parametrize("mode", ["auto", "full"])
@pytest.mark.parametrize("code", [2, 12, 80, 32])
def test_a_cookie_that_is_refused_for_any_reason_ends_in_a_whole_view(
    small: Pipeline, proxy: Proxy, code: int, mode: str
) -> None:
    small.run()
    small.directory.apply([RemoveMember("voice", "bob"), AddMember("voice", "eve")])
    proxy.answer = refusal = Refusal(small, code)
    report = small.run(mode=mode)
    assert refusal.count >= 1
    assert members(small, "Voice") == {"ann", "cid", "eve", "mia"}
    if mode == "auto":
        assert any("read completely again" in note and "0000203D" in note for note in report["notes"])
    small.directory.apply([RemoveMember("voice", "cid")])
    later = small.run()
    assert rows(later) == [("remove", "cid", "success", None, None)]
    assert not any("read completely again" in note for note in later["notes"]), "the new cookie is used"
