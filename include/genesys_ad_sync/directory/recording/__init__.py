"""Recordings of what a domain controller answers, with pseudonyms in place of all names and values of people.

`recorder` writes them, `exchange` knows their form, `values` and `pseudonyms` replace. See docs/probe.md.
"""

from genesys_ad_sync.directory.recording.recorder import VARIABLE, RecordingConnection, RecordingFolder, recorded

__all__ = ["VARIABLE", "RecordingConnection", "RecordingFolder", "recorded"]
