"""Recordings of the answers of a domain controller, with pseudonyms for people.

Pseudonyms replace all names and values of people.

`recorder` writes them, `exchange` knows their form, `values` and `pseudonyms` replace. See docs/probe.md.
"""

from genesys_ad_sync.directory.recording.recorder import VARIABLE, RecordingConnection, RecordingFolder, recorded

__all__ = ["VARIABLE", "RecordingConnection", "RecordingFolder", "recorded"]
