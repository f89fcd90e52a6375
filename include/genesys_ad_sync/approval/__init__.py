"""The question to an approver, and what the answer means."""

from genesys_ad_sync.approval.body import (
    ALL,
    NONE,
    PEOPLE_SHOWN,
    SHORT_HASH,
    UNDECIDED,
    Background,
    Question,
    body,
    chosen_groups,
    escape,
    is_decided,
    question,
)

__all__ = [
    "ALL",
    "NONE",
    "PEOPLE_SHOWN",
    "SHORT_HASH",
    "UNDECIDED",
    "Background",
    "Question",
    "body",
    "chosen_groups",
    "escape",
    "is_decided",
    "question",
]
