"""Commands that measure what is claimed about requests, speed and memory.

They are `python -m benchmarks.requests`, `.pacing`, `.memory` and `.poll`. `poll` reads a Samba domain controller. The
others use the sandbox of Genesys Cloud in a process of its own, and no Active Directory: what AD would have answered is
written into the journal directly.
"""
