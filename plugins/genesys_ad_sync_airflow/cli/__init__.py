"""The command `genesys-ad-sync`: one tree of commands.

A command that changes anything but the journal's place starts a DAG run.
"""
