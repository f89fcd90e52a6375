"""Opening a journal: its tables are made once whoever comes first, and what is wrong is said with the remedy."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import ast
import importlib
import inspect
import sys
import traceback
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, make_url, text

from genesys_ad_sync.errors import JournalConflict, JournalError, JournalMissing, JournalOutdated
from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.opening import tables_version
from genesys_ad_sync.model import DirectoryView, Link, PairState, Reason
from tests.support.journal import (
    DEFINITION,
    T0,
    advance,
    begin,
    change,
    in_processes,
    journal,  # noqa: F401 (fixture)
    journal_url,  # noqa: F401 (fixture)
    view,
)

_MIGRATIONS = Path(inspect.getfile(tables)).parent.parent / "migrations"


def test_the_migrations_make_the_tables_that_the_code_uses(journal: Journal) -> None:
    with journal._database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": tables.VERSION_TABLE})
        assert compare_metadata(context, tables.metadata) == []


def test_the_newest_migration_is_the_one_that_opening_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [tables.HEAD]


def test_a_journal_of_the_first_version_keeps_what_it_knows(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
    with Journal.open(journal_url) as old:
        identity = old.identity()
        with old._database.writing() as connection:
            connection.execute(
                text(
                    "INSERT INTO journal_user (definition, guid, dn, kind, name, disabled, attributes) "
                    "VALUES ('default', 'u1', 'CN=u1', 'user', 'u1', false, '{}')"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO journal_cursor (definition, scope, poll, domain_controller, invocation_id, "
                    "highest_committed_usn, polled_at, began_at) VALUES ('default', 'scope', 1, 'dc1', 'i1', 1, "
                    "'2024-05-01 12:00:00.000000', '2024-05-01 12:00:00.000000')"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO journal_link (definition, user_guid, genesys_user_id, matched_by, since) "
                    "VALUES ('default', 'u1', 'x1', 'mail=email', '2024-05-01 12:00:00.000000')"
                )
            )
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        assert new.identity() == identity
        assert new.of("default").views.users(["u1"])["u1"].name == "u1"
        assert new.of("default").links.all() == {"u1": Link("u1", "x1", "mail=email", T0)}
        assert new.of("default").links.former() == []
        assert new.of("default").views.deleted_users() == frozenset()
        assert new.generation() == 1
        advance(new, DirectoryView(), deleted=["u1"], definition="default")
        assert new.of("default").views.deleted_users() == {"u1"}


def test_a_rejection_of_an_older_journal_is_kept_with_the_doubt_that_it_hid(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0002"))
    # by change: the outcomes that are kept, and whether it is settled
    had = {1: (["over_limit"], False), 2: (["scope_changed"], False), 3: ([], False), 4: (["protected"], True)}
    with Journal.open(journal_url) as old, old._database.writing() as connection:
        for id_, (reasons, settled) in had.items():
            connection.execute(
                text(
                    "INSERT INTO journal_change (id, definition, group_guid, user_guid, action, observed_at, origin, "
                    f"path, held_reason, settled) VALUES ({id_}, 'default', 'g', 'u{id_}', 'remove', "
                    f"'2026-01-01 00:00:00', 'poll', '[]', 'rejected', {str(settled).lower()})"
                )
            )
            for number, reason in enumerate([*reasons, "rejected"]):
                connection.execute(
                    text(
                        "INSERT INTO journal_outcome (id, change_id, dag_id, run_id, attempt, status, reason, at) "
                        f"VALUES ({id_ * 10 + number}, {id_}, 'dag', 'r', 1, 'held', '{reason}', '2026-01-01 00:00:00')"
                    )
                )
            connection.execute(
                text(
                    "INSERT INTO journal_question (id, definition, subject, change_ids, dag_id, run_id, asked_at, "
                    "expires_at, closed_at, decision, decided_by) VALUES "
                    f"({id_}, 'default', 'G:u{id_}:remove', '[{id_}]', 'dag', 'r', '2026-01-01 00:00:00', "
                    "'2026-01-02 00:00:00', '2026-01-01 01:00:00', 'rejected', 'olivia')"
                )
            )
        connection.execute(
            text(
                "INSERT INTO journal_pin (definition, genesys_group_id, user_guid, dag_id, run_id, undoes, "
                "last_change, at) VALUES ('default', 'G', 'u9', 'dag', 'undo', 'dag/bad', 4, '2026-01-01 00:00:00')"
            )
        )
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        mine = new.of("default")
        held = {change.id: change.held_reason for change in mine.changes.by_id(had.keys())}
        assert held == {1: None, 2: Reason.SCOPE_CHANGED, 3: Reason.SCOPE_CHANGED, 4: None}
        rejections = mine.questions.rejections()
        assert rejections.keys() == {"G:u1:remove", "G:u2:remove", "G:u3:remove"}  # what was settled since is history
        assert {(one.by, one.last_change) for one in rejections.values()} == {
            ("olivia", 1),
            ("olivia", 2),
            ("olivia", 3),
        }
        assert mine.pins.all()["G", "u9"].action is None
        assert mine.changes.newest_told_ids({("g", "u1")}) == {}
        assert mine.changes.newest_told_ids({("g", "u1")}, or_not_known=True) == {("g", "u1"): 1}


def test_an_upgrade_to_confirmed_mirrors_keeps_pairs_and_grants(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0002"))
    with Journal.open(journal_url) as old, old._database.writing() as connection:
        connection.execute(
            text(
                "INSERT INTO journal_pair (definition, group_guid, genesys_group_id, genesys_group_name, rule, active, "
                "since, baseline_at) VALUES ('default', 'g1', 'G', 'Sales', 0, true, :at, :at)"
            ),
            {"at": "2026-03-02 12:00:00+00:00"},
        )
        connection.execute(
            text(
                "INSERT INTO journal_grant (definition, genesys_group_id, genesys_user_id, user_guid, group_guid, "
                "since) VALUES ('default', 'G', 'x-ann', 'ann', 'g1', :at)"
            ),
            {"at": "2026-03-02 12:00:00+00:00"},
        )
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        mine = new.of("default")
        [pair] = mine.pairs.active()
        assert pair.has_baseline
        [mirror] = mine.pairs.mirrors(["G"])
        assert not mirror.confirmed
        [grant] = mine.grants.of_groups(["G"])
        assert (grant.genesys_user_id, grant.by_dry_run) == ("x-ann", False)
        assert mine.grants.asleep_in(["G"]) == []


def test_a_doubt_of_an_older_version_is_kept_and_only_time_can_end_it(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0002"))
    at = "2024-05-01 12:00:00"
    with Journal.open(journal_url) as old, old._database.writing() as connection:
        for statement in (
            "INSERT INTO journal_cursor (definition, scope, poll, domain_controller, invocation_id, "
            "highest_committed_usn, cookie, polled_at, began_at, doubted_since, trusted_dc) "
            f"VALUES ('default', 'scope', 7, 'dc2', 'i2', 5, NULL, '{at}', '{at}', '{at}', 'dc1')",
            "INSERT INTO journal_known_dc (definition, domain_controller, invocation_id, highest_committed_usn) "
            "VALUES ('default', 'dc1', 'i1', 4)",
            "INSERT INTO journal_change (id, definition, group_guid, user_guid, action, observed_at, origin, path, "
            "held_reason, trusted_dc, settled) VALUES (1, 'default', 'g', 'u', 'remove', "
            f"'{at}', 'poll', '[]', 'other_domain_controller', 'dc1', false)",
        ):
            connection.execute(text(statement))
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        stored = new.of("default").views.cursor()
        assert stored is not None
        assert (stored.poll, stored.cursor.trusted_dc, stored.cursor.vector) == (7, "dc1", None)
        assert (stored.known_dcs, stored.read_at) == ({"dc1": ("i1", 4)}, {})
        [held] = new.of("default").changes.unsettled()
        assert (held.held_reason, held.trusted_dc, held.doubt, held.poll) == (
            Reason.OTHER_DOMAIN_CONTROLLER,
            "dc1",
            None,
            0,
        )


def test_an_upgrade_finds_what_was_due_and_open_before(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0023"))
    past = "2024-04-01 12:00:00.000000"
    columns = "definition, guid, dn, kind, name, disabled, attributes, expires_at, expired, ends_at"
    user = f"INSERT INTO journal_user ({columns})"
    with Journal.open(journal_url) as old, old._database.writing() as connection:
        for statement in (
            f"{user} VALUES ('default', 'due', 'CN=due', 'user', 'due', false, '{{}}', '{past}', false, NULL)",
            f"{user} VALUES ('default', 'known', 'CN=known', 'user', 'known', false, '{{}}', '{past}', true, NULL)",
            f"{user} VALUES ('default', 'dynamic', 'CN=dynamic', 'user', 'd', false, '{{}}', NULL, false, '{past}')",
            "INSERT INTO journal_pair (definition, group_guid, genesys_group_id, genesys_group_name, rule, active, "
            f"since) VALUES ('default', 'g', 'G', 'Sales', 0, true, '{past}')",
        ):
            connection.execute(text(statement))
    monkeypatch.undo()
    with Journal.open(journal_url) as new:
        mine = new.of("default")
        assert mine.views.users_expired_at(T0) == {"due"}
        assert mine.announced.objects(T0) == {"dynamic"}
        assert [pair.group_guid for pair in mine.pairs.without_baseline()] == ["g"]
        mine.pairs.confirm([("g", "G")], T0)
        assert mine.pairs.active()[0].state is PairState.CONFIRMED


def _identity(url: str) -> tuple[str, int]:
    with Journal.open(url) as opened:
        return opened.identity()


def test_several_processes_may_open_a_new_journal_at_the_same_moment(journal_url: str) -> None:
    identities = in_processes(_identity, [(journal_url,)] * 5)
    assert len(set(identities)) == 1
    assert len(identities[0][0]) == 36


def test_opening_a_current_journal_loads_no_migrations(
    journal: Journal, journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "alembic.config", None)  # importing it fails
    with Journal.open(journal_url) as again:
        assert again.identity() == journal.identity()


def test_an_unfinished_migration_leaves_nothing_behind(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command = importlib.import_module("alembic.command")
    upgrade = command.upgrade

    def fail_after_it(*arguments: object) -> None:
        upgrade(*arguments)
        raise JournalError("killed")

    monkeypatch.setattr(command, "upgrade", fail_after_it)
    with pytest.raises(JournalError, match="killed"):
        Journal.open(journal_url)
    monkeypatch.undo()
    engine = create_engine(journal_url)
    with engine.connect() as connection:
        assert not engine.dialect.get_table_names(connection)
    engine.dispose()
    assert _identity(journal_url)[1] == 0


def test_a_journal_of_a_newer_version_is_not_touched(journal: Journal, journal_url: str) -> None:
    with journal._database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(JournalError, match=r"newer version of genesys-ad-sync \(its tables are at 9999.*Install that"):
        Journal.open(journal_url)


def _overtake(url: str, number: int) -> str | int:
    with Journal.open(url) as journal:
        try:
            return advance(journal, view({"g": f"u{number}"}), expected_poll=1, changes=[change("g", f"u{number}")])
        except JournalConflict:
            return "conflict"


def test_of_several_processes_that_poll_at_once_one_moves_the_view(journal: Journal, journal_url: str) -> None:
    advance(journal, DirectoryView())
    answers = in_processes(_overtake, [(journal_url, number) for number in range(3)])
    assert sorted(map(str, answers)) == ["2", "conflict", "conflict"]
    assert len(journal.of(DEFINITION).changes.unsettled()) == 1


def _first_poll(url: str, number: int) -> str | int:
    with Journal.open(url) as journal:
        try:
            return advance(journal, view({"g": f"u{number}"}), expected_poll=None)
        except JournalConflict:
            return "conflict"


def test_of_several_first_polls_one_wins(journal: Journal, journal_url: str) -> None:
    answers = in_processes(_first_poll, [(journal_url, number) for number in range(3)])
    assert sorted(map(str, answers)) == ["1", "conflict", "conflict"]


def _begin(url: str) -> tuple[int, bool]:
    with Journal.open(url) as journal:
        run = begin(journal)
        return run.attempt, run.resumed


def test_two_tries_that_begin_the_same_run_at_once_are_one_attempt(journal: Journal, journal_url: str) -> None:
    assert sorted(in_processes(_begin, [(journal_url,)] * 3)) == [(1, False), (1, True), (1, True)]


def test_what_cannot_be_a_journal_is_refused_without_its_password() -> None:
    for url, message in (
        ("nonsense:secret", "cannot be understood"),
        ("postgresql://login:secret@host:port/db", "cannot be understood"),
        ("mysql://login:secret@host/db", "cannot be kept in 'mysql'"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("postgresql+nonsense://login:secret@host/db", "cannot be opened"),
    ):
        with pytest.raises(JournalError, match=message) as refused:
            Journal.open(url)
        assert "secret" not in str(refused.value)
        assert "postgresql://login:password@host/database" in str(refused.value)


def test_no_module_of_the_journal_imports_what_it_must_not_know() -> None:
    for path in _MIGRATIONS.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert not name.startswith(
                    ("airflow", "genesys_ad_sync_airflow", "sandbox", "genesys_ad_sync.genesys")
                ), path


def test_an_error_of_the_database_does_not_tell_names(journal: Journal) -> None:
    with journal._database.engine.begin() as connection:
        connection.execute(text("DROP TABLE journal_group"))
    seen = view({"Jane Doe": ""})
    with pytest.raises(JournalError) as failed:
        advance(journal, seen, before=DirectoryView())
    shown = "".join(traceback.format_exception(failed.value))
    assert "journal_group" in shown
    assert "Jane Doe" not in shown


def test_the_url_of_an_airflow_connection_is_understood(journal_url: str) -> None:
    url = make_url(journal_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgres")
    with Journal.open(url) as opened:
        assert opened.identity()[1] == 0


def test_who_only_looks_upgrades_nothing_and_is_told_what_does(journal: Journal, journal_url: str) -> None:
    with journal.database.writing() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '0019'"))
    with pytest.raises(JournalOutdated, match=r"trigger the DAG \(a dry run is enough\), and ask again"):
        Journal.open(journal_url, create=False, upgrade=False)
    with journal.database.reading() as connection:
        assert tables_version(connection) == "0019"


def test_who_only_looks_opens_a_current_journal_and_makes_none(
    journal: Journal, journal_url: str, tmp_path: Path
) -> None:
    Journal.open(journal_url, create=False, upgrade=False).close()
    with pytest.raises(JournalMissing):
        Journal.open(f"sqlite:///{tmp_path / 'not-there.db'}", create=False, upgrade=False)


def test_tables_of_a_newer_version_are_not_called_old(journal: Journal, journal_url: str) -> None:
    with journal.database.writing() as connection:
        connection.execute(text(f"UPDATE {tables.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(JournalError, match="written by a newer version") as refused:
        Journal.open(journal_url, create=False, upgrade=False)
    assert not isinstance(refused.value, JournalOutdated)
