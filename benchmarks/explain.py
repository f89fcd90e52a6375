"""How long the journal takes to answer a person, by its size.

    python -m benchmarks.explain [--memberships 10000 100000 1000000] [--runs 10000] [--url postgresql://…]

Fills a journal (by default a SQLite file that is removed again; a database that is named must be empty) and asks it as
the command line does. The first table is of the answers alone, in this process. The second is of whole commands, each a
process that starts Python; their journal is in the environment. Each pair is processor seconds, then seconds by the
clock: a PostgreSQL server's processor seconds are only in the latter. The exponent says how the processor seconds grow
with the number of memberships: 1 means in proportion.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Table, insert, text

from genesys_ad_sync.journal import Journal, tables
from genesys_ad_sync.journal.stored_row import row_to_json
from genesys_ad_sync.model import Action, Reason, Row, Scope, Status
from genesys_ad_sync.views.group import explain_group
from genesys_ad_sync.views.person import explain_person
from genesys_ad_sync.views.runs import list_runs
from genesys_ad_sync.views.search import find_groups, find_people
from genesys_ad_sync.views.status import status

NAME = "default"
DAG = "genesys_ad_group_sync"
NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
MEMBERS = 200
GROUPS_OF_A_PERSON = 20
LARGE_SHARE = 2  # the largest group has every second person
ROWS_OF_A_RUN = 20
CHANGES_OF_A_PERSON = 4
UNSETTLED = 2000
RETIRED_PAIR, CONTRADICTED_LINK = 100, 250
"""Each of so many pairs has no rule any more, each of so many links is contradicted."""
LARGE_RUN_SHARE = 10
"""One run, long ago, had a row for each tenth membership."""
BECAME = (
    (Action.ADD, Status.SUCCESS, None),
    (Action.REMOVE, Status.SUCCESS, None),
    (Action.ADD, Status.ORPHANED, Reason.NO_GENESYS_USER),
    (Action.REMOVE, Status.HELD, Reason.OVER_LIMIT),
)
"""What became of the rows of a run, in turn."""
AT_A_TIME = 10_000
TRIES = 3
PROGRAM = "from genesys_ad_sync_airflow.cli.tree import main; main()"
DEFINITION = """\
directory: {group_base: "OU=cc,DC=t"}
groups: [{name: "Team (?P<number>.+)", genesys_name: "Queue {number}"}]
report: {path: "file:///nowhere"}
"""


class Seconds(NamedTuple):
    """What an answer takes: of the processor, and by the clock."""

    processor: float
    clock: float


@dataclass(frozen=True)
class Company:
    """As many AD groups of 200 people as it takes, each person in twenty, and one group with half of them."""

    memberships: int
    runs: int

    @property
    def groups(self) -> int:
        return max(1, self.memberships // MEMBERS)

    @property
    def people(self) -> int:
        return max(MEMBERS, self.memberships // GROUPS_OF_A_PERSON)

    @property
    def large_run(self) -> int:
        return min(1, self.runs - 1)

    def began(self, run: int) -> datetime:
        """Return when a run began: the last one has just ended."""
        return NOW - timedelta(minutes=15 * (self.runs - run))

    def members(self, group: int) -> list[int]:
        if group == 0:
            return list(range(0, self.people, LARGE_SHARE))
        start = group * 131
        return sorted({(start + place * (self.people // MEMBERS)) % self.people for place in range(MEMBERS)})


def person(number: int) -> str:
    return f"aaaaaaaa-0000-4000-8000-{number:012d}"


def group(number: int) -> str:
    return f"bbbbbbbb-0000-4000-8000-{number:012d}"


def genesys_user(number: int) -> str:
    return f"cccccccc-0000-4000-8000-{number:012d}"


def genesys_group(number: int) -> str:
    return f"dddddddd-0000-4000-8000-{number:012d}"


# -- the journal --------------------------------------------------------------------------------------


def fill(journal: Journal, company: Company) -> None:
    """Write what runs of some years leave. PostgreSQL then counts it, as it does for itself after a while."""
    for table, rows in contents(company):
        rest = iter(rows)
        while chunk := list(islice(rest, AT_A_TIME)):
            with journal.database.writing() as connection:
                connection.execute(insert(table), chunk)
    if journal.database.engine.dialect.name == "postgresql":
        with journal.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def contents(company: Company) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    yield tables.cursor, iter([_cursor()])
    yield tables.group, (_group(number) for number in range(company.groups))
    yield tables.user, (_user(number) for number in range(company.people))
    yield tables.membership, _memberships(company)
    yield tables.pair, (_pair(number) for number in range(company.groups))
    yield tables.grant, _grants(company)
    yield tables.link, (_link(number) for number in range(company.people))
    yield tables.run, (_run(number, company) for number in range(company.runs))
    yield tables.fact, _facts(company)
    yield tables.change, _changes(company)
    yield tables.outcome, _outcomes(company)
    yield tables.row, _rows(company)
    yield tables.group_result, _results(company)
    yield tables.question, (_question(number, company) for number in range(company.runs))


def _cursor() -> dict[str, Any]:
    scope = Scope("DC=t", "OU=cc,DC=t", "(objectClass=group)", True, "remove", (), ("mail",), (), "remove")
    return {
        "definition": NAME, "scope": scope.fingerprint, "poll": 1, "domain_controller": "dc1", "invocation_id": "i",
        "highest_committed_usn": 1, "polled_at": NOW, "began_at": NOW,
    }  # fmt: skip


def _group(number: int) -> dict[str, Any]:
    return {
        "definition": NAME, "guid": group(number), "dn": f"CN=Team {number},OU=cc,DC=t", "name": f"Team {number}",
        "in_scope": True, "attributes": {}, "complete_poll": -1,
    }  # fmt: skip


def _user(number: int) -> dict[str, Any]:
    return {
        "definition": NAME, "guid": person(number), "dn": f"CN=Person Nr {number},OU=people,DC=t", "kind": "user",
        "name": _name(number), "sam_account_name": f"p{number}", "disabled": False, "expired": False,
        "attributes": {"mail": f"person.{number}@example.com", "userprincipalname": f"p{number}@example.com"},
    }  # fmt: skip


def _name(number: int) -> str:
    """Return a name: each fifth has an umlaut, each fiftieth a letter that stands for two."""
    return f"Person Nr {number}{' Weiß' if not (number + 2) % 50 else ' Jäger' if number % 5 == 1 else ''}"


def _memberships(company: Company) -> Iterator[dict[str, Any]]:
    for number in range(company.groups):
        for member in company.members(number):
            yield {"definition": NAME, "group_guid": group(number), "member_guid": person(member), "since": NOW}


def _pair(number: int) -> dict[str, Any]:
    return {
        "definition": NAME, "group_guid": group(number), "genesys_group_id": genesys_group(number),
        "genesys_group_name": f"Queue {number}", "rule": 0, "active": (number + 1) % RETIRED_PAIR > 0, "since": NOW,
        "until": None if (number + 1) % RETIRED_PAIR else NOW, "baseline_at": NOW,
        "baseline_dag_id": DAG, "baseline_run_id": "run-0",
    }  # fmt: skip


def _grants(company: Company) -> Iterator[dict[str, Any]]:
    for number in range(company.groups):
        for member in company.members(number):
            yield {
                "definition": NAME, "genesys_group_id": genesys_group(number), "user_guid": person(member),
                "genesys_user_id": genesys_user(member), "group_guid": group(number), "since": NOW, "by_dry_run": False,
            }  # fmt: skip


def _link(number: int) -> dict[str, Any]:
    return {
        "definition": NAME, "user_guid": person(number), "genesys_user_id": genesys_user(number),
        "matched_by": "mail=email", "since": NOW,
        "contradicted_since": None if (number + 1) % CONTRADICTED_LINK else NOW,
        "others": None if (number + 1) % CONTRADICTED_LINK else [genesys_user(number + 1)],
    }  # fmt: skip


def _run(number: int, company: Company) -> dict[str, Any]:
    at = company.began(number)
    full = number % 96 == 0
    return {
        "dag_id": f"{DAG}_full" if full else DAG, "run_id": f"run-{number}", "attempt": 1, "clear_number": 0,
        "definition": NAME, "run_type": "scheduled", "mode": "full" if full else "auto", "dry_run": False,
        "bounded": False, "groups": [], "started_at": at, "finished_at": at + timedelta(minutes=1), "state": "success",
        "poll": number - company.runs, "polled_at": at,
    }  # fmt: skip


def _facts(company: Company) -> Iterator[dict[str, Any]]:
    """Yield what tells a completed run, and one that takes nothing back."""
    for number in range(company.runs):
        plan = {"hash": "h", "fail_reason": None, "at": company.began(number).isoformat()}
        yield {"run": number + 1, "key": "plan", "value": plan, "content": None}
        yield {"run": number + 1, "key": "undo", "value": None, "content": None}


def _changes(company: Company) -> Iterator[dict[str, Any]]:
    count = company.people * CHANGES_OF_A_PERSON
    for number in range(count):
        open_ = number >= count - UNSETTLED
        yield {
            "id": number + 1, "definition": NAME, "group_guid": group(number % company.groups),
            "user_guid": person(number % company.people), "action": "remove" if number % 3 else "add",
            "observed_at": NOW, "origin": "poll", "path": [group(number % company.groups)], "poll": 1,
            "evidence": "told", "status": "held" if open_ else "success", "settled": not open_,
            "settled_dag_id": None if open_ else DAG, "settled_run_id": None if open_ else "run-1",
            "settled_attempt": None if open_ else 1, "first_seen_at": NOW, "first_seen_dag_id": DAG,
            "first_seen_run_id": "run-1",
        }  # fmt: skip


def _outcomes(company: Company) -> Iterator[dict[str, Any]]:
    count = company.people * CHANGES_OF_A_PERSON
    for number in range(count):
        open_ = number >= count - UNSETTLED
        yield {
            "change_id": number + 1, "dag_id": DAG, "run_id": f"run-{number % company.runs}", "attempt": 1,
            "status": "held" if open_ else "success", "reason": "over_limit" if open_ else None,
            "http_code": None if open_ else 200, "correlation_id": f"c-{number}", "at": NOW,
        }  # fmt: skip


def _rows(company: Company) -> Iterator[dict[str, Any]]:
    for run in range(company.runs):
        for place in range(ROWS_OF_A_RUN):
            number = (run * ROWS_OF_A_RUN + place) % company.people
            action, status, reason = BECAME[place % len(BECAME)]
            yield _row(company, run, number, number % company.groups, action, status, reason)
    for number in range(company.memberships // LARGE_RUN_SHARE):
        target = company.groups + number // company.people
        yield _row(company, company.large_run, number % company.people, target, Action.ADD, Status.SUCCESS)


def _row(
    company: Company, run: int, who: int, target: int, action: Action, status: Status, reason: Reason | None = None
) -> dict[str, Any]:
    at, account = company.began(run), _user(who)
    row = Row(
        action, status, genesys_group(target), person(who), (group(target % company.groups),), genesys_user(who),
        reason, observed_at=at,
        directory_user={"guid": person(who), "dn": account["dn"], "mail": account["attributes"]["mail"]},
    )  # fmt: skip
    return {
        "run": run + 1, "key": row.key, "replaced": 0, "action": action.value, "status": status.value,
        "settled": status is Status.SUCCESS, "recorded_at": at, "data": row_to_json(row),
    }  # fmt: skip


def _results(company: Company) -> Iterator[dict[str, Any]]:
    full = [number for number in range(company.runs) if number % 96 == 0]
    for run in sorted({*full[-5:], *full[:1]}):
        for number in range(company.groups):
            yield {
                "run": run + 1,
                "genesys_group_id": genesys_group(number),
                "data": {
                    "genesys_group_id": genesys_group(number), "genesys_group_name": f"Queue {number}",
                    "group_guids": [group(number)], "complete": True, "before": MEMBERS, "after": MEMBERS, "added": 0,
                    "removed": 0, "manual_members": 2, "manual_member_ids": [f"hand-{number}-1", f"hand-{number}-2"],
                    "manual_member_names": {f"hand-{number}-1": f"Hand {number}"},
                },
            }  # fmt: skip


def _question(number: int, company: Company) -> dict[str, Any]:
    who = number % company.people
    return {
        "definition": NAME, "subject": f"{genesys_group(who % company.groups)}:{person(who)}:remove",
        "change_ids": [number + 1], "dag_id": DAG, "run_id": f"run-{number}", "asked_at": NOW, "expires_at": NOW,
        "closed_at": NOW, "decision": "approved", "decided_by": "olivia",
    }  # fmt: skip


# -- the questions ------------------------------------------------------------------------------------


def questions(journal: Journal, company: Company) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name."""
    middle = company.people // 2

    def explained(who: str) -> Any:
        [hit] = find_people(journal, who)
        assert hit.guid
        [answer] = explain_person(journal, hit.guid, {}, now=NOW)
        assert answer.memberships
        return answer

    def explained_group(which: str, most: int | None = None) -> Any:
        [hit] = find_groups(journal, which)
        answer = explain_group(journal, hit, {}, now=NOW, most=most)
        assert answer.by_origin["ad"]
        return answer

    return {
        "explain person, by name": lambda: explained(f"Person Nr {middle}"),
        "explain person, by mail": lambda: explained(f"person.{middle}@example.com"),
        "explain person, by objectGUID": lambda: explained(person(middle)),
        "explain person, by Genesys id": lambda: explained(genesys_user(middle)),
        "explain person, nobody of that name": lambda: find_people(journal, "nobody"),
        "explain person, nobody, an umlaut": lambda: find_people(journal, "nobody ü"),
        "explain person, part of all names": lambda: find_people(journal, "Person"),
        "explain group": lambda: explained_group("Queue 1", 50),
        "explain group with half of the people": lambda: explained_group("Queue 0", 50),
        "the same with all members (JSON)": lambda: explained_group("Queue 0"),
        "status": lambda: status(journal, {}, now=NOW),
        "runs": lambda: list_runs(journal, limit=20),
    }


