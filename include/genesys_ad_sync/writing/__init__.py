"""Writing to Genesys Cloud: one lane of a plan, under the lease.

The lane is read back, and the memberships that AD owns afterwards are kept.
"""
