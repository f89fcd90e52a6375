"""What a run would do, found out without leaving a trace.

The stages of a dry run act on a copy of the journal.
"""