def measure(company: Company, url: str) -> dict[str, Seconds]:
    """Return the seconds of each question: the best of three, with a journal that was just opened."""

    def ask(name: str) -> None:
        with Journal.open(url) as journal:
            questions(journal, company)[name]()

    with Journal.open(url) as journal:
        began = time.perf_counter()
        fill(journal, company)
        took = time.perf_counter() - began
        print(f"{company.memberships:,} memberships, {company.runs:,} runs: filled in {took:.0f} s", file=sys.stderr)
        names = list(questions(journal, company))
    return {name: _best(partial(ask, name), resource.RUSAGE_SELF) for name in names}


def measure_commands(company: Company, url: str) -> dict[str, Seconds]:
    """Return the seconds of whole commands: the best of three, each a process of its own."""
    middle = company.people // 2
    commands = (
        ("--help",),
        ("status",),
        ("runs",),
        ("explain", "person", f"Person Nr {middle}"),
        ("explain", "person", f"person.{middle}@example.com"),
        ("explain", "group", "Queue 1"),
        ("explain", "group", "Queue 0"),
        ("claims",),
        ("links", "--contradicted"),
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "default.yaml").write_text(DEFINITION)
        environment = {
            **os.environ, "AIRFLOW_HOME": folder, "GENESYS_AD_SYNC_CONFIG_DIR": folder,
            "AIRFLOW_CONN_GROUP_SYNC_JOURNAL": url,
        }  # fmt: skip

        def run(command: tuple[str, ...]) -> None:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, *command], env=environment, capture_output=True, text=True, check=False
            )
            assert done.stdout, done.stderr

        return {
            f"genesys-ad-sync {' '.join(command)}": _best(partial(run, command), resource.RUSAGE_CHILDREN)
            for command in commands
        }


