"""Every line that a check can have: its part, its title, what it means, and what to do if it is not ok.

docs/check.md is made from it (`make docs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AIRFLOW = "Airflow and the sync definition"
REPORTS = "Journal and reports"
DIRECTORY = "Active Directory"
GENESYS = "Genesys Cloud"
MAPPING = "Mapping"
SCRATCH = "Scratch group"


@dataclass(frozen=True)
class Entry:
    """A line of the table. ``remedy``: for problems and what is not proven, if the line has none of its own."""

    part: str
    title: str
    meaning: str
    remedy: str


def _part(part: str, entries: Mapping[str, tuple[str, str, str]]) -> dict[str, Entry]:
    return {key: Entry(part, *texts) for key, texts in entries.items()}


_SEE_LINE = "Mend the lines above first, then run the check again."
_RUN_SCRATCH = (
    "Run `genesys-ad-sync check --scratch-group ID --yes-change ID` on a group made for it, see docs/check.md. Or look "
    "at the first live run."
)

CATALOGUE: Mapping[str, Entry] = {
    **_part(
        AIRFLOW,
        {
            "airflow.definition": (
                "Sync definition",
                "The file is read and checked, and says whether runs write.",
                "Correct the file as the text says.",
            ),
            "airflow.fernet_key": (
                "Fernet key",
                "With it, all tasks share one access token, encrypted in the journal. Airflow encrypts its connections "
                "with it, too.",
                "Set `[core] fernet_key` to the same key on all machines of this Airflow.",
            ),
            "airflow.approvers": (
                "Approvers",
                "Who may answer when a run asks. Airflow's user names are not always known to a task.",
                "Compare `approvers:` with the user names in Airflow, or ask one of them to open Required Actions.",
            ),
            "airflow.notifiers": (
                "Notifiers",
                "The file `notifiers.py` beside the definition can be loaded, and returns notifiers. None is sent.",
                "Correct `notifiers.py` as the text says. Until then, nobody is notified of a question.",
            ),
        },
    ),
    **_part(
        REPORTS,
        {
            "reports.path": (
                "Report path",
                "A file is written, read and removed in `report.path`.",
                "Set `report.path` to a folder or bucket that all workers may write to.",
            ),
            "reports.shared": (
                "Reports shared by the workers",
                "A later task finds what an earlier one wrote, on whichever worker it runs.",
                "Set `report.path` to a volume or bucket that all workers share.",
            ),
            "journal.place": (
                "Journal",
                "Its database is reached.",
                "Correct the connection group_sync_journal as the text says.",
            ),
            "journal.tables": (
                "Journal's tables",
                "Their version is that of the installed product. Nothing is upgraded by a check.",
                "Install the newer version of genesys-ad-sync everywhere.",
            ),
            "journal.write": (
                "Journal can be written",
                "A table is made and rolled back.",
                "Give the login the right to create and write tables.",
            ),
            "journal.size": ("Journal's size", "With its indexes.", "Look at the lines above."),
            "journal.shared": (
                "Journal shared by the workers",
                "Every worker must reach the same journal. A SQLite file needs one machine, or a shared volume.",
                "Set the connection group_sync_journal to a PostgreSQL database, on all workers.",
            ),
            "journal.identity": (
                "Journal and reports fit",
                "The reports know which journal wrote them. After a loss or a restored backup they do not fit, and "
                "removals ask a person until all was compared again.",
                "If the journal was moved, set the connection to its new place. Else see “The journal was lost” in "
                "docs/operation.md.",
            ),
        },
    ),
    **_part(
        DIRECTORY,
        {
            "directory.connection": (
                "Connection",
                "The Airflow connection exists, and its fields make sense.",
                "Correct the connection as the text says.",
            ),
            "directory.host": (
                "Domain controller",
                "It is reached. One line for each host of the connection.",
                "Check the name, the port and `transport` of the connection, DNS, and the firewall from this worker.",
            ),
            "directory.certificate": (
                "Certificate",
                "It verifies, and how many days are left.",
                "Correct `ca_certs_file`, `ca_certs` or `server_name` of the connection, or have the certificate "
                "renewed, as the text says.",
            ),
            "directory.login": (
                "Login",
                "The account is accepted. After a refused login no other host is tried.",
                "Correct login and password of the connection, or have the account unlocked.",
            ),
            "directory.clock": (
                "Clock",
                "The domain controller's clock and this machine's differ by at most five minutes.",
                "Let both machines take their time from the same source (NTP).",
            ),
            "directory.base_dn": (
                "Base DN of the connection",
                "It exists, if it is set.",
                "Correct `base_dn` of the connection, or leave it out.",
            ),
            "directory.group_base": (
                "Group base",
                "Each DN of `directory.group_base` exists, and the account sees it.",
                "Correct `directory.group_base`, or give the account the right to list and read that object.",
            ),
            "directory.groups": (
                "Groups",
                "How many groups the account sees below the group bases.",
                "Correct `directory.group_filter`, or give the account the right to list and read the groups.",
            ),
            "directory.members": (
                "Members",
                "The account may read `member`. A group whose members are hidden looks like an empty one.",
                "Give the account the right to read `member` of the groups.",
            ),
            "directory.accounts": (
                "State of accounts",
                "The account may read whether a member is a person, and disabled.",
                "Give the account the right to read objectClass and userAccountControl of the members.",
            ),
            "directory.dirsync": (
                "DirSync",
                "The server tells what changed. Without it, every poll reads everything.",
                "Give the account `Replicating Directory Changes` on the domain (a guess), or use another domain "
                "controller.",
            ),
            "directory.deleted_objects": (
                "Deleted objects",
                "The account sees tombstones, the only trace of a deleted person's memberships.",
                "Give the account List and Read on CN=Deleted Objects: the two commands are in docs/connections.md, "
                "“Deleted accounts”.",
            ),
            "directory.canary": (
                "Canary",
                "The object of `directory.canary` is seen.",
                "Correct `directory.canary`, or give back the right that the account lost.",
            ),
            "directory.link_times": (
                "Times of memberships",
                "Whether `msDS-ReplValueMetaData` tells when a membership changed. Samba does not have it.",
                "Give the account the right to read replication metadata, if you need windows before the journal.",
            ),
            "directory.functional_level": (
                "Functional level",
                "Of forest, domain and domain controller. Since Windows 2003, members are replicated one by one.",
                "Raise the functional level of the forest.",
            ),
            "directory.database_id": (
                "Database id",
                "The invocationId is readable. It shows a domain controller that was restored.",
                "Give the account read access to CN=Sites of the configuration partition.",
            ),
            "directory.replication": (
                "Up-to-dateness",
                "Whether a domain controller shows what it has heard of the others. It decides after a fail-over.",
                _SEE_LINE,
            ),
        },
    ),
    **_part(
        GENESYS,
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
                "Groups that only members or owners see need Directory > Private Group > View. That some are seen "
                "proves the right.",
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
                _RUN_SCRATCH,
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
    ),
    **_part(
        MAPPING,
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
                "A rule fits the AD group, and the Genesys group is not seen.",
                "Create the Genesys groups, or correct the rules.",
            ),
            "mapping.unmapped": (
                "Unmapped groups",
                "AD groups that no rule fits, and those of `exclude: groups`.",
                "Add a rule to `groups:`.",
            ),
            "mapping.roles": (
                "Groups with roles",
                "Who comes into such a group gets its roles.",
                "Put groups that give rights on `protect:`.",
            ),
            "mapping.claims": (
                "Claims",
                "A Genesys group is fed by one definition only.",
                "Take the group out of one definition, or trigger the DAG with `release_claim`.",
            ),
            "mapping.people": (
                "People",
                "The people of the mapped groups for whom a rule of `users:` finds a Genesys user.",
                "Correct the rules of `users:`, or see the lines about users and the causes.",
            ),
            "mapping.causes": (
                "Commonest causes",
                "Why people have no single active Genesys user, the five commonest causes first.",
                "See the line.",
            ),
        },
    ),
    **_part(
        SCRATCH,
        {
            "scratch.group": (
                "The group",
                "Whether the group may be used: nothing maps it, it can have no roles, and only two test users are in it.",
                "Make a group for this: official, without roles, with exactly two test users, mapped by no definition.",
            ),
            "scratch.remove": (
                "Remove by path",
                "SCIM, one operation for each member, as the product writes.",
                "Use `write: group_members`, if only SCIM is refused. Else see the text.",
            ),
            "scratch.add": (
                "Add",
                "SCIM, as the product writes.",
                "Use `write: group_members`, if only SCIM is refused. Else see the text.",
            ),
            "scratch.again": (
                "The same again",
                "Whether adding a member and removing a stranger does no harm.",
                "Nothing: the product looks at the members before it writes.",
            ),
            "scratch.bare_remove": (
                "Bare remove",
                "What a `remove` with the path `members` and a value does. The product never sends one.",
                "Nothing: the product never sends one.",
            ),
            "scratch.unknown_member": (
                "Unknown member",
                "What becomes of a request with an id that nobody has.",
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
                "Nothing, if it is refused. Else use `write: scim_patch`.",
            ),
            "scratch.search_case": (
                "Case of the search",
                "Whether a mail is found in capitals.",
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
    ),
}
