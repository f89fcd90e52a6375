"""Airflow's side of Genesys Cloud: the hook, OAuth, retries and pacing."""