def _best(ask: Callable[[], None], of: int) -> Seconds:
    """Return the least seconds of some tries. ``of``: whose processor seconds count."""
    tries = []
    for _ in range(TRIES):
        before, began = _processor_seconds(of), time.perf_counter()
        ask()
        tries.append(Seconds(_processor_seconds(of) - before, time.perf_counter() - began))
    return Seconds(min(one.processor for one in tries), min(one.clock for one in tries))


def _processor_seconds(of: int) -> float:
    used = resource.getrusage(of)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=__doc__)
    parser.add_argument("--memberships", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--url", help="an empty database, for one size; default: a SQLite file")
    options = parser.parse_args()
    if options.url and len(options.memberships) > 1:
        parser.error("an empty database takes one size")
    answers, commands = [], []
    for size in options.memberships:
        with tempfile.TemporaryDirectory() as folder:
            url = options.url or f"sqlite:///{Path(folder) / 'journal.db'}"
            company = Company(size, options.runs)
            answers.append(measure(company, url))
            commands.append(measure_commands(company, url))
    _print_table("answers alone, by memberships", options.memberships, answers)
    print()
    _print_table("whole commands, by memberships", options.memberships, commands)
    return 0


def _print_table(title: str, sizes: list[int], found: list[dict[str, Seconds]]) -> None:
    print(f"{title:<52}" + "".join(f"{size:>16,}" for size in sizes) + f"{'exponent':>10}")
    for name in found[0]:
        times = [seconds[name] for seconds in found]
        cells = "".join(f"{f'{one.processor:.3f} {one.clock:.3f}':>16}" for one in times)
        print(f"{name:<52}{cells}{_exponent(sizes, [one.processor for one in times]):>10}")


def _exponent(sizes: list[int], seconds: list[float]) -> str:
    if len(sizes) < 2 or not min(seconds):  # noqa: PLR2004  two points make a slope
        return "-"
    return f"{math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0]):.2f}"


if __name__ == "__main__":
    sys.exit(main())
