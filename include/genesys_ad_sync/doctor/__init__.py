"""The check: it tries everything that a run needs.

It says line by line whether something works, and the remedy if it does not. Writes nothing but a probe that it removes
again, except for `scratch_group`, which a person asks for by name twice. One module for each part; each part is a list
of small checks over one subject. A check yields lines, and one that fails becomes a line itself.
"""

from genesys_ad_sync.doctor.lines import Check, Line, NotReached, Outcome, run_checks

__all__ = ["Check", "Line", "NotReached", "Outcome", "run_checks"]
