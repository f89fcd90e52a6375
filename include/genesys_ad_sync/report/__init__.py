"""The reconciliation report of a run.

It says what the run found, what it did, and why it did not do the rest.

`build` makes the report, `schema` checks it, `page` and `summary` show it to people, `store` keeps it. None of them
knows Airflow, the journal or Genesys Cloud.
"""

from genesys_ad_sync.report.build import ReportHeader, build_report
from genesys_ad_sync.report.journal_stamps import JournalStamp
from genesys_ad_sync.report.page import render_page
from genesys_ad_sync.report.schema import SCHEMA_VERSION, json_schema, validate
from genesys_ad_sync.report.store import ReportStore
from genesys_ad_sync.report.summary import render_summary

__all__ = [
    "SCHEMA_VERSION",
    "JournalStamp",
    "ReportHeader",
    "ReportStore",
    "build_report",
    "json_schema",
    "render_page",
    "render_summary",
    "validate",
]
