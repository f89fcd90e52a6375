"""Pages in Airflow's UI: what happened, why, and what waits.

Routes are thin: they check what the viewer may read, ask `genesys_ad_sync.views`, and fill a template. Nothing is
written. Only the API server imports more than `plugin`: that module is loaded by every process of Airflow.
"""
