"""Folders, files and keys of recordings, and what happens if they cannot be written."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ldap3.core.exceptions import LDAPSocketReceiveError

from genesys_ad_sync.directory.connection import LdapSettings, Transport, connect
from genesys_ad_sync.directory.recording import VARIABLE, RecordingConnection, RecordingFolder, recorded
from genesys_ad_sync.directory.recording.recorder import RecordingError, RecordingFile
from genesys_ad_sync.errors import DirectoryIncomplete
from tests.support.directory_stubs import SUCCESS, Stub, entry
from tests.support.ldap_listener import listening

PASSWORD = "Geheimnis-4711"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "recording"
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def answer(**_: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return SUCCESS, [entry(1, cn=[b"Ann Example"])]


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def search(stub: Stub, times: int = 1) -> Any:
    session = stub.session()
    for _ in range(times):
        session.search("DC=corp", "(objectClass=*)", ["cn"])
    session.close()
    return session.connection


def test_nothing_is_recorded_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    stub = Stub(answer)
    assert recorded(stub) is stub
    monkeypatch.setenv(VARIABLE, "")
    assert recorded(stub) is stub


def test_each_search_is_a_line_that_only_its_account_may_read(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        search(Stub(answer), times=3)
    finally:
        os.umask(before)
    assert len(lines(folder)) == 3
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "Ann" not in text
    assert "corp" not in text


def test_a_narrow_or_wide_umask_changes_no_mode(folder: Path) -> None:
    for umask in (0o000, 0o777):
        before = os.umask(umask)
        try:
            search(Stub(answer))
        finally:
            os.umask(before)
    assert mode(folder) == 0o700
    assert mode(folder.with_name("recording.key")) == 0o600


def test_the_key_is_not_in_the_folder_and_is_one_for_all_sessions(folder: Path) -> None:
    for _ in range(2):
        search(Stub(answer))
    first, second = (json.loads(path.read_text())["answer"] for path in folder.iterdir())
    assert first == second
    key = folder.with_name("recording.key").read_bytes()
    assert len(key) == 32
    assert not any(key in path.read_bytes() or key.hex() in path.read_text() for path in folder.iterdir())


def test_a_new_folder_of_the_same_name_has_another_key(folder: Path) -> None:
    first = RecordingFolder.open(folder).pseudonyms.name("Ann")
    assert RecordingFolder.open(folder).pseudonyms.name("Ann") == first
    folder.rmdir()
    assert RecordingFolder.open(folder).pseudonyms.name("Ann") != first


def test_sessions_that_begin_together_agree_on_the_key(folder: Path) -> None:
    RecordingFolder.open(folder)
    folder.with_name("recording.key").unlink()
    together = threading.Barrier(8)

    def name(_: int) -> str:
        together.wait()
        return RecordingFolder.open(folder).pseudonyms.name("Ann")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(name, range(8)))) == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == ["recording", "recording.key"]


@pytest.mark.parametrize("what", ["mode", "file", "link", "key"])
def test_a_place_that_is_not_private_is_refused_and_the_sync_goes_on(
    folder: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    if what == "file":
        folder.write_text("")
    elif what == "link":
        target = folder.with_name("target")
        target.mkdir(mode=0o700)
        folder.symlink_to(target)
    else:
        folder.mkdir(mode=0o700)
        if what == "mode":
            folder.chmod(0o750)
        else:
            folder.with_name("recording.key").write_bytes(b"known to others")
    with pytest.raises(RecordingError):
        RecordingFolder.open(folder)
    assert isinstance(search(Stub(answer)), Stub)
    assert "LDAP answers are not recorded" in caplog.text


def test_a_place_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordingError, match=VARIABLE):
        RecordingFolder.open(tmp_path / "file" / "recording")


def test_trouble_ends_the_recording_and_not_the_sync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Stub(answer).session()
    session.search("DC=corp", "(objectClass=*)", ["cn"])
    monkeypatch.setattr(RecordingFile, "write", lambda *_: (_ for _ in ()).throw(OSError("no room for Ann")))
    assert session.search("DC=corp", "(objectClass=*)", ["cn"])
    monkeypatch.undo()
    assert session.search("DC=corp", "(objectClass=*)", ["cn"])
    assert session.connection.trouble == "OSError"
    assert len(lines(folder)) == 1  # no gap: nothing follows a line that is missing


def test_an_answer_that_cannot_be_understood_ends_only_the_recording(folder: Path) -> None:
    odd = {**entry(1), "raw_attributes": {"cn": [None]}}
    connection = RecordingConnection(
        Stub(lambda **_: (SUCCESS, [odd])), RecordingFolder.open(folder), lambda: datetime.now(timezone.utc)
    )
    assert connection.search("DC=corp", "(objectClass=*)", "BASE", attributes=[], controls=[])[2] == [odd]
    assert connection.trouble == "TypeError"


def test_a_part_of_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RecordingFile(tmp_path / "a.jsonl")
    file.write({"number": 1})
    whole = file._file

    class FullDisk:
        def fileno(self) -> int:
            return whole.fileno()

        def write(self, data: bytes) -> int:
            return int(whole.write(data[:3]))

    file._file = FullDisk()  # type: ignore[assignment]
    with pytest.raises(OSError, match="part"):
        file.write({"number": 2})
    file._file = whole
    file.write({"number": 3})
    file.close()
    assert (tmp_path / "a.jsonl").read_text() == '{"number":1}\n{"number":3}\n'


def test_a_broken_connection_is_recorded_and_raised(folder: Path) -> None:
    def fail(**_: Any) -> Any:
        raise LDAPSocketReceiveError("dc1.corp.test has gone")

    with pytest.raises(DirectoryIncomplete):
        search(Stub(fail))
    (line,) = lines(folder)
    assert line["broken"] == "LDAPSocketReceiveError"
    assert "corp" not in json.dumps(line)


def test_what_is_no_search_goes_to_the_connection_unrecorded(folder: Path) -> None:
    stub = Stub(answer)
    stub.extend = "the extended operations"  # type: ignore[attr-defined]
    session = stub.session()
    assert session.connection.extend == "the extended operations"
    assert session.connection.unrecorded is stub
    assert list(folder.iterdir()) == []


def test_steps_have_files_of_their_own(folder: Path) -> None:
    session = Stub(answer).session()
    for step in ("first view", "add a member"):
        session.connection.begin(step)
        session.search("DC=corp", "(objectClass=*)", ["cn"])
    assert sorted(path.name for path in folder.iterdir()) == ["01-first-view.jsonl", "02-add-a-member.jsonl"]
    Stub(answer).session().connection.begin("first view")  # is there already: no exception


def test_a_login_is_never_recorded(folder: Path) -> None:
    with listening() as listener:
        settings = LdapSettings(
            hosts=("127.0.0.1",), login="ann@corp.test", password=PASSWORD, port=listener.port,
            transport=Transport.PLAIN,
        )  # fmt: skip
        session = connect(settings)
        with pytest.raises(DirectoryIncomplete):  # the listener hangs up on a search
            session.search("DC=corp", "(objectClass=*)", ["cn"])
        assert PASSWORD.encode() in listener.everything
    text = "".join(path.read_text() for path in folder.iterdir())
    assert "broken" in text
    for secret in (PASSWORD, "ann", "corp"):
        assert secret not in text


WRITER = """
import sys
from genesys_ad_sync.directory.recording.recorder import RecordingFile
from pathlib import Path
file = RecordingFile(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    file.write({"text": "x" * 100_000})
"""


def test_a_killed_process_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while path.stat().st_size < 300_000:
            pass
        child.send_signal(signal.SIGKILL)
    *whole, last = path.read_text().split("\n")
    assert len(whole) >= 3
    assert all(len(json.loads(line)["text"]) == 100_000 for line in whole)
    assert last == "" or not last.startswith('{"text":"' + "x" * 100_000 + '"}')
