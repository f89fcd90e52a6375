"""Runs last, once for each Airflow: whatever its runs left in logs, XComs and asset events names nobody.

Names of people and secrets may be in reports, on pages, in the approval form and in Airflow's own connections. They
must not be in what everybody reads who may look at a DAG.
"""

from __future__ import annotations

import pytest

from tests.support.stack import FirstRun, Stack
from tests.support.traces import leaks, names_of_people, secrets_of, traces

AIRFLOWS = (1, 2)


@pytest.mark.parametrize("airflow", AIRFLOWS)
def test_no_output_of_airflow_names_a_person_or_shows_a_secret(stack: Stack, drilled: FirstRun, airflow: int) -> None:
    found = traces(stack)
    # A search that finds nothing because there is nothing would be green by accident.
    kinds = {kind for kind, _, _ in found}
    assert kinds == {"task log", "service log", "xcom", "asset event"}
    assert any(drilled.run_id in where for kind, where, _ in found if kind in ("xcom", "task log"))
    names = names_of_people(stack)
    assert len(names) > 50
    assert leaks(found, names) == []
    secrets = secrets_of(stack)
    assert len(secrets) >= 5
    assert leaks(found, secrets) == []


@pytest.mark.parametrize("airflow", AIRFLOWS)
def test_the_search_finds_what_it_looks_for(stack: Stack, airflow: int) -> None:
    """The report has names: the same search over it finds them."""
    reports = [path for path in stack.reports.rglob("*.json") if not path.name.startswith("journal.")]
    assert reports
    of_reports = [("report", str(path), path.read_text()) for path in reports]
    assert leaks(of_reports, names_of_people(stack))

    fernet = stack.airflow.env["AIRFLOW__CORE__FERNET_KEY"]
    assert leaks([("file", "secret", (stack.airflow.home / ".fernet.secret").read_text())], {fernet})
