"""Makes ldap3 keep apart what must not be mixed up.

A version that cannot be made to is refused.
"""

from __future__ import annotations

from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.core.results import RESULT_CODES
from ldap3.protocol.convert import prepare_filter_for_sending
from pyasn1.error import PyAsn1Error

from genesys_ad_sync.errors import SettingsError

LIBRARY_ERRORS = (LDAPExceptionError, PyAsn1Error, OSError, ValueError, LookupError, TypeError)
"""What a call of ldap3 may raise.

Some of Python's own errors are among them, for an answer that ldap3 does not understand.
"""


def result_without_name(error: BaseException) -> dict[str, Any] | None:
    """Return the result of an answer whose code ldap3 cannot name.

    None: the error is another one. ldap3 looks for the name in a list of its own, and ends with a KeyError where it is
    missing (such as 70, "results too large", in Windows' winldap.h). Only the code is known then.
    """
    code = error.args[0] if isinstance(error, KeyError) and error.args else None
    if not isinstance(code, int) or code in RESULT_CODES:
        return None
    return {"result": code, "description": "no known name", "message": "", "controls": {}}


def require_usable_library() -> None:
    r"""Set up ldap3, and check that it does what all reading relies on. Raises SettingsError.

    - ldap3 2.10 folds names without their options: `member;range=1-1` (added) and `member;range=0-0` (removed) become
      one attribute. The session folds case itself.
    - ldap3 2.10.2rc4 sends an escaped value (``\2a``) as it is written. A search for an objectGUID then finds nothing.
    """
    ldap3.set_config_parameter("CASE_INSENSITIVE_ATTRIBUTE_NAMES", False)
    if bytes(prepare_filter_for_sending("\\2a\\00")) != b"*\0":
        raise SettingsError(
            f"ldap3 {ldap3.__version__} escapes values in filters incorrectly, so no account would be found. "
            f"Install ldap3 2.9.1."
        )
