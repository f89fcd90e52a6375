"""Reading Active Directory into the journal.

It shows what changed, what may be believed, and what a window held.
"""
