"""The link between Airflow and the domain.

It has the provider's metadata, and what a task needs to begin its work.
"""
