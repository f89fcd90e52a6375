"""The form of a manual run, in a real browser: the run is what the form showed."""

# ruff: noqa: F811 (pytest finds a fixture by its name in the module, and a test takes it under that name)
from __future__ import annotations

import pytest

from tests.support.browser import Browser, browser  # noqa: F401 (fixture)
from tests.support.stack import DRILLS, FirstRun, Stack, until

FIELD = "#element_dry_run"
ARROW_DOWN = "\ue015"  # WebDriver's code of the key
TRIGGER = "Array.from(document.querySelectorAll('button')).filter(button => button.innerText.trim() == 'Trigger').pop()"
AS_DEFINED, DRY_RUN = "as the definition says (writes to Genesys Cloud)", "dry run"


def shown(browser: Browser) -> str:
    """Return the choice that the form shows."""
    value = browser.run(f'return document.querySelector("{FIELD} input[type=hidden]").value')
    labels = browser.run(f"return document.querySelector('{FIELD}').innerText.trim().split('\\n')")
    assert {"__null__": AS_DEFINED, DRY_RUN: DRY_RUN}[value] == labels[-1]
    return str(labels[-1])


def choose(browser: Browser, label: str) -> None:
    browser.type(f"{FIELD} input[role=combobox]", ARROW_DOWN)
    options = f"Array.from(document.querySelectorAll('{FIELD} [role=option]'))"
    until("the choices", lambda: browser.run(f"return {options}.length"))
    assert browser.run(f"return {options}.map(option => option.innerText)") == [AS_DEFINED, DRY_RUN]
    browser.run(f"{options}.find(option => option.innerText == '{label}').click()")
    until("the choice", lambda: browser.run(f"return {options}.length == 0"))


@pytest.mark.parametrize(
    ("choices", "dry"),
    [((), False), ((DRY_RUN,), True), ((DRY_RUN, AS_DEFINED), False), ((DRY_RUN, AS_DEFINED, DRY_RUN), True)],
    ids=["untouched", "dry", "to and fro", "to and fro and to"],
)
def test_the_run_is_what_the_form_showed_however_often_it_was_switched(
    stack: Stack, drilled: FirstRun, browser: Browser, choices: tuple[str, ...], *, dry: bool
) -> None:
    browser.open(f"{stack.airflow.url}/auth/login")
    browser.set_cookie("_token", stack.airflow.login())
    browser.open(f"{stack.airflow.url}/dags/{DRILLS}")
    button = "document.querySelector('[data-testid=trigger-dag-button]')"
    until("the page of the DAG", lambda: browser.run(f"return {button} !== null"))
    browser.run(f"{button}.click()")
    until("the form", lambda: browser.run(f"return document.querySelector('{FIELD} input[role=combobox]') !== null"))
    assert shown(browser) == AS_DEFINED
    for label in choices:
        choose(browser, label)
        assert shown(browser) == label

    before = {run["dag_run_id"] for run in stack.airflow.runs(DRILLS)}
    browser.run(f"{TRIGGER}.click()")
    new = until("the run", lambda: {run["dag_run_id"] for run in stack.airflow.runs(DRILLS)} - before)
    [run_id] = new
    stack.airflow.wait_for_run(DRILLS, run_id)
    assert stack.report(DRILLS, run_id)["dry_run"] is dry
