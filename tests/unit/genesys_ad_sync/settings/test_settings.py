"""The sync definition: what it accepts, what it refuses, and whether the refusal helps."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from genesys_ad_sync import settings
from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import (
    SyncDefinition,
    config_folder,
    dag_id_of_broken,
    find_definitions,
    load_definition,
    parse_definition,
)

PROJECT = Path(settings.__file__).parents[3]
GOOD = """
directory: {group_base: "OU=Contact Center,DC=example,DC=com"}
groups: [{name: "GC-(?P<team>.+)", genesys_name: "{team}"}]
"""


def refusal(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_definition(text, source="sales.yaml")
    return str(caught.value)


def rule(text: str) -> str:
    return f'directory: {{group_base: "DC=example,DC=com"}}\ngroups: [{text}]\n'


# -- what is shipped ----------------------------------------------------------------------------------


def test_the_shipped_definition_loads_and_changes_nothing() -> None:
    shipped = load_definition(PROJECT / "include" / "config" / "default.yaml")
    assert shipped.dry_run is True
    assert shipped.removals == "granted"
    assert (shipped.dag_id, shipped.full_dag_id) == ("genesys_ad_group_sync", "genesys_ad_group_sync_full")


def test_the_shipped_definition_says_every_default_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/opt/airflow")
    shipped = load_definition(PROJECT / "include" / "config" / "default.yaml")
    assert shipped.model_dump() == parse_definition(GOOD).model_dump()


def test_all_rules_of_the_design_are_accepted() -> None:
    made = parse_definition(
        """
directory: {group_base: "DC=example,DC=com", canary: "CN=Canary,DC=example,DC=com"}
groups:
  - {dn: "CN=Tier 2,DC=example,DC=com", genesys_id: 7c0b}
  - {sid: "S-1-5-21-1-2-3-1104", genesys_name: "Tier 3"}
  - {guid: "{AAAAAAAA-0000-0000-0000-000000000001}", genesys_id: 7c0c}
  - {attribute: extensionAttribute7, genesys_id: "{value}"}
  - {dn: "CN=Billing,DC=example,DC=com", genesys_external_id: "ERP-4711"}
  - {name: "GC-(?P<team>.+)", genesys_name: "{team}"}
  - {name: "ID-(?P<id>.+)", genesys_id: "{id}"}
users:
  - {directory: mail, genesys: email}
  - {directory: employeeNumber, genesys: external_id, authority: HR}
