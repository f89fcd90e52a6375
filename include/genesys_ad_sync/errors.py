"""What can go wrong, as a tree. Each message says what is wrong and what to do about it."""

from __future__ import annotations


class GroupSyncError(Exception):
    """Anything that this product raises on purpose. Its text is meant for the person who operates it."""


class SettingsError(GroupSyncError):
    """A sync definition is wrong. The text names file, key and remedy."""


class ReportPathError(GroupSyncError):
    """The report cannot be written where the definition says."""


class ParamError(GroupSyncError):
    """A run was asked for something that its DAG has no param for."""


class WindowError(GroupSyncError):
    """The window asked for cannot be answered (it ends before it begins, or lies before the journal)."""


# -- Active Directory ---------------------------------------------------------------------------------


class DirectoryError(GroupSyncError):
    """Active Directory could not be read. Never the same as "it is empty"."""


class DirectoryUnreachable(DirectoryError):
    """No domain controller of the connection answered."""


class DirectoryCertificateError(DirectoryError):
    """A domain controller's certificate does not verify."""


class DirectoryBindError(DirectoryError):
    """Login or password is wrong, or the account may not log in."""


class DirectoryIncomplete(DirectoryError):
    """An answer broke off: a page, a range or a referral is missing, so nothing may be concluded from it."""


class DirectoryNotFound(DirectoryError):
    """A DN of the settings or the connection does not exist, or the account may not see it."""


class CursorRejected(DirectoryError):
    """The domain controller does not accept the DirSync cookie. The whole view must be taken again."""


# -- the journal --------------------------------------------------------------------------------------


class JournalError(GroupSyncError):
    """The journal cannot be opened, read or written."""


class JournalConflict(JournalError):
    """Another run moved the cursor meanwhile. Read the view again and repeat."""


class RunUnknown(JournalError):
    """The journal can be read and knows no such run."""


class RunAmbiguous(JournalError):
    """Both DAGs of the definition have a run of that id."""


class LeaseBusy(GroupSyncError):
    """Another run is writing to the same Genesys organisation."""


class LeaseLost(GroupSyncError):
    """The lease expired and another run took it. Nothing more may be written under it."""
