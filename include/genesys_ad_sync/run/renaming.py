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
    """Note definitions with a deleted file that own memberships in these Genesys groups.

    This definition feeds the groups.
    """
    if task.all_definitions is None:
        return
    own = {task.definition.name, task.definition.formerly}
    gone = task.journal.renaming.names() - task.all_definitions - own
    name = task.definition.name
    for former, left in task.journal.renaming.left_by(gone, genesys_group_ids).items():
        task.note(
            f"the sync definition {former} is gone, and owns {_in_words(left)} in Genesys groups that {name} feeds; "
            f"{name} treats these memberships as added by hand. If {former} was renamed to {name}, write "
            f"`formerly: {former}` into {name}"
        )


def _in_words(holdings: Holdings) -> str:
    memberships, changes = holdings.memberships, holdings.open_changes
    return (
        f"{memberships:,} membership{'' if memberships == 1 else 's'} and {changes:,} open "
        f"change{'' if changes == 1 else 's'}"
    )
