"""The domain: what Active Directory says, what Genesys Cloud has, and what must change.

Imports neither Airflow nor `genesys_ad_sync_airflow`. Everything here can be run and tested without either.
"""
