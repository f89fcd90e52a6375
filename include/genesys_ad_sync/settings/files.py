"""The files of sync definitions: found, read as strict YAML, checked, and named after DAGs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings.definition import (
    CONFIG_FOLDER_VARIABLE,
    DEFAULT_NAME,
    FULL_SUFFIX,
    SyncDefinition,
    chosen_folder,
    dag_id_of,
)
from genesys_ad_sync.settings.messages import all_explained
from genesys_ad_sync.settings.rights import refuse_shared_file, refuse_shared_folder

CONFIG_FOLDER_NAME = "genesys-ad-sync"
"""Beside the DAG file. The hyphen keeps it from being imported in place of the product."""

_MAX_DAG_ID = 250  # Airflow's
_UNWRITABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]"
)  # no value means one; JSON has no halves
_MOST_KEYS = 1000  # of one section; all known keys together are fewer
_DAG_ID_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]+")  # Airflow allows any \w; reports' file names do not


def config_folder(beside: Path) -> Path:
    """Find the folder of the sync definitions; it need not exist.

    The first of: the folder that GENESYS_AD_SYNC_CONFIG_DIR names; ``genesys-ad-sync/`` in ``beside``, the folder of
    the DAG file; in a checkout of this project, ``include/config``. An ``include/`` of another
    project does not count, or whatever is in its ``config`` would become DAGs.
    """
    chosen = chosen_folder()
    if chosen is not None:
        return chosen
    own, include = beside / CONFIG_FOLDER_NAME, beside.parent / "include"
    in_checkout = (include / "genesys_ad_sync" / "settings" / "__init__.py").is_file()
    return include / "config" if in_checkout and not own.is_dir() else own


def find_definitions(folder: Path) -> list[Path]:
    """List the YAML files of the folder, sorted, without hidden files.

    Raises SettingsError if the folder cannot be listed, holds none, or may be written by everybody.
    """
    refuse_shared_folder(folder)
    found: list[Path] = []
    try:
        found = [
            path
            for path in folder.iterdir()
            if path.suffix in {".yaml", ".yml"} and not path.name.startswith(".") and path.is_file()
        ]
    except FileNotFoundError:
        pass
    except OSError as error:
        raise SettingsError(
            f"{folder}: sync definitions cannot be listed ({error.strerror}). "
            f"Make the folder readable, or set {CONFIG_FOLDER_VARIABLE} to another one."
        ) from None
    if not found:
        raise SettingsError(
            f"{folder}: no sync definition there. Put one into that folder, for example as {DEFAULT_NAME}.yaml, or set "
            f"{CONFIG_FOLDER_VARIABLE} to your folder. Start from include/config/default.yaml in the "
            "repository of genesys-ad-sync."
        )
    return sorted(found)


def load_definition(path: Path) -> SyncDefinition:
    """Return the definition in a file.

    Raises SettingsError, whose text names the file, each wrong key and the remedy; also if everybody may write it.
    """
    _check_file_name(path)
    refuse_shared_file(path)
    return parse_definition(read_definition(path), name=path.stem, source=str(path), folder=path.parent)


def read_definition(path: Path) -> str:
    """Return the text of a definition's file. Raises SettingsError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError as error:
        why = str(error)
    raise SettingsError(f"{path}: cannot be read ({why}). Make it a readable file in UTF-8.")


def parse_definition(
    text: str, name: str = DEFAULT_NAME, source: str = "sync definition", *, folder: Path | None = None
) -> SyncDefinition:
    """Return the definition in a text. Raises SettingsError, in which ``source`` names the file."""
    return definition_of(read_keys(text, source), name=name, source=source, folder=folder)


def read_keys(text: str, source: str) -> dict[str, object]:
    """Return the keys of a text in strict YAML, with their values unchecked. Raises SettingsError."""
    data = _read_yaml(text, source)
    if not isinstance(data, dict):
        what = "is empty" if data is None else "is not a list of keys with values"
        raise SettingsError(f"{source}: {what}. Start from the shipped include/config/default.yaml.")
    return data


