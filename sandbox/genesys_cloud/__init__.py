"""A stateful Genesys Cloud: OAuth, groups, users, SCIM, rate limits, and faults on demand.

Strict after `reference/genesys-cloud-api.md`; what is unknown there is an option here. Knows nothing of the product.
"""

from sandbox.genesys_cloud.faults import FaultRule
from sandbox.genesys_cloud.options import SandboxOptions
from sandbox.genesys_cloud.server import SandboxClient, SandboxGenesys, SpawnedSandbox, spawn

__all__ = ["FaultRule", "SandboxClient", "SandboxGenesys", "SandboxOptions", "SpawnedSandbox", "spawn"]
