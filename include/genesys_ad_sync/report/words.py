"""Old place of `genesys_ad_sync.report.wording` and of `genesys_ad_sync.text.one_line`."""

from genesys_ad_sync.report.wording import REASON_WORDS, STATUS_WORDS, reason_words  # noqa: F401 (shim until the rooms are merged)
from genesys_ad_sync.text import one_line as visible  # noqa: F401 (shim until the rooms are merged)
