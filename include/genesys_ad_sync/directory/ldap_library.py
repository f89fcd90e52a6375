"""Makes ldap3 keep apart what must not be mixed up.

A version that cannot be made to is refused.
"""

from __future__ import annotations

import ldap3
from ldap3.protocol.convert import prepare_filter_for_sending

from genesys_ad_sync.errors import SettingsError


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
