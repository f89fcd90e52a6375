"""The tasks of the pipeline, one module each: poll, map_groups, resolve_users, plan, patch, report.

They tie reading, deciding and writing together and know nothing of Airflow: what a task needs from it (connections,
params, run id) comes in a `Sync`. What a stage returns is what the XCom shows: ids and counts, no names.
"""
