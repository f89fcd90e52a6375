"""The command `genesys-ad-sync`: one tree of commands. What changes anything but the journal's place is a DAG run."""
