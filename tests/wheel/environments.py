"""Virtual environments with an Airflow in it, and projects that this Airflow reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAG_FILE = PROJECT / "dags" / "genesys_ad_group_sync.py"
EXAMPLE = PROJECT / "include" / "config" / "default.yaml"
REQUIREMENTS = PROJECT / "requirements.txt"
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
SECONDS = 900
"""Against waiting for ever. No command needs so long."""

# Airflow and Python must find what is installed, never this checkout or this machine's own Airflow.
_LEFT_OUT = ("AIRFLOW", "GENESYS", "PYTHON", "VIRTUAL_ENV")


@dataclass
class Environment:
    """A fresh virtual environment in ``folder``; ``folder / "airflow"`` is its AIRFLOW_HOME."""

    folder: Path
    before: Mapping[str, str] = field(default_factory=dict)
    """Versions by distribution, as they were just before the wheel was installed."""

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """Make an environment with the Python of this one, without any package."""
        made = cls(folder)
        made.home.mkdir(parents=True)
        made.run(UV, "venv", "--python", sys.executable, str(made.venv))
        return made

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def home(self) -> Path:
        return self.folder / "airflow"

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    def install(self, *what: str) -> None:
        """Run ``uv pip install`` in this environment."""
        self.run(UV, "pip", "install", "--python", self.python, *what)

    def install_wheel(self, wheel: Path) -> None:
        """Install the wheel as a team would: nothing says which versions must stay."""
        self.before = self.versions()
        self.install(str(wheel))

    def versions(self) -> dict[str, str]:
        """Return the version of each installed distribution."""
        listed = self.run(UV, "pip", "list", "--python", self.python, "--format", "json")
        return {package["name"]: package["version"] for package in json.loads(listed.stdout)}

    def airflow(
        self, *args: str, expect: int = 0, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the ``airflow`` command. ``settings``: further environment variables."""
        own = {"AIRFLOW_HOME": str(self.home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        command = str(self.venv / "bin" / "airflow")
        return self.run(command, *args, expect=expect, settings={**own, **(settings or {})})

    def airflow_list(self, *args: str, settings: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Run a command of Airflow that lists things. Its JSON is the last line, after what was logged."""
        done = self.airflow(*args, "--output", "json", settings=settings)
        listed: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return listed

    def run(
        self, *command: str, expect: int = 0, settings: Mapping[str, str] | None = None, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command outside the checkout, with a text as its input.

        Raises AssertionError with its output unless it ends as expected.
        """
        done = subprocess.run(
            command,
            input=given,
            cwd=self.folder,
            env={**{k: v for k, v in os.environ.items() if not k.startswith(_LEFT_OUT)}, **(settings or {})},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != expect:
            # An exception of its own: pytest would shorten a long message of `assert`.
            raise AssertionError(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done


def named_wheel() -> Path:
    """Return the wheel under test: the file that WHEEL names."""
    named = os.environ.get("WHEEL")
    if not named:
        pytest.fail("WHEEL must name a wheel. `make test-wheel` and `make test-browser` build one and test it.")
    return Path(named).resolve()


def newest(package: str) -> str:
    """Return the newest release of a package that works on this Python, for example ``apache-airflow==3.3.2``."""
    done = subprocess.run(
        [UV, "pip", "compile", "-q", "--no-deps", "--no-annotate", "--no-header", "--python", sys.executable, "-"],
        input=package,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return done.stdout.strip()


def project(folder: Path, *, definition: bool = True) -> Path:
    """Make a DAGs folder with what a team copies there: the DAG file and, if wanted, a definition."""
    folder.mkdir(parents=True)
    shutil.copy(DAG_FILE, folder)
    if definition:
        (folder / "genesys-ad-sync").mkdir()
        shutil.copy(EXAMPLE, folder / "genesys-ad-sync")
    return folder
