"""Lines about the rules of a definition."""

from __future__ import annotations

from genesys_ad_sync.doctor.catalogue.entry import Entry, entries_of

MAPPING_LINES: dict[str, Entry] = entries_of(
    "Mapping",
    {
        "mapping.groups": (
            "Mapped groups",
            "AD groups for which a rule of `groups:` finds a Genesys group.",
            "Correct the rules of `groups:`, or see the lines about groups.",
        ),
        "mapping.in_doubt": (
            "Groups in doubt",
            "AD groups whose rule fits several Genesys groups. They feed none.",
            "Name the Genesys group by its id, or rename one of the two.",
        ),
        "mapping.missing": (
            "Missing Genesys groups",
            "A rule fits the AD group, but the Genesys group is not seen.",
            "Create the Genesys groups, or correct the rules.",
        ),
        "mapping.unmapped": (
            "Unmapped groups",
            "AD groups that no rule fits, and those of `exclude: groups`.",
            "Add a rule to `groups:`.",
        ),
        "mapping.roles": (
            "Groups with roles",
            "Each member of such a group gets its roles.",
            "List groups that grant rights under `protect:`.",
        ),
        "mapping.claims": (
            "Claims",
            "A Genesys group is fed by one definition only.",
            "Take the group out of one definition, or trigger the DAG with `release_claim`.",
        ),
        "mapping.people": (
            "People",
            "How many people of the mapped groups have a Genesys user by a rule of `users:`.",
            "Correct the rules of `users:`, or see the lines about users and the causes.",
        ),
        "mapping.causes": (
            "Commonest causes",
            "Why people have no single active Genesys user, the five most common causes first.",
            "See the line.",
        ),
    },
)
