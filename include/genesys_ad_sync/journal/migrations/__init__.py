"""Alembic's environment and revisions. Run by ``Journal.open``; nobody needs alembic's command line."""
