"""The question to an approver, and what the answer means."""

from genesys_ad_sync.approval.body import GROUPS_SHOWN, PEOPLE_SHOWN, Background, body
from genesys_ad_sync.approval.question import (
    ALL,
    NONE,
    SHORT_HASH,
    AskedGroup,
    Question,
    asked_with,
    chosen_groups,
    chosen_rows,
    is_decided,
    question,
)
from genesys_ad_sync.model import UNDECIDED

__all__ = [
    "ALL",
    "GROUPS_SHOWN",
    "NONE",
    "PEOPLE_SHOWN",
    "SHORT_HASH",
    "UNDECIDED",
    "AskedGroup",
    "Background",
    "Question",
    "asked_with",
    "body",
    "chosen_groups",
    "chosen_rows",
    "is_decided",
    "question",
]
