"""Find the troubles of a run, and send each notifier one message for each.

Knows neither Airflow nor a mail server: the caller says how a message is sent.
"""

from genesys_ad_sync.notices.messages import Sender, message_of, recovered_message
from genesys_ad_sync.notices.outbox import notify
from genesys_ad_sync.notices.troubles import RunEnd, late_run, question_of, troubles_of_run

__all__ = [
    "RunEnd",
    "Sender",
    "late_run",
    "message_of",
    "notify",
    "question_of",
    "recovered_message",
    "troubles_of_run",
]
