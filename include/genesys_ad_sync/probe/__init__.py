"""Compares what a real domain controller answers with what the product assumes. See docs/probe.md."""
