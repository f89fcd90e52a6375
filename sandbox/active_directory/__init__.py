"""A throwaway Active Directory: a Samba domain controller on a loopback address, with TLS.

    with SandboxDirectory.start() as directory:
        directory.connection()                            # for Airflow
        directory.apply([AddMember("support", "paul.peters")])
        directory.truth(CONTACT_CENTER)                   # who is in which group, without product code

It is provisioned and filled once; later starts copy that (the *template*) and take less than a second.
Knows nothing of the product. Needs root and Debian's samba-ad-dc; see reference/active-directory.md §1.
``python -m sandbox.active_directory`` runs one in the foreground.
"""

from sandbox.active_directory.constants import STOP_TIMEOUT, Account, SandboxError, Transport
from sandbox.active_directory.server import SandboxDirectory
from sandbox.active_directory.truth import Person, TruthGroup

__all__ = ["STOP_TIMEOUT", "Account", "Person", "SandboxDirectory", "SandboxError", "Transport", "TruthGroup"]
