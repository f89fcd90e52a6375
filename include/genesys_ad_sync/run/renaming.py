"""A sync definition under a new name: key `formerly`, and its missing note.

The note says where the key is missing.
"""

from __future__ import annotations

from collections.abc import Collection

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.journal.renaming import Holdings
from genesys_ad_sync.model import RunRecord
from genesys_ad_sync.run.context import TaskContext
from genesys_ad_sync.run.facts import TAKEN_OVER
from genesys_ad_sync.text import counted


def take_over_former(task: TaskContext, run: RunRecord) -> list[str]:
    """Take over what the definition had under its former name; return notes.

    A dry run only says so. Raises SettingsError if the former file exists, or if that cannot be known.
    """
    former, name = task.definition.formerly, task.definition.name
    if former is None:
        return []
    if task.all_definitions is not None and former in task.all_definitions:
        raise SettingsError(
            f"The sync definition {name} says formerly: {former}, but the file of {former} exists, too. Remove that "
            f"file if {former} was renamed to {name}; else remove the key formerly from {name}."
        )
    if (done := task.facts[TAKEN_OVER]) is not None:
        return [done]
    holdings = task.journal.renaming.holdings(former)
    if holdings is None:
        return []
    if task.all_definitions is None:
        raise SettingsError(
            f"The sync definition {name} says formerly: {former}, and it is not known whether the file of {former} is "
            "gone: the folder of the definitions cannot be listed. Make the folder readable."
        )
    if run.dry_run:
        return [f"the first live run takes over what the sync definition {former} has: {_in_words(holdings)}"]
    note = f"took over what the sync definition {former} had: {_in_words(holdings)}"
    with task.journal.together(former, name):
        task.journal.renaming.take_over(former, run=run.key, at=task.clock())
        task.facts[TAKEN_OVER] = note
    task.log(note)
    return [note]


def note_left_behind(task: TaskContext, genesys_group_ids: Collection[str]) -> None:
    """Note what other definitions have in these Genesys groups, which this definition feeds.

    A definition with a deleted file may own memberships there. What people decided under another definition does not
    bind this one: without the key `formerly`, nothing is inherited.
    """
    if task.all_definitions is None:
        return
    name, renaming = task.definition.name, task.journal.renaming
    others = renaming.names() - {name, task.definition.formerly}
    gone = others - task.all_definitions
    for former, left in renaming.left_by(gone, genesys_group_ids).items():
        not_bound = f", and what people undid or rejected there does not bind {name}" if left.decisions else ""
        task.note(
            f"the sync definition {former} is gone, and owns {_in_words(left)} in Genesys groups that {name} feeds; "
            f"{name} treats these memberships as added by hand{not_bound}. If {former} was renamed to {name}, write "
            f"`formerly: {former}` into {name}"
        )
    for other, decisions in renaming.decided_in_groups_given_up(others - gone, genesys_group_ids).items():
        task.note(
            f"the sync definition {other} has {counted(decisions, 'decision')} of people (undone or rejected) in "
            f"Genesys groups that {name} feeds now. They do not bind {name}: decide again where a change of {name} "
            "goes against one"
        )


def _in_words(holdings: Holdings) -> str:
    owned, changes = counted(holdings.memberships, "membership"), counted(holdings.open_changes, "open change")
    if not holdings.decisions:
        return f"{owned} and {changes}"
    return f"{owned}, {changes} and {counted(holdings.decisions, 'decision')} of people (undone or rejected)"
