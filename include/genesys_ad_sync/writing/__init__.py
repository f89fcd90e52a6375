"""Writing to Genesys Cloud: one lane of a plan, under the lease, read back, and what AD owns afterwards."""
