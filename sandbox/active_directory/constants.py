"""Names, passwords, places and limits of the throwaway Active Directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

from sandbox.directory_objects import REALM

HOST_NAME = "dc1"
SERVER_NAME = f"{HOST_NAME}.{REALM.lower()}"
ADMIN_LOGIN = f"administrator@{REALM.lower()}"
# Passwords of a directory that only this machine reaches and that is gone after the test.
ADMIN_PASSWORD = "Passw0rd!sandbox"
READER_NAME = "svc-genesys-sync"
READER_PASSWORD = "Passw0rd!reader"
LIMITED_NAME = "svc-limited"
LIMITED_PASSWORD = "Passw0rd!limited"

CACHE_DIR_VARIABLE = "GENESYS_AD_SYNC_SANDBOX_DIR"
DEFAULT_CACHE_DIR = Path(__file__).parents[2] / ".sandbox"
# Short, because Samba puts Unix sockets there, and those paths may have 107 characters.
INSTANCES_DIR = Path(tempfile.gettempdir()) / f"sandbox-directories-{os.geteuid()}"
SYSTEM_PYTHON = "/usr/bin/python3"
FILL_SCRIPT = Path(__file__).parents[1] / "directory_fill.py"
REPLICATE_SCRIPT = Path(__file__).parents[1] / "directory_replicate.py"

START_TIMEOUT = 180.0  # seconds
STOP_TIMEOUT = 60.0
TRIES_FOR_AN_ADDRESS = 50
ACCOUNT_DISABLED = 0x0002  # bit of userAccountControl

Transport = Literal["ldaps", "starttls", "plain"]
Account = Literal["reader", "limited", "admin"]


class SandboxError(Exception):
    """The sandbox directory cannot be started or changed.

    The text says why and what to do.
    """
