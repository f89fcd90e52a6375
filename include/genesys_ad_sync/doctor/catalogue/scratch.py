"""Lines about what is tried on a scratch group."""

from __future__ import annotations

from genesys_ad_sync.doctor.catalogue.entry import Entry, entries_of

SCRATCH_LINES: dict[str, Entry] = entries_of(
    "Scratch group",
    {
        "scratch.group": (
            "The group",
            "Whether it may be used: nothing maps it, it can have no roles, and only two test users are in it.",
            "Make a group for this: official, without roles, with exactly two test users, mapped by no definition.",
        ),
        "scratch.remove": (
            "Remove by path",
            "SCIM, one operation for each member, as the product writes.",
            "Use `write: group_members`, if only SCIM is refused. Otherwise see the text.",
        ),
        "scratch.add": (
            "Add",
            "SCIM, as the product writes.",
            "Use `write: group_members`, if only SCIM is refused. Otherwise see the text.",
        ),
        "scratch.again": (
            "The same again",
            "Whether adding an existing member and removing a non-member are harmless.",
            "Nothing: the product looks at the members before it writes.",
        ),
        "scratch.bare_remove": (
            "Bare remove",
            "What a `remove` with the path `members` and a value does. The product never sends one.",
            "Nothing: the product never sends one.",
        ),
        "scratch.unknown_member": (
            "Unknown member",
            "What happens to a request with an id that does not exist.",
            "Nothing: the product halves a refused request until the bad id is alone.",
        ),
        "scratch.members_api": (
            "Groups API",
            "`POST` and `DELETE` of `/groups/{id}/members`, which `write: group_members` uses.",
            "Use `write: scim_patch`, if only this is refused.",
        ),
        "scratch.version": (
            "Steps of the version",
            "By how much the group's version grows with a change.",
            "Nothing: the product reads the version before each use.",
        ),
        "scratch.stale_version": (
            "Stale version",
            "How an outdated version is refused.",
            "Nothing, if it is refused. Otherwise use `write: scim_patch`.",
        ),
        "scratch.search_case": (
            "Case of the search",
            "Whether a mail address in capitals is found.",
            "Let people's mails have the same case in AD and in Genesys Cloud.",
        ),
        "scratch.inactive": (
            "Inactive members",
            "Whether an inactive user can be added, and is listed among the members.",
            "Make one of the two test users inactive, and name both with --test-user.",
        ),
        "scratch.lag": (
            "Lag",
            "How long a write takes to be seen.",
            "Raise `genesys.verify_within` above it.",
        ),
        "scratch.restored": (
            "Restored",
            "Both test users are members at the end, as they were at the beginning.",
            "Add the two test users to the scratch group by hand.",
        ),
    },
)
