"""Reads Active Directory: a verified LDAP session, complete reads, changes since a cursor, effective membership.

Nothing here decides what is done about it, and nothing here knows of Airflow, the journal or Genesys Cloud.
"""
