"""The tasks of the pipeline, one module each; no module imports another one.

They tie reading, deciding and writing together and know nothing of Airflow: connections, params and run id come in a
task's context (`run.context`). What a stage returns is what the XCom shows: ids and counts, no names.
"""
