"""What a run would do, found out without leaving a trace: the stages of a dry run on a copy of the journal."""
