"""The errors: each message says the problem and its remedy.

GroupSyncError
 ├─ SettingsError                 a sync definition is wrong
 ├─ ReportPathError               the report cannot be written
 ├─ ParamError                    the DAG does not have a param of the run
 ├─ WindowError                   the window of the run is impossible
 ├─ DirectoryError                Active Directory could not be read
 │   ├─ DirectoryUnreachable      no domain controller answered
 │   │   └─ DirectoryNotAsked     a plan without network does not ask
 │   ├─ DirectoryCertificateError its certificate does not verify
 │   ├─ DirectoryBindError        login or password is wrong
 │   ├─ DirectoryIncomplete       a part of the response is missing
 │   │   └─ DirectoryRefused      the server answered with an error
 │   ├─ DirectoryNotFound         a DN does not exist or is not visible
 │   └─ CursorRejected            the DirSync cookie is refused
 ├─ JournalError                  the journal cannot be opened, read or written
 │   ├─ JournalConflict           another run moved the cursor
 │   ├─ JournalMissing            there is no journal at the configured place
 │   ├─ JournalMoved              the journal is in another place now
 │   ├─ JournalOutdated           its tables are of an older version
 │   ├─ NotRecorded               no run has recorded what is asked
 │   ├─ RunUnknown                the journal has no such run
 │   ├─ RunElsewhere              another host has the run, or the folder of its report
 │   ├─ JournalOfOtherHost        another host uses the SQLite file
 │   └─ RunAmbiguous              both DAGs have a run of that id
 ├─ LeaseBusy                     another run is writing
 ├─ LeaseLost                     another run took the lease
 └─ GenesysError                  a call to Genesys Cloud failed (genesys/errors.py)
     ├─ AuthenticationFailed      the OAuth client is refused
     ├─ PermissionMissing         the OAuth client lacks a permission
     ├─ ClientRefused             the OAuth client is refused, whatever the group
     ├─ NotFound                  Genesys has no such thing
     ├─ BadRequest                the request is refused; nothing was done
     ├─ VersionConflict           the group or user changed meanwhile
     ├─ Throttled                 the rate limit; nothing was done
     ├─ ServerError               whether the request was done is not known
     ├─ UnexpectedAnswer          the response makes no sense
     │   └─ IncompleteListing     pages do not add up to their total
     ├─ ConnectionFailed          no response
     │   └─ CertificateRejected   the certificate does not verify
     ├─ AmbiguousExternalId       several groups carry an external id
     └─ RegionUnknown             the host is not a Genesys Cloud region

Subclasses that never leave their module are not in the tree.
"""

from __future__ import annotations


class GroupSyncError(Exception):
    """Base of all errors that this product raises on purpose.

    Its text is for the person that operates the product.
    """


class SettingsError(GroupSyncError):
    """A sync definition is wrong. The text names file, key and remedy."""


class ReportPathError(GroupSyncError):
    """The report cannot be written to the path of the definition."""


class ParamError(GroupSyncError):
    """A run was started with a param that its DAG does not have."""


class WindowError(GroupSyncError):
    """The window cannot be answered: it ends before it begins, or precedes the journal."""


# -- Active Directory ---------------------------------------------------------------------------------


class DirectoryError(GroupSyncError):
    """Active Directory could not be read. Never the same as "it is empty"."""


class DirectoryUnreachable(DirectoryError):
    """No domain controller of the connection answered."""


class DirectoryNotAsked(DirectoryUnreachable):
    """A plan goes by what the journal knows, and asks no domain controller."""


class DirectoryCertificateError(DirectoryError):
    """A domain controller's certificate does not verify."""


class DirectoryBindError(DirectoryError):
    """Login or password is wrong, or the account may not log in."""


class DirectoryIncomplete(DirectoryError):
    """A page, a range or a referral is missing.

    So nothing may be concluded from the response.
    """


class DirectoryRefused(DirectoryIncomplete):
    """The domain controller answered a search with an error. The connection itself works."""


class DirectoryNotFound(DirectoryError):
    """A configured DN does not exist, or the account may not see it.

    The DN is one of the settings or the connection.
    """


class CursorRejected(DirectoryError):
    """The domain controller refuses the DirSync cookie. Everything must be read again."""


# -- the journal --------------------------------------------------------------------------------------


class JournalError(GroupSyncError):
    """The journal cannot be opened, read or written."""


class JournalConflict(JournalError):
    """Another run moved the cursor meanwhile. Read the view again and repeat."""


class JournalMissing(JournalError):
    """There is no journal at the configured place.

    No run has made it yet, or the place is wrong.
    """


class JournalMoved(JournalError):
    """The journal was copied to another place, which continues it. The text names that place."""


class JournalOutdated(JournalError):
    """The tables are of an older version, and were opened only to look.

    The next run upgrades them.
    """


class NotRecorded(JournalError):
    """The journal can be read, but no run has recorded what is asked.

    The text names no place.
    """


class RunUnknown(JournalError):
    """The journal can be read, but has no such run."""


class RunElsewhere(JournalError):
    """Another host has the run in its journal, or its reports.

    The text names that host, and what to share.
    """


class JournalOfOtherHost(JournalError):
    """Another host uses the journal, which is a SQLite file. The text names that host."""


class RunAmbiguous(JournalError):
    """Both DAGs of the definition have a run of that id."""


class LeaseBusy(GroupSyncError):
    """Another run is writing to the same Genesys organisation."""


class LeaseLost(GroupSyncError):
    """The lease expired and another run took it. Nothing more may be written under it."""
