"""What must be written to Genesys Cloud, and what must not.

Compares AD's newest view, the grants and the members. Pure: takes data and returns a plan.
Reads nothing, writes nothing, knows no time, no journal and no Airflow.

`plan` and `plan_undo` decide a run, `recheck` and `recheck_undo` decide its rows again just before writing.
"""

from genesys_ad_sync.planning.evidence import newest_polled_change
from genesys_ad_sync.planning.inputs import Loss, Move, PlanContext, Relinking, Target, UnmappedGroup
from genesys_ad_sync.planning.lanes import assign_lanes
from genesys_ad_sync.planning.plan import Plan, content_hash, plan
from genesys_ad_sync.planning.recheck import recheck
from genesys_ad_sync.planning.undo import Present, plan_undo, recheck_undo

__all__ = [
    "Loss",
    "Move",
    "Plan",
    "PlanContext",
    "Present",
    "Relinking",
    "Target",
    "UnmappedGroup",
    "assign_lanes",
    "content_hash",
    "newest_polled_change",
    "plan",
    "plan_undo",
    "recheck",
    "recheck_undo",
]
