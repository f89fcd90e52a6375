"""The sync definitions that commands work with.

They are one file, or all of the folder that the DAG file reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genesys_ad_sync.errors import SettingsError

if TYPE_CHECKING:
    from genesys_ad_sync.settings import SyncDefinition

FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class Loaded:
    """The definitions of a folder.

    ``wrong``: what is wrong with those that cannot be read, by name.
    """

    definitions: dict[str, SyncDefinition]
    wrong: dict[str, str]

    @property
    def errors(self) -> tuple[str, ...]:
        """What is wrong, one text for each file."""
        return tuple(self.wrong.values())

    @property
    def names(self) -> frozenset[str]:
        """The names of all files."""
        return frozenset(self.definitions.keys() | self.wrong.keys())


def definitions_folder() -> Path:
    """Return the folder of the sync definitions, as the DAG file finds it. Raises SettingsError.

    The DAG file lies in Airflow's DAG folder, or in a folder of it.
    """
    from genesys_ad_sync.settings.definition import chosen_folder

    chosen = chosen_folder()
    if chosen is not None:
        return chosen
    from genesys_ad_sync_airflow.cli.airflow_side import dags_folder

    return folder_below(dags_folder())


def folder_below(dags: Path) -> Path:
    """Return the folder of the sync definitions below Airflow's DAG folder.

    Raises SettingsError if there is none.
    """
    from genesys_ad_sync.settings import CONFIG_FOLDER_NAME, CONFIG_FOLDER_VARIABLE, config_folder

    for folder in (dags, *sorted(path.parent for path in dags.glob(f"*/{CONFIG_FOLDER_NAME}"))):
        found = config_folder(folder)
        if found.is_dir():
            return found
    raise SettingsError(
        f"There is no folder {CONFIG_FOLDER_NAME} with sync definitions in Airflow's DAG folder {dags}. Set "
        f"{CONFIG_FOLDER_VARIABLE} to the folder that the DAG file reads."
    )


def load_all(folder: Path | None = None) -> Loaded:
    """Return all sync definitions of a folder, without the ones that have an error.

    Raises SettingsError if there is no folder. ``folder`` None: the one that the DAG file reads.
    """
    from genesys_ad_sync.settings import find_definitions, load_definition

    loaded = Loaded({}, {})
    for path in find_definitions(folder or definitions_folder()):
        try:
            loaded.definitions[path.stem] = load_definition(path)
        except SettingsError as error:
            loaded.wrong[path.stem] = str(error)
    return loaded


def known_definitions() -> Loaded:
    """Return the sync definitions for the words of an answer.

    Warns where they are missing. Without a folder, there is none.
    """
    try:
        loaded = load_all()
    except SettingsError as error:
        click.echo(f"Note: {error} Rules and limits are not shown.", err=True)
        return Loaded({}, {})
    for text in loaded.errors:
        click.echo(f"Note: {text}", err=True)
    return loaded


def load_as(path: Path, name: str | None) -> SyncDefinition:
    """Return the definition of a file, under ``name`` or the file's own name.

    Raises SettingsError.
    """
    from genesys_ad_sync.settings import load_definition, parse_definition, read_definition

    if name is None:
        return load_definition(path)
    return parse_definition(read_definition(path), name=name, source=str(path))


def chosen(names: Sequence[str], loaded: Loaded) -> list[SyncDefinition]:
    """Return the definitions of these names; without names, all.

    Raises SettingsError for an unknown one, and for one that cannot be read.
    """
    unknown = [name for name in names if name not in loaded.names]
    if unknown:
        raise SettingsError(
            f"There is no sync definition {', '.join(unknown)}. There are: {', '.join(sorted(loaded.names))}."
        )
    if wrong := [loaded.wrong[name] for name in names if name in loaded.wrong]:
        raise SettingsError("\n".join(wrong))
    return [definition for name, definition in loaded.definitions.items() if not names or name in names]
