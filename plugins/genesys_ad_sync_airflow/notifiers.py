"""Loads a team's own ``notifiers.py`` from the folder of its sync definitions."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import refuse_shared_file, refuse_shared_folder

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

    from genesys_ad_sync.settings import SyncDefinition

NOTIFIERS_FILE = "notifiers.py"


def notifiers_of(definition: SyncDefinition, complain: Callable[..., None]) -> list[Any]:
    """Return the team's notifiers: the result of ``approval_notifiers(definition)`` in its file.

    Empty if there is no such file, or if everybody may write it. A broken file must not keep the question from being
    asked: Airflow's UI shows it anyway.
    """
    path = definition.folder / NOTIFIERS_FILE if definition.folder is not None else None
    if path is None or not path.exists():
        return []
    try:
        refuse_shared_file(path)
        refuse_shared_folder(path.parent)
    except SettingsError as error:
        complain("nobody is notified: %s", error)
        return []
    try:
        spec = importlib.util.spec_from_file_location("genesys_ad_sync_notifiers", path)
        assert spec is not None  # noqa: S101  for mypy
        assert spec.loader is not None  # noqa: S101  for mypy
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return [SafeNotifier(notifier, complain) for notifier in module.approval_notifiers(definition)]
    except Exception as error:  # noqa: BLE001  a team's own code may raise anything
        complain("%s: nobody is notified: %s: %s", path, type(error).__name__, error)
        return []


class SafeNotifier:
    """A notifier whose failure is logged and forgiven."""

    def __init__(self, notifier: BaseNotifier, complain: Callable[..., None]) -> None:
        self._notifier = notifier
        self._complain = complain

    def __call__(self, context: Context) -> None:
        try:
            self._notifier(context)
        except Exception as error:  # noqa: BLE001  a team's own code may raise anything
            # Its text is left out: it may quote the question, which names people.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            self._complain(
                "%s: %s in %s, line %s",
                type(self._notifier).__name__,
                type(error).__name__,
                frame.filename,
                frame.lineno,
            )
