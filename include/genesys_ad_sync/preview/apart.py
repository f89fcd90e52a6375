"""A preview in a process of its own, with limits of time and memory.

A text that somebody pastes may hold an expression that never ends, or a million lines. Run as a program, this module
reads a JSON object from its input and writes one: `preview`, or `error`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from genesys_ad_sync.errors import GroupSyncError, JournalError, JournalOutdated, NotRecorded
from genesys_ad_sync.preview.mapping import Coming, GroupCounts, MappingPreview

log = logging.getLogger(__name__)

SECONDS = 300.0
"""A preview of 1,000,000 memberships takes a quarter of it on a processor of its own."""

MEMORY_BYTES = 4 * 2**30

TOO_LONG = (
    "The preview took too long and was stopped. A guess: an expression under `groups:` with repetitions inside "
    "repetitions, such as (a+)+, or a sync with millions of memberships. Make the expression simpler; or use "
    "`genesys-ad-sync plan --offline FILE`, which has no limit."
)
_BROKEN = (
    "The preview ended without an answer. A guess: the text needs more memory than a preview may use. Make it "
    "smaller; or use `genesys-ad-sync plan --offline FILE`."
)
OUTDATED = (
    "The journal is of an older version of genesys-ad-sync. The next run of the DAG upgrades it (a dry run is enough). "
    "Try again after it."
)
_NO_JOURNAL = "The journal could not be read for the preview. The log of Airflow's API server says why."


class PreviewFailed(GroupSyncError):
    """There is no preview; the text says why and what to do.

    It names no path, no host and nobody.
    """


@dataclass(frozen=True)
class Order:
    """What is to be previewed. ``installed``: the file's text. ``folder``: the file's folder."""

    journal: str
    name: str
    installed: str
    text: str
    folder: str | None
    now: str


def preview_apart(order: Order, *, seconds: float = SECONDS) -> MappingPreview:
    """Return the preview that a process of its own makes. Raises PreviewFailed."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("GENESYS_AD_SYNC_")}
    scratch = tempfile.TemporaryDirectory(prefix="genesys-ad-sync-preview-")  # ours: a killed process clears nothing
    try:
        done = subprocess.run(  # noqa: S603  our own module
            [sys.executable, "-m", __name__, str(seconds)],
            input=json.dumps({one.name: getattr(order, one.name) for one in fields(order)}),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": scratch.name},
        )
    except subprocess.TimeoutExpired:
        raise PreviewFailed(TOO_LONG) from None
    finally:
        scratch.cleanup()
    if done.stderr:
        log.warning("A preview of a mapping failed: %s", done.stderr.strip()[-500:])
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise PreviewFailed(TOO_LONG if done.returncode == -_SIGXCPU else _BROKEN) from None
    if "error" in answer:
        raise PreviewFailed(answer["error"])
    return _as_preview(answer["preview"])


_KEPT = {"AIRFLOW_HOME", "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"}
_SIGXCPU = 24


def _as_preview(data: dict[str, Any]) -> MappingPreview:
    groups = tuple(GroupCounts(**one) for one in data.pop("groups"))
    rows = tuple(Coming(**one) for one in data.pop("rows"))
    data |= {key: tuple(data[key]) for key in ("changed", "notes", "too_slow")}
    return MappingPreview(**data, groups=groups, rows=rows)


# -- in the process ------------------------------------------------------------------------------------


def _answer(order: Order) -> dict[str, Any]:
    from genesys_ad_sync.journal import Journal
    from genesys_ad_sync.preview.mapping import as_json, preview_mapping, with_text

    try:
        folder = Path(order.folder) if order.folder else None
        definition, changed = with_text(order.installed, order.text, name=order.name, folder=folder)
        with Journal.open(order.journal, create=False, upgrade=False) as journal:
            now = datetime.fromisoformat(order.now).astimezone(timezone.utc)
            # the folder that the parent made for this process, and removes
            preview = preview_mapping(journal, definition, changed, Path(tempfile.gettempdir()), now=now)
            return {"preview": json.loads(as_json(preview))}
    except NotRecorded as error:
        return {"error": str(error)}
    except JournalError as error:
        # a database's message may name a host: it is for the log
        sys.stderr.write(f"{error}\n")
        return {"error": OUTDATED if isinstance(error, JournalOutdated) else _NO_JOURNAL}
    except GroupSyncError as error:
        return {"error": str(error)}


def main() -> int:
    """Answer the order on standard input. The limits of time and memory come first."""
    import resource

    os.nice(10)  # pages of others go before it
    seconds = int(float(sys.argv[1])) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        answer = _answer(Order(**json.load(sys.stdin)))
    except Exception as error:  # noqa: BLE001  its text may hold what people have written, or their names
        sys.stderr.write(type(error).__name__)
        return 1
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
