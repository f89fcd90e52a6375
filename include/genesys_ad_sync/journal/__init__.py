"""The journal is the product's own small database.

It exists because AD keeps no history that a client can ask for. Imports neither Airflow nor anything that talks to AD
or Genesys.
"""

from genesys_ad_sync.journal.store import DefinitionJournal, Journal
from genesys_ad_sync.journal.view_writer import ViewUpdate
from genesys_ad_sync.model import Link, Outcome, RunKey, RunRecord, StoredCursor

__all__ = ["DefinitionJournal", "Journal", "Link", "Outcome", "RunKey", "RunRecord", "StoredCursor", "ViewUpdate"]
