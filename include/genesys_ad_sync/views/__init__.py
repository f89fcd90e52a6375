"""Answers for readers: members of groups, reasons, waiting changes, and runs.

Typed values read from the journal, the same for the command line and for pages. Nothing is written, and neither Active
Directory nor Genesys Cloud is asked: each answer says as of when it is. Answers name people, so they are never logged.
"""
