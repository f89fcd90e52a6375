"""The tasks of one run share their context, facts, changes, targets and users.

Knows nothing of Airflow.
"""