limits: {answer_within: PT90M}
"""
    )
    assert [rule.source for rule in made.groups] == ["dn", "sid", "guid", "attribute", "dn", "name", "name"]
    assert made.groups[2].guid == "aaaaaaaa-0000-0000-0000-000000000001"
    assert made.group_attributes == ("extensionattribute7",)
    assert made.user_attributes == ("employeenumber", "mail", "userprincipalname")
    assert made.limits.answer_within == timedelta(minutes=90)
    scope = made.scope("DC=example,DC=com")
    assert scope.group_base == "DC=example,DC=com"
    assert scope.group_attributes == ("extensionattribute7",)


# -- what is refused, and how it is said --------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD + "limits: {removal: 3}", ["`limits.removal`", "not a known key", "Did you mean `removals`?"]),
        (GOOD + "color: red", ["`color`", "not a known key", "Known keys there:"]),
        (rule('{nmae: "x", genesys_name: y}'), ["`groups[0].nmae`", "Did you mean `name`?"]),
        (GOOD + "name: other", ["`name`", "not a known key"]),
        (GOOD + "limits: {removals: many}", ["`limits.removals` ('many')", "not a whole number", "Write"]),
        (GOOD + "limits: {removals: -1}", ["`limits.removals` (-1)"]),
        (GOOD + "limits: {removals: true}", ["`limits.removals` (True)"]),
        (GOOD + "limits: {removals_percent: 120}", ["`limits.removals_percent` (120)"]),
        (GOOD + "limits: {on_excess: aprove}", ["`limits.on_excess`", "'approve', 'hold' or 'fail'"]),
        (GOOD + "limits: {answer_within: 8}", ["`limits.answer_within` (8)", "ISO 8601", "PT8H"]),
        (GOOD + "limits: {answer_within: PT0S}", ["`limits.answer_within`", "longer than zero"]),
        (GOOD + "limits: {answer_within: P8X}", ["`limits.answer_within`", "PT8H"]),
        (GOOD + "formerly: sales.yaml", ["`formerly` ('sales.yaml')", "without .yaml"]),
        (GOOD + "formerly: ../sales", ["`formerly` ('../sales')", "without its folder"]),
        (GOOD + "formerly: default", ["`formerly` must be the former name"]),
        (GOOD + 'dry_run: "yes"', ["`dry_run` ('yes')", "neither true nor false"]),
        (GOOD + "removals: all", ["`removals` ('all')"]),
        (GOOD + "genesys: {write: put}", ["`genesys.write` ('put')", "scim_patch, group_members or user_patch"]),
        (GOOD + "genesys: 3", ["`genesys` (3)", "not a section"]),
        (GOOD + "timezone: Mars/Olympus", ["`timezone`", "not a known time zone"]),
        (GOOD + 'schedule: "61 * * * *"', ["`schedule`", "not a cron expression"]),
        (GOOD + 'schedule: "* * *"', ["`schedule`", "3 fields, not 5"]),
        (GOOD + 'schedule: "* * * * * *"', ["`schedule`", "6 fields, not 5"]),
        (GOOD + 'schedule: "0 0 30 2 *"', ["`schedule`", "not a cron expression"]),
        (GOOD + 'full_schedule: "R 3 * * *"', ["`full_schedule`", "random"]),
        (GOOD + 'schedule: "@once"', ["`schedule`", "not a cron expression"]),
        (GOOD + "users: []", ["`users`", "is empty"]),
        (GOOD + "users: [{directory: mail, genesys: external_id}]", ["`users[0]`", "authority"]),
        (GOOD + "users: [{directory: mail, genesys: email, authority: HR}]", ["`users[0]`", "Remove `authority`"]),
        (GOOD + "users: [{genesys: email}]", ["`users[0].directory` is missing", "for example mail"]),
        (GOOD + 'report: {path: "/var/reports"}', ["`report.path`", "not a URL"]),
        (GOOD + 'report: {path: "file://${GENESYS_AD_SYNC_NO}/r"}', ["`report.path`", "GENESYS_AD_SYNC_NO", "not set"]),
        (GOOD + 'report: {path: "file://${HOSTNAME}/r"}', ["`report.path`", "HOSTNAME", "GENESYS_AD_SYNC_"]),
        (GOOD + "report: {mode: 0600}", ["`report.mode`", "with the quotes"]),
        (GOOD + 'report: {mode: "0666"}', ["`report.mode`", '"0640"']),
        (GOOD + "report: {keep_days: 0}", ["`report.keep_days` (0)"]),
        (rule(""), ["`groups` is empty"]),
        (rule('{name: "(", genesys_name: x}'), ["`groups[0].name`", "not a regular expression", "Correct it"]),
        (rule('{name: "(?P<team>.+)", genesys_name: "{tema}"}'), ["`groups[0].genesys_name`", "{tema}", "{team}?"]),
        (rule('{name: "(?P<team>.+)", genesys_id: "{x.y}"}'), ["`groups[0].genesys_id`", "not a plain name"]),
        (rule('{name: ".+", genesys_name: "{team}"}'), ["no group of that name", "(?P<team>.+)"]),
        (rule('{name: "a", genesys_name: "{a"}'), ["`groups[0].genesys_name`", "not a template"]),
        (rule("{attribute: a, genesys_id: {value}}"), ["`groups[0].genesys_id`", "not text", "in quotes"]),
        (rule("{attribute: a, genesys_id: abc}"), ["`groups[0].genesys_id`", "{value}"]),
        (rule('{attribute: a, genesys_name: "{value}"}'), ["`groups[0]`", "carries the Genesys id"]),
        (rule('{dn: "CN=a,DC=x", genesys_id: "{value}"}'), ["`groups[0].genesys_id`", "fill none in"]),
        (rule('{dn: "no dn", genesys_id: x}'), ["`groups[0].dn`", "not a distinguished name"]),
        (rule("{guid: abc, genesys_id: x}"), ["`groups[0].guid`", "not a GUID"]),
        (rule("{sid: abc, genesys_id: x}"), ["`groups[0].sid`", "not a SID"]),
        (rule('{dn: "CN=a,DC=x", sid: S-1-5-21-1, genesys_id: x}'), ["`groups[0]`", "`dn`, `sid`", "exactly one"]),
        (rule('{name: ".+", genesys_id: x, name_of: []}'), ["`groups[0]`", "empty `name_of`", "name_of: [cn]"]),
        (rule('{name: ".+", genesys_id: x, name_of: [mail]}'), ["`groups[0].name_of[0]`", "cn and sAMAccountName"]),
        (rule("{sid: S-1-5-21-1, genesys_id: x, name_of: [cn]}"), ["`groups[0]`", "only beside `name`"]),
        (rule("{name: a}"), ["`groups[0]`", "nothing", "exactly one of `genesys_id`"]),
        (rule("{name: a, genesys_id: x, genesys_name: y}"), ["`groups[0]`", "`genesys_id`, `genesys_name`"]),
        (rule("{name: a, genesys_external_id: x}"), ["`groups[0]`", "genesys_external_id"]),
        ("groups: [{name: a, genesys_name: b}]", ["`directory` is missing", "group_base"]),
        ("directory: {}\ngroups: [{name: a, genesys_name: b}]", ["`directory.group_base` is missing"]),
        ("directory: {group_base: Sales}\ngroups: [{name: a, genesys_name: b}]", ["`directory.group_base` ('Sales')"]),
        (GOOD.replace("}\n", ', group_filter: "(cn=a"}\n', 1), ["`directory.group_filter`", "not an LDAP filter"]),
        ("directory: [1", ["line 1", "Check the indentation"]),
        ("dry_run: true\nverify: true\ndry_run: false\n", ["line 3", "`dry_run`", "second time", "line 1"]),
        (GOOD + "limits:\n  removals: 1\n  removals: 2\n", ["`removals`", "second time"]),
        (
            rule('{dn: "CN=a,DC=x", genesys_external_id: 4711-00-12}'),
            ["line 2", "`4711-00-12`", "month must be in 1..12", "Put quotes around the value"],
        ),
        ("", ["is empty", "default.yaml"]),
        ("- a\n- b\n", ["not a list of keys"]),
        ("a: \x07", ["not YAML"]),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(text: str, parts: list[str]) -> None:
    message = refusal(text)
    assert message.startswith("sales.yaml")
    for part in parts:
        assert part in message
    assert "pydantic" not in message


def test_a_file_that_is_too_much_for_the_reader_is_told_too() -> None:
    assert "Put quotes around the value" in refusal(rule(f'{{dn: "CN=a,DC=x", genesys_id: {"7" * 5000}}}'))
    assert "nested too deeply" in refusal(GOOD + "canary: " + "[" * 3000)


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    assert len(refusal(GOOD + "color: red\nremovals: all\ndry_run: 1\n").splitlines()) == 3


def test_a_key_that_is_misspelt_is_not_said_to_be_missing_too() -> None:
    text = "directory: {group_bse: 'DC=x'}\ngroups: [{name: a, genesys_name: b}]"
    assert refusal(text).splitlines() == [
        "sales.yaml: `directory.group_bse` is not a known key. Did you mean `group_base`?"
    ]
    assert "`directory.group_base` is missing" in refusal(text.replace("group_bse", "colour"))


def test_a_definition_cannot_be_changed_afterwards() -> None:
    made = parse_definition(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        made.dry_run = False  # type: ignore[misc]


# -- the report's path --------------------------------------------------------------------------------


def test_environment_variables_in_the_report_path_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_BUCKET", "audit")
    assert parse_definition(GOOD + 'report: {path: "s3://$GENESYS_AD_SYNC_BUCKET/x"}').report.path == "s3://audit/x"


def test_airflow_home_has_its_usual_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_definition(GOOD).report.path == "file:///home/somebody/airflow/reports"


# -- schedule and active runs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "answer", "runs"),
    [
        ("*/15 * * * *", "PT8H", 32 + 8),
        ("@hourly", "PT90M", 2 + 8),
        ("0 6 * * *", "PT8H", 1 + 8),
        ("0 9,10 * * 1-5", "PT8H", 8 + 8),
    ],
)
def test_waiting_runs_never_use_up_the_active_runs(schedule: str, answer: str, runs: int) -> None:
    limits = f"limits: {{answer_within: {answer}}}\n"
    assert parse_definition(GOOD + limits + f'schedule: "{schedule}"\n').max_active_runs == runs
    assert parse_definition(GOOD + limits + f'full_schedule: "{schedule}"\n').full_max_active_runs == runs


# -- files and DAG ids --------------------------------------------------------------------------------


def written(folder: Path, name: str, text: str = GOOD) -> Path:
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_gives_the_ids_of_its_two_dags(tmp_path: Path) -> None:
    made = load_definition(written(tmp_path, "sales.yml"))
    assert made.name == "sales"
    assert made.dag_id == "genesys_ad_group_sync__sales"
    assert made.full_dag_id == "genesys_ad_group_sync__sales_full"


@pytest.mark.parametrize("name", ["sales_full.yaml", "with space.yaml", "größe.yaml", "x" * 240 + ".yaml"])
def test_a_file_name_that_makes_no_dag_id_is_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name)
    with pytest.raises(SettingsError, match=r"(?i)rename|shorten"):
        load_definition(path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = written(tmp_path, "a.yaml"), written(tmp_path, "a.yml")
    for path in (first, second):
        with pytest.raises(SettingsError, match="same DAG"):
            load_definition(path)
    assert dag_id_of_broken(first) != dag_id_of_broken(second)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_definition(tmp_path / "missing.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xfc")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_definition(latin)


def test_definitions_are_found_sorted_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "notes.txt"):
        written(tmp_path, name)
    (tmp_path / "folder.yaml").mkdir()
    assert [path.name for path in find_definitions(tmp_path)] == ["a.yml", "b.yaml"]


def test_a_folder_that_is_missing_is_told_with_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GENESYS_AD_SYNC_CONFIG_DIR"):
        find_definitions(tmp_path / "nowhere")


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENESYS_AD_SYNC_CONFIG_DIR", str(tmp_path))
    assert config_folder(PROJECT / "dags") == tmp_path
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR")
    assert "default.yaml" in [path.name for path in find_definitions(config_folder(PROJECT / "dags"))]


def test_the_folder_beside_the_dag_file_comes_before_that_of_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR", raising=False)
    shutil.copytree(PROJECT / "include" / "config", tmp_path / "include" / "config")
    written(tmp_path / "include" / "genesys_ad_sync" / "settings", "__init__.py")
    assert config_folder(tmp_path / "dags") == tmp_path / "include" / "config"
    written(tmp_path / "dags" / "genesys-ad-sync", "default.yaml")
    assert config_folder(tmp_path / "dags") == tmp_path / "dags" / "genesys-ad-sync"


def test_the_include_folder_of_another_project_holds_no_definitions_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GENESYS_AD_SYNC_CONFIG_DIR", raising=False)
    written(tmp_path / "include" / "config", "theirs.yaml")
    assert config_folder(tmp_path / "dags") == tmp_path / "dags" / "genesys-ad-sync"
    with pytest.raises(SettingsError, match="no sync definition there"):
        find_definitions(config_folder(tmp_path / "dags"))


def test_a_folder_without_a_definition_is_told(tmp_path: Path) -> None:
    written(tmp_path, "notifiers.py")
    with pytest.raises(SettingsError, match="no sync definition there"):
        find_definitions(tmp_path)


def test_a_definition_knows_the_folder_of_its_file(tmp_path: Path) -> None:
    assert load_definition(written(tmp_path, "sales.yaml")).folder == tmp_path


def test_a_refused_file_still_gets_a_dag_id_that_airflow_takes(tmp_path: Path) -> None:
    for name in ("größe 1.yaml", "sales_full.yaml", "x" * 250 + ".yaml"):
        dag_id = dag_id_of_broken(tmp_path / name)
        assert len(dag_id) <= 250
        assert not set(dag_id) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert dag_id_of_broken(tmp_path / "sales.yaml") == "genesys_ad_group_sync__sales"


def test_the_definition_has_exactly_the_keys_of_the_design() -> None:
    assert set(SyncDefinition.model_fields) == {
        "schedule", "full_schedule", "timezone", "directory", "genesys", "groups", "users", "exclude", "removals",
        "limits", "protect", "approvers", "approvers_must_differ", "verify", "dry_run", "formerly", "report", "fail_on",
        "notify", "airflow",
    }  # fmt: skip
