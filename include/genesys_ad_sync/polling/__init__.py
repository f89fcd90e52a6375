"""Reading Active Directory into the journal: what changed, what may be believed, what a window held."""
