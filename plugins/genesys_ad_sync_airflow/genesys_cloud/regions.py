"""The regions of Genesys Cloud: AWS region → domain.

The API is `api.{domain}`, the login host `login.{domain}`.

Source: the vendor's Python SDK 269.0.0, purecloud_region_hosts.py (reference/genesys-spec/regions.json).
"""

from __future__ import annotations

from genesys_ad_sync.genesys.errors import RegionUnknown

REGIONS = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",  # FedRAMP
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "eusc-de-east-1": "edee1.eusc-pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-south-1": "aps1.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
}


def region_domain(host: str | None) -> str:
    """Return the region's domain for the host of a connection.

    ``host``: a domain (`mypurecloud.de`), an AWS region (`eu-central-1`), or one of the region's hosts or URLs
    (`https://api.mypurecloud.de`). Raises RegionUnknown, which lists the known regions.
    """
    name = (host or "").strip().lower().partition("://")[2] or (host or "").strip().lower()
    name = name.partition("/")[0].partition(":")[0]
    if domain := REGIONS.get(name.replace("_", "-")):
        return domain
    for domain in REGIONS.values():
        if name in (domain, f"api.{domain}", f"login.{domain}", f"apps.{domain}"):
            return domain
    known = ", ".join(f"{domain} ({region})" for region, domain in REGIONS.items())
    shown = "(not shown: it holds a login)" if "@" in (host or "") else repr(name)
    raise RegionUnknown(
        f"Unknown Genesys Cloud region {shown}. Set the connection's host to a domain or an AWS region, or set both "
        f"`api_url` and `login_url` in extra. Known: {known}"
    )