def definition_of(data: dict[str, object], *, name: str, source: str, folder: Path | None) -> SyncDefinition:
    """Return the definition with these keys.

    Raises SettingsError, in which ``source`` names where they are from.
    """
    if data.get("formerly") == name:
        raise SettingsError(f"{source}: `formerly` must be the former name of this file, not its present one.")
    try:
        return SyncDefinition.of(data, name=name, folder=folder)
    except ValidationError as error:
        texts = all_explained(error.errors(include_url=False))
        raise SettingsError("\n".join(f"{source}: {text}" for text in texts)) from None


def _read_yaml(text: str, source: str) -> object:
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506  a SafeLoader that also refuses doubled keys
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = " ".join(part for part in (error.context, error.problem) if part)
        remedy = error.note or "Check the indentation and the quotes there."
        raise SettingsError(f"{source}{line}: {problem}. {remedy}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{source}: is not YAML ({error}). Save it as plain text in UTF-8.") from None
    except RecursionError:
        raise SettingsError(f"{source}: is nested too deeply. Look for brackets that are never closed.") from None


def dag_ids_of(path: Path) -> frozenset[str]:
    """Return the ids of all DAGs that a file can make, good or broken.

    The file is not read.
    """
    good = dag_id_of(path.stem)
    return frozenset((good, good + FULL_SUFFIX, dag_id_of_broken(path)))


def dag_id_of_broken(path: Path) -> str:
    """Return the id of the DAG that shows the error of a broken file.

    Never raises, always fits Airflow, and is never the id of a good definition.
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem)
    if safe != path.stem or safe.endswith(FULL_SUFFIX) or _twin(path):
        safe = f"{safe}{path.suffix}.refused"
    return dag_id_of(safe[:200])


def _check_file_name(path: Path) -> None:
    name = path.stem
    if not _DAG_ID_CHARACTERS.fullmatch(name):
        raise SettingsError(
            f"{path}: the file's name becomes part of a DAG id, and Airflow or the reports refuse some of its "
            "characters. Rename it; letters A-Z, digits, dash, dot and underscore are allowed."
        )
    if name.endswith(FULL_SUFFIX):
        raise SettingsError(
            f"{path}: a name that ends in {FULL_SUFFIX} is kept for the DAG of the full comparison. Rename the file."
        )
    if len(dag_id_of(name) + FULL_SUFFIX) > _MAX_DAG_ID:
        raise SettingsError(f"{path}: the name is too long for a DAG id of {_MAX_DAG_ID} characters. Shorten it.")
    twin = _twin(path)
    if twin:
        raise SettingsError(f"{path}: {twin.name} would make the same DAG. Keep one of the two files.")


def _twin(path: Path) -> Path | None:
    other = path.with_suffix({".yaml": ".yml", ".yml": ".yaml"}.get(path.suffix, path.suffix))
    return other if other != path and other.exists() else None


class _StrictLoader(yaml.SafeLoader):
    """Load YAML safely, and refuse a key that appears twice, which YAML lets win silently.

    Sections that are merged (`<<`) into each other multiply, so that a few lines can fill the memory.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001  PyYAML's
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # PyYAML's own where a text looks like a date or a number
            raise yaml.constructor.ConstructorError(
                problem=f"`{node.value[:40]}` looks like a date or a number but is not one ({error})",
                problem_mark=node.start_mark,
                note="Put quotes around the value.",
            ) from None

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if odd := _UNWRITABLE.search(str(node.value)):
            raise yaml.constructor.ConstructorError(
                problem=f"a value holds the control character U+{ord(odd.group()):04X}",
                problem_mark=node.start_mark,
                note="Take it out; it is written with a backslash there.",
            )
        return super().construct_scalar(node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_KEYS:
            raise yaml.constructor.ConstructorError(
                problem=f"the keys that are merged here by << are more than {_MOST_KEYS}",
                problem_mark=node.start_mark,
                note="Write the keys out, without <<.",
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001  PyYAML's
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            line = key_node.start_mark.line + 1
            if key_node.value in seen:
                first = seen[key_node.value]
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key_node.value}` appears a second time (first in line {first})",
                    problem_mark=key_node.start_mark,
                    note="Keep one of the two.",
                )
            seen[key_node.value] = line
        return super().construct_mapping(node, deep)
