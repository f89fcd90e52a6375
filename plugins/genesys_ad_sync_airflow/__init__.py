"""Between Airflow and the domain: the provider's metadata, and what a task needs to begin its work."""
