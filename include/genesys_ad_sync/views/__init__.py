"""Answers for people who look: who is in which group and why, what waits, what runs did.

Typed values read from the journal, the same for the command line and for pages. Nothing is written, and neither Active
Directory nor Genesys Cloud is asked: each answer says as of when it is. Answers name people, so they are never logged.
"""
