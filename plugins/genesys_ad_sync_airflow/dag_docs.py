"""The text that Airflow shows above a DAG.

It says what the sync definition says, without secrets and names of people.
It is part of the DAG, so that a changed limit is a new version of the DAG.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from genesys_ad_sync.settings.rules import TARGETS
from genesys_ad_sync.text import counted, markdown_code

if TYPE_CHECKING:
    from genesys_ad_sync.settings import GroupRule, SyncDefinition

_REMOVALS = {
    "granted": "Only memberships that AD once granted are removed.",
    "mirror": "Members that were added in Genesys Cloud by hand are removed, too.",
    "never": "Nobody is removed.",
}
_ON_EXCESS = {
    "approve": "Changes over a limit need approval.",
    "hold": "Changes over a limit are held, and nobody is asked.",
    "fail": "A run that goes over a limit stops before it writes anything.",
}


def dag_docs(definition: SyncDefinition, *, full: bool) -> str:
    """Return the Markdown of one of the two DAGs of a definition."""
    return "\n\n".join(_paragraphs(definition, full=full)) + "\n"


def _paragraphs(definition: SyncDefinition, *, full: bool) -> Iterator[str]:
    name = markdown_code(definition.name)
    if full:
        yield f"Compares every mapped Genesys Cloud group completely with Active Directory. Sync definition: {name}."
    else:
        yield f"Brings changes of membership from Active Directory to Genesys Cloud. Sync definition: {name}."
    yield (
        "**Dry run: nothing is written to Genesys Cloud** (`dry_run: true`)."
        if definition.dry_run
        else "**It writes to Genesys Cloud** (`dry_run: false`)."
    )
    other = definition.dag_id if full else definition.full_dag_id
    yield f"The definition's other DAG is {markdown_code(other)}. Times are in {markdown_code(definition.timezone)}."
    yield _list(_read(definition))
    yield "### Which group feeds which"
    yield _table(("AD groups by", "value", "Genesys group by", "value"), map(_rule, definition.groups))
    yield "### Which person is which user"
    users = ((rule.directory, rule.genesys.value, rule.authority or "") for rule in definition.users)
    yield _table(("AD attribute", "Genesys Cloud", "authority"), users)
    yield "### Limits"
    yield f"{_REMOVALS[definition.removals]} {_ON_EXCESS[definition.limits.on_excess]}"
    limits = definition.limits.model_dump()
    yield _table(("limit", "value"), ((key, _shown(value)) for key, value in limits.items()))
    yield _list(_rest(definition))
    yield (
        "Each run writes a report: see the task `report`. A question to a person is in the tab Required Actions of the "
        "task `approve_removals`."
    )


def _read(definition: SyncDefinition) -> Iterator[str]:
    directory = definition.directory
    bases = ", ".join(markdown_code(base) for base in directory.group_base)
    yield f"AD groups below {bases} that match {markdown_code(directory.group_filter)}"
    yield f"Members of nested groups {'count' if directory.nested_groups else 'do not count'}"
    yield f"Disabled accounts: {directory.disabled_users}. Expired accounts: {directory.expired_users}"
    connections = f"{markdown_code(directory.connection)} and {markdown_code(definition.genesys.connection)}"
    yield f"Airflow connections {connections}"


def _rest(definition: SyncDefinition) -> Iterator[str]:
    if definition.protect:
        protected = ", ".join(map(markdown_code, definition.protect))
        yield f"Groups in which each change needs approval: {protected}"
    if definition.exclude.groups:
        yield f"AD groups that feed nothing: {', '.join(map(markdown_code, definition.exclude.groups))}"
    if definition.exclude.users:
        yield f"{counted(len(definition.exclude.users), 'pattern')} of people who are left alone"
    if definition.approvers:
        yield f"Who may answer: {counted(len(definition.approvers), 'account')} that the definition names"
    else:
        yield "Who may answer: everybody with the right to answer in Airflow"
    for entry in definition.notify:
        yield f"Notified by {markdown_code(entry.notifier)} on: {', '.join(occasion.value for occasion in entry.on)}"
    yield f"Reports: {markdown_code(definition.report.path)}, kept for {definition.report.keep_days} days"


def _rule(rule: GroupRule) -> tuple[str, ...]:
    target = next(key for key in TARGETS if getattr(rule, key) is not None)
    return rule.source, str(getattr(rule, rule.source)), target, str(getattr(rule, target))


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head)]
    cells = [" | ".join(line) for line in lines]
    cells += [" | ".join(markdown_code(cell) if cell else "" for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in cells)


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return str(value)
    return "none" if value is None else str(value)
