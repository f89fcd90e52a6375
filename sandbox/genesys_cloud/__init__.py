"""A stateful Genesys Cloud: OAuth, groups, users, SCIM, rate limits, and faults on demand.

Strict after `reference/genesys-cloud-api.md`. Knows nothing of the product.

- `options`: what an organisation is like. Each thing that is unknown there is a switch here: what the client may not
  see, groups that refuse, owners, deleted users, limits of endpoint families.
- `faults`: what goes wrong now and then, by method and path.
- `state`: the shape of a seed.
"""

from sandbox.genesys_cloud.faults import FaultRule
from sandbox.genesys_cloud.options import SandboxOptions
from sandbox.genesys_cloud.server import SandboxClient, SandboxGenesys, SpawnedSandbox, spawn

__all__ = ["FaultRule", "SandboxClient", "SandboxGenesys", "SandboxOptions", "SpawnedSandbox", "spawn"]
