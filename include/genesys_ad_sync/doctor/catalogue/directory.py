"""Lines about Active Directory."""

from __future__ import annotations

from genesys_ad_sync.doctor.catalogue.entry import Entry, entries_of

DIRECTORY_LINES: dict[str, Entry] = entries_of(
    "Active Directory",
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
            "It is valid, and for how many days.",
            "Correct `ca_certs_file`, `ca_certs` or `server_name` of the connection, or have the certificate "
            "renewed, as the text says.",
        ),
        "directory.login": (
            "Login",
            "The account is accepted. After a refused login no other host is tried.",
            "Correct login and password of the connection, or the account in Active Directory, as the text says.",
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
            "The server reports what changed. Without it, every poll reads everything.",
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
            "Whether `msDS-ReplValueMetaData` shows when a membership changed. Samba does not have it.",
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
            "Whether a domain controller shows which changes of the others it has received. It matters after a "
            "fail-over.",
            "See the lines above.",
        ),
    },
)
