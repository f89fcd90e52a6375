"""What a preview reads of a text, and where it ends."""

from __future__ import annotations

import pytest
import yaml

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.preview.apart import TOO_LONG, Order, PreviewFailed, preview_apart
from genesys_ad_sync.preview.mapping import READ, OtherKeys, with_text
from tests.support.journal import T0
from tests.support.view_examples import DEFINITION_TEXT, definition

RULE = 'groups: [{name: "GC-(?P<team>.+)", genesys_name: "Team {team}"}]'


def test_only_the_keys_of_the_mapping_are_read() -> None:
    text = "\n".join(
        [RULE, "exclude: {groups: [X*]}", "removals: mirror", "limits: {removals: 3}", "protect: [Billing]"]
    )
    merged, changed = with_text(DEFINITION_TEXT, text, name="default", folder=None)
    assert changed == ("exclude", "groups", "limits", "protect", "removals")
    assert (merged.groups[0].template, merged.removals, merged.limits.removals) == ("Team {team}", "mirror", 3)
    assert merged.directory == definition().directory
    assert set(changed) <= set(READ)


def test_a_whole_file_that_is_equal_elsewhere_is_read() -> None:
    whole = yaml.safe_dump(yaml.safe_load(DEFINITION_TEXT) | yaml.safe_load(RULE))
    merged, changed = with_text(DEFINITION_TEXT, whole, name="default", folder=None)
    assert (changed, merged.groups[0].template) == (("groups",), "Team {team}")


@pytest.mark.parametrize(
    "more",
    [
        "genesys: {connection: another}",
        "directory: {group_base: 'OU=other,DC=example'}",
        'report: {path: "file:///$HOME"}',
        'report: {path: "s3://${SECRET}/"}',
        "dry_run: false",
        "unknown: 1",
    ],
)
def test_another_key_that_differs_needs_a_dry_run(more: str) -> None:
    with pytest.raises(OtherKeys, match="Only a dry run can answer") as refused:
        with_text(DEFINITION_TEXT, f"{RULE}\n{more}", name="default", folder=None)
    assert f"`{more.split(':', maxsplit=1)[0]}`" in str(refused.value)


def test_a_variable_of_the_environment_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_SECRET", "hunter2")
    text = 'groups: [{dn: "CN=$GENESYS_AD_SYNC_SECRET,DC=x", genesys_name: "$GENESYS_AD_SYNC_SECRET"}]'
    merged, _ = with_text(DEFINITION_TEXT, text, name="default", folder=None)
    assert "hunter2" not in merged.model_dump_json()


@pytest.mark.parametrize("text", ["groups: [", "groups: []", "- a", "removals: 7", "groups: 1\ngroups: 2"])
def test_a_wrong_text_is_explained(text: str) -> None:
    with pytest.raises(SettingsError, match="your text"):
        with_text(DEFINITION_TEXT, text, name="default", folder=None)


def order(text: str, journal: str = "sqlite:////nowhere/journal.db") -> Order:
    return Order(journal, "default", DEFINITION_TEXT, text, None, T0.isoformat())


def test_a_preview_that_takes_too_long_is_stopped_with_a_message() -> None:
    with pytest.raises(PreviewFailed) as stopped:
        preview_apart(order(RULE), seconds=0.01)  # Python itself needs more
    assert str(stopped.value) == TOO_LONG


def test_messages_of_the_process_name_no_place() -> None:
    with pytest.raises(PreviewFailed) as failed:
        preview_apart(order(RULE), seconds=60)
    assert "nowhere" not in str(failed.value)
    with pytest.raises(PreviewFailed, match="your text"):
        preview_apart(order("groups: ["), seconds=60)
