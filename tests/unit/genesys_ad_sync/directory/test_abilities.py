"""What a domain controller is told to be able to do, and when that is news."""

import dataclasses

import pytest

from genesys_ad_sync.directory.abilities import Abilities, operating_system
from genesys_ad_sync.errors import DirectoryNotFound
from tests.support.fake_directory_session import ROOT, FakeSession, entry

WINDOWS = Abilities("Windows Server 2022 10.0 (20348)", 7, 7, True, False, True, True, True, True)


def test_the_note_names_version_levels_and_what_is_missing():
    words = WINDOWS.words("dc1.t", 98, 100)
    for part in (
        "dc1.t: Windows Server 2022 10.0 (20348)",
        "functional level of the domain: 2016",
        "deleted objects visible: no",
        "ends of temporary memberships: yes",
        "times of memberships: yes, 98 of 100 records understood",
    ):
        assert part in words
    assert "version not readable" in Abilities().words("dc1.t", 0, 0)
    assert "of the domain: 99" in Abilities(domain_level=99).words("dc1.t", 0, 0)


def test_what_was_not_known_before_is_no_change_and_what_is_not_known_now_stays():
    less = Abilities(domain_level=7, tombstones=False)
    assert not WINDOWS.completed(less).differs_from(less)
    assert less.completed(WINDOWS) == WINDOWS
    assert Abilities(tombstones=True).completed(WINDOWS).differs_from(WINDOWS)


def test_the_stored_form_of_another_version_is_read():
    assert Abilities.of_stored(WINDOWS.stored()) == WINDOWS
    assert Abilities.of_stored({"domain_level": 7, "unheard_of": 1}) == Abilities(domain_level=7)


class Shows(FakeSession):
    asked: tuple = ()

    def search(self, base, *_, **__):
        self.asked = (*self.asked, base)
        answer = self.found.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_version_is_that_of_the_computer_of_the_domain_controller():
    root = dataclasses.replace(ROOT, service="CN=NTDS Settings,CN=DC1,CN=Servers,DC=t")
    found = [
        [entry(1, serverReference=[b"<GUID=1>;<SID=S-1>;CN=DC1,OU=Domain Controllers,DC=t"])],
        [entry(2, operatingSystem=[b"Windows Server 2022 Standard"], operatingSystemVersion=[b"10.0 (20348)"])],
    ]
    session = Shows(found=found)
    assert operating_system(session, root) == "Windows Server 2022 Standard 10.0 (20348)"
    assert session.asked == ("CN=DC1,CN=Servers,DC=t", "CN=DC1,OU=Domain Controllers,DC=t")


@pytest.mark.parametrize("found", [[[]], [DirectoryNotFound("no")], [[entry(1)]]])
def test_a_version_that_cannot_be_read_stops_nothing(found):
    root = dataclasses.replace(ROOT, service="CN=NTDS Settings,CN=DC1,DC=t")
    assert operating_system(Shows(found=found), root) is None
    assert operating_system(Shows(), ROOT) is None
