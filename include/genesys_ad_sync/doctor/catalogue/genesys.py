"""Lines about Genesys Cloud."""

from __future__ import annotations

from genesys_ad_sync.doctor.catalogue.entry import Entry, entries_of

GENESYS_LINES: dict[str, Entry] = entries_of(
    "Genesys Cloud",
    {
        "genesys.connection": (
            "Connection",
            "The Airflow connection exists, and names a region or addresses.",
            "Correct the connection as the text says.",
        ),
        "genesys.token": (
            "Access token",
            "The login host gives the OAuth client a token, and the API takes it.",
            "Check login (client id) and password (client secret) of the connection, its region, and the client's "
            "grant type, which must be Client Credentials.",
        ),
        "genesys.groups": (
            "Groups",
            "All groups can be listed, and the list is complete.",
            "Give the role of the OAuth client directory:group:view.",
        ),
        "genesys.private_groups": (
            "Private groups",
            "Groups that only members or owners see need Directory > Private Group > View. Seeing some proves the "
            "right.",
            "Give the role of the OAuth client Directory > Private Group > View, if private groups are synced.",
        ),
        "genesys.members": (
            "Members",
            "The individual members of up to three groups are read, completely.",
            "Give the role of the OAuth client directory:group:view and directory:user:view.",
        ),
        "genesys.dynamic_groups": (
            "Dynamic groups",
            "Groups that rules fill may refuse every write. Up to 20 mapped groups are looked at.",
            "Map another group, or end the dynamic membership in Genesys Cloud.",
        ),
        "genesys.group_edit": (
            "Right to edit groups",
            "Reading a group by SCIM needs directory:group:edit, which writing needs, too. Up to 20 mapped groups "
            "are looked at.",
            "Give the role of the OAuth client directory:group:edit.",
        ),
        "genesys.write": (
            "Writing memberships",
            "Only a write proves that it is allowed and takes effect. A check writes nothing.",
            "Run `genesys-ad-sync check --scratch-group ID --yes-change ID` on a group made for it (docs/check.md). Or "
            "look at the first live run.",
        ),
        "genesys.user_search": (
            "Search for users",
            "Users are found by mail or user name.",
            "Give the role of the OAuth client directory:user:view.",
        ),
        "genesys.users": (
            "List of users",
            "How many active and inactive users the client sees. Compare it with Genesys Cloud's own count.",
            "Give the role of the OAuth client directory:user:view, for all divisions.",
        ),
        "genesys.external_ids": (
            "External ids of users",
            "Needed by rules with `external_id` only.",
            "Give the role of the OAuth client directory:user:view.",
        ),
        "genesys.groups_of_users": (
            "Groups of users",
            "Needed by `write: user_patch` only, which replaces a user's whole list of groups.",
            "Use `write: scim_patch`: Genesys does not promise to show them.",
        ),
        "genesys.divisions": (
            "Divisions",
            "The divisions that answers show. A client sees only the divisions of its role.",
            "Compare the names with Genesys Cloud, Admin > Divisions. Assign the role for each missing division.",
        ),
        "genesys.rate_limit": (
            "Rate limit",
            "Requests that Genesys allows the token, and how much of it is used.",
            "None: without the headers, runs wait when Genesys says so.",
        ),
    },
)
