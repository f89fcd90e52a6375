"""What is claimed about requests, speed and memory, as commands: `python -m benchmarks.requests`, `.pacing`, `.memory`.

All of them use the sandbox of Genesys Cloud in a process of its own, and no Active Directory: what AD would have told
is written into the journal directly. Needs `plugins/` on the path, as Airflow puts it there.
"""

import sys
from pathlib import Path

_PLUGINS = str(Path(__file__).resolve().parents[1] / "plugins")
if _PLUGINS not in sys.path:
    sys.path.insert(0, _PLUGINS)

import logging  # noqa: E402  # after the path is set

logging.disable(logging.WARNING)  # alembic and the hooks would talk between the figures
