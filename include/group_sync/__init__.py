"""The domain: what Active Directory says, what Genesys Cloud has, and what must change.

Imports neither Airflow nor the hooks in plugins/. Everything here can be run and tested without either.
"""
